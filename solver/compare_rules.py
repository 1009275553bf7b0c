"""Rules that bring conditions (terms of width 1) to one form: where x86-64's flags and both targets' compares meet.

Conditions are made of ``eq``, ``ult`` and ``slt`` at the narrowest width, sign bits (``extract``) and ``not``; no
``ule``, ``sle``, comparison of extended values or disjunction of less and equal is left. Each rule is an identity for
all inputs.
"""

from __future__ import annotations

from isa import terms as t
from isa.terms import Term


def rule(term: Term) -> Term:
    """The normal form of a condition whose operands are normal."""
    op, args = term.op, term.args
    if op in ("ule", "sle"):
        return t.not_(less("ult" if op == "ule" else "slt", args[1], args[0]))
    if op in ("ult", "slt"):
        return less(op, *args)
    if op in ("and", "or"):
        return _join(op, *args)
    if op == "extract" and args[0].op == "sext" and term.attr >= args[0].args[0].width:
        return sign(args[0].args[0])
    return term


def sign(a: Term) -> Term:
    return t.extract(a, a.width - 1, 1)


def less(op: str, a: Term, b: Term) -> Term:
    """a < b for ``ult`` or ``slt``."""
    term = narrow(op, a, b)
    if term.op not in ("ult", "slt"):
        return term
    a, b = term.args
    zero = t.const(0, a.width)
    if term.op == "slt":
        return sign(a) if b is zero else term
    if b is t.const(1, a.width):
        return t.eq(a, zero)
    return t.ne(b, zero) if a is zero else term


def narrow(op: str, a: Term, b: Term) -> Term:
    """``eq``, ``ult`` or ``slt`` of two extended values, at the width before the extension.

    Sign extension keeps equality and both orders; zero extension keeps equality and the unsigned order, and makes the
    signed one unsigned.
    """
    for extend, kind in ((t.zext, "zext"), (t.sext, "sext")):
        width = max((x.args[0].width for x in (a, b) if x.op == kind), default=0)
        if not width or not all(x.op in (kind, "const") for x in (a, b)):
            continue
        low_a, low_b = t.extract(a, 0, width), t.extract(b, 0, width)
        if extend(low_a, a.width) is a and extend(low_b, b.width) is b:
            return narrow("ult" if op == "slt" and kind == "zext" else op, low_a, low_b)
    return t.compare(op, a, b)


def _join(op: str, a: Term, b: Term) -> Term:
    if op == "and" and a.op == "not" and b.op == "not":
        return t.not_(_join("or", a.args[0], b.args[0]))
    if op == "or":
        for x, y in ((a, b), (b, a)):
            if y.op == "eq" and (found := _less_or_equal(x, *y.args)) is not None:
                return found
    return t.binary(op, a, b)


def _less_or_equal(strict: Term, a: Term, b: Term) -> Term | None:
    """``strict`` or a == b, as the negation of the opposite, if ``strict`` is a < b or b < a."""
    for x, y in ((a, b), (b, a)):
        for op in ("ult", "slt"):
            if strict is less(op, x, y):
                return t.not_(less(op, y, x))
    return None
