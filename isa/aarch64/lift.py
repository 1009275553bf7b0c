"""AArch64 code to terms, from the encoding bits. What no row of the table knows is opaque, never skipped."""

from __future__ import annotations

from collections.abc import Sequence

from isa.aarch64 import atomic, fp, integer, memory, vector, vector_fp, vector_move
from isa.aarch64.state import A64, TABLE
from isa.flow import Unmodelled, run
from isa.machine import Effect, Instruction

SEMANTICS = (integer, memory, atomic, fp, vector, vector_fp, vector_move)  # importing them fills TABLE


def lift(code: Sequence[Instruction], size: int, shared: bool = False) -> Effect:
    """The effect of ``size`` bytes of assembled code over ``var("x0", 64)``, ``var("v3.lo", 64)``, ``var("n", 1)``.

    Never raises for an instruction: what has no semantics here is named in ``Effect.opaque``. Rounding is to nearest
    even and flush-to-zero is off, as on entry to a C program. shared: loads give unknowns (``isa.flow``).
    """
    machine = A64(code, size, shared)

    def step(instruction: Instruction) -> None:
        found = TABLE.decode(int.from_bytes(instruction.code, "little")) if len(instruction.code) == 4 else None
        if found is None:
            raise Unmodelled()
        handler, fields = found
        handler(machine, **fields)

    return run(machine, step)
