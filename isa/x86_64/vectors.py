"""SSE and SSE2 instructions whose p-code is opaque or wrong, lane by lane. Source: Intel SDM volume 2.

Minimum and maximum give the second operand if either is a NaN or both are zero. A conversion to an integer that does
not fit gives the "integer indefinite" value, 1 followed by zeros. A shift count is the low 64 bits of its operand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from isa import ieee
from isa import terms as t
from isa.machine import Instruction
from isa.terms import Term
from isa.x86_64.decode import Operand
from isa.x86_64.lifter import X86Lifter, X86Override

Lanes = Callable[[Term, Term], Term]

NAN_RESULT: Final = "sign and payload of a NaN result"


def is_xmm(operand: Operand) -> bool:
    return operand.kind != "reg" or operand.register.startswith("xmm")


def packed(compute: Lanes) -> X86Override:
    """``op xmm, xmm/m128``, ``compute`` on all 128 bits of both."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second = lifter.decoded(instruction).operands
        if not (is_xmm(first) and is_xmm(second)):
            lifter.refuse(f"MMX: {instruction.text}")
            return True
        value = compute(lifter.vector(first.register), lifter.get(instruction, second, 128))
        lifter.set_vector(first.register, value)
        return True

    return override


def each(width: int, compute: Lanes) -> Lanes:
    """``compute`` on each pair of lanes."""
    return lambda a, b: t.vector([compute(x, y) for x, y in zip(t.lanes(a, width), t.lanes(b, width), strict=True)])


# Floats.


def _minimum(a: Term, b: Term) -> Term:
    return t.ite(t.float_op("flt", 1, a, b), a, b)


def _maximum(a: Term, b: Term) -> Term:
    return t.ite(t.float_op("flt", 1, b, a), a, b)


def _scalar(width: int, compute: Lanes) -> X86Override:
    """``op xmm, xmm/m``: the lowest lane; the rest of the register is kept."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second = lifter.decoded(instruction).operands
        old = t.extract(lifter.vector(first.register), 0, width)
        lifter.set_vector(first.register, compute(old, lifter.get(instruction, second, width)))
        return True

    return override


def may_be_nan(operation: X86Override) -> X86Override:
    """``operation``, whose result may be a NaN."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        lifter.approximations.add(NAN_RESULT)
        return operation(lifter, instruction)

    return override


def _compute(op: str, width: int) -> Lanes:
    return each(width, lambda a, b: t.float_op(op, width, a, b))


def _root(width: int) -> Lanes:
    return each(width, lambda a, b: t.float_op("fsqrt", width, b))


def to_signed(value: Term, width: int, rounding: str) -> Term:
    """A float to a signed integer, as x86-64 converts it: what does not fit, or is a NaN, gives 1 followed by zeros.

    32 bits of a double are those of the integer of 64 bits if it fits, which says the same and needs no bounds.
    """
    integral = value if rounding == "rtz" else t.float_op("fround", value.width, value, rounding=rounding)
    indefinite = t.const(1 << (width - 1), width)
    if value.width > width:
        wide = ieee.to_integer(integral, 64, True, "rtz", nan=t.mask(63))
        narrow = t.extract(wide, 0, width)
        return t.ite(t.eq(t.sext(narrow, 64), wide), narrow, indefinite)
    limit = 2.0 ** (width - 1)
    low = ieee.less_equal(ieee.number(-limit, value.width), integral)
    high = ieee.less(integral, ieee.number(limit, value.width))
    return t.ite(t.and_(low, high), t.float_op("f2s", width, integral, rounding="rtz"), indefinite)


def _to_general(source: int, rounding: str) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second = lifter.decoded(instruction).operands
        value = lifter.get(instruction, second, source)
        lifter.set_general(first.register, to_signed(value, 8 * first.size, rounding))
        return True

    return override


def _to_words(source: int, rounding: str) -> Lanes:
    """Packed floats to 32-bit integers; two doubles leave the upper half zero."""
    return lambda a, b: t.zext(t.vector([to_signed(x, 32, rounding) for x in t.lanes(b, source)]), 128)


# Integers.


def saturate(value: Term, width: int, low: int, high: int) -> Term:
    """A signed value cut to ``low`` .. ``high``, ``width`` bits wide."""
    wide = value.width
    below, above = t.slt(value, t.const(low, wide)), t.slt(t.const(high, wide), value)
    return t.ite(below, t.const(low, width), t.ite(above, t.const(high, width), t.extract(value, 0, width)))


def limits(width: int, signed: bool) -> tuple[int, int]:
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)


def saturated(op: str, is_signed: bool, a: Term, b: Term) -> Term:
    """A sum (``add``) or difference (``sub``) cut to the width of the operands."""
    extend = t.sext if is_signed else t.zext
    wide = t.binary(op, extend(a, a.width + 2), extend(b, b.width + 2))
    return saturate(wide, a.width, *limits(a.width, is_signed))


def pack(width: int, signed: bool) -> Lanes:
    """Lanes of ``2 * width`` signed bits of both operands, cut to ``width`` bits."""

    def compute(a: Term, b: Term) -> Term:
        return t.vector([saturate(x, width, *limits(width, signed)) for x in t.lanes(a, 2 * width) + t.lanes(b, 2 * width)])

    return compute


def _multiply_high(signed: bool) -> Lanes:
    extend = t.sext if signed else t.zext
    return each(16, lambda a, b: t.extract(t.mul(extend(a, 32), extend(b, 32)), 16, 16))


def _multiply_add(a: Term, b: Term) -> Term:
    products = [t.mul(t.sext(x, 32), t.sext(y, 32)) for x, y in zip(t.lanes(a, 16), t.lanes(b, 16), strict=True)]
    return t.vector([t.add(x, y) for x, y in zip(products[::2], products[1::2], strict=True)])


def average(a: Term, b: Term) -> Term:
    """Of unsigned numbers, rounded up."""
    wide = a.width + 1
    total = t.add(t.add(t.zext(a, wide), t.zext(b, wide)), t.const(1, wide))
    return t.extract(total, 1, a.width)


def _sum_of_differences(a: Term, b: Term) -> Term:
    sums = []
    for x, y in zip(t.lanes(a, 64), t.lanes(b, 64), strict=True):
        total = t.const(0, 64)
        for p, q in zip(t.lanes(x, 8), t.lanes(y, 8), strict=True):
            total = t.add(total, t.zext(t.ite(t.ult(p, q), t.sub(q, p), t.sub(p, q)), 64))
        sums.append(total)
    return t.vector(sums)


def _shift(op: str, width: int) -> X86Override:
    """Every lane by one count, an immediate or the low 64 bits of the second operand."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second = lifter.decoded(instruction).operands
        if not is_xmm(first):
            lifter.refuse(f"MMX: {instruction.text}")
            return True
        count = t.const(second.value & 0xFF, 64) if second.kind == "imm" else t.extract(lifter.get(instruction, second, 128), 0, 64)
        fits = t.ult(count, t.const(width, 64))
        value = lifter.vector(first.register)
        amount = t.ite(fits, t.extract(count, 0, width), t.const(width, width))
        lifter.set_vector(first.register, t.vector([t.binary(op, x, amount) for x in t.lanes(value, width)]))
        return True

    return override


def _shuffle_words(low: bool) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second, order = lifter.decoded(instruction).operands
        bottom, top = t.lanes(lifter.get(instruction, second, 128), 64)
        words = t.lanes(bottom if low else top, 16)
        shuffled = t.vector([words[order.value >> 2 * n & 3] for n in range(4)])
        lifter.set_vector(first.register, t.concat(top, shuffled) if low else t.concat(shuffled, bottom))
        return True

    return override


def _sign_mask(width: int) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second = lifter.decoded(instruction).operands
        if not is_xmm(second):
            lifter.refuse(f"MMX: {instruction.text}")
            return True
        signs = [t.extract(x, width - 1, 1) for x in t.lanes(lifter.vector(second.register), width)]
        lifter.set_general(first.register, t.zext(t.vector(signs), 8 * first.size))
        return True

    return override


OVERRIDES: Final[dict[str, X86Override]] = {
    **{f"{name}{suffix}": packed(each(width, compute))
       for name, compute in (("min", _minimum), ("max", _maximum)) for suffix, width in (("ps", 32), ("pd", 64))},
    **{f"{name}{suffix}": _scalar(width, compute)
       for name, compute in (("min", _minimum), ("max", _maximum)) for suffix, width in (("ss", 32), ("sd", 64))},
    **{f"{name}{suffix}": may_be_nan(packed(_compute(f"f{name}", width)))
       for name in ("add", "sub", "mul", "div") for suffix, width in (("ps", 32), ("pd", 64))},
    "sqrtps": may_be_nan(packed(_root(32))), "sqrtpd": may_be_nan(packed(_root(64))),
    "cvttss2si": _to_general(32, "rtz"), "cvttsd2si": _to_general(64, "rtz"),
    "cvtss2si": _to_general(32, "rne"), "cvtsd2si": _to_general(64, "rne"),
    "cvttps2dq": packed(_to_words(32, "rtz")), "cvttpd2dq": packed(_to_words(64, "rtz")),
    "cvtps2dq": packed(_to_words(32, "rne")), "cvtpd2dq": packed(_to_words(64, "rne")),
    **{f"p{name}s{suffix}": packed(each(width, partial(saturated, name, True)))
       for name in ("add", "sub") for suffix, width in (("b", 8), ("w", 16))},
    **{f"p{name}us{suffix}": packed(each(width, partial(saturated, name, False)))
       for name in ("add", "sub") for suffix, width in (("b", 8), ("w", 16))},
    "packsswb": packed(pack(8, True)), "packssdw": packed(pack(16, True)), "packuswb": packed(pack(8, False)),
    "pmulhw": packed(_multiply_high(True)), "pmulhuw": packed(_multiply_high(False)),
    "pmaddwd": packed(_multiply_add),
    "pavgb": packed(each(8, average)), "pavgw": packed(each(16, average)), "psadbw": packed(_sum_of_differences),
    **{f"p{name}{suffix}": _shift(op, width) for name, op in (("sll", "shl"), ("srl", "lshr"), ("sra", "ashr"))
       for suffix, width in (("w", 16), ("d", 32), ("q", 64)) if (name, suffix) != ("sra", "q")},
    "pshuflw": _shuffle_words(True), "pshufhw": _shuffle_words(False),
    "movmskps": _sign_mask(32), "movmskpd": _sign_mask(64), "pmovmskb": _sign_mask(8),
}  # fmt: skip
