"""The pipeline as a library: options, reports, caches, worker processes."""

from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import guesssketch
from guesssketch import outputs, workers
from guesssketch.answer import SUMMARY, answer, summary
from guesssketch.assembler import assemble_x86
from guesssketch.cache import ENGINES, Cache
from guesssketch.errors import GuessSketchWarning, InputError, ToolError, Untranslatable, UsageError
from guesssketch.problem import Candidate, Problem
from guesssketch.questions import LONGEST
from solver.verdict import Proved, Refuted, Unknown

MakeObject = Callable[..., Path]
RECURSION = Path(__file__).parent.parent.parent / "examples" / "objects" / "recursion.O0.o"
SMALL = "lea eax, [rdi + rsi]\nret"


def _die(*_: object) -> None:
    os._exit(9)


def test_every_exported_name_exists() -> None:
    assert {"translate", "prove", "show", "Translation", "GuessSketchError"} <= set(guesssketch.__all__)
    assert all(getattr(guesssketch, name) is not None for name in guesssketch.__all__)
    with pytest.raises(AttributeError):
        _ = guesssketch.nothing


def test_the_three_calls(make_object: MakeObject, tmp_path: Path) -> None:
    source = make_object("in.o", f=SMALL)
    translation = guesssketch.translate(source, "riscv64")
    assert translation.write(tmp_path / "out.o") == [tmp_path / "out.o"]
    assert translation.report.verdicts() == {"proved": 1} and translation.report.functions == {str(source): 1}
    assert "lea eax, [rdi + rsi]" in guesssketch.show(source)
    text = "target: riscv64\nlive-out: rax:32\nsource:\n  lea eax, [rdi + rsi]\ncode:\n  addw a6, a0, a1\n"
    assert isinstance(guesssketch.prove(text), Proved)
    with pytest.raises(UsageError):
        guesssketch.translate(source, "vax")
    with pytest.raises(UsageError):
        guesssketch.show(source, "nothing")
    with pytest.raises(InputError):
        guesssketch.prove("target: vax")


def _timeless(report: Any) -> Any:
    """A report without what takes time to say: durations, and whether an answer was remembered."""
    if isinstance(report, dict):
        return {name: _timeless(value) for name, value in report.items() if name not in ("seconds", "cached")}
    return [_timeless(value) for value in report] if isinstance(report, list) else report


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_jobs_and_cache_change_no_byte_and_a_second_run_proves_nothing(target: str, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    cache = tmp_path / "cache"
    one = guesssketch.translate(RECURSION, target)
    two = guesssketch.translate([RECURSION], target, jobs=2, cache=cache, progress=lambda *step: steps.append(step))
    three = guesssketch.translate(str(RECURSION), target, jobs=2, cache=cache)
    four = guesssketch.translate(RECURSION, target, jobs=5)
    assert one.files(tmp_path / "x.o") == two.files(tmp_path / "x.o") == three.files(tmp_path / "x.o") == four.files(tmp_path / "x.o")
    reports = [_timeless(made.report.to_dict()) for made in (one, two, three, four)]
    assert reports[1:] == reports[:1] * 3 and {"guesssketch", "python", "torch", "transformers", *ENGINES} == set(reports[0]["engines"])
    assert not any(block.cached for block in two.report.blocks) and all(block.cached for block in three.report.blocks)
    assert list(dict.fromkeys(stage for stage, _, _ in steps)) == ["read", "liveness", "problems", "guess", "prove", "stitch"]
    counts = [done for stage, done, total in steps if stage == "prove" and total]
    assert counts[0] == 0 and len(counts) > 2 and counts == sorted(counts)
    assert [b.proposer for b in three.report.blocks] == [b.proposer for b in one.report.blocks]


def test_offsets_of_the_pieces_of_a_long_block(make_object: MakeObject) -> None:
    source = make_object("in.o", f="\n".join(f"add edi, {n}" for n in range(1, LONGEST + 9)) + "\nmov eax, edi\nret")
    blocks = guesssketch.translate(source, "aarch64").report.blocks
    assert len(blocks) > 1 and sum(b.source for b in blocks) == LONGEST + 9
    assert [b.offset for b in blocks] == [3 * sum(b.source for b in blocks[:n]) for n in range(len(blocks))]


def test_a_cold_part_is_named_as_the_compiler_names_it(make_object: MakeObject) -> None:
    cold = '.section .text.unlikely,"ax",@progbits\n.type f.cold, @function\nf.cold:\nmov eax, 7\njmp f.back\n.size f.cold, .-f.cold'
    source = make_object("in.o", cold, f="test edi, edi\nje f.cold\nmov eax, 1\nf.back:\nret")
    found = {(b.function, b.offset, b.source) for b in guesssketch.translate(source, "aarch64").report.blocks}
    assert found == {("f", 0, 2), ("f", 8, 1), ("f.cold", 0, 1)}


def test_a_broken_row_of_the_cache_is_proved_again(make_object: MakeObject, tmp_path: Path) -> None:
    source = make_object("in.o", f=SMALL)
    guesssketch.translate(source, "aarch64", cache=tmp_path / "cache")
    with sqlite3.connect(tmp_path / "cache" / "answers.sqlite") as database:
        database.execute("UPDATE answers SET answer = '{\"pieces\": 3}'")
    assert not guesssketch.translate(source, "aarch64", cache=tmp_path / "cache").report.blocks[0].cached
    assert guesssketch.translate(source, "aarch64", cache=tmp_path / "cache").report.blocks[0].cached


def test_a_cache_that_fails_on_the_way_is_done_without(make_object: MakeObject, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Cache, "put", full)
    with pytest.warns(GuessSketchWarning, match="No space left"):
        result = guesssketch.translate(make_object("in.o", f=SMALL), "aarch64", cache=tmp_path / "cache")
    assert result.report.verdicts() == {"proved": 1}


def test_a_worker_that_dies_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [Problem("aarch64", (), "fall", (), (("rax", n),), ()) for n in range(100)]
    monkeypatch.setattr(workers, "_start", _die)
    with pytest.raises(ToolError, match="a worker process died"):
        list(workers.solve(problems, workers.Work("aarch64", ()), 2))


PROBLEM = Problem("aarch64", tuple(assemble_x86("mov eax, edi\nadd eax, 3")), "fall", (("rdi", 32),), (("rax", 64),), ())


class _Wrong:
    """Proposes the same wrong text for every problem."""

    name = "user"

    def propose(self, problems: Sequence[Problem]) -> list[list[Candidate]]:
        return [[Candidate(("mov w8, #1", "str x8, [x28, #-64]"), "user")] for _ in problems]


def test_a_refuted_candidate_is_one_short_line() -> None:
    verdict = guesssketch.prove("target: aarch64\nsource:\n  mov eax, edi\ncode:\n  mov w8, #1\n")
    assert isinstance(verdict, Refuted) and summary(verdict) == "refuted: rax: source 0x0, target 0x1"
    assert len(summary(Unknown("because " * 100))) == SUMMARY
    (found,) = answer([PROBLEM], [_Wrong()])
    assert [index for index, _ in found.failures] == [0, 1]
    assert all(reason.startswith("refuted: ") and "\n" not in reason for _, reason in found.failures)


class _Says:
    """Proposes the same text for every problem, under a name, and keeps what it was asked."""

    def __init__(self, name: str, *lines: str) -> None:
        self.name, self.lines = name, lines
        self.asked: list[Problem] = []

    def propose(self, problems: Sequence[Problem]) -> list[list[Candidate]]:
        self.asked += problems
        return [[Candidate(self.lines, self.name)] for _ in problems]


RIGHT, LONG, SHORT_AND_WRONG = ("add w8, w0, #3",), ("mov w8, w0", "add w8, w8, #3"), ("mov w8, w0",)


@pytest.mark.parametrize(("model", "last", "by", "attempts"), [
    (LONG, RIGHT, "last", [("model", True)]),
    (RIGHT, RIGHT, "model", []),
    (RIGHT, LONG, "model", []),
    (LONG, SHORT_AND_WRONG, "model", [("last", False)]),
    (SHORT_AND_WRONG, LONG, "last", [("model", False)]),
])  # fmt: skip
def test_fewer_proved_instructions_win(model: tuple[str, ...], last: tuple[str, ...], by: str,
                                       attempts: list[tuple[str, bool]]) -> None:  # fmt: skip
    between = _Says("between", "mov w8, #1")
    (found,) = answer([PROBLEM], [_Says("model", *model), between, _Says("last", *last)])
    assert [piece.proposer for piece in found.pieces] == [by]
    assert [(a.proposer, a.proved) for a in found.attempts if a.proposer != "between"] == attempts
    assert bool(between.asked) == (model == SHORT_AND_WRONG)  # only what is open goes on to the proposers between


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(Untranslatable(["a", "b"])))
    assert error.problems == ("a", "b") and str(error) == "a\nb"


def test_outputs_are_written_all_or_none(tmp_path: Path) -> None:
    old = tmp_path / "old.o"
    old.write_bytes(b"old")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        outputs.write([(old, b"new"), (tmp_path / "file" / "x.o", b"new")])
    assert old.read_bytes() == b"old" and sorted(os.listdir(tmp_path)) == ["file", "old.o"]
    (tmp_path / "link").symlink_to(old)
    outputs.write([(tmp_path / "link", b"new")])
    assert old.read_bytes() == b"new" and (tmp_path / "link").is_symlink()
