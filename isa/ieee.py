"""Floating-point pieces that both targets need, as terms: conversions to integers, minimum and maximum, constants.

The result of an arithmetic operation that is a NaN is *some* NaN here (``Effect.approximations`` says so); moves, sign
operations, selections, minimum and maximum give the exact bits.
"""

from __future__ import annotations

import struct
from typing import Final

from isa import terms as t
from isa.terms import Term

MANTISSA: Final = {32: 23, 64: 52}  # stored bits of the significand, by the format's width


def number(value: float, width: int) -> Term:
    """The constant ``value``, which the format of ``width`` bits must hold exactly."""
    bits = struct.pack("<d" if width == 64 else "<f", value)
    assert struct.unpack("<d" if width == 64 else "<f", bits)[0] == value
    return t.const(int.from_bytes(bits, "little"), width)


def is_nan(a: Term) -> Term:
    return t.float_op("fnan", 1, a)


def less(a: Term, b: Term) -> Term:
    return t.float_op("flt", 1, a, b)


def less_equal(a: Term, b: Term) -> Term:
    return t.float_op("fle", 1, a, b)


def equal(a: Term, b: Term) -> Term:
    return t.float_op("feq", 1, a, b)


def sign_bit(width: int) -> Term:
    return t.const(1 << (width - 1), width)


def negate(a: Term) -> Term:
    return t.xor(a, sign_bit(a.width))


def magnitude(a: Term) -> Term:
    return t.and_(a, t.const(~(1 << (a.width - 1)), a.width))


def is_signaling(a: Term) -> Term:
    """Whether ``a`` is a NaN with its quiet bit clear."""
    quiet = t.extract(a, MANTISSA[a.width] - 1, 1)
    return t.and_(is_nan(a), t.not_(quiet))


def quieted(a: Term) -> Term:
    return t.or_(a, t.const(1 << (MANTISSA[a.width] - 1), a.width))


def smaller(a: Term, b: Term) -> Term:
    """The minimum of two numbers; of zeros the negative one. Meaningless for NaNs."""
    return t.ite(equal(a, b), t.or_(a, b), t.ite(less(a, b), a, b))


def larger(a: Term, b: Term) -> Term:
    """The maximum of two numbers; of zeros the positive one. Meaningless for NaNs."""
    return t.ite(equal(a, b), t.and_(a, b), t.ite(less(b, a), a, b))


def to_integer(a: Term, width: int, is_signed: bool, rounding: str, nan: int) -> Term:
    """``a`` rounded to an integer of ``width`` bits, saturating; a NaN gives ``nan``."""
    integral = a if rounding == "rtz" else t.float_op("fround", a.width, a, rounding=rounding)
    high = number(2.0 ** (width - is_signed), a.width)
    if is_signed:
        lowest, top = 1 << (width - 1), (1 << (width - 1)) - 1
        converted = t.float_op("f2s", width, a, rounding=rounding)
        if rounding == "rtz" and a.width == 64 and width == 32:
            inside = less(number(-(2.0**31) - 1, 64), a)  # truncation brings what is above this into range
        else:
            inside = less_equal(number(-(2.0 ** (width - 1)), a.width), integral)
    else:
        lowest, top = 0, (1 << width) - 1
        converted = t.float_op("f2u", width, a, rounding=rounding)
        inside = less(number(0.0, a.width), integral)
    bounded = t.ite(inside, t.ite(less(integral, high), converted, t.const(top, width)), t.const(lowest, width))
    return t.ite(is_nan(a), t.const(nan, width), bounded)
