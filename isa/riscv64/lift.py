"""RV64GC code to terms, from the encoding bits. What no row of the table knows is opaque, never skipped."""

from __future__ import annotations

from collections.abc import Sequence

from isa.flow import Unmodelled, run
from isa.machine import Effect, Instruction
from isa.riscv64 import atomic, fp, integer
from isa.riscv64.compressed import expand
from isa.riscv64.state import RV64, TABLE

SEMANTICS = (integer, atomic, fp)  # importing them fills TABLE


def lift(code: Sequence[Instruction], size: int, shared: bool = False) -> Effect:
    """The effect of ``size`` bytes of assembled code over ``var("x10", 64)``, ``var("f10", 64)`` and so on.

    Never raises for an instruction: what has no semantics here is named in ``Effect.opaque``.
    shared: loads give unknowns (``isa.flow``).
    """
    machine = RV64(code, size, shared)

    def step(instruction: Instruction) -> None:
        word = int.from_bytes(instruction.code, "little")
        machine.expanded = word if len(instruction.code) == 4 else expand(word)
        found = TABLE.decode(machine.expanded)
        if found is None:
            raise Unmodelled()
        handler, fields = found
        handler(machine, **fields)

    return run(machine, step)
