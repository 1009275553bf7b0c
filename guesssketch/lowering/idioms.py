"""Lanes as x86-64's packed instructions leave them, known again by rebuilding their terms."""

from __future__ import annotations

from typing import Final

from isa import terms as t
from isa.terms import Term
from isa.x86_64.sse4 import shuffled_byte
from isa.x86_64.vectors import average, limits, saturate, saturated

_EXTENDED: Final = {True: "sext", False: "zext"}


def saturation(lane: Term) -> tuple[bool, Term] | None:
    """(result signed, the signed value of twice the width) of a lane cut to its width; None if it is no such lane.

    What it is where nothing is cut off may be written in any way.
    """
    if lane.op != "ite" or lane.args[0].op != "slt" or lane.args[2].op != "ite":
        return None
    value = lane.args[0].args[0]
    for is_signed in (True, False):
        wanted = saturate(value, lane.width, *limits(lane.width, is_signed)) if value.width == 2 * lane.width else lane
        if wanted is not lane and wanted.op == "ite" and wanted.args[2].op == "ite":
            below, least, (above, most) = *wanted.args[:2], wanted.args[2].args[:2]
            wanted = t.ite(below, least, t.ite(above, most, lane.args[2].args[2]))
        if value.width == 2 * lane.width and wanted is lane:
            return is_signed, value
    return None


def saturating(lane: Term) -> tuple[str, tuple[Term, Term]] | None:
    """LLVM's name of a saturating sum or difference (``uadd``), and its operands."""
    if lane.op != "ite" or lane.args[0].op != "slt":
        return None
    total = lane.args[0].args[0]
    if total.op not in ("add", "sub") or total.width != lane.width + 2:
        return None
    for is_signed, extend in _EXTENDED.items():
        if all(x.op == extend and x.args[0].width == lane.width for x in total.args):
            a, b = (x.args[0] for x in total.args)
            if saturated(total.op, is_signed, a, b) is lane:
                return f"{'s' if is_signed else 'u'}{total.op}", (a, b)
    return None


def rounded_mean(lane: Term) -> tuple[Term, Term] | None:
    """The operands of an unsigned average rounded up."""
    if lane.op != "extract" or lane.attr != 1 or lane.args[0].op != "add":
        return None
    total = lane.args[0].args[0]
    if total.op != "add" or any(x.op != "zext" or x.args[0].width != lane.width for x in total.args):
        return None
    a, b = (x.args[0] for x in total.args)
    return (a, b) if average(a, b) is lane else None


def looked_up(lane: Term) -> tuple[Term, Term, Term] | None:
    """(low and high half of the table, index) of a byte that ``pshufb`` looks up."""
    if lane.op != "ite" or lane.width != 8 or lane.args[0].op != "extract" or lane.args[2].op != "extract":
        return None
    index = t.extract(lane.args[0].args[0], lane.args[0].attr - 7, 8) if lane.args[0].attr >= 7 else lane
    found = lane.args[2].args[0]
    if found.op != "lshr" or found.args[0].op != "ite":
        return None
    _, high, low = found.args[0].args
    return (low, high, index) if shuffled_byte(t.concat(high, low), index) is lane else None


def summands(total: Term) -> list[Term]:
    """The terms that ``total`` adds up."""
    if total.op != "add":
        return [total]
    return [x for part in total.args for x in summands(part)]


def signs(bits: tuple[Term, ...]) -> list[Term] | None:
    """Lanes of a width that makes them 128 bits together, whose signs are ``bits``; None if there are none."""
    width = 128 // len(bits)
    found = []
    for bit in bits:
        if bit.op != "extract" or bit.attr % width != width - 1:
            return None
        found.append(t.extract(bit.args[0], bit.attr - width + 1, width))
    return found
