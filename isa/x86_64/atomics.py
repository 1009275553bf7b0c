"""Locked instructions and fences: one indivisible read-modify-write each, which is a full barrier (Intel SDM volume 3, 9.1, 9.2).

A locked instruction has the plain one's semantics; its load and store become one ``atomic`` event. ``xchg`` with memory is
locked without the prefix. A compare that fails writes the old value back (SDM volume 2, CMPXCHG), so every locked instruction
writes. The accumulator of a compare that succeeds keeps its upper half, as on processors.
"""

from __future__ import annotations

from typing import Final

from isa import terms as t
from isa.machine import EVERY_ORDER, Instruction
from isa.terms import Term
from isa.x86_64.decode import decode
from isa.x86_64.lifter import REGISTERS, X86Lifter, X86Override
from isa.x86_64.semantics import compare_flags, sum_flags

# LFENCE orders what TSO orders anyway, SFENCE stores that went past the caches; MFENCE everything.
FENCES: Final = {"mfence": EVERY_ORDER, "lfence": frozenset({"rr", "rw"}), "sfence": frozenset({"ww"})}
_ACCUMULATORS: Final = {8: "al", 16: "ax", 32: "eax", 64: "rax"}


def is_atomic(instruction: Instruction) -> bool:
    """Whether ``instruction`` is locked or a fence, and so a block of its own."""
    try:
        decoded = decode(instruction.code)
    except ValueError:
        return False
    exchanges = decoded.mnemonic == "xchg" and any(o.kind == "mem" for o in decoded.operands)
    return decoded.prefix == "lock" or exchanges or decoded.mnemonic in FENCES


def locked(lifter: X86Lifter, instruction: Instruction) -> bool:
    """``lock``: the instruction without the prefix, indivisible."""
    code = instruction.code.replace(b"\xf0", b"", 1)
    shift = len(instruction.code) - len(code)
    moved = tuple(type(r)(r.offset - shift, r.kind, r.symbol, r.pair) for r in instruction.relocations)
    lifter.step(Instruction(instruction.offset, code, instruction.text.replace("lock ", ""), moved))
    lifter.indivisible()
    return True


def _fence(orders: frozenset[str]) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        lifter.fence(orders)
        return True

    return override


def _exchange(lifter: X86Lifter, instruction: Instruction) -> bool:
    one, other = lifter.decoded(instruction).operands
    if other.kind == "mem":
        one, other = other, one
    if one.kind != "mem":
        return False
    new = lifter.get(instruction, other)
    old = lifter.get(instruction, one)
    lifter.put(instruction, one, new)
    lifter.put(instruction, other, old)
    lifter.indivisible()
    return True


def _exchange_add(lifter: X86Lifter, instruction: Instruction) -> bool:
    place, source = lifter.decoded(instruction).operands
    old, more = lifter.get(instruction, place), lifter.get(instruction, source)
    total = t.add(old, more)
    sum_flags(lifter, old, more)
    written = [(source, old), (place, total)]
    for operand, value in reversed(written) if place.kind == "mem" else written:  # an address may be in the source register
        lifter.put(instruction, operand, value)
    return True


def _compare_exchange(lifter: X86Lifter, instruction: Instruction) -> bool:
    place, source = lifter.decoded(instruction).operands
    old, new = lifter.get(instruction, place), lifter.get(instruction, source)
    accumulator = _ACCUMULATORS[old.width]
    expected, whole = lifter.general(accumulator), lifter.cell("rax")
    if place.kind == "reg" and REGISTERS[place.register][0] == "rax":
        lifter.refuse(f"the accumulator as destination: {instruction.text}")
    same = t.eq(old, expected)
    compare_flags(lifter, expected, old)
    home = REGISTERS[place.register][0] if place.kind == "reg" else None
    before = None if home is None else lifter.cell(home)
    lifter.put(instruction, place, t.ite(same, new, old))
    if home is not None and before is not None:  # a register that differs is not written, its upper half neither
        lifter.set_cell(home, t.ite(same, lifter.cell(home), before))
    lifter.set_general(accumulator, old)
    lifter.set_cell("rax", t.ite(same, whole, lifter.cell("rax")))
    return True


def _compare_exchange_pair(lifter: X86Lifter, instruction: Instruction) -> bool:
    """``cmpxchg8b``, ``cmpxchg16b``: edx:eax against memory, ecx:ebx to it; only zf changes."""
    (place,) = lifter.decoded(instruction).operands
    half = 4 * place.size

    def pair(high: str, low: str) -> Term:
        return t.concat(*(t.extract(lifter.cell(name), 0, half) for name in (high, low)))

    old, expected = lifter.get(instruction, place), pair("rdx", "rax")
    same = t.eq(old, expected)
    lifter.put(instruction, place, t.ite(same, pair("rcx", "rbx"), old))
    lifter.set_cell("zf", same)
    for name, low in (("rax", 0), ("rdx", half)):
        lifter.set_cell(name, t.ite(same, lifter.cell(name), t.zext(t.extract(old, low, half), 64)))
    return True


OVERRIDES: Final[dict[str, X86Override]] = {
    **{name: _fence(orders) for name, orders in FENCES.items()},
    "xchg": _exchange, "xadd": _exchange_add,
    "cmpxchg": _compare_exchange, "cmpxchg8b": _compare_exchange_pair, "cmpxchg16b": _compare_exchange_pair,
}  # fmt: skip
