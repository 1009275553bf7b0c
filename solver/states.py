"""Random machine states that find mistakes: small numbers, boundaries, pointers that meet, and the floats' odd
corners."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from isa.statemap import CONDITIONS, FLAGS
from solver.memory import pointer

_M64: Final = (1 << 64) - 1
_EDGES: Final = tuple((sign * (1 << n) + d) & _M64 for n in (7, 8, 15, 16, 31, 32, 63) for sign in (1, -1) for d in (-1, 0, 1))
_BYTES: Final = (0, 1, 0x7F, 0x80, 0xFF)
_AS_DOUBLE, _AS_SINGLE = struct.Struct("<d"), struct.Struct("<f")
_AS_QUAD, _AS_WORD = struct.Struct("<Q"), struct.Struct("<I")


def _bits_of_double(number: float) -> int:
    return int(_AS_QUAD.unpack(_AS_DOUBLE.pack(number))[0])


def _bits_of_single(number: float) -> int:
    return int(_AS_WORD.unpack(_AS_SINGLE.pack(number))[0])


_DOUBLES: Final = tuple(map(_bits_of_double, (
    0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, 1e300, -1e300, 5e-324, 2.0**31, -(2.0**31), 2.0**31 - 0.5, 2.0**63,
    -(2.0**63), 2.0**53 + 2, 1e-310, float("inf"), float("-inf"), float("nan"))))  # fmt: skip
_SINGLES: Final = tuple(map(_bits_of_single, (
    0.0, -0.0, 1.0, -1.5, 2.5, 0.1, 3e38, 1e-45, 2.0**31, -(2.0**31), 16777217.0, float("inf"), float("-inf"),
    float("nan"))))  # fmt: skip

# Millions of these are drawn. ``int(random() * n)`` is a third of the time of ``randrange(n)``, and even enough for small n.


def integer(source: random.Random) -> int:
    """A 64-bit value as general registers hold them."""
    draw = source.random
    kind = draw()
    if kind < 0.25:
        return pointer(source)
    if kind < 0.5:
        return int(draw() * 80)
    if kind < 0.6:
        return -1 - int(draw() * 79) & _M64
    if kind < 0.75:
        return _EDGES[int(draw() * len(_EDGES))]
    if kind < 0.85:
        return source.getrandbits(32)
    return source.getrandbits(64)


def _double(draw: Callable[[], float]) -> int:
    if draw() < 0.5:
        return _DOUBLES[int(draw() * len(_DOUBLES))]
    return _bits_of_double((2 * draw() - 1) * 2.0 ** (int(draw() * 74) - 4))


def _single(draw: Callable[[], float]) -> int:
    if draw() < 0.5:
        return _SINGLES[int(draw() * len(_SINGLES))]
    return _bits_of_single((2 * draw() - 1) * 2.0 ** (int(draw() * 44) - 4))


def half(source: random.Random) -> int:
    """One 64-bit half of a vector register."""
    draw = source.random
    kind = draw()
    if kind < 0.35:
        return _double(draw)
    if kind < 0.65:
        return _single(draw) | _single(draw) << 32
    if kind < 0.75:
        return integer(source)
    if kind < 0.85:
        return sum(_BYTES[int(draw() * 5)] << 8 * k for k in range(8))
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
