"""Integer instructions whose p-code is wrong, silent about undefined flags, or clumsy: their semantics as terms.

Source: Intel SDM volume 2. Flags that it leaves undefined become ``undef``. Where processors agree beyond the manual
(``bsf``/``bsr`` of zero keep the destination) the processors are followed.
"""

from __future__ import annotations

from typing import Final

from isa import terms as t
from isa.machine import Instruction
from isa.pcode_ops import equal
from isa.terms import Term
from isa.x86_64.lifter import X86Lifter, X86Override


def parity(value: Term) -> Term:
    """PF: whether the low byte of ``value`` has an even number of ones."""
    return t.not_(t.extract(t.popcount(t.extract(value, 0, 8)), 0, 1))


def _zero(width: int) -> Term:
    return t.const(0, width)


def _set_result_flags(lifter: X86Lifter, value: Term, condition: Term = t.TRUE) -> None:
    """sf, zf and pf from a result, if ``condition`` holds."""
    for flag, new in (("sf", t.slt(value, _zero(value.width))), ("zf", equal(value, _zero(value.width))), ("pf", parity(value))):
        lifter.set_cell(flag, t.ite(condition, new, lifter.cell(flag)))


def _undefine(lifter: X86Lifter, *flags: str) -> None:
    for flag in flags:
        lifter.set_cell(flag, lifter.undef(flag, 1))


def _then_undefine(*flags: str) -> X86Override:
    """P-code's semantics, after which ``flags`` are undefined."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        lifter.pcode(instruction)
        _undefine(lifter, *flags)
        return True

    return override


def _nothing(lifter: X86Lifter, instruction: Instruction) -> bool:
    return True


def _refused(why: str) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        lifter.refuse(f"{why}: {instruction.text}")
        return True

    return override


def sum_flags(lifter: X86Lifter, a: Term, b: Term) -> None:
    """The flags of ``a + b``."""
    lifter.set_cell("cf", t.compare("uaddo", a, b))
    lifter.set_cell("of", t.compare("saddo", a, b))
    _set_result_flags(lifter, t.add(a, b))


def compare_flags(lifter: X86Lifter, a: Term, b: Term) -> None:
    """The flags of ``a - b``."""
    difference = t.sub(a, b)
    lifter.set_cell("cf", t.ult(a, b))
    lifter.set_cell("of", t.compare("ssubo", a, b))
    _set_result_flags(lifter, difference)


# Shifts and rotations.


def shift_count(lifter: X86Lifter, instruction: Instruction, width: int) -> Term:
    """The masked shift count, ``width`` bits wide."""
    operands = lifter.decoded(instruction).operands
    explicit = operands[-1] if len(operands) > 1 else None
    count = t.const(1, 8) if explicit is None else lifter.get(instruction, explicit, 8)
    return t.zext(t.and_(count, t.const(63 if width == 64 else 31, 8)), width)


def _write_counted(lifter: X86Lifter, instruction: Instruction, value: Term) -> None:
    lifter.put(instruction, lifter.decoded(instruction).operands[0], value)


def flag_of_one(lifter: X86Lifter, count: Term, by_one: Term) -> None:
    """of: kept for a count of 0, ``by_one`` for 1, undefined above."""
    width = count.width
    one = t.ite(t.eq(count, t.const(1, width)), by_one, lifter.undef("of", 1))
    lifter.set_cell("of", t.ite(t.eq(count, _zero(width)), lifter.cell("of"), one))


def top(value: Term) -> Term:
    return t.extract(value, value.width - 1, 1)


def _shift(name: str) -> X86Override:
    op = {"shl": "shl", "sal": "shl", "shr": "lshr", "sar": "ashr"}[name]

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        value = lifter.get(instruction, lifter.decoded(instruction).operands[0])
        width = value.width
        count = shift_count(lifter, instruction, width)
        result = t.binary(op, value, count)
        before_last = t.binary(op, value, t.sub(count, t.const(1, width)))
        carry = top(before_last) if op == "shl" else t.extract(before_last, 0, 1)
        if op != "ashr" and width < 32:
            carry = t.ite(t.compare("ult", count, t.const(width, width)), carry, lifter.undef("cf", 1))
        moved = t.ne(count, _zero(width))
        overflow = {"shl": t.xor(top(result), carry), "lshr": top(value), "ashr": t.FALSE}[op]
        _write_counted(lifter, instruction, result)
        flag_of_one(lifter, count, overflow)
        lifter.set_cell("cf", t.ite(moved, carry, lifter.cell("cf")))
        _set_result_flags(lifter, result, moved)
        return True

    return override


def _rotate(left: bool) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        value = lifter.get(instruction, lifter.decoded(instruction).operands[0])
        width = value.width
        count = shift_count(lifter, instruction, width)
        by = t.and_(count, t.const(width - 1, width))
        back = t.sub(t.const(width, width), by)
        result = t.or_(t.shl(value, by if left else back), t.lshr(value, back if left else by))
        carry = t.extract(result, 0, 1) if left else top(result)
        overflow = t.xor(top(result), carry) if left else t.xor(top(result), t.extract(result, width - 2, 1))
        _write_counted(lifter, instruction, result)
        flag_of_one(lifter, count, overflow)
        lifter.set_cell("cf", t.ite(t.ne(count, _zero(width)), carry, lifter.cell("cf")))
        return True

    return override


def _double_shift(left: bool) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        operands = lifter.decoded(instruction).operands
        value, filler = lifter.get(instruction, operands[0]), lifter.get(instruction, operands[1])
        width = value.width
        count = shift_count(lifter, instruction, width)
        if width == 16 and not (count.op == "const" and count.attr < 16):
            lifter.refuse(instruction.text)  # undefined for counts above 16
        back = t.sub(t.const(width, width), count)
        result = t.or_(t.binary("shl" if left else "lshr", value, count), t.binary("lshr" if left else "shl", filler, back))
        moved = t.ne(count, _zero(width))
        last = t.extract(t.lshr(value, back), 0, 1) if left else t.extract(t.lshr(value, t.sub(count, t.const(1, width))), 0, 1)
        _write_counted(lifter, instruction, result)
        flag_of_one(lifter, count, t.xor(top(value), top(result)))
        lifter.set_cell("cf", t.ite(moved, last, lifter.cell("cf")))
        _set_result_flags(lifter, result, moved)
        return True

    return override


# Bit scans.


def trailing_zeros(value: Term) -> Term:
    """Number of zero bits below the lowest one; the width if there is none."""
    return t.popcount(t.and_(t.not_(value), t.sub(value, t.const(1, value.width))))


def _scan(forward: bool) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        destination, source = lifter.decoded(instruction).operands
        value = lifter.get(instruction, source)
        found = trailing_zeros(value) if forward else t.sub(t.const(value.width - 1, value.width), t.clz(value))
        none = t.eq(value, _zero(value.width))
        old = lifter.get(instruction, destination)
        lifter.set_general(destination.register, t.ite(none, old, found))
        lifter.set_cell("zf", none)
        _undefine(lifter, "cf", "of", "sf", "pf")
        return True

    return override


def _count_zeros(forward: bool) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        destination, source = lifter.decoded(instruction).operands
        value = lifter.get(instruction, source)
        result = trailing_zeros(value) if forward else t.clz(value)
        lifter.set_general(destination.register, result)
        lifter.set_cell("cf", t.eq(value, _zero(value.width)))
        lifter.set_cell("zf", t.eq(result, _zero(value.width)))
        _undefine(lifter, "of", "sf", "pf")
        return True

    return override


# Multiplication and division.

_ACCUMULATORS: Final = {8: ("al", "ah"), 16: ("ax", "dx"), 32: ("eax", "edx"), 64: ("rax", "rdx")}


def _divide(is_signed: bool) -> X86Override:
    """``div``/``idiv``. Faults: division by zero, or a quotient that does not fit. When the high half of the dividend
    is visibly the extension of the low half (after ``cdq``, ``cqo``, ``xor edx,edx``), division has the narrow
    width."""
    divide, remain = ("sdiv", "srem") if is_signed else ("udiv", "urem")

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        divisor = lifter.get(instruction, lifter.decoded(instruction).operands[0])
        width = divisor.width
        low_name, high_name = _ACCUMULATORS[width]
        low, high = lifter.general(low_name), lifter.general(high_name)
        by_zero = t.eq(divisor, _zero(width))
        if _extends(high, low, is_signed):
            quotient, remainder = t.binary(divide, low, divisor), t.binary(remain, low, divisor)
            lowest = t.eq(low, t.const(1 << (width - 1), width))
            overflow = t.and_(lowest, t.eq(divisor, t.const(-1, width))) if is_signed else t.FALSE
        else:
            dividend = t.concat(high, low)
            wide = t.sext(divisor, 2 * width) if is_signed else t.zext(divisor, 2 * width)
            full = t.binary(divide, dividend, wide)
            quotient, remainder = (t.extract(x, 0, width) for x in (full, t.binary(remain, dividend, wide)))
            overflow = t.ne(full, t.sext(quotient, 2 * width)) if is_signed else t.not_(t.ult(high, divisor))
        lifter.fault(t.or_(by_zero, overflow))
        lifter.set_general(low_name, quotient)
        lifter.set_general(high_name, remainder)
        _undefine(lifter, "cf", "of", "sf", "zf", "pf")
        return True

    return override


def _extends(high: Term, low: Term, is_signed: bool) -> bool:
    width = low.width
    if not is_signed:
        return high.op == "const" and high.attr == 0
    spread = t.ashr(low, t.const(width - 1, width))
    return high in (spread, t.extract(t.sext(low, 2 * width), width, width)) or (
        high.op == low.op == "const" and high.attr == (t.mask(width) if low.attr >> (width - 1) else 0)
    )


OVERRIDES: Final[dict[str, X86Override]] = {
    **dict.fromkeys(("nop", "endbr64", "pause", "cld"), _nothing),
    **dict.fromkeys(("prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2", "prefetchw"), _nothing),
    **{name: _refused("flags register") for name in ("pushfq", "popfq", "pushf", "popf", "std", "lahf", "sahf")},
    **{name: _refused("processor state") for name in ("stmxcsr", "ldmxcsr", "fxsave", "fxrstor", "xsave", "xrstor")},
    **{name: _shift(name) for name in ("shl", "sal", "shr", "sar")},
    "rol": _rotate(True), "ror": _rotate(False),
    "shld": _double_shift(True), "shrd": _double_shift(False),
    "bsf": _scan(True), "bsr": _scan(False), "tzcnt": _count_zeros(True), "lzcnt": _count_zeros(False),
    "mul": _then_undefine("sf", "zf", "pf"), "imul": _then_undefine("sf", "zf", "pf"),
    "div": _divide(False), "idiv": _divide(True),
    **{name: _then_undefine("of", "sf", "pf") for name in ("bt", "bts", "btr", "btc")},
}  # fmt: skip
