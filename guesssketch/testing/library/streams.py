"""Output, which is recorded, and input, which is arbitrary."""

from __future__ import annotations

from typing import Final

from guesssketch.testing import formats, layout
from guesssketch.testing.calls import Call, Ended
from guesssketch.testing.convention import Value
from guesssketch.testing.library.models import MINUS, MODELS, model


def _written(call: Call, stream: str | Value, text: bytes) -> int:
    call.side.record("output", (stream, text))
    return len(text)


@model("puts", "fputs", "putchar", "fputc", "putc", "_IO_putc", "putchar_unlocked")
def _puts(call: Call) -> int:
    stream = Value("ptr", call.given[1]) if len(call.given) > 1 else "stdout"
    if call.name in ("puts", "fputs"):
        _written(call, stream, call.string(call.given[0]) + (b"\n" if call.name == "puts" else b""))
        return 1
    _written(call, stream, bytes([call.given[0] & 255]))
    return call.given[0] & 255


@model("fwrite", "write")
def _fwrite(call: Call) -> int:
    if call.name == "write":
        _written(call, Value("i32", call.given[0]), call.read(call.given[1], call.given[2]))
    else:
        _written(call, Value("ptr", call.given[3]), call.read(call.given[0], call.given[1] * call.given[2]))
    return call.side.chosen(call.name, call.given[2])


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


@model("read", "fread")
def _read(call: Call) -> int:
    asked = call.given[2] if call.name == "read" else call.given[1] * call.given[2]
    count = min(asked, call.side.answer("file", "u8") & 255)
    call.write(call.given[1] if call.name == "read" else call.given[0], _bytes(call, count))
    return count if call.name == "read" else count // call.given[1] if call.given[1] else 0


@model("fgets")
def _fgets(call: Call) -> int:
    size = call.signed(1)
    text = _bytes(call, min(max(size - 1, 0), call.side.answer("file", "u8") & 255)).replace(b"\0", b" ")
    if not text:
        return 0
    call.write(call.given[0], text + b"\0")
    return call.given[0]


@model("fgetc", "getc", "_IO_getc", "getchar")
def _getc(call: Call) -> int:
    value = call.side.answer("file", "u16")
    return value & 255 if value % 8 else MINUS


@model("__errno_location", "__ctype_b_loc", "__ctype_tolower_loc", "__ctype_toupper_loc")
def _location(call: Call) -> int:
    """An address that stays the same: of a page of its own."""
    return layout.HEAP - layout.REGION + layout.PAGE * (1 + sum(map(ord, call.name)) % 4096)
