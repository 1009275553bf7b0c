"""Numbers that an instruction has no room for, put into a register first.

A model that knows what an instruction does writes it with whatever number it takes: what it meant is known, and several
instructions can do it. What comes of that is a guess like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from guesssketch.assembler import AssemblyError, assemble
from guesssketch.problem import Problem
from guesssketch.sketch.choices import REGISTER, register_name
from guesssketch.sketch.making import view
from isa.statemap import CONDITIONS, FLAGS, MAPS

_NUMBER: Final = r"#?(?P<n>-?(?:0x[0-9a-f]+|\d+))"
_MEMORY: Final = {
    "aarch64": re.compile(rf"(?P<op>[a-z]+ (?P<into>\w+)(?:, \w+)?), \[(?P<base>x\d+), {_NUMBER}\]"),
    "riscv64": re.compile(rf"(?P<op>[a-z]+ (?P<into>\w+)), {_NUMBER}\((?P<base>\w+)\)"),
}
_NUMBERED: Final = re.compile(rf"(?P<op>[a-z]+) (?P<registers>\w+(?:, \w+)?), {_NUMBER}")
_BY_REGISTER: Final = {
    "aarch64": {op: op for op in ("add", "adds", "sub", "subs", "and", "ands", "orr", "eor", "cmp", "cmn", "tst")},
    "riscv64": {"addi": "add", "addiw": "addw", "andi": "and", "ori": "or", "xori": "xor", "slti": "slt", "sltiu": "sltu"},
}  # fmt: skip


def spread(problem: Problem, lines: Sequence[str]) -> list[tuple[str, ...]] | None:
    """For each of ``lines`` those that stand for it, itself if it assembles; None if there are no others."""
    alone = assemble(problem.target, [[line] for line in lines])
    free = next(_free(problem, lines), None)
    if free is None:
        return None
    found = [(_spread(problem.target, line, free) or (line,)) if isinstance(code, AssemblyError) else (line,)
             for line, code in zip(lines, alone, strict=True)]  # fmt: skip
    return found if found != [(line,) for line in lines] else None


def _free(problem: Problem, lines: Sequence[str]) -> Iterator[str]:
    """General registers that hold nothing, and that no line names."""
    target, state = problem.target, MAPS[problem.target]
    live = {name for name, _ in (*problem.live_in, *problem.live_out)}
    dead = [state.homes[name] for name in (*FLAGS, *CONDITIONS) if name in state.homes and name not in live]
    named = {r[1:] if target == "aarch64" else r for line in lines for r in REGISTER[target].findall(line)}
    names = (register_name(target, cell) for cell in (*state.scratch, *dead))
    yield from (r for r in names if (r[1:] if target == "aarch64" else r) not in named)


def _spread(target: str, line: str, free: str) -> tuple[str, ...]:
    """No lines where it is not known what else does that."""
    if match := _MEMORY[target].fullmatch(line):
        number, base = int(match["n"], 0), match["base"]
        place = f"[{free}]" if target == "aarch64" else f"0({free})"
        return (*_number(target, free, number), f"add {free}, {free}, {base}", f"{match['op']}, {place}")
    match = _NUMBERED.fullmatch(line)
    if not match:
        return ()
    number, registers = int(match["n"], 0), match["registers"]
    if target == "aarch64" and match["op"] == "mov" and registers[0] in "wx":
        return _number(target, registers, number)
    if match["op"] not in _BY_REGISTER[target]:
        return ()
    second = view(free, 64 if registers[0] == "x" else 32) if target == "aarch64" else free
    return (*_number(target, second, number), f"{_BY_REGISTER[target][match['op']]} {registers}, {second}")


def _number(target: str, register: str, number: int) -> tuple[str, ...]:
    if target == "riscv64":
        return (f"li {register}, {number}",)
    parts = [(number >> shift & 0xFFFF, shift) for shift in ((0, 16) if register[0] == "w" else (0, 16, 32, 48))]
    first, *rest = [(part, shift) for part, shift in parts if part] or [(0, 0)]
    return (f"mov {register}, #{first[0] << first[1]}", *(f"movk {register}, #{part}, lsl #{shift}" for part, shift in rest))
