"""What a user may have assumed of the program (``--assume``), as conditions on the state before a block.

A condition is one of the source's own: under it an instruction does the plain thing. Proofs take it for granted, states in which
it does not hold are left out, and the report lists it.
"""

from __future__ import annotations

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


def conditions(effect: Effect, assume: tuple[str, ...]) -> list[Term]:
    """Conditions (width 1) under ``assume`` in an effect of x86-64 code."""
    if IN_RANGE not in assume:
        return []
    accesses = [x for a in (*effect.loads, *effect.stores) for x in (a.address, a.guard)]
    exits = [x for x in (effect.condition, effect.target) if x is not None]
    terms = t.walk(*effect.cells.values(), effect.memory, *accesses, *exits)
    return list(dict.fromkeys(x.args[0] for x in terms if converted(x) is not None))
