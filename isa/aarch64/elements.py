"""Operations on one vector element, shared by the AArch64 vector classes.

Saturation is exact; FPSR.QC is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable

from isa import terms as t
from isa.terms import Term

Binary = Callable[[Term, Term], Term]


def ones_if(condition: Term, width: int) -> Term:
    """All ones or all zeros."""
    return t.sext(condition, width)


def extend(a: Term, width: int, unsigned: int) -> Term:
    return t.zext(a, width) if unsigned else t.sext(a, width)


def less(a: Term, b: Term, unsigned: int) -> Term:
    return t.compare("ult" if unsigned else "slt", a, b)


def minimum(a: Term, b: Term, unsigned: int) -> Term:
    return t.ite(less(a, b, unsigned), a, b)


def maximum(a: Term, b: Term, unsigned: int) -> Term:
    return t.ite(less(a, b, unsigned), b, a)


def saturate(a: Term, width: int, unsigned: int) -> Term:
    """The signed value ``a`` forced into ``width`` bits, read as unsigned or signed."""
    low, high = (0, (1 << width) - 1) if unsigned else (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    top, bottom = t.const(high, a.width), t.const(low, a.width)
    inner = t.ite(t.slt(top, a), t.const(high, width), t.extract(a, 0, width))
    return t.ite(t.slt(a, bottom), t.const(low, width), inner)


def narrow_unsigned(a: Term, width: int) -> Term:
    """The unsigned value ``a`` forced into ``width`` bits."""
    top = t.const((1 << width) - 1, a.width)
    return t.ite(t.ult(top, a), t.const(-1, width), t.extract(a, 0, width))


def add_saturating(a: Term, b: Term, unsigned: int) -> Term:
    w = a.width
    return saturate(t.add(extend(a, w + 2, unsigned), extend(b, w + 2, unsigned)), w, unsigned)


def sub_saturating(a: Term, b: Term, unsigned: int) -> Term:
    w = a.width
    return saturate(t.sub(extend(a, w + 2, unsigned), extend(b, w + 2, unsigned)), w, unsigned)


def halving(a: Term, b: Term, unsigned: int, round_up: int = 0, subtract: int = 0) -> Term:
    """(a +- b + round_up) >> 1 without loss of the carry."""
    w = a.width
    wide_a, wide_b = extend(a, w + 2, unsigned), extend(b, w + 2, unsigned)
    total = t.sub(wide_a, wide_b) if subtract else t.add(wide_a, wide_b)
    return t.extract(t.add(total, t.const(round_up, w + 2)), 1, w)


def difference(a: Term, b: Term, unsigned: int) -> Term:
    """|a - b|."""
    return t.ite(less(a, b, unsigned), t.sub(b, a), t.sub(a, b))


def absolute(a: Term) -> Term:
    return t.ite(t.slt(a, t.const(0, a.width)), t.neg(a), a)


def shift_by_register(a: Term, b: Term, unsigned: int) -> Term:
    """SSHL, USHL: left by the signed low byte of ``b``, right where that is negative."""
    w = a.width
    by = t.sext(t.extract(b, 0, 8), max(w, 16))
    backward = t.neg(by)
    wide = extend(a, by.width, unsigned)
    right = t.extract(t.binary("lshr" if unsigned else "ashr", wide, backward), 0, w)
    left = t.extract(t.shl(wide, by), 0, w)
    return t.ite(t.slt(by, t.const(0, by.width)), right, left)


def shift_right_rounding(a: Term, by: int, unsigned: int) -> Term:
    """(a + (1 << by-1)) >> by, the sum without loss of its carry; 1 <= by <= width."""
    w = a.width
    wide = t.add(extend(a, w + 1, unsigned), t.const(1 << (by - 1), w + 1))
    return t.extract(t.binary("lshr" if unsigned else "ashr", wide, t.const(by, w + 1)), 0, w)


def shift_right(a: Term, by: int, unsigned: int) -> Term:
    """a >> by; 1 <= by <= width."""
    return t.binary("lshr" if unsigned else "ashr", a, t.const(by, a.width))


def test(a: Term, b: Term) -> Term:
    """Whether ``a`` and ``b`` have a one in common."""
    return t.ne(t.and_(a, b), t.const(0, a.width))
