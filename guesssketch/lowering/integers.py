"""Integer operations for which LLVM has no instruction of the same meaning: shifts by any count, overflow, long division."""

from __future__ import annotations

from collections.abc import Callable

from guesssketch.lowering.division import divide
from guesssketch.lowering.emitter import Emitter, Unsupported
from isa.terms import Term, extract, mask


class Integers:
    """value: the operand for a term. extend: the same, extended by ``zext`` or ``sext`` to a number of bits."""

    def __init__(self, emitter: Emitter, value: Callable[[Term], str], extend: Callable[[Term, str, int], str]) -> None:
        self._new, self._value, self._extend = emitter.new, value, extend
        self._quotients: dict[tuple[int, int, bool], tuple[str, str]] = {}

    def shift(self, term: Term) -> str:
        """A shift by a count that may reach the width, where LLVM's is poison."""
        a, n = term.args
        op, w, limit = term.op, term.width, _upper_bound(n)
        if limit < w:
            return self._new(f"{op} i{w} {self._value(a)}, {self._value(n)}")
        wide = 32 if limit < 32 and w < 32 else 64 if limit < 64 and w < 64 else 0
        if wide:
            extended = self._extend(a, "sext" if op == "ashr" else "zext", wide)
            amount = self._extend(n, "zext", wide)
            return self._new(f"trunc i{wide} {self._new(f'{op} i{wide} {extended}, {amount}')} to i{w}")
        amount = self._value(n)
        inside = self._new(f"icmp ult i{w} {amount}, {w}")
        if op == "ashr":
            cut = self._new(f"select i1 {inside}, i{w} {amount}, i{w} {w - 1}")
            return self._new(f"ashr i{w} {self._value(a)}, {cut}")
        cut = self._new(f"select i1 {inside}, i{w} {amount}, i{w} 0")
        shifted = self._new(f"{op} i{w} {self._value(a)}, {cut}")
        return self._new(f"select i1 {inside}, i{w} {shifted}, i{w} 0")

    def overflow(self, term: Term) -> str:
        """Whether a sum or difference overflows."""
        a, b = term.args
        kind = f"i{a.width}"
        name = {"uaddo": "uadd", "saddo": "sadd", "ssubo": "ssub"}[term.op]
        arguments = f"{kind} {self._value(a)}, {kind} {self._value(b)}"
        pair = self._new(f"call {{ {kind}, i1 }} @llvm.{name}.with.overflow.{kind}({arguments})")
        return self._new(f"extractvalue {{ {kind}, i1 }} {pair}, 1")

    def long_division(self, term: Term) -> str:
        """A division of 128 bits by what was extended from 64: the quotient fits, or x86-64 faults."""
        dividend, divisor = term.args
        is_signed = term.op in ("sdiv", "srem")
        if divisor.op not in ("const", "sext" if is_signed else "zext"):
            raise Unsupported("a division by 128 bits")
        key = (dividend.id, divisor.id, is_signed)
        if key not in self._quotients:
            parts = (extract(dividend, 64, 64), extract(dividend, 0, 64), extract(divisor, 0, 64))
            high, low, by = (self._value(x) for x in parts)
            self._quotients[key] = divide(self._new, high, low, by, is_signed)
        return self._new(f"zext i64 {self._quotients[key][term.op in ('urem', 'srem')]} to i128")


def _upper_bound(term: Term) -> int:
    """A number that the unsigned value of ``term`` never exceeds."""
    if term.op == "const":
        return int(term.attr)
    if term.op == "and":
        return min(_upper_bound(a) for a in term.args)
    if term.op == "zext":
        return _upper_bound(term.args[0])
    if term.op == "extract" and term.attr == 0:
        return min(mask(term.width), _upper_bound(term.args[0]))
    if term.op == "ite":
        return max(_upper_bound(a) for a in term.args[1:])
    return mask(term.width)
