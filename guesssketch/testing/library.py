"""The C library's functions, as far as code under test needs them to go on sensibly (C17 chapter 7, POSIX).

A model works on the memory of the side that calls, so it does the same on both. What is not here is answered arbitrarily, the
same on both sides, and recorded. What changes memory or the result only is not recorded, since that is seen there: compilers
put such calls out for each other and for code of their own.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from typing import Final

from guesssketch.prototypes import Signature, parse_signature
from guesssketch.testing import formats, layout
from guesssketch.testing.calls import Call, Ended
from guesssketch.testing.convention import Value

Model = Callable[[Call], int | None]
MODELS: Final[dict[str, Model]] = {}
_MINUS: Final = (1 << 64) - 1


def _model(*names: str) -> Callable[[Model], Model]:
    def note(function: Model) -> Model:
        MODELS.update(dict.fromkeys(names, function))
        return function

    return note


# --- memory -----------------------------------------------------------------------------------------------------------


@_model("malloc", "valloc")
def _malloc(call: Call) -> int:
    return call.side.allocate(call.given[0])


@_model("calloc", "reallocarray")
def _calloc(call: Call) -> int:
    if call.name == "reallocarray":
        return _resize(call, call.given[0], call.given[1] * call.given[2])
    size = call.given[0] * call.given[1]
    address = call.side.allocate(size)
    if address:
        call.write(address, bytes(size))
    return address


@_model("realloc")
def _realloc(call: Call) -> int:
    return _resize(call, call.given[0], call.given[1])


def _resize(call: Call, old: int, size: int) -> int:
    new = call.side.allocate(size)
    if new and old:
        call.write(new, call.read(old, min(size, call.side.blocks.get(old, 0))))
    return new


@_model("aligned_alloc", "memalign")
def _aligned(call: Call) -> int:
    return call.side.allocate(call.given[1])


@_model("posix_memalign")
def _posix_aligned(call: Call) -> int:
    address = call.side.allocate(call.given[2])
    if not address:
        return 12
    call.write(call.given[0], address.to_bytes(8, "little"))
    return 0


@_model("free", "cfree")
def _free(call: Call) -> None:
    return None


@_model("memcpy", "memmove", "mempcpy", "__memcpy_chk", "__memmove_chk", "__mempcpy_chk")
def _memcpy(call: Call) -> int:
    target, source, size = call.given[:3]
    call.write(target, call.read(source, size))
    return target + size if "mempcpy" in call.name else target


@_model("memset", "__memset_chk")
def _memset(call: Call) -> int:
    target, value, size = call.given[:3]
    if size > 1 << 22:
        raise Ended("steps", f"memset of {size} bytes")
    call.write(target, bytes([value & 255]) * size)
    return target


def _order(a: bytes, b: bytes) -> int:
    return (a > b) - (a < b) & _MINUS


@_model("memcmp", "bcmp")
def _memcmp(call: Call) -> int:
    a, b, size = call.given
    while size:
        step = min(size, -a % 4096 or 4096, -b % 4096 or 4096)
        left, right = call.read(a, step), call.read(b, step)
        if left != right:
            return _order(left, right)
        a, b, size = a + step, b + step, size - step
    return 0


@_model("memchr", "memrchr", "rawmemchr")
def _memchr(call: Call) -> int:
    where, value = call.given[0], bytes([call.given[1] & 255])
    if call.name == "memrchr":
        at = call.read(where, call.given[2]).rfind(value)
        return where + at if at >= 0 else 0
    left = call.given[2] if call.name == "memchr" else 1 << 22
    while left > 0:
        step = min(left, -where % 4096 or 4096)
        at = call.read(where, step).find(value)
        if at >= 0:
            return where + at
        where, left = where + step, left - step
    return 0


# --- strings ----------------------------------------------------------------------------------------------------------


@_model("strlen", "strnlen")
def _strlen(call: Call) -> int:
    return len(call.string(call.given[0], call.given[1] if call.name == "strnlen" else None))


@_model("strcmp", "strcoll", "strncmp", "strcasecmp", "strncasecmp")
def _strcmp(call: Call) -> int:
    limit = call.given[2] if "ncmp" in call.name or "ncase" in call.name else None
    a, b = (call.string(address, limit) for address in call.given[:2])
    return _order(a.lower(), b.lower()) if "case" in call.name else _order(a, b)


@_model("strcpy", "stpcpy", "__strcpy_chk", "__stpcpy_chk", "strcat", "__strcat_chk")
def _strcpy(call: Call) -> int:
    target, text = call.given[0], call.string(call.given[1])
    start = target + (len(call.string(target)) if "strcat" in call.name else 0)
    call.write(start, text + b"\0")
    return start + len(text) if "stpcpy" in call.name else target


@_model("strncpy", "stpncpy", "__strncpy_chk", "__stpncpy_chk")
def _strncpy(call: Call) -> int:
    target, source, size = call.given[:3]
    if size > 1 << 22:
        raise Ended("steps", f"{call.name} of {size} bytes")
    text = call.string(source, size)
    call.write(target, text.ljust(size, b"\0"))
    return target + len(text) if "stpncpy" in call.name else target


@_model("strncat", "__strncat_chk")
def _strncat(call: Call) -> int:
    target, source, size = call.given[:3]
    call.write(target + len(call.string(target)), call.string(source, size) + b"\0")
    return target


@_model("strchr", "strrchr", "strchrnul", "index", "rindex")
def _strchr(call: Call) -> int:
    where, text = call.given[0], call.string(call.given[0]) + b"\0"
    value = bytes([call.given[1] & 255])
    at = text.rfind(value) if call.name in ("strrchr", "rindex") else text.find(value)
    if at >= 0:
        return where + at
    return where + len(text) - 1 if call.name == "strchrnul" else 0


@_model("strstr")
def _strstr(call: Call) -> int:
    at = call.string(call.given[0]).find(call.string(call.given[1]))
    return call.given[0] + at if at >= 0 else 0


@_model("strspn", "strcspn", "strpbrk")
def _strspn(call: Call) -> int:
    text, those = call.string(call.given[0]), set(call.string(call.given[1]))
    wanted = call.name == "strspn"
    count = next((k for k, letter in enumerate(text) if (letter in those) != wanted), len(text))
    if call.name == "strpbrk":
        return call.given[0] + count if count < len(text) else 0
    return count


@_model("strdup", "__strdup", "strndup")
def _strdup(call: Call) -> int:
    text = call.string(call.given[0], call.given[1] if call.name == "strndup" else None) + b"\0"
    address = call.side.allocate(len(text))
    if address:
        call.write(address, text)
    return address


@_model("wcslen")
def _wcslen(call: Call) -> int:
    return len(call.string(call.given[0], unit=4)) // 4


# --- characters and numbers -------------------------------------------------------------------------------------------

_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "isalpha": str.isalpha, "isdigit": str.isdigit, "isalnum": str.isalnum, "isupper": str.isupper, "islower": str.islower,
    "isspace": lambda c: c in " \t\n\v\f\r", "isprint": lambda c: " " <= c <= "~", "isgraph": lambda c: "!" <= c <= "~",
    "iscntrl": lambda c: c < " " or c == "\x7f",
    "isxdigit": lambda c: c in "0123456789abcdefABCDEF", "isblank": lambda c: c in " \t",
    "ispunct": lambda c: "!" <= c <= "~" and not c.isalnum(),
}  # fmt: skip


@_model(*_CLASSES)
def _ctype(call: Call) -> int:
    letter = call.signed(0)
    return int(0 <= letter < 128 and _CLASSES[call.name](chr(letter)))


@_model("toupper", "tolower")
def _case(call: Call) -> int:
    letter = call.signed(0)
    if not 0 <= letter < 128:
        return letter & _MINUS
    return ord(chr(letter).upper() if call.name == "toupper" else chr(letter).lower())


@_model("abs", "labs", "llabs")
def _abs(call: Call) -> int:
    return abs(call.signed(0, 32 if call.name == "abs" else 64))


_NUMBERS: Final = {"atoi": (32, False), "atol": (64, False), "atoll": (64, False), "strtol": (64, True), "strtoll": (64, True),
                   "__isoc23_strtol": (64, True), "__isoc23_strtoll": (64, True), "strtoul": (64, True),
                   "strtoull": (64, True), "__isoc23_strtoul": (64, True)}  # fmt: skip


@_model(*_NUMBERS)
def _strtol(call: Call) -> int:
    _, ended = _NUMBERS[call.name]
    text = call.string(call.given[0])
    base = call.signed(2) if ended else 10
    value, used = _number(text, base)
    if ended and call.given[1]:
        call.write(call.given[1], (call.given[0] + used).to_bytes(8, "little"))
    low, high = (0, _MINUS) if "strtou" in call.name else (-(1 << 63), (1 << 63) - 1)
    return (value if low <= value <= high or ("strtou" in call.name and -high <= value) else high if value > 0 else low) & _MINUS


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


# --- order ------------------------------------------------------------------------------------------------------------

_COMPARE: Final = parse_signature("i32(ptr,ptr)")


def _compared(call: Call, compare: int, a: int, b: int) -> int:
    result = call.side.call(compare, _COMPARE, [a.to_bytes(8, "little"), b.to_bytes(8, "little")])[0].bits & 0xFFFF_FFFF
    return result - (1 << 32) if result >> 31 else result


@_model("qsort")
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


@_model("bsearch")
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


# --- output -----------------------------------------------------------------------------------------------------------


def _written(call: Call, stream: str | Value, text: bytes) -> int:
    call.side.record("output", (stream, text))
    return len(text)


@_model("puts", "fputs", "putchar", "fputc", "putc", "_IO_putc", "putchar_unlocked")
def _puts(call: Call) -> int:
    stream = Value("ptr", call.given[1]) if len(call.given) > 1 else "stdout"
    if call.name in ("puts", "fputs"):
        _written(call, stream, call.string(call.given[0]) + (b"\n" if call.name == "puts" else b""))
        return 1
    _written(call, stream, bytes([call.given[0] & 255]))
    return call.given[0] & 255


@_model("fwrite", "write")
def _fwrite(call: Call) -> int:
    if call.name == "write":
        return _written(call, Value("i32", call.given[0]), call.read(call.given[1], call.given[2]))
    _written(call, Value("ptr", call.given[3]), call.read(call.given[0], call.given[1] * call.given[2]))
    return call.given[2]


# Name without v, __ and _chk -> index of the stream or buffer (-1: stdout), and of the format, unchecked and checked.
_PRINTF: Final = {"printf": (-1, 0, 1), "fprintf": (0, 1, 2), "dprintf": (0, 1, 2), "sprintf": (0, 1, 3), "snprintf": (0, 2, 4)}


def _printf(call: Call) -> int:
    checked = call.name.endswith("_chk")
    plain = call.name.removesuffix("_chk").lstrip("_").removeprefix("v")
    where, *which = _PRINTF[plain]
    text = call.string(call.given[which[checked]])
    try:
        text = formats.render(text, call.variable(), call.string, lambda p: "stack" if layout.on_stack(p) else f"{p:#x}")
    except formats.Unknown as error:
        raise Ended("steps", f"{call.name}: {error}") from None
    if plain in ("printf", "fprintf", "dprintf"):
        return _written(call, "stdout" if where < 0 else Value(call.signature.parameters[where].code, call.given[where]), text)
    whole = text + b"\0"
    if plain == "snprintf":
        limit = call.given[1]
        whole = text[: limit - 1] + b"\0" if limit else b""
    if whole:
        call.write(call.given[0], whole)
    return len(text)


for _name in _PRINTF:
    for _shape in ("{}", "v{}", "__{}_chk", "__v{}_chk"):
        MODELS[_shape.format(_name)] = _printf


# --- input ------------------------------------------------------------------------------------------------------------


def _bytes(call: Call, count: int) -> bytes:
    """What a file holds next: arbitrary, the same on both sides."""
    found = b"".join(call.side.answer("file", "u64").to_bytes(8, "little") for _ in range(-(-count // 8)))
    return found[:count]


@_model("read", "fread")
def _read(call: Call) -> int:
    asked = call.given[2] if call.name == "read" else call.given[1] * call.given[2]
    count = min(asked, call.side.answer("file", "u8"))
    call.write(call.given[1] if call.name == "read" else call.given[0], _bytes(call, count))
    return count if call.name == "read" else count // call.given[1] if call.given[1] else 0


@_model("fgets")
def _fgets(call: Call) -> int:
    size = call.signed(1)
    text = _bytes(call, min(max(size - 1, 0), call.side.answer("file", "u8"))).replace(b"\0", b" ")
    if not text:
        return 0
    call.write(call.given[0], text + b"\0")
    return call.given[0]


@_model("fgetc", "getc", "_IO_getc", "getchar")
def _getc(call: Call) -> int:
    value = call.side.answer("file", "u16")
    return value & 255 if value % 8 else _MINUS


@_model("__errno_location", "__ctype_b_loc", "__ctype_tolower_loc", "__ctype_toupper_loc")
def _location(call: Call) -> int:
    """An address that stays the same: of a page of its own."""
    return layout.HEAP - layout.REGION + layout.PAGE * (1 + sum(map(ord, call.name)) % 4096)


SIGNATURES: Final[dict[str, Signature]] = {
    name: parse_signature(text)
    for name, text in {"__strdup": "ptr(ptr)", "putchar_unlocked": "i32(i32)", "rawmemchr": "ptr(ptr,i32)"}.items()
}
