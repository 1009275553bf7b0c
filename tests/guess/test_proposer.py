"""From problems to guesses and back, with a made-up engine; and prompts and answers of foreign models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from guesssketch.assembler import assemble
from guesssketch.errors import UsageError
from guesssketch.guess.engine import Guess, How
from guesssketch.guess.form import Form
from guesssketch.guess.joining import joined
from guesssketch.guess.proposer import Guesser, Ready, guess_ahead, identity, open_engine
from guesssketch.judge import judge
from guesssketch.lowering import Lowering
from guesssketch.problem import Exit, Problem
from guesssketch.workers import Work, solve
from isa.machine import Instruction
from isa.statemap import GENERAL
from solver.verdict import Proved

ALL = tuple((name, 64) for name in sorted(GENERAL))


def problem(text: str, exit: Exit = "fall", live_out: Sequence[str] = GENERAL) -> Problem:
    """x86-64 text, one instruction a line, as a problem in which every general register is live."""
    (code,) = assemble("x86_64", [tuple(line.strip() for line in text.strip().splitlines())])
    assert not hasattr(code, "message"), code
    instructions = tuple(Instruction(i.offset, i.code, i.text, i.relocations) for i in code.instructions)
    return Problem("aarch64", instructions, exit, ALL, tuple((n, b) for n, b in ALL if n in live_out), ())


class Parrot:
    """Says what it was told for each source text; ``asked`` is what it was asked."""

    def __init__(self, answers: dict[str, list[tuple[str, ...] | None]], cut: int = 8) -> None:
        self.answers = answers
        self.cut = cut
        self.asked: list[Form] = []

    def guess(self, forms: Sequence[Form], target: str, how: How, *, align: bool = False) -> list[list[Guess]]:
        assert target == "aarch64"
        self.asked += forms
        return [[Guess([], [], [], 1.0, 0.0, lines) for lines in self.answers.get("; ".join(f.source), [])] for f in forms]


def proposed(engine: Parrot, *problems: Problem) -> list[list[tuple[str, ...]]]:
    return [[c.lines for c in candidates] for candidates in Guesser("aarch64", engine).propose(problems)]


def _lowered(text: str) -> tuple[str, ...]:
    ((candidate,),) = Lowering("aarch64").propose([problem(text)])
    return candidate.lines


def test_equal_forms_are_asked_once_and_named_back() -> None:
    engine = Parrot({"add rax, rcx": [_lowered("add rax, rcx")]})
    asked = [problem("add rdi, r8", live_out=("rdi",)), problem("add r15, rdx", live_out=("r15",))]
    candidates = [c[0] for c in Guesser("aarch64", engine).propose(asked)]
    assert candidates[0].lines != candidates[1].lines and candidates[0].proposer == "lm" and len(engine.asked) == 1
    assert all(isinstance(j.verdict, Proved) for j in judge(asked, candidates))


def test_long_problems_are_cut_and_joined_rank_by_rank() -> None:
    engine = Parrot({"mov rax, 1": [("a",), ("b",)], "mov rax, 2": [("c",)], "mov rax, 3": [("d",), ("e",), ("f",)]}, cut=1)
    whole = problem("mov rbx, 1\nmov rbx, 2\nmov rbx, 3")
    assert proposed(engine, whole) == [[("a", "c", "d"), ("b", "c", "e"), ("b", "c", "f")]]
    assert proposed(engine, problem("mov rbx, 1\nmov rbx, 9")) == [[]]


def test_pieces_on_the_way_are_known_too() -> None:
    engine = Parrot({f"mov rax, {n}": [(f"line {n}",)] for n in range(4)}, cut=1)
    whole = problem("mov rbx, 0\nmov rbx, 1\nmov rbx, 2\nmov rbx, 3")
    (known,) = Guesser("aarch64", engine).guessed([whole])
    assert [c[0].lines for c in known.values()].count(("line 2",)) == 1 and len(known) == 7
    assert [c[0].lines for c in Ready(known).propose([whole])] == [("line 0", "line 1", "line 2", "line 3")]
    assert list(Ready({}).propose([whole])) == [()]


def test_workers_judge_what_the_model_said_before() -> None:
    asked = [problem("add rdi, r8", live_out=("rdi",)), problem("sub rdi, r8", live_out=("rdi",))]
    known = guess_ahead(asked, Guesser("aarch64", Parrot({"add rax, rcx": [_lowered("add rax, rcx")]})), 1, lambda done: None)
    ((_, answers),) = solve(asked, Work("aarch64", ("lm", "lowering")), 1, known)
    assert [piece.proposer for one in answers for piece in one.pieces] == ["lm", "lowering"]


def test_no_text_is_no_candidate() -> None:
    assert proposed(Parrot({"mov rax, 1": [None, ("a",)], "mov rax, 2": [None]}), problem("mov rax, 1"), problem("mov rax, 2")) == [[("a",)], []]


def test_joined_labels_do_not_clash_and_fall_leads_on() -> None:
    one = ("cbz x0, 1f", "b fall", "1:", "add v0.16b, v1.16b, v2.16b")
    two = ("1:", "sub x0, x0, #1", "cbnz x0, 1b", "b taken")
    assert joined([one, two]) == (
        "cbz x0, 1f", "b 2f", "1:", "add v0.16b, v1.16b, v2.16b", "2:",
        "3:", "sub x0, x0, #1", "cbnz x0, 3b", "b taken")  # fmt: skip
    assert joined([("b fall",)]) == ("b fall",)
    assert joined([("nop",), ("b fall",)]) == ("nop", "b fall")


def test_a_folder_without_a_model_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        open_engine(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_models_are_told_apart_without_reading_their_weights(tmp_path: Path) -> None:
    def model(name: str, card: str, changed: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "card.json").write_text(card)
        weights = folder / "model.safetensors"
        weights.touch()
        os.truncate(weights, 1 << 40)  # more than memory holds
        os.utime(weights, ns=(0, changed))
        return folder

    first, copy = model("first", "{}", 10), model("copy", "{}", 10)
    others = model("another-card", "[]", 10), model("other-weights", "{}", 11)
    assert identity(first) == identity(copy)
    assert len({identity(first), *map(identity, others)}) == 3
    assert identity("owner/model") == "owner/model"
