"""Characters and numbers, as text and as floats."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from typing import Final

from guesssketch.testing.calls import Call
from guesssketch.testing.library.models import MINUS, MODELS, model

_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "isalpha": str.isalpha, "isdigit": str.isdigit, "isalnum": str.isalnum, "isupper": str.isupper, "islower": str.islower,
    "isspace": lambda c: c in " \t\n\v\f\r", "isprint": lambda c: " " <= c <= "~", "isgraph": lambda c: "!" <= c <= "~",
    "iscntrl": lambda c: c < " " or c == "\x7f",
    "isxdigit": lambda c: c in "0123456789abcdefABCDEF", "isblank": lambda c: c in " \t",
    "ispunct": lambda c: "!" <= c <= "~" and not c.isalnum(),
}  # fmt: skip


@model(*_CLASSES)
def _ctype(call: Call) -> int:
    letter = call.signed(0)
    return int(0 <= letter < 128 and _CLASSES[call.name](chr(letter)))


@model("toupper", "tolower")
def _case(call: Call) -> int:
    letter = call.signed(0)
    if not 0 <= letter < 128:
        return letter & MINUS
    return ord(chr(letter).upper() if call.name == "toupper" else chr(letter).lower())


@model("abs", "labs", "llabs")
def _abs(call: Call) -> int:
    return abs(call.signed(0, 32 if call.name == "abs" else 64))


_NUMBERS: Final = {"atoi": (32, False), "atol": (64, False), "atoll": (64, False), "strtol": (64, True), "strtoll": (64, True),
                   "__isoc23_strtol": (64, True), "__isoc23_strtoll": (64, True), "strtoul": (64, True),
                   "strtoull": (64, True), "__isoc23_strtoul": (64, True)}  # fmt: skip


@model(*_NUMBERS)
def _strtol(call: Call) -> int:
    _, ended = _NUMBERS[call.name]
    text = call.string(call.given[0])
    base = call.signed(2) if ended else 10
    value, used = _number(text, base)
    if ended and call.given[1]:
        call.write(call.given[1], (call.given[0] + used).to_bytes(8, "little"))
    low, high = (0, MINUS) if "strtou" in call.name else (-(1 << 63), (1 << 63) - 1)
    return (value if low <= value <= high or ("strtou" in call.name and -high <= value) else high if value > 0 else low) & MINUS


def _number(text: bytes, base: int) -> tuple[int, int]:
    """The number at the start of ``text`` and how many bytes it takes (C17 7.22.1.4)."""
    at = len(text) - len(text.lstrip(b" \t\n\v\f\r"))
    sign = -1 if text[at : at + 1] == b"-" else 1
    at += text[at : at + 1] in (b"-", b"+")
    digits = b"0123456789abcdefghijklmnopqrstuvwxyz"
    third = text[at + 2 : at + 3].lower()
    if base in (0, 16) and text[at : at + 2].lower() == b"0x" and third and third in digits[:16]:
        base, at = 16, at + 2
    elif base == 0:
        base = 8 if text[at : at + 1] == b"0" else 10
    value, start = 0, at
    while at < len(text) and 0 <= digits.find(text[at : at + 1].lower()) < base:
        value = value * base + digits.find(text[at : at + 1].lower())
        at += 1
    return sign * value, at if at > start else 0


def _double(function: Callable[[float], float], call: Call) -> int:
    single = call.signature.result.code == "f32"
    (x,) = struct.unpack("<f" if single else "<d", call.given[0].to_bytes(4 if single else 8, "little"))
    try:
        result = function(x)
    except (ValueError, OverflowError):
        result = math.nan
    try:
        return int.from_bytes(struct.pack("<f" if single else "<d", result), "little")
    except OverflowError:
        return 0x7F80_0000


def _rounded(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda x: math.copysign(float(function(x)), x) if math.isfinite(x) else x


_MATHEMATICS: Final[dict[str, Callable[[float], float]]] = {
    "fabs": abs, "sqrt": math.sqrt, "floor": _rounded(math.floor), "ceil": _rounded(math.ceil), "trunc": _rounded(math.trunc),
    "rint": _rounded(round), "nearbyint": _rounded(round), "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp,
    "log": math.log, "log2": math.log2, "log10": math.log10, "atan": math.atan, "asin": math.asin, "acos": math.acos,
}  # fmt: skip
for _name, _function in _MATHEMATICS.items():
    MODELS[_name] = MODELS[_name + "f"] = functools.partial(_double, _function)
