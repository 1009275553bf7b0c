"""Values that are worth trying: boundaries, small numbers, what the code compares with, pointers."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence
from typing import Final

from guesssketch.program import Function
from guesssketch.prototypes import Type
from guesssketch.testing import layout
from guesssketch.testing.convention import extended

_SMALL: Final[tuple[int, ...]] = (*range(18), 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 1000, 4095, 4096)
_EDGES: Final[tuple[int, ...]] = tuple(
    (sign << n) + d & (1 << 64) - 1 for n in (7, 8, 15, 16, 31, 32, 63) for sign in (1, -1) for d in (-1, 0, 1)
)
_FLOATS: Final = (0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.0, 3.0, 10.0, 100.0, -2.5, 1e-3, 1e10, 1e300, 5e-324, 2.0**31, -(2.0**31),
                  2.0**52 + 1, 2.0**63, float("inf"), float("-inf"), float("nan"))  # fmt: skip
_TELLING: Final = ("cmp", "sub", "test", "mov", "and", "lea", "add", "xor")
_IMMEDIATE: Final = re.compile(r"(?<![\w+*\[-])(?:- )?(0x[0-9a-f]+|\d+)$")


def constants(functions: Sequence[Function]) -> list[int]:
    """The immediate operands of these functions' instructions, and their neighbours: what branches hang on."""
    found: dict[int, None] = {}
    for function in functions:
        for block in function.blocks.values():
            for instruction in block.instructions:
                if instruction.mnemonic.startswith(_TELLING) and "," in instruction.text:
                    match = _IMMEDIATE.search(instruction.text.rsplit(",", 1)[1].strip())
                    if match:
                        value = int(match[1], 0)
                        found |= dict.fromkeys((value, value + 1, max(value - 1, 0)))
    return [value & (1 << 64) - 1 for value in found][:512]


class Values:
    """A stream of values, from one random source."""

    def __init__(self, source: random.Random, known: Sequence[int]) -> None:
        self.source, self.known = source, known

    def number(self) -> int:
        kind = self.source.random()
        if kind < 0.35:
            return self.source.choice(_SMALL)
        if kind < 0.55 and self.known:
            return self.source.choice(self.known)
        if kind < 0.65:
            return -self.source.randrange(1, 70) & (1 << 64) - 1
        if kind < 0.75:
            return _EDGES[self.source.randrange(len(_EDGES))]
        return self.source.getrandbits(self.source.choice((6, 8, 8, 12, 16, 32, 64)))

    def pointer(self) -> int:
        """To memory that nothing else points to."""
        return layout.GROWN + self.source.getrandbits(layout.GROWN_BITS - 1) * layout.PAGE

    def argument(self, kind: Type, index: int) -> bytes:
        """A value for parameter ``index`` of type ``kind``."""
        if kind.code == "struct":
            value = bytearray(kind.size)
            for offset, member in kind.members:
                value[offset : offset + member.size] = self.argument(member, index)[: member.size]
            return bytes(value)
        if kind.code == "i128":
            return self.number().to_bytes(8, "little") + self.number().to_bytes(8, "little")
        if kind.is_float:
            return self._float(kind.code)
        region = layout.ARENA + index * layout.REGION
        choice = self.source.random()
        if kind.code in ("ptr", "va_list"):
            value_ = region if choice < 0.8 else 0 if choice < 0.88 else region + self.source.choice((1, 4, 8, 24, 100, 4090))
            if choice > 0.97:
                value_ = layout.ARENA + self.source.randrange(6) * layout.REGION
        elif kind.code == "u64" and choice < 0.35:
            value_ = region
        else:
            value_ = extended(self.number(), kind.code)
        return value_.to_bytes(8, "little")

    def _float(self, code: str) -> bytes:
        kind = self.source.random()
        value = self.source.choice(_FLOATS) if kind < 0.6 else self.source.uniform(-1000, 1000)
        if code == "f32":
            return struct.pack("<f", value if abs(value) < 1e38 or value in (float("inf"), float("-inf")) else 3e38).ljust(8, b"\0")
        return struct.pack("<d", value)

    def patch(self, old: bytes) -> bytes:
        """Something else in the place of ``old``."""
        size, kind = len(old), self.source.random()
        if size == 16:
            half = 8 * self.source.randrange(2)
            return old[:half] + self.patch(old[half : half + 8]) + old[half + 8 :]
        if size == 8 and kind < 0.3:
            return self.pointer().to_bytes(8, "little")
        if kind < 0.45:
            value = int.from_bytes(old, "little") + self.source.choice((1, -1, 2, -2, 8, 16))
        elif kind < 0.55:
            value = int.from_bytes(old, "little") ^ 1 << self.source.randrange(8 * size)
        elif kind < 0.6:
            return self._float("f64" if size == 8 else "f32")[:size] if size in (4, 8) else bytes(size)
        elif kind < 0.7:
            value = int.from_bytes(bytes(self.source.choice(b" \t\n09aAzZ_.,;-+%\"\\/<>=(){}") for _ in range(size)), "little")
        else:
            value = self.number()
        return (value & (1 << 8 * size) - 1).to_bytes(size, "little")
