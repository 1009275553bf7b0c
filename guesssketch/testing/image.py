"""What a side of a test is: code and data at their addresses, the functions to be run, and what its addresses mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from guesssketch.testing.layout import PAGE


@dataclass
class Image:
    """Code and data of one side, laid out and relocated.

    code, data: page number -> its bytes. functions: name -> address that a caller of the native convention uses (of the
    original: where its code is). externals: address -> name of a symbol that nobody defines. redirected: addresses that
    stand for a function -> where its code is. thread: the thread pointer's value.
    """

    isa: str
    code: dict[int, bytes]
    data: dict[int, bytes]
    functions: Mapping[str, int]
    externals: Mapping[int, str]
    redirected: Mapping[int, int]
    thread: int
    extents: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of the translation: (address, size) of functions by name."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Of the translation: all its symbols."""
    moved: tuple[tuple[int, int, int], ...] = field(default=())
    """Of the translation: (address, size, address in the original) of data that is not where it is in the original."""


def pages(pieces: Iterator[tuple[int, bytes]]) -> dict[int, bytes]:
    """The pages that hold ``pieces`` (address, bytes)."""
    found: dict[int, bytearray] = {}
    for address, data in pieces:
        for start in range(address // PAGE, -(-(address + max(len(data), 1)) // PAGE)):
            page = found.setdefault(start, bytearray(PAGE))
            low, high = max(address, start * PAGE), min(address + len(data), (start + 1) * PAGE)
            if low < high:
                page[low - start * PAGE : high - start * PAGE] = data[low - address : high - address]
    return {number: bytes(page) for number, page in found.items()}
