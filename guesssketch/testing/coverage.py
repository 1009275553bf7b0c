"""Which blocks and edges of the original a run went through, from the pieces of code that the emulator ran.

An edge goes from a block to one that may follow it in the same function, the block behind a call included. Blocks without
code of their own (conditional jumps out of the function) are not counted, nor the edges to them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from guesssketch.program import MADE_UP, Block, Call, Program


class Spot(NamedTuple):
    """A block: index of the function in the object, and the block's number in it."""

    function: int
    block: int


Edge = tuple[Spot, Spot]


@dataclass(frozen=True)
class Covered:
    blocks: frozenset[Spot]
    edges: frozenset[Edge]


class Graph:
    """Blocks of the original by their addresses. ``bases``: of its sections."""

    def __init__(self, program: Program, bases: Mapping[int, int]) -> None:
        self.spots: dict[int, Spot] = {}
        self.blocks: dict[Spot, Block] = {}
        self.addresses: dict[Spot, int] = {}
        self.edges: set[Edge] = set()
        self.entries: dict[int, Spot] = {}
        for index, function in enumerate(program.functions[0]):
            self.entries[index] = Spot(index, function.offset)
            for number, block in function.blocks.items():
                if number < MADE_UP:
                    section, offset = block.home
                    spot = Spot(index, number)
                    address = bases[section or function.section] + offset
                    self.spots[address], self.blocks[spot], self.addresses[spot] = spot, block, address
        for spot, block in self.blocks.items():
            self.edges |= {(spot, Spot(spot.function, n)) for n in block.successors if n < MADE_UP}
        self._starts = sorted(self.spots)
        self._heads = set(self.entries.values())
        self._pieces: dict[tuple[int, int], tuple[Spot, ...]] = {}

    def path(self, pieces: Sequence[tuple[int, int]], end: int | None = None) -> list[Spot]:
        """The blocks that were entered, in order. ``end``: where the run was cut short, if it was."""
        path: list[Spot] = []
        known = self._pieces
        for piece in pieces:
            found = known.get(piece)
            if found is None:
                address, size = piece
                low, high = bisect_left(self._starts, address), bisect_left(self._starts, address + size)
                found = known[piece] = tuple(self.spots[a] for a in self._starts[low:high])
            path += found
        if end is not None and pieces and pieces[-1][0] <= end < sum(pieces[-1]):
            while path and self.addresses[path[-1]] > end:
                path.pop()
        return path

    def covered(self, path: Sequence[Spot]) -> Covered:
        pairs = set(pairwise(path))
        if pairs <= self.edges:
            return Covered(frozenset(path), frozenset(pairs))
        edges: set[Edge] = set()
        calls: list[Spot] = []
        before: Spot | None = None
        for spot in path:
            if before is not None:
                if (before, spot) in self.edges:
                    edges.add((before, spot))
                elif spot in self._heads:
                    if isinstance(self.blocks[before].terminator, Call):
                        calls.append(before)
                else:
                    while calls and (calls[-1], spot) not in self.edges:
                        calls.pop()
                    if calls:
                        edges.add((calls.pop(), spot))
            before = spot
        return Covered(frozenset(path), frozenset(edges))

    def size(self, function: int) -> tuple[int, int]:
        """Blocks and edges of a function."""
        return (sum(s.function == function for s in self.blocks), sum(a.function == function for a, _ in self.edges))
