"""Sorting and searching, by comparison functions of the code under test."""

from __future__ import annotations

from typing import Final

from guesssketch.prototypes import parse_signature
from guesssketch.testing.calls import Call, Ended
from guesssketch.testing.library.models import model

_COMPARE: Final = parse_signature("i32(ptr,ptr)")


def _compared(call: Call, compare: int, a: int, b: int) -> int:
    result = call.side.call(compare, _COMPARE, [a.to_bytes(8, "little"), b.to_bytes(8, "little")])[0].bits & 0xFFFF_FFFF
    return result - (1 << 32) if result >> 31 else result


@model("qsort")
def _qsort(call: Call) -> None:
    """By insertion, so that the same questions are asked on both sides, and no comparison function can confuse it."""
    base, count, size, compare = call.given
    if count * size > 4096:
        raise Ended("steps", f"qsort of {count} elements")
    for i in range(1, count):
        j = i
        while j > 0 and _compared(call, compare, base + (j - 1) * size, base + j * size) > 0:
            a, b = call.read(base + (j - 1) * size, size), call.read(base + j * size, size)
            call.write(base + (j - 1) * size, b + a)
            j -= 1


@model("bsearch")
def _bsearch(call: Call) -> int:
    key, base, count, size, compare = call.given
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        order = _compared(call, compare, key, base + middle * size)
        if order == 0:
            return base + middle * size
        low, high = (middle + 1, high) if order > 0 else (low, middle)
    return 0
