"""What memory holds that nobody has written: a function of the page's address and a seed, the same on both sides.

Each page has one of a few styles (nothing, small numbers, text, floats, noise, pointers among them), for code that walks
lists, counts, parses or computes; a seed may have one style throughout. Every pointer leads to a page of its own, so that
structures are as deep as the code goes and do not overlap.
"""

from __future__ import annotations

import functools
import random
import struct
from typing import Final

from guesssketch.testing import layout

_WORDS: Final = layout.PAGE // 8
_VARIANTS: Final = 4
_TEXT: Final = b"  \n\n\t,;:.-+=/<>()[]{}\"'#%aAbBcdeEfghilnopstxXyz0011223456789_\\"
_STYLES: Final = ("zero", "small", "pointers", "mixed", "text", "words", "noise", "doubles", "floats", "bytes", "edges",
                  "shorts", "tiny")  # fmt: skip
_SPAN: Final = 1 << layout.GROWN_BITS


def _small(source: random.Random) -> int:
    return source.choice((0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 20, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256))


def _integer(source: random.Random) -> int:
    """Two 32-bit fields as structs have them, or a long one."""
    if source.random() < 0.6:
        return _small(source) | _small(source) << 32
    return source.choice((_small(source), -_small(source) & (1 << 64) - 1))


def _edge(source: random.Random) -> int:
    value = (1 << source.choice((7, 8, 15, 16, 31, 32, 63))) + source.choice((-1, 0, 1))
    return (value if source.random() < 0.5 else -value) & (1 << 64) - 1


def bits(code: str, *values: float) -> int:
    return int.from_bytes(struct.pack(code, *values), "little")


def _float(source: random.Random) -> float:
    return source.choice((0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1.5, 1e3, -3.25, 1e-3, 255.0, source.uniform(-100, 100)))


def _text(source: random.Random) -> int:
    letters = bytes(source.choice(_TEXT) for _ in range(8))
    if source.random() < 0.2:
        end = source.randrange(8)
        letters = letters[:end] + b"\0" + letters[end + 1 :]
    return int.from_bytes(letters, "little")


def _word(style: str, source: random.Random) -> int | None:
    """One word; None stands for a pointer."""
    match style:
        case "zero":
            return 0
        case "small":
            return _integer(source)
        case "pointers":
            return None if source.random() < 0.85 else 0
        case "mixed":
            return None if source.random() < 0.45 else _integer(source)
        case "text":
            return _text(source)
        case "words":
            return int.from_bytes(bytes(source.choice(b"abcdeABz019 _") for _ in range(7)) + b"\0", "little")
        case "noise":
            return source.getrandbits(64)
        case "doubles":
            return bits("<d", _float(source))
        case "floats":
            return bits("<ff", _float(source), _float(source))
        case "bytes":
            return sum(source.choice((0, 0, 1, 2, 8, 0x7F, 0x80, 0xFF)) << 8 * k for k in range(8))
        case "shorts":
            return sum(source.choice((0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15)) << 16 * k for k in range(4))
        case "tiny":
            return sum(source.choice((0, 0, 0, 1, 1, 2, 3, 4)) << 8 * k for k in range(8))
    return _edge(source)


@functools.cache
def _template(style: str, variant: int) -> tuple[int, int]:
    """A page as a number, its pointers numbered from 0 in steps of pages; and a number with a 1 for each pointer."""
    source = random.Random(f"{style}.{variant}")
    content = ones = pointers = 0
    for position in range(_WORDS):
        word = _word(style, source)
        if word is None:
            word = layout.GROWN + pointers * layout.PAGE + source.choice((0, 0, 0, 16, 64))
            ones |= 1 << 64 * position
            pointers += 1
        content |= word << 64 * position
    return content, ones


@functools.lru_cache(maxsize=4096)
def page(number: int, seed: int) -> bytes:
    """The content of page ``number``. Even seeds have one style throughout, odd ones mix them."""
    mixed = (number * 0x9E37_79B9_7F4A_7C15 + seed * 0xD1B5_4A32_D192_ED03) & (1 << 64) - 1
    mixed ^= mixed >> 29
    mixed = mixed * 0xBF58_476D_1CE4_E5B9 & (1 << 64) - 1
    mixed ^= mixed >> 32
    style = _STYLES[(seed >> 1 if seed & 1 == 0 else mixed) % len(_STYLES)]
    content, ones = _template(style, (mixed >> 8) % _VARIANTS)
    first = (mixed >> 16) % (_SPAN - _WORDS) * layout.PAGE
    return (content + ones * first).to_bytes(layout.PAGE, "little")
