"""Values put where a calling convention wants them, and found there: arguments, results, variable arguments.

A value is its bytes in memory, of its type's size; integers and pointers have eight, extended as their type says.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from guesssketch.prototypes import Signature, Type, scalar
from guesssketch.testing import layout
from guesssketch.wall.places import TARGET_PLACES, Location, Piece, Places, Register, x86_places
from isa.statemap import CALLEE_SAVED
from solver.process import Process

_PLACES: Final = {"x86_64": x86_places, **TARGET_PLACES}
_POINTER: Final = {"x86_64": "rsp", "aarch64": "sp", "riscv64": "x2"}
_LINK: Final = {"aarch64": "x30", "riscv64": "x1"}
_THREAD: Final = {"x86_64": "fs_base", "aarch64": "tp", "riscv64": "x4"}
_SAVED: Final = {
    "x86_64": CALLEE_SAVED,
    "aarch64": (*(f"x{n}" for n in range(19, 30)), "sp", *(f"v{n}.lo" for n in range(8, 16))),
    "riscv64": ("x2", "x3", "x4", "x8", "x9", *(f"x{n}" for n in range(18, 28)), "f8", "f9", *(f"f{n}" for n in range(18, 28))),
}
_KEPT: Final = {"x86_64": ("fs_base",), "aarch64": ("tp", "x18"), "riscv64": ("x0",)}

_LEFT: Final = {"x86_64": ("rax", "xmm0.lo", "rdx"), "aarch64": ("x0", "v0.lo", "x1"), "riscv64": ("x10", "f10", "x11")}
_SIZES: Final = {"char": 1, "i8": 1, "u8": 1, "i16": 2, "u16": 2, "i32": 4, "u32": 4, "f32": 4}

@functools.lru_cache(maxsize=1024)
def _places(isa: str, signature: Signature) -> Places:
    return _PLACES[isa](signature)


# A function of which nothing is known: six integers or pointers and eight floats; what it leaves in the result's registers.
UNKNOWN: Final = Signature(scalar("u64"), (scalar("u64"),) * 6 + (scalar("f64"),) * 8)


def width(code: str) -> int:
    """Bytes of a scalar that count."""
    return _SIZES.get(code, 8)


def extended(value: int, code: str) -> int:
    """``value`` as 64 bits that hold a scalar of type ``code``: what is narrower than 32 bits is extended to 32."""
    size = width(code)
    if code.startswith(("c", "i", "u")) and size < 4:
        value &= (1 << 8 * size) - 1
        if code[0] != "u" and value >> 8 * size - 1:
            value |= (1 << 32) - (1 << 8 * size)
    return value & (1 << 64) - 1


@dataclass(frozen=True)
class Value:
    """A scalar that was found: ``code`` is its type; ``bits`` as many as that has."""

    code: str
    bits: int


class Convention:
    """The calling convention of one process."""

    def __init__(self, process: Process) -> None:
        self.process, self.isa = process, process.isa
        self.saved = _SAVED[self.isa]
        self.kept = (*self.saved, *_KEPT[self.isa])
        self.pointer = _POINTER[self.isa]

    def places(self, signature: Signature) -> Places:
        """Raises ``wall.places.Unsupported``."""
        return _places(self.isa, signature)

    def thread(self, address: int) -> dict[str, int]:
        return {_THREAD[self.isa]: address}

    def arguments(self, signature: Signature, values: Sequence[bytes], top: int, back: int) -> tuple[dict[str, int], int]:
        """Put a call's arguments below address ``top`` of the stack. Returns the cells to set, and the stack pointer's value."""
        places = self.places(signature)
        below = -(-places.stack // 16) * 16
        start = top - below
        cells: dict[str, int] = {}
        copies = layout.COPIES
        if places.hidden is not None:
            cells[places.hidden.name] = layout.RESULT
        for kind, pieces, value in zip(signature.parameters, places.arguments, values, strict=True):
            if kind.code == "va_list" and (made := self._made_list(int.from_bytes(value, "little"))):
                self.process.write(copies, made)
                value, copies = copies.to_bytes(8, "little"), copies + len(made)
            for piece in pieces:
                if piece.code == "reference":
                    self.process.write(copies, value)
                    bits, copies = copies, copies + -(-kind.size // 16) * 16
                else:
                    bits = self._bits(value[piece.offset : piece.offset + 8], piece)
                if isinstance(piece.location, Register):
                    cells[_cell(piece.location.name)] = bits
                else:
                    self.process.write(start + piece.location.offset, bits.to_bytes(8, "little"))
        if self.isa == "x86_64":
            self.process.write(start - 8, back.to_bytes(8, "little"))
            return cells | {"rsp": start - 8}, start - 8
        return cells | {self.pointer: start, _LINK[self.isa]: back}, start

    def _made_list(self, address: int) -> bytes:
        """A ``va_list`` of arguments that all lie from ``address`` on, as those do that have found no register; RISC-V's is the
        address alone."""
        if self.isa == "x86_64":
            return struct.pack("<IIQQ8x", 48, 176, address, 0)
        return struct.pack("<QQQii", address, 0, 0, 0, 0) if self.isa == "aarch64" else b""

    def _bits(self, raw: bytes, piece: Piece) -> int:
        value = int.from_bytes(raw, "little")
        if self.isa != "riscv64" or piece.code not in _SIZES:
            return value
        size = width(piece.code)
        value &= (1 << 8 * size) - 1
        if piece.code == "f32" or (piece.code not in ("char", "u8", "u16") and value >> 8 * size - 1):
            value |= (1 << 64) - (1 << 8 * size)  # boxed, or extended by its sign: u32, too
        return value

    def result(self, signature: Signature) -> list[Value]:
        """What a function that has just returned gives back in registers."""
        if signature == UNKNOWN:
            return [Value(code, self.process.get(cell)) for code, cell in zip(("u64", "f64", "u64"), _LEFT[self.isa], strict=True)]
        found = []
        for piece in self.places(signature).result:
            assert isinstance(piece.location, Register)
            found.append(Value(piece.code, self.process.get(_cell(piece.location.name)) & (1 << 8 * width(piece.code)) - 1))
        return found

    def back(self) -> int:
        """The return address of the call that has just been made; x86-64's is taken off the stack by ``leave``."""
        if self.isa != "x86_64":
            return self.process.get(_LINK[self.isa])
        return int.from_bytes(self.process.read(self.process.get("rsp"), 8), "little")

    def leave(self) -> None:
        if self.isa == "x86_64":
            self.process.set("rsp", self.process.get("rsp") + 8)

    def received(self, signature: Signature) -> list[int]:
        """The arguments of the call that has just been made, one number each (of a struct, its first eight bytes)."""
        places = self.places(signature)
        found = []
        for kind, pieces in zip(signature.parameters, places.arguments, strict=True):
            bits = self._found(pieces[0].location) if pieces else 0
            if pieces and pieces[0].code == "reference":
                bits = int.from_bytes(self.process.read(bits, 8), "little")
            found.append(bits & (1 << 8 * min(width(kind.code), max(kind.size, 1), 8)) - 1)
        return found

    def hidden(self, signature: Signature) -> int | None:
        """Where the call that has just been made wants its result in memory."""
        place = self.places(signature).hidden
        return None if place is None else self.process.get(_cell(place.name))

    def _found(self, place: Location) -> int:
        if isinstance(place, Register):
            return self.process.get(_cell(place.name))
        return int.from_bytes(self.process.read(self._stacked() + place.offset, 8), "little")

    def _stacked(self) -> int:
        """Address of the stack arguments of the call that has just been made."""
        return self.process.get(self.pointer) + (8 if self.isa == "x86_64" else 0)

    def give(self, kind: Type, value: int) -> None:
        """Leave a scalar (or both words of a small struct) as the result of the call that has just been made."""
        if kind.code == "void":
            return
        for piece in self.places(Signature(kind, ())).result:
            assert isinstance(piece.location, Register)
            raw = (value >> 8 * piece.offset & (1 << 64) - 1).to_bytes(8, "little")
            self.process.set(_cell(piece.location.name), self._bits(raw, piece))

    # --- variable arguments ---

    def variable(self, signature: Signature) -> Variable:
        """The arguments behind the named ones of the variadic call that has just been made."""
        floats = sum(p.is_float for p in signature.parameters)
        integers = len(signature.parameters) - floats
        if self.isa == "riscv64":
            rest = [self.process.get(f"x{10 + n}") for n in range(integers + floats, 8)]
            return Variable(self.process, rest, None, self._stacked())
        names = ("rdi", "rsi", "rdx", "rcx", "r8", "r9") if self.isa == "x86_64" else tuple(f"x{n}" for n in range(8))
        vectors = "xmm{}.lo" if self.isa == "x86_64" else "v{}.lo"
        return Variable(self.process, [self.process.get(n) for n in names[integers:]],
                        [self.process.get(vectors.format(n)) for n in range(floats, 8)], self._stacked())  # fmt: skip

    def listed(self, address: int) -> Variable:
        """The arguments that the ``va_list`` holds whose value (or address) was passed."""
        if self.isa == "riscv64":
            return Variable(self.process, [], None, address)
        if self.isa == "x86_64":
            integers, floats, stack, area = struct.unpack("<IIQQ", self.process.read(address, 24))
            rest = self._words(area + integers, range(0, 48 - integers, 8))
            return Variable(self.process, rest, self._words(area + floats, range(0, 176 - floats, 16)), stack)
        stack, general, vectors, integer, vector = struct.unpack("<QQQii", self.process.read(address, 32))
        return Variable(self.process, self._words(general, range(integer, 0, 8)), self._words(vectors, range(vector, 0, 16)), stack)

    def _words(self, base: int, offsets: range) -> list[int]:
        return [int.from_bytes(self.process.read(base + offset, 8), "little") for offset in offsets]


class Variable:
    """Arguments taken one by one. ``floats`` is None where they travel with the integers."""

    def __init__(self, process: Process, integers: list[int], floats: list[int] | None, stack: int) -> None:
        self.process, self.integers, self.floats, self.stack = process, integers, floats, stack

    def integer(self) -> int:
        return self.integers.pop(0) if self.integers else self._stacked()

    def float(self) -> int:
        """A double's bits."""
        if self.floats is None:
            return self.integer()
        return self.floats.pop(0) if self.floats else self._stacked()

    def _stacked(self) -> int:
        self.stack += 8
        return int.from_bytes(self.process.read(self.stack - 8, 8), "little")


def _cell(name: str) -> str:
    return f"{name}.lo" if name[0] == "v" else name
