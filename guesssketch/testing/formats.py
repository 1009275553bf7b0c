"""printf's formats (C17 7.21.6.1) rendered from a call's variable arguments, whichever convention they travel by."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from guesssketch.testing.convention import Variable

_PIECE: Final = re.compile(rb"%([-+ #0']*)(\*|\d+)?(?:\.(\*|\d*))?(hh|h|ll|l|L|q|j|z|t)?([a-zA-Z%])", re.DOTALL)
_BITS: Final = {b"hh": 8, b"h": 16, b"l": 64, b"ll": 64, b"q": 64, b"j": 64, b"z": 64, b"t": 64}
_LONGEST: Final = 1 << 14  # of one field


class Unknown(Exception):
    """A conversion that is not rendered: wide characters, long double."""


def render(text: bytes, given: Variable, string: Callable[[int, int | None], bytes], pointer: Callable[[int], str]) -> bytes:
    """The text that printf would write.

    string: the bytes at an address, up to a NUL or a number of them. pointer: an address as ``%p`` shows it.
    Raises Unknown.
    """
    output, at = b"", 0
    for match in _PIECE.finditer(text):
        output += text[at : match.start()]
        at = match.end()
        output += _field(match, given, string, pointer)
    return output + text[at:]


def _field(match: re.Match[bytes], given: Variable, string: Callable[[int, int | None], bytes],
           pointer: Callable[[int], str]) -> bytes:  # fmt: skip
    flags, length, kind = match[1].decode().replace("'", ""), match[4] or b"", match[5].decode()
    if kind == "%":
        return b"%"
    width = _star(match[2], given)
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    precision = _star(match[3], given)
    if precision is not None and precision < 0:
        precision = None
    if max(width or 0, precision or 0) > _LONGEST:
        raise Unknown("a field of absurd width")
    shape = f"%{flags}{'' if width is None else width}" + ("" if precision is None else f".{precision}")
    if kind in "diouxX":
        value = given.integer() & (1 << _BITS.get(length, 32)) - 1
        if kind in "di" and value >> _BITS.get(length, 32) - 1:
            value -= 1 << _BITS.get(length, 32)
        if kind == "o" and "#" in flags:
            raise Unknown("%#o")
        return ((shape + kind) % value).encode() if value or precision != 0 else (f"{'':>{width or 0}}").encode()
    if kind in "eEfFgG" and length != b"L":
        (number,) = struct.unpack("<d", given.float().to_bytes(8, "little"))
        return (shape + kind).encode() % number if number == number else (f"{'nan':>{width or 0}}").encode()
    if kind == "c" and not length:
        return (f"%{flags.replace('0', '')}{width or ''}c").encode() % bytes([given.integer() & 255])
    if kind == "s" and not length:
        return (f"%{flags.replace('0', '')}{width or ''}s").encode() % string(given.integer(), precision)
    if kind == "p":
        return pointer(given.integer()).encode()
    raise Unknown(match[0].decode("latin-1"))


def _star(text: bytes | None, given: Variable) -> int | None:
    if text is None:
        return None
    if text == b"*":
        value = given.integer() & 0xFFFF_FFFF
        return value - (1 << 32) if value >> 31 else value
    return int(text or b"0")
