"""The code of function symbols, and which of it makes one function.

A *region* is the code of one function symbol. gcc splits a function ``f`` into two (``f`` and ``f.cold``), which jump
into each other's middle with any register live: such a cold region becomes part of the *body* of ``f``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from guesssketch.decode import Decoded
from guesssketch.program import ObjectFile

Spot = tuple[int, int]  # section, offset in it

_COLD: Final = re.compile(r"(.+)\.cold(\.\d+)?$")


@dataclass
class Region:
    """Code of the symbols ``names`` that start at ``offset``, up to ``end`` (exclusive)."""

    section: int
    offset: int
    end: int
    names: tuple[int, ...]
    data_uses: list[Spot] = field(default_factory=list)  # data that its instructions refer to
    loose_uses: list[Spot] = field(default_factory=list)  # those of them that no jump makes itself
    code_uses: list[tuple[Decoded, Spot]] = field(default_factory=list)  # `lea`, `mov $label`: addresses of code
    outgoing: list[Spot] = field(default_factory=list)  # direct jumps to other regions
    labels: set[int] = field(default_factory=set)  # offsets in its middle whose address data or code takes


@dataclass
class Body:
    """A function: its main region and cold parts."""

    name: str
    main: Region
    parts: list[Region] = field(default_factory=list)

    def number(self, spot: Spot) -> int:
        """The block offset (``program.Block.offset``) of ``spot``."""
        section, offset = spot
        return offset if section == self.main.section else section << 32 | offset

    def spot(self, number: int) -> Spot:
        return number >> 32 or self.main.section, number & 0xFFFFFFFF

    @property
    def regions(self) -> list[Region]:
        return [self.main, *self.parts]


def find_bodies(file: ObjectFile, regions: Mapping[int, Sequence[Region]], called: Set[Spot],
                region_at: Callable[[Spot], Region | None]) -> list[Body]:  # fmt: skip
    """The functions of ``regions`` (by section), by section and offset. called: spots that a call goes to."""
    everything = [region for some in regions.values() for region in some]
    cold = {(r.section, r.offset): r for r in everything if (r.section, r.offset) not in called and _is_cold(file, r)}
    bodies = [Body(file.symbols[r.names[0]].name, r) for r in everything if (r.section, r.offset) not in cold]
    mains = {(body.main.section, body.main.offset): body for body in bodies}
    partners: dict[Spot, list[Spot]] = defaultdict(list)  # cold part -> regions it shares jumps with
    for region in everything:
        for spot in region.outgoing:
            other = region_at(spot)
            if other is not None:
                partners[other.section, other.offset].append((region.section, region.offset))
                partners[region.section, region.offset].append((other.section, other.offset))
    for start, part in cold.items():
        candidates = [mains[spot] for spot in dict.fromkeys(partners[start]) if spot in mains]
        if not candidates:
            stems = {match[1] for n in part.names if (match := _COLD.match(file.symbols[n].name))}
            candidates = [body for body in bodies if body.name in stems]
        if len(candidates) == 1:
            candidates[0].parts.append(part)
        else:
            bodies.append(Body(file.symbols[part.names[0]].name, part))
    bodies.sort(key=lambda body: (body.main.section, body.main.offset))
    return bodies


def _is_cold(file: ObjectFile, region: Region) -> bool:
    symbols = [file.symbols[name] for name in region.names]
    return all(symbol.binding == "local" and _COLD.match(symbol.name) for symbol in symbols)
