"""Which bits of the initial state a set of results depends on (demanded-bits analysis over terms).

This is what liveness is made of: the bits of the state after a block that matter, pushed back through the block's
effect, are the bits of the state before it that matter. An over-approximation is always right.
"""

from __future__ import annotations

from collections.abc import Iterable

from isa import terms as t
from isa.statemap import CONDITIONS, cell_term
from isa.terms import Term, mask


def demanded(roots: Iterable[tuple[Term, int]]) -> dict[str, int]:
    """Bits demanded of each initial cell.

    roots: (term, bit mask of its demanded bits; ignored for memory). Returns cell or condition -> bit mask. A condition (``l``,
    ``le``, ``be``) stands in for its flags where the block only reads the flags together.
    """
    wanted: dict[int, int] = {}
    for term, bits in roots:
        wanted[term.id] = wanted.get(term.id, 0) | (bits & mask(term.width) if term.width else 1)
    conditions = {cell_term(name).id: name for name in CONDITIONS}
    cells: dict[str, int] = {}
    for term in reversed(list(t.walk(*(r for r, _ in roots)))):
        bits = wanted.get(term.id, 0)
        if not bits:
            continue
        if term.id in conditions:
            cells[conditions[term.id]] = 1
        elif term.op == "var":
            if term.width:
                cells[term.attr] = cells.get(term.attr, 0) | bits
        else:
            for arg, need in zip(term.args, _arguments(term, bits), strict=True):
                wanted[arg.id] = wanted.get(arg.id, 0) | need
    return cells


def low_bits(bits: int) -> int:
    """The smallest of 1, 8, 16, 32, 64 that holds every set bit; liveness speaks of low parts only."""
    length = bits.bit_length()
    return next(width for width in (1, 8, 16, 32, 64) if length <= width)


def _arguments(term: Term, bits: int) -> list[int]:
    """Demanded bits of each argument of ``term``, of which ``bits`` are demanded."""
    op, args = term.op, term.args
    full = [mask(a.width) if a.width else 1 for a in args]
    if op in ("add", "sub", "mul", "neg"):
        return [mask(bits.bit_length())] * len(args)
    if op in ("and", "or") and args[1].op == "const":
        value = args[1].attr
        return [bits & (value if op == "and" else ~value), 0]
    if op in ("and", "or", "xor", "not"):
        return [bits] * len(args)
    if op in ("shl", "lshr", "ashr"):
        return _shift(term, bits)
    if op in ("zext", "sext"):
        inner = args[0].width
        sign = 1 << (inner - 1) if op == "sext" and bits >> inner else 0
        return [bits & mask(inner) | sign]
    if op == "extract":
        return [bits << term.attr]
    if op == "concat":
        needs, end = [], term.width
        for part in args:
            end -= part.width
            needs.append(bits >> end & mask(part.width))
        return needs
    if op == "ite":
        return [1, bits, bits]
    return full


def _shift(term: Term, bits: int) -> list[int]:
    amount = term.args[1]
    width, everything = term.width, mask(term.width)
    if amount.op != "const":
        if term.op == "shl":
            return [mask(bits.bit_length()), everything]
        lowest = (bits & -bits).bit_length() - 1
        return [everything & ~mask(lowest), everything]
    count = min(amount.attr, width)
    if term.op == "shl":
        return [bits >> count, 0]
    need = bits << count
    sign = 1 << (width - 1) if term.op == "ashr" and need >> width else 0
    return [need & everything | sign, 0]
