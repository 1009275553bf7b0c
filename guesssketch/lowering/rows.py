"""Rows of lanes: equal parts of a vector, low first, as terms."""

from __future__ import annotations

from collections.abc import Sequence

from guesssketch.lowering.simplify import adjoined
from isa import terms as t
from isa.terms import Term

Row = tuple[Term | None, ...]  # None where anything will do


def split(terms: Sequence[Term]) -> Row | None:
    """128 bits (64-bit halves or one whole, low first) as equal lanes of the narrowest part; None if there are none."""
    parts: list[Term] = []
    for term in terms:
        parts += reversed(term.args) if term.op == "concat" else [term]
    width = min(p.width for p in parts)
    if width not in (8, 16, 32, 64) or any(p.width % width for p in parts):
        return None
    return tuple(t.extract(p, low, width) for p in parts for low in range(0, p.width, width))


def by_lanes(term: Term) -> Term:
    """A bitwise operation on concatenations as the concatenation of operations on their parts."""
    if term.op not in ("and", "or", "xor"):
        return term
    sides = [by_lanes(x) for x in term.args]
    width = min((p.width for x in sides if x.op == "concat" for p in x.args), default=term.width)
    if width not in (8, 16, 32) or any(p.width % width for x in sides if x.op == "concat" for p in x.args):
        return term
    places = range(term.width - width, -1, -width)
    return t.concat(*(t.binary(term.op, *(t.extract(x, low, width) for x in sides)) for low in places))


def splat(n: int, width: int, value: int) -> str:
    """The constant of ``n`` lanes that all hold ``value``."""
    return "<" + ", ".join([f"i{width} {value}"] * n) + ">"


def shuffle(a: str, b: str, count: int, width: int, order: Sequence[int | None]) -> str:
    """The instruction that picks lanes from two vectors of ``count`` lanes."""
    kind = f"<{count} x i{width}>"
    mask = ", ".join(f"i32 {'poison' if o is None else o}" for o in order)
    return f"shufflevector {kind} {a}, {kind} {b}, <{len(order)} x i32> <{mask}>"


def together(low: Term, high: Term) -> Term | None:
    """Two lanes as one that is not merely both; None if they are no such parts."""
    whole = adjoined(high, low)
    if low is high and low.op == "ite" and {x.op for x in low.args[1:]} == {"const"}:
        values = {x.attr for x in low.args[1:]}
        if values == {0, t.mask(low.width)}:
            return t.ite(low.args[0], *(t.sext(x, 2 * low.width) for x in low.args[1:]))
    return None if whole.op in ("concat", "const", "zext") else whole


def ordered(term: Term) -> tuple[Term, ...]:
    """The operands, those of a commutative operation in an order that does not depend on the lane."""
    if term.op not in t.COMMUTATIVE:
        return term.args
    a, b = term.args
    return (b, a) if _leaf(b) < _leaf(a) else term.args


def _leaf(term: Term) -> tuple[str, str]:
    operation = term.op
    while term.args and term.op != "load":
        term = term.args[0]
    return operation, str(term.attr).split(".")[0] if term.op == "var" else f"{term.op} {term.id if term.op == 'load' else ''}"


def position(term: Term) -> int | None:
    """The lane, in its own register, of the first operand of ``term``."""
    width = term.width
    while term.args and term.op not in ("extract", "load"):
        term = term.args[0]
    if term.op != "extract" or term.args[0].op not in ("var", "load"):
        return None
    whole = term.args[0]
    base = 64 if whole.op == "var" and str(whole.attr).endswith(".hi") else 0
    return int(base + term.attr) // width
