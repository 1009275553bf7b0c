"""Integer instructions that compilers seldom emit and people write: rotation through carry, ``movbe``, ``lea`` of a 32-bit
address, ``lods``, and the jumps by rcx. Source: Intel SDM volume 2."""

from __future__ import annotations

from typing import Final

from isa import terms as t
from isa.machine import Instruction
from isa.terms import Term
from isa.x86_64.lifter import REGISTERS, X86Lifter, X86Override, short_address
from isa.x86_64.semantics import flag_of_one, shift_count, top


def _rotate_through_carry(left: bool) -> X86Override:
    """The operand and the carry flag are one number of ``width + 1`` bits. A shift by the width or more gives 0, so that a
    count of 0 needs nothing of its own."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        operand = lifter.decoded(instruction).operands[0]
        value, carry = lifter.get(instruction, operand), lifter.cell("cf")
        width = value.width
        count = shift_count(lifter, instruction, width)
        by = count if width >= 32 else t.binary("urem", count, t.const(width + 1, width))
        before, wide = t.sub(by, t.const(1, width)), t.const(width, width)
        forth, back = (t.shl, t.lshr) if left else (t.lshr, t.shl)
        lone = t.zext(carry, width) if left else t.concat(carry, t.const(0, width - 1))
        around = back(back(value, t.sub(wide, by)), t.const(1, width))
        result = t.or_(t.or_(forth(value, by), around), forth(lone, before))
        out = t.extract(t.lshr(value, t.sub(wide, by) if left else before), 0, 1)
        new = t.ite(t.eq(by, t.const(0, width)), carry, out)
        lifter.put(instruction, operand, result)
        flag_of_one(lifter, count, t.xor(top(result), new) if left else t.xor(top(value), carry))
        lifter.set_cell("cf", new)
        return True

    return override


def _move_swapped(lifter: X86Lifter, instruction: Instruction) -> bool:
    first, second = lifter.decoded(instruction).operands
    value = lifter.get(instruction, second)
    lifter.put(instruction, first, t.concat(*(t.extract(value, low, 8) for low in range(0, value.width, 8))))
    return True


def _load_address(lifter: X86Lifter, instruction: Instruction) -> bool:
    """``lea`` with the prefix 67h: the low 32 bits of the sum."""
    decoded = lifter.decoded(instruction)
    first, second = decoded.operands
    if not short_address(decoded):
        return False
    if instruction.relocations or second.base == "eip":
        lifter.refuse(f"32-bit address: {instruction.text}")
        return True
    total = t.const(second.displacement, 64)
    for name, scale in ((second.base, 1), (second.index, second.scale)):
        if name is not None:
            total = t.add(total, t.mul(lifter.cell(REGISTERS[name][0]), t.const(scale, 64)))
    width = min(8 * first.size, 32)
    lifter.set_general(first.register, t.zext(t.extract(total, 0, width), 8 * first.size))
    return True


def _load_string(size: int, register: str) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        if short_address(lifter.decoded(instruction)) or "fs:" in instruction.text or "gs:" in instruction.text:
            lifter.refuse(f"addressing mode of {instruction.text}")
            return True
        lifter.set_general(register, lifter.load(lifter.cell("rsi"), size))
        lifter.set_cell("rsi", t.add(lifter.cell("rsi"), t.const(size, 64)))
        return True

    return override


def jump_by_count(lifter: X86Lifter, instruction: Instruction) -> Term | None:
    """The condition of ``jrcxz`` and ``loop``, which counts rcx down; None for any other instruction."""
    decoded = lifter.decoded(instruction)
    if decoded.mnemonic == "jrcxz":
        return t.eq(lifter.cell("rcx"), t.const(0, 64))
    if decoded.mnemonic not in ("loop", "loope", "loopne") or decoded.address_size != 8:
        return None
    left = t.sub(lifter.cell("rcx"), t.const(1, 64))
    lifter.set_cell("rcx", left)
    again = t.ne(left, t.const(0, 64))
    same = lifter.cell("zf")
    return {"loop": again, "loope": t.and_(again, same), "loopne": t.and_(again, t.not_(same))}[decoded.mnemonic]


OVERRIDES: Final[dict[str, X86Override]] = {
    "rcl": _rotate_through_carry(True), "rcr": _rotate_through_carry(False),
    "movbe": _move_swapped, "lea": _load_address,
    "lodsb": _load_string(1, "al"), "lodsw": _load_string(2, "ax"), "lodsd": _load_string(4, "eax"),
    "lodsq": _load_string(8, "rax"),
}  # fmt: skip
