"""sscanf and its like (C17 7.21.6.2), for bytes: what they find in a string, put where the variable arguments point."""

from __future__ import annotations

import math
import re
import struct
from typing import Final

from guesssketch.testing.calls import Call, Ended
from guesssketch.testing.library.models import MINUS, MODELS

_SPACE: Final = b" \t\n\v\f\r"
_PIECE: Final = re.compile(rb"\s+|%(\*?)(\d*)(hh|h|ll|l|L|q|j|z|t)?(\[\^?\]?[^\]]*\]|[a-zA-Z%])|[^%\s]", re.DOTALL)
_SIZES: Final = {b"hh": 1, b"h": 2, b"l": 8, b"ll": 8, b"q": 8, b"j": 8, b"z": 8, b"t": 8}
_HEXADECIMAL: Final = rb"0[xX][0-9a-fA-F]+\.?[0-9a-fA-F]*(?:[pP][-+]?\d+)?"
_DECIMAL: Final = rb"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBERS: Final = {
    b"d": rb"[-+]?\d+", b"u": rb"[-+]?\d+", b"i": rb"[-+]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)", b"o": rb"[-+]?[0-7]+",
    b"x": rb"[-+]?(?:0[xX])?[0-9a-fA-F]+", b"f": rb"[-+]?(?:" + _HEXADECIMAL + b"|" + _DECIMAL + b")",
}  # fmt: skip
_BASES: Final = {b"d": 10, b"u": 10, b"i": 0, b"o": 8, b"x": 16}


def _scanf(call: Call) -> int:
    text, form = call.string(call.given[0]), call.string(call.given[1])
    given = call.variable()
    at = fields = 0
    for match in _PIECE.finditer(form):
        kind = match[4]
        if kind is None and match[0].isspace():
            at += len(text[at:]) - len(text[at:].lstrip(_SPACE))
            continue
        if kind == b"n":
            if not match[1]:
                call.write(given.integer(), at.to_bytes(_SIZES.get(match[3] or b"", 4), "little"))
            continue
        if kind is not None and kind[:1] not in (b"c", b"["):
            at += len(text[at:]) - len(text[at:].lstrip(_SPACE))
        if at >= len(text):
            return fields or MINUS
        if kind is None or kind == b"%":
            if text[at : at + 1] != match[0][-1:]:
                return fields
            at += 1
            continue
        end = at + (int(match[2]) or 1 if match[2] else 1 if kind == b"c" else len(text))
        found = _field(text[at:end], kind, call.name)
        if not found:
            return fields
        at += len(found)
        if not match[1]:
            call.write(given.integer(), _value(found, kind, match[3] or b"", call.name))
            fields += 1
    return fields


def _plain(kind: bytes) -> bytes:
    """The conversion that ``kind`` is a case of."""
    return b"x" if kind in b"pX" else b"f" if kind in b"eEgGaAF" else kind


def _field(text: bytes, kind: bytes, name: str) -> bytes:
    """The longest start of ``text`` that the conversion takes."""
    if kind == b"c":
        return text
    if kind == b"s":
        pattern = rb"[^ \t\n\v\f\r]+"
    elif kind[:1] == b"[":
        sign, inside = (b"^", kind[2:-1]) if kind[1:2] == b"^" else (b"", kind[1:-1])
        pattern = b"[" + sign + re.sub(rb"[\\^\]\[]", rb"\\\g<0>", inside) + b"]+"
    elif (known := _NUMBERS.get(_plain(kind))) is not None:
        pattern = known
    else:
        raise Ended("steps", f"{name}: %{kind.decode('latin-1')}")
    match = re.match(pattern, text)
    return match[0] if match else b""


def _value(found: bytes, kind: bytes, length: bytes, name: str) -> bytes:
    """What is stored for a field."""
    if kind in (b"s", b"c") or kind[:1] == b"[":
        if length:
            raise Ended("steps", f"{name}: wide characters")
        return found if kind == b"c" else found + b"\0"
    plain = _plain(kind)
    if plain == b"f":  # inf and nan are not taken
        number = float.fromhex(found.decode()) if b"x" in found.lower() else float(found)
        if length == b"L":
            raise Ended("steps", f"{name}: long double")
        try:
            return struct.pack("<d" if length else "<f", number)
        except OverflowError:
            return struct.pack("<f", math.copysign(math.inf, number))
    size = 8 if kind == b"p" else _SIZES.get(length, 4)
    value = int(found.lstrip(b"+-").lstrip(b"0") or b"0", 8) if plain == b"i" and re.match(rb"[-+]?0\d", found) else \
        abs(int(found, _BASES[plain]))  # fmt: skip
    return ((-value if found[:1] == b"-" else value) & (1 << 8 * size) - 1).to_bytes(size, "little")


MODELS.update({prefix + name: _scanf for prefix in ("", "__isoc99_", "__isoc23_") for name in ("sscanf", "vsscanf")})
