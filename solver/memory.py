"""The made-up memory that emulated states live in, the same for every instruction set.

Each page has one of a few fixed contents, chosen by its number, so both sides of a comparison see the same bytes and
pages can be mapped when they are first touched. The words are a mix of pointers into the arena, small numbers and
noise.
"""

from __future__ import annotations

import random
from typing import Final

PAGE: Final = 4096
LIMIT: Final = 1 << 47  # accesses at or above it fault
ARENA: Final = 0x5555_0000_0000  # where pointers point, so that they meet and do not fit in 32 bits
ARENA_SIZE: Final = 0x4000
THREAD: Final = 0x5557_0000_0100  # the thread pointer
CODE: Final = 0x9000_0000  # where code runs: 32-bit displacements reach all symbols from there
LOW_SYMBOLS: Final = 0x2000_0000
HIGH_SYMBOLS: Final = 0x1_0000_0000
SLOTS: Final = 0x8800_0000  # the global offset table

_KINDS: Final = 61


def pointer(source: random.Random) -> int:
    """An address in the arena, most often aligned."""
    offset = int(source.random() * ARENA_SIZE)
    return ARENA + (offset & ~15 if source.random() < 0.9 else offset)


def _word(source: random.Random) -> int:
    kind = source.random()
    if kind < 0.35:
        return pointer(source)
    if kind < 0.55:
        return source.randrange(-64, 192) & (1 << 64) - 1
    if kind < 0.7:
        return source.getrandbits(16) << source.randrange(31)
    return source.getrandbits(64)


def _page(number: int) -> bytes:
    source = random.Random(number)
    return b"".join(_word(source).to_bytes(8, "little") for _ in range(PAGE // 8))


_pages: list[bytes] = []


def page(address: int) -> bytes:
    """The content of the page that ``address`` lies in."""
    if not _pages:
        _pages.extend(_page(number) for number in range(_KINDS))
    return _pages[(address // PAGE) % _KINDS]


def byte(address: int) -> int:
    """The byte at ``address``."""
    return page(address)[address % PAGE]
