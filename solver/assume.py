"""What a user may have assumed of the program (``--assume``), as conditions on the state before a block.

A condition is one of the source's own: under it an instruction does the plain thing. Proofs take it for granted, states in which
it does not hold are left out, and the report lists it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from isa import terms as t
from isa.machine import Effect
from isa.terms import Term
from isa.x86_64.vectors import to_signed

IN_RANGE: Final = "in-range-conversions"
NOTES: Final = {IN_RANGE: "floats that are converted to integers fit (--assume in-range-conversions)"}


def converted(term: Term) -> Term | None:
    """The integral float that ``term`` converts to a signed integer of its width as x86-64 does; None if it does not."""
    if term.op != "ite" or term.width not in (32, 64) or term.args[2] is not t.const(1 << (term.width - 1), term.width):
        return None
    inner = term.args[1]
    while inner.op in ("extract", "ite"):  # a conversion of 64 bits: it fits, is not too low, and is no NaN
        inner = inner.args[-1] if inner.op == "extract" or inner.args[1].op == "const" else inner.args[1]
    return inner.args[0] if inner.op == "f2s" and to_signed(inner.args[0], term.width, "rtz") is term else None


def applicable(effect: Effect, assume: tuple[str, ...]) -> tuple[str, ...]:
    """What of ``assume`` may be taken for granted in a whole block of x86-64 code.

    Compilers convert floats that do not fit and then drop the answer, so nothing is assumed of a block where one float that is
    converted is made of another (unsigned integers without a branch: the number, and the number less 2**63; the first answer's
    sign tells which one counts), or where an answer may be masked out or passed over by what does not depend on it.
    """
    if IN_RANGE in assume and _drops(effect):
        return tuple(name for name in assume if name != IN_RANGE)
    return assume


def _drops(effect: Effect) -> bool:
    found = {term: x for term in _terms(effect) if (x := converted(term)) is not None}
    values = {x.args[0] if x.op == "fround" else x for x in found.values()}
    if any(part in values for x in values for a in x.args for part in t.walk(a)):
        return True
    made_of: dict[Term, frozenset[Term]] = {}  # the answers that a term is made of
    for term in _terms(effect) if found else ():
        parts = [made_of[a] for a in term.args]
        made_of[term] = frozenset({term}) if term in found else frozenset().union(*parts)
        if term.op == "ite" and (parts[1] | parts[2]) - parts[0]:
            return True
        if term.op == "and" and parts[0] ^ parts[1] and all(a.op != "const" for a in term.args):
            return True
    return False


def conditions(effect: Effect, assume: tuple[str, ...]) -> list[Term]:
    """Conditions (width 1) under ``assume`` in an effect of x86-64 code."""
    if IN_RANGE not in assume:
        return []
    return list(dict.fromkeys(x.args[0] for x in _terms(effect) if converted(x) is not None))


def _terms(effect: Effect) -> Iterator[Term]:
    accesses = [x for a in (*effect.loads, *effect.stores) for x in (a.address, a.guard)]
    exits = [x for x in (effect.condition, effect.target) if x is not None]
    return t.walk(*effect.cells.values(), effect.memory, *accesses, *exits)
