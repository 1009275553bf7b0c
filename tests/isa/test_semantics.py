"""One-line semantics tests (``semantics/<isa>.txt``), run by the terms and by Unicorn.

A line: ``code | cells before => cells after``. What is not named before is 0, what is not named after is unchanged; ``undef``
compares nothing; ``[address:size]`` is memory; ``taken`` is the condition of a branch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest

from guesssketch.assembler import Assembled, assemble
from isa.evaluate import evaluate
from isa.machine import Instruction
from solver import trials
from solver.link import link_source, place
from solver.machine import machine
from solver.memory import byte

FOLDER = Path(__file__).parent / "semantics"
# Where Unicorn 2.1.4 is known to be wrong: it does not box RISC-V's single floats, nor let a signaling NaN lose in fmin and fmax,
# and adds a dot product's terms one by one to +0.
UNICORN_IS_WRONG = {"x86_64": re.compile(r"dpp[sd]|cmpxchg e.."), "riscv64": re.compile(r"\S*\.s\b|fmv\.w|fmv\.x\.w|flw|fsw|fmin|fmax|fcvt\.s")}
_MEMORY = re.compile(r"\[(\w+):(\d+)\]")


@dataclass(frozen=True)
class Line:
    isa: str
    number: int
    code: str
    before: dict[str, int]
    after: dict[str, int | None]
    memory: dict[int, int]
    written: dict[int, int]


def _parse(isa: str, number: int, text: str) -> Line:
    code, _, state = text.partition("|")
    before, _, after = state.partition("=>")
    cells: tuple[dict[str, int], dict[str, int | None]] = {}, {}
    memory: tuple[dict[int, int], dict[int, int]] = {}, {}
    for side, part in enumerate((before, after)):
        for name, value in (word.split("=") for word in part.split()):
            place_ = _MEMORY.fullmatch(name)
            if place_:
                data = int(value, 0).to_bytes(int(place_[2]), "little")
                memory[side].update({int(place_[1], 0) + k: b for k, b in enumerate(data)})
            else:
                cells[side][name] = None if value == "undef" else int(value, 0)  # type: ignore[assignment]
    return Line(isa, number, code.strip(), cells[0], cells[1], *memory)


@cache
def _lines(isa: str) -> tuple[Line, ...]:
    texts = (FOLDER / f"{isa}.txt").read_text().splitlines()
    return tuple(_parse(isa, n, text) for n, text in enumerate(texts, 1) if text.strip() and not text.startswith("#"))


@cache
def _assembled(isa: str) -> tuple[Instruction, ...]:
    found = assemble(isa, [[line.code] for line in _lines(isa)])
    wrong = [x for x in found if not isinstance(x, Assembled)]
    assert not wrong, wrong
    return tuple(x.instructions[0] for x in found if isinstance(x, Assembled))


def _pairs(isa: str) -> Iterator[tuple[Line, Instruction]]:
    return zip(_lines(isa), _assembled(isa), strict=True)


def _check(line: Line, after: dict[str, int], written: dict[int, int]) -> str:
    wanted = dict.fromkeys(after, 0) | line.before | line.after
    bad = [f"{n}={after[n]:#x}" for n in after if wanted[n] is not None and after[n] != wanted[n]]
    bad += [f"[{a:#x}]={b:#x}" for a, b in written.items() if line.written.get(a, _before(line, a)) != b]
    bad += [f"[{a:#x}] not written" for a in line.written if a not in written]
    return f"line {line.number}: {line.code}: {' '.join(bad)}" if bad else ""


def _before(line: Line, address: int) -> int:
    return line.memory.get(address, byte(address))


@pytest.mark.parametrize("isa", ["x86_64", "aarch64", "riscv64"])
def test_terms_have_the_semantics(isa: str) -> None:
    bad = []
    for line, instruction in _pairs(isa):
        effect = trials.lift(isa, [instruction])
        assert not effect.opaque, (line, effect.opaque)
        roots = dict(effect.cells) | ({"taken": effect.condition} if effect.condition is not None else {})
        env = dict.fromkeys(machine(isa).cells, 0) | line.before
        *values, written = evaluate([*roots.values(), effect.memory], env, partial(_before, line))
        unnamed = {n: env[n] for n in line.after if n in env}
        bad.append(_check(line, unnamed | dict(zip(roots, values, strict=True)), written))
    assert [b for b in bad if b] == []


@pytest.mark.parametrize("isa", ["x86_64", "aarch64", "riscv64"])
def test_unicorn_has_the_semantics(isa: str) -> None:
    bad = []
    emulated = machine(isa)
    for line, instruction in _pairs(isa):
        if isa in UNICORN_IS_WRONG and UNICORN_IS_WRONG[isa].match(line.code):
            continue
        code, taken = instruction.code, None
        if isa == "x86_64":
            source = link_source([instruction], trials.exit_of(instruction), place([], 0))
            code, taken = source.code, source.taken
        exits = [len(code) if taken is None else source.fall, *([] if taken is None else [taken])]
        got = emulated.run(code, line.before, list(emulated.cells), line.memory, exits)
        assert got.exit is not None, (line, got.why)
        state = got.state | ({} if taken is None else {"taken": int(got.exit == taken)})
        bad.append(_check(line, state, got.writes))
    assert [b for b in bad if b] == []
