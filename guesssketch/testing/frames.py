"""What the frame of code that calls out holds: what a callee outside may look at through a pointer. guesssketch's own translations
keep the original's frames, so those of both sides can be compared."""

from __future__ import annotations

import itertools
import struct
from typing import Final

from guesssketch.testing import layout
from guesssketch.testing.image import Image
from solver.process import Process

_LONGEST: Final = 2048  # bytes that are looked at
_CLOBBERED: Final = 8192  # bytes below its caller's frame that a callee outside may have written


def frame(process: Process, image: Image, pointer: str) -> bytes:
    """The bytes from what cell ``pointer`` points to up: the original's to a return address, the translation's further."""
    start = process.get(pointer)
    if not layout.on_stack(start) or not layout.on_stack(start + _LONGEST + 8):
        return b""
    if image.isa != "x86_64":
        return process.read(start, _LONGEST)

    def returns(word: int) -> bool:
        return word // layout.PAGE in image.code or word in (layout.RETURN, layout.CALLBACK)

    first, *words = struct.unpack(f"<{_LONGEST // 8 + 1}Q", process.read(start, _LONGEST + 8))
    if first // layout.PAGE not in image.code:
        return b""  # a tail call: the frame is gone
    inside = list(itertools.takewhile(lambda word: not returns(word), words))
    return struct.pack(f"<{len(inside)}Q", *inside)


def clobber(process: Process, byte: int) -> None:
    """Write where a callee outside may have written: below the frame of the original's code that has called."""
    top = process.get("rsp")
    if layout.on_stack(top) and layout.on_stack(top - _CLOBBERED):
        process.write(top - _CLOBBERED, bytes([byte]) * _CLOBBERED)
