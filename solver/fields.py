"""Terms as bit fields: what is put together by shifting and adding equals a concatenation if nothing overlaps."""

from __future__ import annotations

from collections.abc import Iterable

from isa import terms as t
from isa.terms import Term

Field = tuple[int, Term]  # lowest bit, value


def fields(term: Term) -> list[Field]:
    """Fields that ``term`` consists of, from low to high; the bits between them are 0."""
    op, args, width = term.op, term.args, term.width
    if op == "const":
        if not term.attr:
            return []
        low = (term.attr & -term.attr).bit_length() - 1
        return [(low, t.const(term.attr >> low, term.attr.bit_length() - low))]
    if op == "zext":
        return fields(args[0])
    if op == "concat":
        result, low = [], 0
        for part in reversed(args):
            result += [(low + offset, value) for offset, value in fields(part)]
            low += part.width
        return result
    if op == "mul" and args[1].op == "const" and args[1].attr.bit_count() == 1:
        return _shifted(fields(args[0]), args[1].attr.bit_length() - 1, width)
    if op in ("add", "or") and (joined := together(*args)) is not None:
        return joined
    return [(0, term)]


def together(*terms: Term) -> list[Field] | None:
    """The fields of all ``terms``, if no two overlap."""
    result = sorted((f for term in terms for f in fields(term)), key=lambda f: f[0])
    end = 0
    for low, value in result:
        if low < end:
            return None
        end = low + value.width
    return result


def concatenation(parts: Iterable[Field], width: int) -> Term:
    """The term of ``width`` bits that has these fields and is 0 elsewhere."""
    pieces: list[Term] = []
    end = 0
    for low, value in parts:
        if low > end:
            pieces.insert(0, t.const(0, low - end))
        pieces.insert(0, value)
        end = low + value.width
    if end < width:
        pieces.insert(0, t.const(0, width - end))
    return t.concat(*pieces)


def _shifted(parts: list[Field], amount: int, width: int) -> list[Field]:
    """``parts`` moved up, cut off at ``width``."""
    moved = [(low + amount, value) for low, value in parts if low + amount < width]
    return [(low, t.extract(value, 0, min(value.width, width - low))) for low, value in moved]
