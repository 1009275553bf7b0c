"""Atomic accesses as inline assembly: one AMO where RISC-V has it, else a load-exclusive and a store-exclusive.

If the store-exclusive fails, the block goes back to its start with all registers as they were.
"""

from __future__ import annotations

from typing import Final

from guesssketch.lowering.emitter import Unsupported
from guesssketch.lowering.expressions import Expressions
from isa import terms as t
from isa.machine import Event
from isa.terms import BINARY, Term

_SUFFIX: Final = {1: "b", 2: "h", 4: "", 8: ""}
_AMOS: Final = {"add": "amoadd", "and": "amoand", "or": "amoor", "xor": "amoxor"}


class Atomic:
    """The one atomic access of a locked instruction: ``event``."""

    def __init__(self, emitter: Expressions, event: Event) -> None:
        assert event.address is not None and event.stored is not None and event.value is not None
        self.new = emitter.new
        self.out, self.size, self.stored = emitter, event.size, event.stored
        self.found = [x for x in t.walk(event.value) if x.op == "var"]
        self.found.sort(key=lambda x: int(x.attr.partition(":")[2]))
        self.address = emitter.value(event.address)

    def emit(self) -> str | None:
        """Gives the bit that says whether it failed; None if it cannot."""
        if self.out.target == "aarch64":
            return self._exclusive_pair() if self.size == 16 else self._exclusive_aarch64()
        if self.size == 16:
            raise Unsupported("an atomic access of 16 bytes")
        operation = self._amo()
        if self.size >= 4:
            return self._whole_word(operation)
        return self._part_of_word(operation)

    # AArch64

    def _exclusive_aarch64(self) -> str:
        kind, view = ("i64", "x") if self.size == 8 else ("i32", "w")
        suffix = _SUFFIX[self.size]
        old = self.new(f'call {kind} asm sideeffect "ldxr{suffix} ${{0:{view}}}, [$1]", "=r,r"(i64 {self.address})')
        width = 8 * self.size
        self.out.bind(self.found[0], old if width >= 32 else self.new(f"trunc i32 {old} to i{width}"))
        new = self.out.value(self.stored)
        if width < 32:
            new = self.new(f"zext i{width} {new} to i32")
        failed = self.new(f'call i32 asm sideeffect "stlxr{suffix} ${{0:w}}, ${{1:{view}}}, [$2]", '
                          f'"=&r,r,r,~{{memory}}"({kind} {new}, i64 {self.address})')  # fmt: skip
        return self.new(f"icmp ne i32 {failed}, 0")

    def _exclusive_pair(self) -> str:
        both = self.new('call { i64, i64 } asm sideeffect "ldxp $0, $1, [$2]", "=&r,=&r,r"' f"(i64 {self.address})")
        for number, x in enumerate(self.found):
            self.out.bind(x, self.new(f"extractvalue {{ i64, i64 }} {both}, {number}"))
        new = [self.out.value(t.extract(self.stored, low, 64)) for low in (0, 64)]
        failed = self.new('call i32 asm sideeffect "stlxp ${0:w}, $1, $2, [$3]", "=&r,r,r,r,~{memory}"'
                          f"(i64 {new[0]}, i64 {new[1]}, i64 {self.address})")  # fmt: skip
        return self.new(f"icmp ne i32 {failed}, 0")

    # RISC-V

    def _amo(self) -> tuple[str, Term] | None:
        """The AMO that stores this, and its operand, which does not depend on what is found."""
        (found,), x = self.found, self.stored
        if found.attr not in t.variables(x):
            return "amoswap", x
        if x is t.not_(found):
            return "amoxor", t.const(-1, x.width)
        if x.op in BINARY and found in x.args:
            other = x.args[1] if x.args[0] is found else x.args[0]
            if found.attr in t.variables(other):
                return None
            if x.op in _AMOS:
                return _AMOS[x.op], other
            if x.op == "sub" and x.args[0] is found:
                return "amoadd", t.neg(other)
        return None

    def _amo_call(self, operation: str, suffix: str, operand: str, address: str) -> str:
        return self.new(f'call i64 asm sideeffect "{operation}.{suffix}.aqrl $0, $1, ($2)", "=r,r,r,~{{memory}}"'
                        f"(i64 {operand}, i64 {address})")  # fmt: skip

    def _reserved(self, suffix: str, address: str) -> str:
        return self.new(f'call i64 asm sideeffect "lr.{suffix}.aq $0, ($1)", "=r,r"(i64 {address})')

    def _conditional(self, suffix: str, new: str, address: str) -> str:
        failed = self.new(f'call i64 asm sideeffect "sc.{suffix}.aqrl $0, $1, ($2)", "=r,r,r,~{{memory}}"'
                          f"(i64 {new}, i64 {address})")  # fmt: skip
        return self.new(f"icmp ne i64 {failed}, 0")

    def _whole_word(self, operation: tuple[str, Term] | None) -> str | None:
        suffix, width = ("d", 64) if self.size == 8 else ("w", 32)

        def whole(value: str) -> str:
            return value if width == 64 else self.new(f"sext i32 {value} to i64")

        def narrow(value: str) -> str:
            return value if width == 64 else self.new(f"trunc i64 {value} to i32")

        if operation is not None:
            operand = whole(self.out.value(operation[1]))
            self.out.bind(self.found[0], narrow(self._amo_call(operation[0], suffix, operand, self.address)))
            return None
        self.out.bind(self.found[0], narrow(self._reserved(suffix, self.address)))
        return self._conditional(suffix, whole(self.out.value(self.stored)), self.address)

    def _part_of_word(self, operation: tuple[str, Term] | None) -> str | None:
        """Bytes in their word. Of the address of a half, bit 0 stays, so that a misaligned one traps."""
        new, width = self.new, 8 * self.size
        place = new(f"and i64 {self.address}, {-4 if self.size == 1 else -3}")
        offset = new(f"and i64 {self.address}, {3 if self.size == 1 else 2}")
        by = new(f"shl i64 {offset}, 3")
        ones = (1 << width) - 1

        def part(word: str) -> str:
            return new(f"trunc i64 {new(f'lshr i64 {word}, {by}')} to i{width}")

        def shifted(value: str) -> str:
            return new(f"shl i64 {new(f'zext i{width} {value} to i64')}, {by}")

        if operation is not None and operation[0] in ("amoand", "amoor", "amoxor"):
            operand = shifted(self.out.value(operation[1]))
            if operation[0] == "amoand":
                around = new(f"xor i64 {new(f'shl i64 {ones}, {by}')}, -1")
                operand = new(f"or i64 {operand}, {around}")
            self.out.bind(self.found[0], part(self._amo_call(operation[0], "w", operand, place)))
            return None
        word = self._reserved("w", place)
        old = part(word)
        self.out.bind(self.found[0], old)
        change = shifted(new(f"xor i{width} {old}, {self.out.value(self.stored)}"))
        return self._conditional("w", new(f"xor i64 {word}, {change}"), place)
