"""Where one value put right makes all right: the places to repair, and what single instructions could give the value there.

The code is run to a place, a register is given a value that the source has, and the run goes on (angelic debugging: Chandra,
Torlak, Barman and Bodik, ICSE 2011). If all results are then right, something before that place should have set the register
so, and instructions that do are read off the state. All this on one state; what is found is a sketch like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Final

from guesssketch.assembler import Assembled
from guesssketch.guess.renaming import registers
from guesssketch.problem import Problem
from guesssketch.sketch.additions import branches, compares, double_loads, double_stores, pages, stores
from guesssketch.sketch.choices import numbers_in, register_name
from guesssketch.sketch.doubt import BRANCH, Doubts
from guesssketch.sketch.holes import LABEL
from guesssketch.sketch.making import Setting, makers, signed
from isa.statemap import FLAGS, MAPS
from solver.arena import Arena, Halt, nearer
from solver.link import Unlinkable

_RUNS: Final = 3000  # of the code, each with one value put in
_MAKERS: Final = 400  # instructions for a value at a place
_PLACES: Final = 24  # at which a value is asked for
_ALL: Final = (1 << 64) - 1
_FLAGS: Final = frozenset("nzcv")
_GENERAL: Final = {"aarch64": frozenset(f"x{n}" for n in range(31)), "riscv64": frozenset(f"x{n}" for n in range(1, 32))}


@dataclass(frozen=True)
class Edit:
    """Instead of ``deleted`` lines at ``at``, one of ``texts``. rest: whether other results stay wrong."""

    at: int
    deleted: int
    texts: tuple[str, ...]
    rest: bool


def edits(problem: Problem, lines: Sequence[str], code: Assembled, layout: Sequence[range], arena: Arena, doubt: Doubts,
          wrong: frozenset[str]) -> Iterator[Edit]:  # fmt: skip
    """Of ``code``, which is ``wrong``: those that make all right on the first state; then those that make it less wrong.

    layout: the code's instructions that each line makes; an edit is of lines, labels left out.
    """
    try:
        every = arena.halts(code)
        halts = [every[n] for n in (*(part[0] for part in layout), len(code.instructions)) if n < len(every)]
        trace = arena.trace(code)
        loads, written = arena.accesses()
    except Unlinkable:
        return
    known = _known(problem, doubt, len(halts))
    numbers = [n for i in problem.instructions for n in numbers_in(i.text)]
    near = list(dict.fromkeys([*numbers, *(n + d for n in numbers for d in (1, -1)), 0, 1, 255, 65535]))
    addresses, slots = arena.symbols()
    values = list(dict.fromkeys(_values(trace.source if trace else (), numbers, addresses.values())))
    settings = [
        Setting({register_name(problem.target, cell): halt.state[cell] for cell in sorted(cells, key=_order)}, near,
                [(address, size, halt.content(address, size)) for address, size in dict.fromkeys(loads)], addresses, slots,
                [line[:-1] for line in lines if LABEL.fullmatch(line)])
        for halt, cells in zip(halts, known, strict=True)
    ]  # fmt: skip
    yield from _unvalued(problem, doubt, settings, wrong)
    yield from _stores(problem, halts[-1], settings, written)
    later: list[Edit] = []
    runs = _RUNS
    for use in _uses(problem, doubt, len(halts)):
        text = code.instructions[layout[use.place][0]].text if use.place < len(layout) else ""
        accessed = [address for address, *_ in (*loads, *written)] if text else []
        bases = [address - n & _ALL for address in accessed for n in (*numbers_in(text), 0)]
        tried = list(dict.fromkeys([*values, *bases]))[:runs]
        runs -= len(tried)
        for value, left in zip(tried, arena.wrong_with(code, halts[use.place], [{use.cell: v} for v in tried]), strict=True):
            if left and not nearer(left, wrong):
                continue
            found = list(_edits(problem, use, value, settings, bool(left)))
            if left:
                later += found
            else:
                yield from found
        if runs <= 0:
            break
    yield from later


@dataclass(frozen=True)
class _Use:
    """Before line ``place`` (or the end) a wrong result takes up ``cell``. first: the place since which nothing else has
    used or set it. setter: the line that set it just before that, if one did."""

    place: int
    cell: str
    first: int
    setter: int | None


def _uses(problem: Problem, doubt: Doubts, reached: int) -> list[_Use]:
    """Registers that nobody has set come first, then those whose setter is doubted."""
    general, size = _GENERAL[problem.target], len(doubt.touched)
    found = []
    for cell in sorted(general & frozenset().union(*doubt.demands)):
        first, setter = 0, None
        for place in range(min(size + 1, reached)):
            if (place == size or cell in doubt.touched[place].read) and cell in doubt.demands[place]:
                found.append(_Use(place, cell, first, setter))
                first, setter = place + 1, None
            if place < size and cell in doubt.touched[place].written:
                first, setter = place + 1, place
    unset = set(doubt.unset)

    def rank(use: _Use) -> tuple[bool, float]:
        doubted = doubt.lines[use.setter] if use.setter is not None else 0.5
        return use.cell not in unset or use.setter is not None, -doubted

    return sorted(found, key=rank)[:_PLACES]


def _edits(problem: Problem, use: _Use, value: int, settings: Sequence[Setting], rest: bool) -> Iterator[Edit]:
    """What gives the register the ``value``: in place of the line that sets it now, or put in between that and its use."""
    register = register_name(problem.target, use.cell)
    if use.setter is not None:
        yield Edit(use.setter, 1, _texts(problem, register, value, settings[use.setter]), rest)
    for at in range(use.place, use.first - 1, -1):
        yield Edit(at, 0, _texts(problem, register, value, settings[at]), rest)


def _texts(problem: Problem, register: str, value: int, setting: Setting) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(makers(problem.target, register, value, setting)), _MAKERS))


def _unvalued(problem: Problem, doubt: Doubts, settings: Sequence[Setting], wrong: Set[str]) -> Iterator[Edit]:
    """Instructions that no single value asks for: upper parts of addresses, comparisons, branches, loads of two registers."""
    target = problem.target
    unset = [cell for cell in doubt.unset if cell in _GENERAL[target]]
    for cell in unset:
        first = next((n for n, one in enumerate(doubt.touched) if cell in one.read), 0)
        texts = tuple(pages(target, register_name(target, cell), [s.name for s in problem.symbols]))
        if texts and first < len(settings):
            yield Edit(first, 0, texts, False)
    end = len(settings) - 1
    play, numbers = list(settings[end].registers), settings[end].numbers
    if set(doubt.unset) & _FLAGS:
        first = next(n for n, one in enumerate(doubt.touched) if one.read & _FLAGS)
        for at in range(min(first, end), -1, -1):
            yield Edit(at, 0, tuple(compares(target, play, numbers)), False)
    if wrong == {BRANCH}:
        yield Edit(end, 0, tuple(branches(target, play, numbers)), False)
    if target == "aarch64":
        homes = MAPS[target].homes
        taken = dict.fromkeys([*unset, *(homes[what] for what in sorted(wrong) if homes.get(what) in _GENERAL[target])])
        for at in range(end, -1, -1):
            if texts := tuple(double_loads(list(taken), settings[at])):
                yield Edit(at, 0, texts, True)


def _stores(problem: Problem, end: Halt, settings: Sequence[Setting], written: Sequence[tuple[int, int, int]]) -> Iterator[Edit]:
    """For each store of the source of which memory shows nothing."""
    missed = [(address, size, value) for address, size, value in written if end.content(address, size) != value]
    if len(missed) > 1 and problem.target == "aarch64":
        for at in range(len(settings) - 1, -1, -1):
            if texts := tuple(double_stores(missed, settings[at].registers)):
                yield Edit(at, 0, texts, len(missed) > 2)
    for address, size, value in missed:
        for at in range(len(settings) - 1, -1, -1):
            if texts := tuple(stores(problem.target, address, size, value, settings[at])):
                yield Edit(at, 0, texts[:_MAKERS], len(missed) > 1)


def _known(problem: Problem, doubt: Doubts, count: int) -> list[frozenset[str]]:
    """Before each line and at the end, the general registers that hold something known."""
    homes, named = MAPS[problem.target].homes, {r for i in problem.instructions for r in registers(i.text)}
    used = frozenset().union(*(one.read | one.written for one in doubt.touched), {homes[r] for r in named if r in homes})
    cells = {homes[name] for name, _ in problem.live_in} | {homes["rsp"]}
    found = [frozenset(cells & used & _GENERAL[problem.target])]
    for one in doubt.touched:
        cells |= one.written
        found.append(frozenset(cells & used & _GENERAL[problem.target]))
    return found[:count]


def _values(source: Sequence[Mapping[str, int]], numbers: Sequence[int], addresses: Iterable[int]) -> Iterator[int]:
    """What a register may have to hold: what the source computes, its numbers in whole and in parts, addresses and their pages."""
    for step in source:
        for cell, value in step.items():
            if value >> 64 == 0 and cell not in FLAGS:
                yield from (value, value & 0xFFFF_FFFF, signed(value, 32) & _ALL)
    yield from (0, 1)
    yield from (n & _ALL for n in numbers)
    yield from (part for address in addresses for part in (address, address & -4096))
    for n in numbers:
        if n >> 16:
            yield from (n & 0xFFFF << shift for shift in (0, 16, 32, 48))
            yield from (n & ~(0xFFFF << shift) & _ALL for shift in (0, 16, 32, 48))
            yield from (n & (1 << width) - 1 for width in (32, 48))


def _order(cell: str) -> int:
    return int(cell[1:])
