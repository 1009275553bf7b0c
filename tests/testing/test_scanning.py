"""The model of sscanf beside the C library's own."""

import ctypes
from types import SimpleNamespace

import pytest

from guesssketch.testing.library import MODELS

CASES = [
    (b"%d %15s %d costs %lf %3s %lu", b"14 March 2024 costs 12.75 EUR 18446744073709551615"), (b"%*d,%n%x", b"-7,0x1f"),
    (b"%[^,],%2c%hhd", b"a b,xy300"), (b"%i%i%i", b"017 0x1F -9"), (b"%d", b""), (b"%d", b"x"), (b"a%d", b"b1"), (b"%s%d", b"one"),
    (b"%f%%%lf", b"1e2%0x1.8p3"), (b"%5d%u", b"1234567"), (b"%ld%o", b"-99999999999 077"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "text"), CASES)
def test_fields_are_found_as_the_c_library_finds_them(form: bytes, text: bytes) -> None:
    buffers = [ctypes.create_string_buffer(b"U" * 64, 64) for _ in range(7)]
    expected = ctypes.CDLL(None).sscanf(text, form, *buffers)
    mine = [bytearray(b"U" * 64) for _ in buffers]
    order = iter(range(len(buffers)))

    def write(where: int, data: bytes) -> None:
        mine[where][: len(data)] = data

    call = SimpleNamespace(name="sscanf", given=[0, 1], string=lambda which: (text, form)[which], write=write,
                           variable=lambda: SimpleNamespace(integer=lambda: next(order)))  # fmt: skip
    found = MODELS["sscanf"](call)  # type: ignore[arg-type]
    assert found == expected & (1 << 64) - 1 and [bytes(m) for m in mine] == [b.raw for b in buffers]
