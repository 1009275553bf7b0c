"""``rep`` string instructions: one round, whose branch back to itself is the block's conditional exit.

A round does nothing when rcx is 0. The condition is "go again": the round was executed, rcx is not yet 0 afterwards
and, for ``repe``/``repne`` ``cmps``/``scas``, the comparison says so. Direction flag 0.
"""

from __future__ import annotations

from typing import Final

from isa import terms as t
from isa.machine import Instruction
from isa.pcode import merge
from isa.x86_64.lifter import X86Lifter, X86Override
from isa.x86_64.semantics import compare_flags

_SIZES: Final = {"b": 1, "w": 2, "d": 4, "q": 8}
_ACCUMULATOR: Final = {1: "al", 2: "ax", 4: "eax", 8: "rax"}
_NAMES: Final = ("movs", "stos", "lods", "cmps", "scas")


def _advance(lifter: X86Lifter, register: str, size: int) -> None:
    lifter.set_cell(register, t.add(lifter.cell(register), t.const(size, 64)))


def _iterate(lifter: X86Lifter, name: str, size: int) -> None:
    """One iteration of ``name``, rcx left alone."""
    source, destination = lifter.cell("rsi"), lifter.cell("rdi")
    if name == "movs":
        lifter.store(destination, lifter.load(source, size))
    elif name == "stos":
        lifter.store(destination, lifter.general(_ACCUMULATOR[size]))
    elif name == "lods":
        lifter.set_general(_ACCUMULATOR[size], lifter.load(source, size))
    elif name == "cmps":
        first = lifter.load(source, size)
        compare_flags(lifter, first, lifter.load(destination, size))
    else:
        compare_flags(lifter, lifter.general(_ACCUMULATOR[size]), lifter.load(destination, size))
    if name in ("movs", "lods", "cmps"):
        _advance(lifter, "rsi", size)
    if name != "lods":
        _advance(lifter, "rdi", size)


def _repeat(while_zero: bool) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        decoded = lifter.decoded(instruction)
        name, size = decoded.mnemonic[:-1], _SIZES.get(decoded.mnemonic[-1], 0)
        if name not in _NAMES or not size:
            return False
        if decoded.address_size != 8 or any(o.segment in ("fs", "gs") for o in decoded.operands):
            lifter.refuse(f"addressing mode of {instruction.text}")
        executed = t.ne(lifter.cell("rcx"), t.const(0, 64))
        skipped = lifter.now.copy()
        skipped.guard += (t.not_(executed),)
        lifter.now.guard += (executed,)
        left = t.sub(lifter.cell("rcx"), t.const(1, 64))
        lifter.set_cell("rcx", left)
        _iterate(lifter, name, size)
        again = t.and_(executed, t.ne(left, t.const(0, 64)))
        if name in ("cmps", "scas"):
            same = lifter.cell("zf")
            again = t.and_(again, same if while_zero else t.not_(same))
        lifter.condition = again
        lifter.state = merge(skipped, lifter.state, lifter.width)
        return True

    return override


PREFIXES: Final[dict[str, X86Override]] = {"rep": _repeat(True), "repe": _repeat(True), "repz": _repeat(True),
                                           "repne": _repeat(False), "repnz": _repeat(False)}  # fmt: skip
