"""Random machine states that find mistakes: small numbers, boundaries, pointers that meet, and the floats' odd
corners."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Mapping
from typing import Final

from isa.statemap import CONDITIONS, FLAGS
from solver.memory import pointer

_M64: Final = (1 << 64) - 1
_EDGES: Final = tuple((sign * (1 << n) + d) & _M64 for n in (7, 8, 15, 16, 31, 32, 63) for sign in (1, -1) for d in (-1, 0, 1))
_DOUBLES: Final = (0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, 1e300, -1e300, 5e-324, 2.0**31, -(2.0**31),
                   2.0**31 - 0.5, 2.0**63, -(2.0**63), 2.0**53 + 2, 1e-310, float("inf"), float("-inf"),
                   float("nan"))  # fmt: skip
_SINGLES: Final = (0.0, -0.0, 1.0, -1.5, 2.5, 0.1, 3e38, 1e-45, 2.0**31, -(2.0**31), 16777217.0,
                   float("inf"), float("-inf"), float("nan"))  # fmt: skip


def integer(source: random.Random) -> int:
    """A 64-bit value as general registers hold them."""
    kind = source.random()
    if kind < 0.25:
        return pointer(source)
    if kind < 0.5:
        return source.randrange(0, 80)
    if kind < 0.6:
        return -source.randrange(1, 80) & _M64
    if kind < 0.75:
        return source.choice(_EDGES)
    if kind < 0.85:
        return source.getrandbits(32)
    return source.getrandbits(64)


def _double(source: random.Random) -> int:
    value = source.choice(_DOUBLES) if source.random() < 0.5 else source.uniform(-1, 1) * 2.0 ** source.randrange(-4, 70)
    return int.from_bytes(struct.pack("<d", value), "little")


def _single(source: random.Random) -> int:
    value = source.choice(_SINGLES) if source.random() < 0.5 else source.uniform(-1, 1) * 2.0 ** source.randrange(-4, 40)
    return int.from_bytes(struct.pack("<f", value), "little")


def half(source: random.Random) -> int:
    """One 64-bit half of a vector register."""
    kind = source.random()
    if kind < 0.35:
        return _double(source)
    if kind < 0.65:
        return _single(source) | _single(source) << 32
    if kind < 0.75:
        return integer(source)
    if kind < 0.85:
        return sum(source.choice((0, 1, 0x7F, 0x80, 0xFF)) << 8 * k for k in range(8))
    return source.getrandbits(64)


def value(source: random.Random, cell: str) -> int:
    """A value for an x86-64 cell (conditions follow from the flags)."""
    if cell in FLAGS:
        return source.getrandbits(1)
    if cell.startswith("xmm"):
        return half(source)
    if cell == "rsp":
        return pointer(source) & ~15 | source.choice((0, 8))
    return integer(source)


def state(source: random.Random, cells: Iterable[str]) -> dict[str, int]:
    """Values for ``cells``, some of them alike, as comparisons need to come out both ways."""
    found = {cell: value(source, cell) for cell in cells}
    general = [cell for cell in found if cell not in FLAGS and cell != "rsp"]
    for _ in range(source.choice((0, 0, 0, 2, 6))):
        a, b = source.choice(general), source.choice(general)
        if a.startswith("xmm") == b.startswith("xmm"):
            found[a] = found[b] + source.choice((0, 0, 0, 1, -1, 1 << 32)) & _M64
    return found


def condition(name: str, state: Mapping[str, int]) -> int:
    """A condition's value from the flags in ``state``."""
    less = state["sf"] ^ state["of"]
    assert name in CONDITIONS
    return {"l": less, "le": state["zf"] | less, "be": state["cf"] | state["zf"]}[name]
