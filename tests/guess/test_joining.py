"""What a guess knows of itself, brought to the words and lines of a candidate."""

from __future__ import annotations

import pytest

from guesssketch.guess.engine import Guess
from guesssketch.guess.form import Form
from guesssketch.guess.joining import candidate, said
from guesssketch.guess.tokens import target_tokens, target_words


def guess(lines: tuple[str, ...], probabilities: list[float], alignment: list[list[float]] | None = None) -> Guess:
    tokens = target_tokens(lines)
    return Guess(tokens, probabilities, [[] for _ in tokens], 1.0, 0.0, lines, alignment)


def form(size: int, registers: dict[str, str] | None = None) -> Form:
    return Form(("nop",) * size, "fall", (), (), (), (), registers or {}, {})


@pytest.mark.parametrize("line", [
    "add w8, w0, #0x1234", "1:", "ldr x0, [x1, #-8]!", "ldr x0, [x1]", "add v0.4s, v1.4s, v2.4s", "ld 3, 0(a0)", "lw a0, 0(a1)",
    "cbnz x8, taken", "b 1f", "addi a0, a0, %pcrel_lo(1b)", "add x4, x4, :lo12:S0", "fmov d0, #1.5", "mov v1.s[1], v0.s[0]", "ret",
])  # fmt: skip
def test_words_are_all_of_a_line_and_all_of_its_tokens(line: str) -> None:
    words = target_words(line)
    assert sum(count for _, _, count in words) == len(target_tokens([line])) - 1
    assert "".join(line[start : start + length] for start, length, _ in words) == line.replace(" ", "").replace(",", "")


def test_a_word_is_doubted_as_its_least_likely_token() -> None:
    lines = ("add w8, w0, #0x1234",)
    tokens = target_tokens(lines)
    assert tokens == ["add", "w8", "w0", "#12", "#34", ";"]
    found = candidate([said(guess(lines, [0.9, 0.8, 0.99, 0.6, 0.5, 1.0]), form(1, {"rax": "r10", "rdi": "r11"}), "aarch64", {})], "lm")
    assert found.insight is not None and found.insight.confidence == pytest.approx(0.9 * 0.8 * 0.99 * 0.6 * 0.5)
    shown = {found.lines[d.line][d.start : d.start + d.length]: d.probability for d in found.insight.doubts}
    assert shown == {"add": 0.9, "w9": 0.8, "#0x1234": 0.5}


def test_pieces_are_told_in_the_lines_and_instructions_of_the_whole() -> None:
    one = said(guess(("cbz x0, fall", "nop"), [1.0, 1.0, 0.4, 1.0, 1.0, 1.0], [[0.25, 0.75], [1.0, 0.0]]), form(2), "aarch64", {})
    two = said(guess(("ret",), [0.3, 1.0], [[1.0]]), form(1), "aarch64", {})
    found = candidate([one, two], "lm")
    assert found.lines == ("cbz x0, 1f", "nop", "1:", "ret") and found.insight is not None
    assert found.insight.alignment == ((0.25, 0.75, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    doubted = [(d.line, found.lines[d.line][d.start : d.start + d.length]) for d in found.insight.doubts if d.probability < 1]
    assert doubted == [(0, "1f"), (3, "ret")]
    assert found.insight.least == (0.4, 1.0, 1.0, 0.3)


def test_another_models_tokens_tell_no_doubts() -> None:
    foreign = Guess(["add", "Ġw8"], [0.1, 0.2], [], 1.0, 0.0, ("add w8, w8, w8",))
    found = candidate([said(foreign, form(1), "aarch64", {})], "lm")
    assert found.insight is not None and not found.insight.doubts and not found.insight.alignment
