"""RV64GC state: x1..x31 and f0..f31, all of 64 bits; and the table that the semantics files fill.

What is odd here: there are no flags; W forms sign-extend; a single-precision number in an f register counts only if all
the upper 32 bits are ones (NaN-boxing, ISA manual 20191213, 12.2), else it reads as the canonical NaN; all NaN results
are canonical. x4, the thread pointer, reads as ``var("tp", 64)``. The rounding mode ``dyn`` is taken to be nearest
even, as on entry to a C program; fflags is not modelled, and reading it is opaque.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from isa import terms as t
from isa.flow import Machine, require
from isa.machine import Instruction
from isa.patterns import Table
from isa.terms import Term

CELLS: Final[dict[str, int]] = {f"x{n}": 64 for n in range(1, 32)} | {f"f{n}": 64 for n in range(32)}

TABLE: Final = Table(key=(2, 5))

CANONICAL_NAN: Final = {32: 0x7FC00000, 64: 0x7FF8000000000000}
THREAD_POINTER: Final = 4


class RV64(Machine):
    """A machine with RV64's registers."""

    def __init__(self, code: Sequence[Instruction], size: int, shared: bool = False) -> None:
        super().__init__(CELLS, code, size, shared)
        self.expanded = 0  # the current instruction's encoding, compressed ones expanded

    def x(self, n: int, width: int = 64) -> Term:
        """The low ``width`` bits of integer register ``n``."""
        if n == 0:
            return t.const(0, width)
        return t.extract(t.var("tp", 64) if n == THREAD_POINTER else self.read(f"x{n}"), 0, width)

    def set_x(self, n: int, value: Term) -> None:
        """Write integer register ``n``, sign-extending a value of fewer than 64 bits."""
        require(n != THREAD_POINTER, "write to tp")
        if n:
            self.write(f"x{n}", t.sext(value, 64))

    def f(self, n: int, width: int) -> Term:
        """Register ``n`` as a number of ``width`` bits."""
        whole = self.read(f"f{n}")
        if width == 64:
            return whole
        boxed = t.eq(t.extract(whole, 32, 32), t.const(-1, 32))
        return t.ite(boxed, t.extract(whole, 0, 32), t.const(CANONICAL_NAN[32], 32))

    def set_f(self, n: int, value: Term) -> None:
        self.write(f"f{n}", value if value.width == 64 else t.concat(t.const(-1, 32), value))
