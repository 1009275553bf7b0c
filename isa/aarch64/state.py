"""AArch64 state: x0..x30 and sp, v0..v31 as two halves, NZCV; and the table that the semantics files fill.

What is odd here: register 31 is sp or zero by instruction; a write to a W register clears the upper half, one to a B,
H, S or D register clears the rest of the 128 bits; C after a subtraction is the inverse of a borrow. Flags are terms
of the shape that x86-64's compares have (carry = not a < b), so that most conditions meet as one term.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from isa import terms as t
from isa.flow import Machine
from isa.machine import Instruction
from isa.patterns import Table
from isa.pcode_ops import both, either, equal, exclusive
from isa.terms import Term

CELLS: Final[dict[str, int]] = (
    {f"x{n}": 64 for n in range(31)}
    | {"sp": 64}
    | {f"v{n}.{half}": 64 for n in range(32) for half in ("lo", "hi")}
    | dict.fromkeys("nzcv", 1)
)

TABLE: Final = Table(key=(24, 5))


class A64(Machine):
    """A machine with AArch64's registers. Register numbers are those of the encoding."""

    def __init__(self, code: Sequence[Instruction], size: int, shared: bool = False) -> None:
        super().__init__(CELLS, code, size, shared)

    def x(self, n: int, width: int = 64, sp: bool = False) -> Term:
        """General register ``n``, its low ``width`` bits; 31 is sp if ``sp``, else zero."""
        if n == 31 and not sp:
            return t.const(0, width)
        return t.extract(self.read("sp" if n == 31 else f"x{n}"), 0, width)

    def set_x(self, n: int, value: Term, sp: bool = False) -> None:
        """Write general register ``n``, zero-extending; 31 is sp if ``sp``, else nowhere."""
        if n != 31 or sp:
            self.write("sp" if n == 31 else f"x{n}", t.zext(value, 64))

    def v(self, n: int, width: int = 128) -> Term:
        """The low ``width`` bits of vector register ``n``."""
        if width <= 64:
            return t.extract(self.read(f"v{n}.lo"), 0, width)
        return t.concat(self.read(f"v{n}.hi"), self.read(f"v{n}.lo"))

    def set_v(self, n: int, value: Term) -> None:
        """Write vector register ``n``; bits above the value's width become 0."""
        value = t.zext(value, 128)
        self.write(f"v{n}.lo", t.extract(value, 0, 64))
        self.write(f"v{n}.hi", t.extract(value, 64, 64))

    def set_flags(self, n: Term, z: Term, c: Term, v: Term) -> None:
        for flag, value in zip("nzcv", (n, z, c, v), strict=True):
            self.write(flag, value)

    def holds(self, cond: int) -> Term:
        """The condition with code ``cond`` (Arm ARM C1.2.4)."""
        n, z, c, v = (self.read(flag) for flag in "nzcv")
        less = exclusive(n, v)
        base = (z, c, n, v, both(c, t.not_(z)), t.not_(less), t.not_(either(z, less)), t.TRUE)[cond >> 1]
        return t.not_(base) if cond & 1 and cond != 15 else base


def add_with_flags(m: A64, a: Term, b: Term) -> Term:
    result = t.add(a, b)
    same = equal(result, t.const(0, result.width))
    m.set_flags(sign(result), same, t.compare("uaddo", a, b), t.compare("saddo", a, b))
    return result


def sub_with_flags(m: A64, a: Term, b: Term) -> Term:
    result = t.sub(a, b)
    m.set_flags(sign(result), t.eq(a, b), t.not_(t.ult(a, b)), t.compare("ssubo", a, b))
    return result


def logic_flags(m: A64, result: Term) -> None:
    m.set_flags(sign(result), zero(result), t.FALSE, t.FALSE)


def sign(value: Term) -> Term:
    return t.slt(value, t.const(0, value.width))


def zero(value: Term) -> Term:
    return t.eq(value, t.const(0, value.width))
