"""Floating-point terms: bitcasts in and out of integers, no fast-math and no contraction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from guesssketch.lowering.conversions import ROUND, TYPES, Conversions
from guesssketch.lowering.emitter import Emitter, Unsupported
from guesssketch.problem import Problem
from isa.terms import FLOAT_BINARY, FLOAT_COMPARE, Term
from solver.assume import IN_RANGE, converted

_PREDICATES: Final = {"feq": "oeq", "flt": "olt", "fle": "ole", "fnan": "uno"}


class Floats:
    """value: the operand for a term as an integer. hide: the same, a constant kept out of sight.

    known: the operand as ``float`` or ``double`` of each term that has one, by the term's number.
    """

    def __init__(self, emitter: Emitter, value: Callable[[Term], str], hide: Callable[[Term], str], problem: Problem) -> None:
        self.known: dict[int, str] = {}
        self._new, self._value, self._hide = emitter.new, value, hide
        self._target = problem.target
        self._conversions = Conversions(emitter.new, self.operand, IN_RANGE in problem.assume)

    def operand(self, term: Term) -> str:
        """The operand for ``term`` as ``float`` or ``double``."""
        known = self.known.get(term.id)
        if known is None:
            kind = TYPES.get(term.width)
            if kind is None:
                raise Unsupported(f"{term.width}-bit float")
            known = self.known[term.id] = self._new(f"bitcast i{term.width} {self._hide(term)} to {kind}")
        return known

    def integral(self, term: Term) -> str | None:
        """The integer operand for a choice that says how x86-64 converts a float; None if ``term`` says no such thing."""
        value = converted(term)
        if value is None:
            return None
        make = self._conversions.riscv64 if self._target == "riscv64" else self._conversions.aarch64
        return make(value, term.width)

    def made(self, term: Term, text: str) -> str:
        """The integer operand for ``term``, which the instruction ``text`` makes as a float."""
        value = self.known[term.id] = self._new(text)
        return self._new(f"bitcast {TYPES[term.width]} {value} to i{term.width}")

    def emit(self, term: Term) -> str:
        """The integer operand for a floating-point operation. Raises Unsupported."""
        op, w = term.op, term.width
        if op in FLOAT_COMPARE or op == "fnan":
            kind = TYPES.get(term.args[0].width, "")
            operands = [self.operand(a) for a in term.args]
            return self._new(f"fcmp {_PREDICATES[op]} {kind} {operands[0]}, {operands[-1]}")
        if op in ("f2s", "f2u"):
            return self._to_integer(term)
        kind = TYPES.get(w, "")
        if not kind:
            raise Unsupported(f"{op} to {w} bits")
        if op in ("s2f", "u2f"):
            a = term.args[0]
            return self.made(term, f"{'sitofp' if op == 's2f' else 'uitofp'} i{a.width} {self._value(a)} to {kind}")
        operands = [self.operand(a) for a in term.args]
        if op in FLOAT_BINARY:
            return self.made(term, f"{op} {kind} {operands[0]}, {operands[1]}")
        if op == "f2f":
            before = TYPES[term.args[0].width]
            return self.made(term, f"{'fpext' if w == 64 else 'fptrunc'} {before} {operands[0]} to {kind}")
        if op == "fround" and self._target == "riscv64":
            value = self.known[term.id] = self._conversions.rounded(term.args[0], term.attr)
            return self._new(f"bitcast {kind} {value} to i{w}")
        name = {"fsqrt": "sqrt", "fma": "fma", "fround": ROUND.get(term.attr, "")}.get(op)
        if not name:
            raise Unsupported(op)
        return self.made(term, f"call {kind} @llvm.{name}.f{w}({', '.join(f'{kind} {x}' for x in operands)})")

    def _to_integer(self, term: Term) -> str:
        source = term.args[0]
        value, kind = self.operand(source), TYPES[source.width]
        if term.attr not in (None, "rtz"):
            value = self._new(f"call {kind} @llvm.{ROUND[term.attr]}.f{source.width}({kind} {value})")
        integer = self._new(f"{'fptosi' if term.op == 'f2s' else 'fptoui'} {kind} {value} to i{term.width}")
        return self._new(f"freeze i{term.width} {integer}")
