"""Sketches written by hand: read, filled, proved; and those that must not be."""

from __future__ import annotations

from pathlib import Path

import pytest

import guesssketch
from guesssketch import pairs
from guesssketch.cli import run
from guesssketch.errors import UsageError
from guesssketch.judge import judge
from guesssketch.problem import Candidate
from guesssketch.sketch.holes import parse
from solver.verdict import Proved

SOURCE = """
target: aarch64
live-out: rax rdi
source:
    lea rax, [rdi + rsi*4 + 24]
    shr rdi, 3
code:
"""


def pair(code: str) -> str:
    return SOURCE + "".join(f"    {line}\n" for line in code.split("; "))


@pytest.mark.parametrize("code", [
    "add x8, ?register, x1, lsl #?immediate; add x8, x8, #24; lsr x0, x0, #3",
    "?opcode x8, x0, x1, lsl #2; add x8, x8, #?immediate; lsr x0, x0, #3",
    "add x8, x0, x1, ?(lsr|lsl) #2; ?(sub|add) x8, x8, #?(8|24); lsr x0, x0, #3",
    "add x8, x0, x1, lsl #2; add x8, x8, #24; ?instruction",
    "add x8, x0, x1, lsl #2; ?instruction; add x8, x8, #24; lsr x0, x0, #3",
    "add x8, x0, x1, lsl #2; add x8, x8, #24; lsr x0, x0, #3",
], ids=["register", "opcode", "choices", "instruction", "nothing", "no-hole"])  # fmt: skip
def test_holes_are_filled_and_what_fills_them_is_proved(code: str) -> None:
    lines = guesssketch.solve(pair(code))
    assert lines is not None
    (judged,) = judge([pairs.problem(pairs.parse(SOURCE + "    nop", "p"))], [Candidate(lines, "sketch")])
    assert isinstance(judged.verdict, Proved) and not any("?" in line for line in lines)


def test_a_sketch_is_data_that_reads_as_it_is_written() -> None:
    problem = pairs.problem(pairs.parse(SOURCE + "    nop", "p"))
    text = "ldr w8, [?register, #?immediate]\n?(ldr x8, [x0]; add x8, x8, #1|)\n?opcode w8, w0, w1"
    sketch = parse(problem, text)
    assert isinstance(sketch, guesssketch.Sketch) and sketch.text == text
    assert [hole.kind for hole in sketch.holes] == ["register", "immediate", "choice", "opcode"]
    assert sketch.filled(["x1", "4", "", "add"]) == ("ldr w8, [x1, #4]", "add w8, w0, w1")
    assert sketch.filled(["x1", "4", "ldr x8, [x0]; add x8, x8, #1", "add"])[1:3] == ("ldr x8, [x0]", "add x8, x8, #1")


def test_nothing_fills_what_cannot_be_filled() -> None:
    assert guesssketch.solve(pair("add x8, x0, #?immediate; lsr x0, x0, #3"), candidates=200) is None


def test_candidates_are_tried_to_the_last() -> None:
    choices = "|".join(f"#{n}" for n in range(60, 23, -1))  # more than the first batch holds
    assert guesssketch.solve(pair(f"add x8, x0, x1, lsl #2; add x8, x8, ?({choices}); lsr x0, x0, #3"), candidates=37) is not None


def test_a_filling_that_is_right_on_some_states_only_is_not_taken() -> None:
    text = "target: aarch64\nlive-out: rax\nsource:\n    mov rax, rdi\n    and eax, 0x7fffffff\ncode:\n    and x8, x0, ?(#0x7fffffffffffffff|#0x7ffffffe|#0x7fffffff)"
    assert guesssketch.solve(text) == ("and x8, x0, #0x7fffffff",)


def test_a_hole_of_no_kind_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\?number"):
        guesssketch.solve(pair("add x8, x0, #?number"))


def test_the_command_line_prints_the_filling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sketch.txt"
    file.write_text(pair("add x8, x0, x1, lsl #2; add x8, x8, #?immediate; lsr x0, x0, #3"))
    assert run(["solve", str(file)]) == 0
    assert capsys.readouterr().out.split("\n")[1] == "add x8, x8, #24"
    file.write_text(pair("lsr x0, x0, #?immediate"))
    assert run(["solve", str(file), "--candidates", "50"]) == 1
