"""Counterexamples of the prover put where the emulator has memory.

The prover knows no address that faults, and may choose any for a symbol. So symbols are put where runs place them, and pointers,
where the source would fault, into the arena, with the bytes behind them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Final

from isa import terms as t
from isa.evaluate import evaluate
from isa.machine import Effect
from isa.statemap import GENERAL
from solver.counterexample import Counterexample
from solver.machine import machine
from solver.memory import ARENA, THREAD

_ALL: Final = (1 << 64) - 1
_PAGE: Final = 0xFFF
_NEAR: Final = 256  # bytes on each side of what is read
_MOVED: Final = ARENA + 0x800  # how far pointers are moved


@dataclass(frozen=True)
class _Way:
    """near: bytes on each side of an access that are 0. cells: which are moved. loaded: whether loaded pointers are too. kept: the
    bits of them that stay."""

    near: int
    cells: tuple[str, ...]
    loaded: bool
    kept: int


def moved(found: Counterexample, effect: Effect, symbols: Mapping[str, int]) -> Iterator[tuple[dict[str, int], dict[int, int]]]:
    """Cells and bytes of memory, in all ways that may show the difference, the likeliest first.

    effect: the source's. symbols: where runs place them. What the source reads and ``found`` does not list is 0.
    """
    bases = tuple(sorted(name for name in t.variables(*(a.address for a in (*effect.loads, *effect.stores))) if name in GENERAL))
    ways = [((), False, _ALL), *(((name,), False, _ALL) for name in bases), (bases, False, _ALL), (bases, True, _ALL),
            (bases, True, _PAGE)]  # fmt: skip
    for near, way in product((0, _NEAR), dict.fromkeys(ways)):
        yield _moved(found, effect, symbols, _Way(near, *way))


def _moved(found: Counterexample, effect: Effect, symbols: Mapping[str, int], way: _Way) -> tuple[dict[str, int], dict[int, int]]:
    accesses, listed = [*effect.loads, *effect.stores], dict(found.memory)
    places = [access.address for access in accesses]
    pointers = {x.args[1] for x in t.walk(*places) if x.op == "load"} if way.loaded else set()
    zeros = dict.fromkeys(t.variables(*places), 0)
    there = evaluate(places, zeros | dict(found.state), partial(_of, listed))
    cells = {name: value for name, value in found.state if name in machine("x86_64").cells}
    cells |= {name: (cells.get(name, 0) & way.kept) + _MOVED & _ALL for name in way.cells}
    memory: dict[int, int] = {}
    around: dict[int, int] = {}
    for access, old in zip(accesses, there, strict=True):
        (start,) = evaluate([access.address], {**zeros, **symbols, **cells, "fs_base": THREAD}, partial(_of, memory))
        if start not in memory and access.address in pointers:
            value = (sum(listed.get(old + k, 0) << 8 * k for k in range(access.size)) & way.kept) + _MOVED
            memory |= {start + k & _ALL: value >> 8 * k & 0xFF for k in range(access.size)}
        memory = {start + k & _ALL: listed.get(old + k, 0) for k in range(access.size)} | memory
        around |= {start + k & _ALL: 0 for k in range(-way.near, way.near)}
    return cells, around | {address + (_MOVED if way.cells else 0) & _ALL: value for address, value in listed.items()} | memory


def _of(memory: Mapping[int, int], address: int) -> int:
    return memory.get(address, 0)
