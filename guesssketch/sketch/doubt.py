"""Where to doubt a guess: what the model was unsure of, and what a counterexample points at.

A counterexample says which results are wrong; lines that these do not depend on are little doubted. Run step by step, a line
that computes a value which the source never has is doubted more than one whose values all occur there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from guesssketch.assembler import Assembled
from guesssketch.judge import LIFTS
from guesssketch.problem import Problem
from guesssketch.sketch.holes import LABEL
from guesssketch.sketch.ways import ALL, Ways
from isa import terms as t
from isa.machine import TAKEN, Instruction, Relocation
from isa.separate import new_table, separate
from isa.statemap import FLAGS, MAPS
from solver.arena import Arena, Trace, low
from solver.counterexample import Difference
from solver.machine import machine

APART: Final = 0.05  # doubt of a line that no wrong result depends on
KNOWN: Final = 0.3  # factor for a line whose values occur in the source
_SURE: Final = 1e-6  # what a model doubts less than that, it does not doubt
_WEIGHT: Final = 0.35  # power of the model's doubt: a line that is wrong is often little doubted, but seldom that little
_MEMORY: Final = "memory"
BRANCH: Final = "branch taken"


@dataclass(frozen=True)
class Doubts:
    """What is thought of each part of a guess.

    lines: how much each line is doubted, 0 to 1; labels are no lines here. missing: source instructions of which the code shows
    nothing, the likeliest first, each with the number of lines that come before what should do it. unset: target cells that the
    code reads and nobody has set. demands: before each line and at the end, the cells that the wrong results depend on. touched:
    what each line reads and writes.
    """

    lines: tuple[float, ...]
    missing: tuple[tuple[int, int], ...] = ()
    unset: tuple[str, ...] = ()
    demands: tuple[frozenset[str], ...] = ()
    touched: tuple[Touched, ...] = ()

    def by_line(self, lines: Sequence[str]) -> tuple[float, ...]:
        """How much each of ``lines`` is doubted, labels not at all."""
        rest = iter(self.lines)
        return tuple(0.0 if LABEL.fullmatch(line) else next(rest, 1.0) for line in lines)

    def where_open(self, lines: Sequence[str], kept: int, tail: int) -> Doubts:
        """With little doubt of the first ``kept`` of ``lines``, and none of the last ``tail``."""
        factors = [APART if n < kept else 0.0 if n >= len(lines) - tail else 1.0
                   for n, line in enumerate(lines) if not LABEL.fullmatch(line)]  # fmt: skip
        return replace(self, lines=tuple(doubt * factor for doubt, factor in zip(self.lines, factors, strict=True)))


def doubts(problem: Problem, code: Assembled, layout: Sequence[range], arena: Arena, differences: Sequence[Difference],
           unsure: Sequence[float] = (), ways: Ways = ALL) -> Doubts:  # fmt: skip
    """layout: the code's instructions that each line makes. unsure: for each line, 1 less the least probability of its tokens; none
    if nobody told."""
    touched = _all_touched(problem, code, layout, arena)
    cells, memory, way_out = arena.homes(differences)
    if not (cells or memory or way_out):  # it faults: anything may be why
        cells, memory, way_out = _every(problem), True, True
    reached, demands = _slice(touched, cells, memory, way_out)
    if not ways.slices:
        reached = [True] * len(touched)
    trace = arena.trace(code) if ways.values else None
    if trace:
        trace = replace(trace, code=tuple(trace.code[part[-1]] for part in layout))
    known = _occurring(trace) if trace else [False] * len(reached)
    found = [(1.0 if r else APART) * (KNOWN if k else 1.0) for r, k in zip(reached, known, strict=True)]
    if len(unsure) == len(found):
        least = 0.0 if ways.below is None else 1.0 - ways.below
        found = [d * max(u, _SURE) ** _WEIGHT if u >= least else 0.0 for d, u in zip(found, unsure, strict=True)]
    missing = _missing(trace, {d.what for d in differences}) if trace else ()
    return Doubts(tuple(found), missing, tuple(_unset(problem, touched)), tuple(demands), tuple(touched))


def taken_up(problem: Problem, lines: Sequence[str], code: Assembled, layout: Sequence[range], arena: Arena
             ) -> list[tuple[frozenset[str], frozenset[str]]]:  # fmt: skip
    """Before each of ``lines``, the cells that results depend on, and of these those that nobody writes from there on.

    Raises Unlinkable if ``code`` cannot be run.
    """
    touched = _all_touched(problem, code, layout, arena)
    written, kept = frozenset[str](), []
    demands = _slice(touched, _every(problem), True, True)[1]
    for one, demand in zip([None, *reversed(touched)], reversed(demands), strict=True):
        written |= one.written if one else frozenset()
        kept.append((demand, demand - written))
    rest, found = reversed(kept), []
    at = next(rest)
    for line in lines:
        found.append(at)
        at = at if LABEL.fullmatch(line) else next(rest)
    return found


def _every(problem: Problem) -> set[str]:
    state = MAPS[problem.target]
    return {*(state.homes[name] for name, _ in problem.live_out), *([state.branch_target] if problem.exit == "indirect" else [])}


def _all_touched(problem: Problem, code: Assembled, layout: Sequence[range], arena: Arena) -> list[Touched]:
    linked = arena.linked(code)
    ends = [*(i.offset for i in code.instructions), code.size, TAKEN]
    return [_together([_touched(problem.target, code.instructions[n], linked[n], ends) for n in part]) for part in layout]


def _unset(problem: Problem, touched: Sequence[Touched]) -> Iterator[str]:
    """Cells that are read before they are written, and hold nothing of the source's where the block begins."""
    homes = MAPS[problem.target].homes
    known = {homes[name] for name, _ in problem.live_in} | {homes["rsp"]}
    for one in touched:
        yield from (cell for cell in sorted(one.read - known) if cell != _MEMORY)
        known |= one.written | one.read


def _slice(touched: Sequence[Touched], cells: Set[str], memory: bool, way_out: bool) -> tuple[list[bool], list[frozenset[str]]]:
    """For each instruction whether a wrong result may depend on it; before each, and at the end, the cells that it depends on."""
    wanted = {*cells, *([_MEMORY] if memory else [])}
    found, demands = [], [frozenset(wanted)]
    for one in reversed(touched):
        hit = bool(one.written & wanted) or (one.branches and way_out)
        if one.branches:
            wanted |= one.read  # whether what follows is done
        elif hit:
            wanted = (wanted - (one.written - {_MEMORY})) | one.read
        found.append(hit)
        demands.append(frozenset(wanted))
    return found[::-1], demands[::-1]


@dataclass(frozen=True)
class Touched:
    """Cells (and ``memory``) that an instruction writes and reads; whether it is a branch."""

    written: frozenset[str]
    read: frozenset[str]
    branches: bool


@functools.lru_cache(maxsize=1 << 14)
def _alone(target: str, code: bytes, text: str, relocations: tuple[Relocation, ...], offset: int) -> Touched | None:
    """None if the instruction cannot be lifted alone, as if it stood at ``offset``."""
    with separate(new_table()):
        return _lifted(target, Instruction(offset, code, text, relocations))


def _lifted(target: str, instruction: Instruction) -> Touched | None:
    try:
        effect = LIFTS[target]((instruction,), instruction.offset + len(instruction.code))
    except (ValueError, KeyError, IndexError):
        return None
    if effect.opaque:
        return None
    cells = {name: term for name, term in effect.cells.items() if term is not t.var(name, term.width)}
    read = t.variables(*cells.values(), effect.memory, *(a.address for a in (*effect.loads, *effect.stores)),
                       *([effect.condition] if effect.condition is not None else []))  # fmt: skip
    return Touched(frozenset([*cells, *([_MEMORY] if effect.stores else [])]),
                    frozenset([*(name for name in read if name in machine(target).cells), *([_MEMORY] if effect.loads else [])]),
                    effect.condition is not None)  # fmt: skip


def _together(parts: Sequence[Touched]) -> Touched:
    """Instructions in a row as one."""
    written: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()
    for part in parts:
        read |= part.read - written
        written |= part.written
    return Touched(written, read, any(part.branches for part in parts))


def _touched(target: str, instruction: Instruction, linked: Instruction, ends: Sequence[int]) -> Touched:
    """With the symbol of its relocation, or, where that takes another instruction to know, as ``linked``.

    ends: offsets to which it may branch. As the only branch that can be lifted alone is the one out of the block, any other is
    lifted where it would be that one.
    """
    here = instruction.offset
    places = (0, *(TAKEN - end + here for end in ends if end > here))
    versions = (_alone(target, i.code, i.text, i.relocations, at) for at in places for i in (instruction, linked))
    return next((found for found in versions if found is not None), Touched(frozenset(), frozenset(), True))


def _occurring(trace: Trace) -> list[bool]:
    """For each instruction of the code whether all that it computes occurs in the source, at least in the low half."""
    known = {low(value) for step in trace.source for value in step.values()}
    return [bool(step) and all(low(v) in known for v in step.values()) for step in trace.code]


def _missing(trace: Trace, wrong: Set[str]) -> tuple[tuple[int, int], ...]:
    """By values that the code never has; then those that last change a cell that is wrong in the end."""
    places: dict[int, int] = {}
    for number, step in enumerate(trace.code):
        for value in step.values():
            places.setdefault(low(value), number)
    found, last, at = {}, {}, 0
    for number, step in enumerate(trace.source):
        known = {cell: places.get(low(value)) for cell, value in step.items()}
        at = max([at, *(place + 1 for place in known.values() if place is not None)])
        if any(place is None and step[cell] > 1 for cell, place in known.items() if cell not in FLAGS):
            found[number] = at
        for cell in (*step, *([BRANCH] if number + 1 == len(trace.source) else [])):
            if cell in wrong:
                last[cell] = number, len(trace.code) if cell == BRANCH else at
    for number, place in last.values():
        found.setdefault(number, place)
    return tuple(found.items())
