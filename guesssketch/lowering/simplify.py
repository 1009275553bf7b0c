"""Rewriting of a block's terms into what LLVM's own passes recognise: conditions, divisions, symbol values.

Nothing here is trusted: a wrong rule gives a candidate that the solver refutes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from isa import terms as t
from isa.terms import Term

Rule = Callable[[Term], Term]


def simplify(roots: Sequence[Term], live_in: Collection[str], low_symbols: Collection[str]) -> list[Term]:
    """The roots, rewritten.

    Signed compares are rebuilt from flags, live-in conditions (``l``, ``le``, ``be``) read from their homes as
    ``var(name, 1)``, and divisions at twice the width narrowed where the dividend is an extension.
    """
    homes = frozenset(live_in)

    def rule(term: Term) -> Term:
        if term.width == 1 and term.op in ("xor", "or", "and"):
            return _boolean(term, homes)
        if term.op in ("sdiv", "srem", "udiv", "urem"):
            return _division(term)
        if term.op == "concat":
            return _extension(_chosen_together(term))
        if term.op == "slt" and term.args[0].op == "ite" and term.args[1].op == "const":
            return _decided(term)
        if term.op == "extract":
            return _extract(term)
        if term.op == "mul":
            return _selected(term)
        if term.op == "zext" and term.width == 64:
            inner = term.args[0]
            if inner.op == "extract" and inner.attr == 0 and inner.width >= 31 and inner.args[0].attr in low_symbols:
                return inner.args[0]
        return term

    return _rewrite(roots, rule)


def _extract(term: Term) -> Term:
    """A part of a choice or of a bitwise operation on whole vectors, taken from its operands."""
    inner, low, width = term.args[0], term.attr, term.width
    if inner.width <= 64:
        return term
    if inner.op == "ite":
        condition, a, b = inner.args
        return t.ite(condition, t.extract(a, low, width), t.extract(b, low, width))
    if width < 8 and low // 8 == (low + width - 1) // 8:
        return t.extract(_extract(t.extract(inner, low & ~7, 8)), low % 8, width)  # the same lane for all its bits
    if inner.op in ("and", "or", "xor"):
        return t.binary(inner.op, *(_extract_of(x, low, width) for x in inner.args))
    return t.not_(_extract_of(inner.args[0], low, width)) if inner.op == "not" else term


def _extract_of(term: Term, low: int, width: int) -> Term:
    part = t.extract(term, low, width)
    return _extract(part) if part.op == "extract" else part


def _selected(term: Term) -> Term:
    """A product with a condition (p-code's saturating packs) as a choice."""
    a, b = term.args
    bits = [x.args[0] if x.op == "zext" and x.args[0].width == 1 else None for x in (a, b)]
    if bits[0] is not None and bits[1] is not None:
        return t.zext(t.and_(bits[0], bits[1]), term.width)
    for bit, other in ((bits[0], b), (bits[1], a)):
        if bit is not None:
            return t.ite(bit, other, t.const(0, term.width))
    return term


def _rewrite(roots: Sequence[Term], rule: Rule) -> list[Term]:
    done: dict[int, Term] = {}
    for term in t.walk(*roots):
        args = tuple(done[a.id] for a in term.args)
        new = term if args == term.args else t.rebuild(term, args)
        done[term.id] = rule(new)
    return [done[r.id] for r in roots]


def _boolean(term: Term, homes: frozenset[str]) -> Term:
    a, b = term.args
    if term.op == "and":
        if a.op == "not" and b.op == "not":
            return t.not_(_boolean_or(a.args[0], b.args[0], homes))
        return term
    if term.op == "or":
        return _boolean_or(a, b, homes)
    if a.op == "not" or b.op == "not":  # xor(not a, b) = not xor(a, b)
        negated = (a.op == "not") != (b.op == "not")
        a, b = (x.args[0] if x.op == "not" else x for x in (a, b))
        inner = t.xor(a, b)
        inner = _boolean(inner, homes) if inner.op == "xor" else inner
        return t.not_(inner) if negated else inner
    names = {a.attr, b.attr} if a.op == b.op == "var" else set()
    if names == {"sf", "of"} and "l" in homes:
        return t.var("l", 1)
    return _signed_less(a, b) or _signed_less(b, a) or term


def _boolean_or(a: Term, b: Term, homes: frozenset[str]) -> Term:
    both = t.or_(a, b)
    names = {x.attr for x in (a, b) if x.op == "var"}
    if names == {"cf", "zf"} and "be" in homes:
        return t.var("be", 1)
    if "le" in homes and "zf" in names:
        other = b if a.attr == "zf" else a
        if other is t.var("l", 1) or other is t.xor(t.var("sf", 1), t.var("of", 1)):
            return t.var("le", 1)
    return both


def _signed_less(sign: Term, overflow: Term) -> Term | None:
    """``sign`` xor ``overflow`` as one compare, if these are the flags of one subtraction or addition."""
    if overflow.op not in ("ssubo", "saddo"):
        return None
    a, b = overflow.args
    result = t.sub(a, b) if overflow.op == "ssubo" else t.add(a, b)
    width = result.width
    if sign is not t.slt(result, t.const(0, width)) and sign is not t.extract(result, width - 1, 1):
        return None
    if overflow.op == "ssubo":
        return t.slt(a, b)
    lowest = 1 << (width - 1)
    if b.op == "const" and b.attr != lowest:
        return t.slt(a, t.const(-b.attr, width))
    return None


def _extension(term: Term) -> Term:
    """concat(sign of low, low) as ``sext(low)``; the form of ``cqo`` before a division."""
    if term.op != "concat" or len(term.args) != 2:
        return term
    high, low = term.args
    if high.width != low.width:
        return term
    wide = t.sext(low, 2 * low.width)
    sign = t.ashr(low, t.const(low.width - 1, low.width))
    return wide if high is sign or high is t.extract(wide, low.width, low.width) else term


def adjoined(high: Term, low: Term) -> Term:
    """The concatenation of two; also what ``low`` is the lowest part of, where sums have been cut to their low bits."""
    if high.op == "extract" and high.attr >= low.width:
        whole = t.extract(high.args[0], high.attr - low.width, high.width + low.width)
        if t.extract(whole, 0, low.width) is low:
            return whole
    return t.concat(high, low)


def _chosen_together(term: Term) -> Term:
    """Neighbouring parts that one condition chooses from neighbouring parts of others, as one choice."""
    parts: list[Term] = []
    for low in term.args:
        part = low
        while parts and parts[-1].op == part.op == "ite" and parts[-1].args[0] is part.args[0]:
            sides = [adjoined(a, b) for a, b in zip(parts[-1].args[1:], part.args[1:], strict=True)]
            if any(x.op == "concat" for x in sides):
                break
            parts.pop()
            part = t.ite(part.args[0], *sides)
        parts.append(part)
    return t.concat(*parts) if len(parts) < len(term.args) else term


def _decided(less: Term) -> Term:
    """A comparison of a choice between constants with a constant."""
    (condition, *sides), limit = less.args[0].args, less.args[1]
    return t.ite(condition, *(t.slt(x, limit) for x in sides)) if all(x.op == "const" for x in sides) else less


def _narrow(term: Term, op: str) -> Term | None:
    """``term`` before its extension by ``op`` to twice the width."""
    half = term.width // 2
    if term.op == "const":
        low = t.const(term.attr, half)
        return low if (t.zext if op == "zext" else t.sext)(low, term.width) is term else None
    if term.op == op and term.args[0].width <= half:
        return (t.zext if op == "zext" else t.sext)(term.args[0], half)
    if op == "sext" and term.op == "zext" and term.args[0].width < half:
        return t.zext(term.args[0], half)
    return None


def _division(term: Term) -> Term:
    """A division of twice the width, at half of it: with the fault excluded, the quotient fits."""
    if term.width not in (16, 32, 64, 128):
        return term
    op = "sext" if term.op in ("sdiv", "srem") else "zext"
    dividend, divisor = (_narrow(a, op) for a in term.args)
    if dividend is None or divisor is None:
        return term
    return (t.sext if op == "sext" else t.zext)(t.binary(term.op, dividend, divisor), term.width)
