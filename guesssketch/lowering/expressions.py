"""The expression part of ``ir``: one SSA value for each term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from guesssketch.lowering.conversions import TYPES
from guesssketch.lowering.emitter import Emitter
from guesssketch.lowering.floats import Floats
from guesssketch.lowering.integers import Integers
from guesssketch.lowering.lanes import Lanes
from guesssketch.lowering.pins import BOOLEANS, Inputs, Pin
from guesssketch.lowering.rows import by_lanes, split
from guesssketch.lowering.swar import Swar
from guesssketch.lowering.symbols import Symbols
from guesssketch.problem import Problem
from isa.terms import BINARY, Term, extract, signed
from solver.assume import IN_RANGE

_DIVISIONS: Final = frozenset({"udiv", "urem", "sdiv", "srem"})
_PREDICATES: Final = {"eq": "eq", "ult": "ult", "ule": "ule", "slt": "slt", "sle": "sle"}


class Expressions(Emitter):
    """Emits IR for terms, each once. target: the problem's. inputs: where cells are. globals: declarations that it needs."""

    def __init__(self, function: str, problem: Problem, strict: bool, ordered_symbols: frozenset[str]) -> None:
        super().__init__()
        self.inputs = Inputs(self)
        self.target = problem.target
        self._strict = strict
        self._ordered = ordered_symbols
        self._values: dict[int, str] = {}
        self._symbols = Symbols(self, function, problem, strict)
        self._integers = Integers(self, self.value, self._extend)
        self._floats = Floats(self, self.value, self._hidden, problem)
        self._lanes: Lanes | None = None
        if problem.target == "aarch64" and not strict:
            self._lanes = Lanes(self, self.value, self._vector_source, self._hidden, IN_RANGE in problem.assume)
        self._swar = Swar(self.new, self.value, self.opaque) if problem.target == "riscv64" and not strict else None

    @property
    def globals(self) -> list[str]:
        return self._symbols.globals

    # --- the way out -------------------------------------------------------------------------------------------------

    def late(self, cells: Mapping[str, Term]) -> set[int]:
        """Values of vector cells that are left to ``output``, which may make them by packed operations."""
        return {x.id for cell, x in cells.items() if cell.startswith("xmm")} if self._lanes is not None else set()

    def output(self, pin: Pin, cells: Mapping[str, Term]) -> tuple[str, str, str]:
        """(register, type, value) for an exit marker."""
        if pin.type == "<2 x i64>":
            vector = self._packed([cells[cell] for cell in pin.cells]) if all(c in cells for c in pin.cells) else None
            if vector is not None:
                return pin.register, pin.type, self.new(f"bitcast {vector} to <2 x i64>")
            vector = "poison"
            for lane, cell in enumerate(pin.cells):
                if cell in cells:
                    value = self._hidden(cells[cell], 64)
                    vector = self.new(f"insertelement <2 x i64> {vector}, i64 {value}, i64 {lane}")
            return pin.register, pin.type, vector
        cell = pin.cells[0]
        term = cells[cell]
        if cell in BOOLEANS:
            value = self.inputs.homes[cell] if term.op == "var" and term.attr == cell else self._extend(term, "zext", 64)
            return pin.register, pin.type, value
        if pin.type in ("float", "double"):
            width = 32 if pin.type == "float" else 64
            packed = self._packed([term]) if width == 64 else None
            if packed is not None:
                return pin.register, pin.type, self.new(f"bitcast {packed} to double")
            if term.width == width and term.id in self._floats.known:
                return pin.register, pin.type, self._floats.known[term.id]
            return pin.register, pin.type, self.new(f"bitcast i{width} {self._hidden(term, width)} to {pin.type}")
        value = self.value(term)
        return pin.register, pin.type, value

    def _packed(self, parts: Sequence[Term]) -> str | None:
        """``type name`` of a vector that holds ``parts`` (128 bits, low first), if packed operations make them."""
        if self._lanes is None or all(p.op in ("var", "load") for p in parts):
            return None
        row = split([by_lanes(p) for p in parts])
        if row is None or (len(row) == 2 and all(x is not None and x.op in ("var", "const", "load") for x in row)):
            return None
        name = self._lanes.build(row)
        if name is None:
            return None
        width = row[0].width if row[0] is not None else 0
        return f"<{len(row)} x i{width}> {name}"

    def _vector_source(self, term: Term) -> tuple[str, str, int, int] | None:
        """(name, type, first bit, bits) of the vector that ``term`` is part of: an input register or a 16-byte load."""
        if term.op == "var" and term.attr in self.inputs.vectors:
            return self.inputs.whole(term.attr)
        if term.op == "load" and term.width in (16, 32, 64, 128):
            return self.value(term), f"i{term.width}", 0, term.width
        return None

    def _hidden(self, term: Term, width: int = 0) -> str:
        """The value, widened to ``width`` if it is narrower; a constant goes through empty assembly, or LLVM would load it from
        a pool."""
        width = max(width, term.width)
        value = self._extend(term, "zext", width)
        return value if term.op != "const" or term.attr == 0 else self.opaque(value, width)

    # --- memory ------------------------------------------------------------------------------------------------------

    def _pointer(self, address: Term) -> tuple[str, str]:
        """(``volatile `` or nothing, pointer)."""
        pointer = self.new(f"inttoptr i64 {self.value(address)} to ptr")
        return "volatile " if self._ordered and _summands(address) & self._ordered else "", pointer

    def store(self, term: Term) -> None:
        _, address, value = term.args
        volatile, pointer = self._pointer(address)
        packed = self._packed([value]) if value.width == 128 else None
        if packed is not None:
            operand = packed
        elif value.id in self._floats.known:
            operand = f"{TYPES[value.width]} {self._floats.known[value.id]}"
        else:
            operand = f"i{value.width} {self.value(value)}"
        self.add(f"store {volatile}{operand}, ptr {pointer}, align 1")

    def guarded(self, guard: Term, accesses: Sequence[Term]) -> None:
        """Make ``accesses`` only if ``guard``; the loads among them give 0 otherwise."""
        self.add(f"br i1 {self.value(guard)}, label %do, label %join", "do:")
        values, floats = dict(self._values), dict(self._floats.known)
        for term in accesses:
            if term.op == "store":
                self.store(term)
            else:
                self.value(term)
        loaded = {term.id: (self._values[term.id], term.width) for term in accesses if term.op == "load"}
        self.add("br label %join", "join:")
        self._values, self._floats.known = values, floats
        for number, (value, width) in loaded.items():
            self._values[number] = self.new(f"phi i{width} [ {value}, %do ], [ 0, %entry ]")

    # --- values ------------------------------------------------------------------------------------------------------

    def value(self, term: Term) -> str:
        """The operand for ``term`` as ``i<width>``."""
        if term.op == "const":
            return str(bool(term.attr)).lower() if term.width == 1 else str(signed(term.attr, term.width))
        known = self._values.get(term.id)
        if known is None:
            known = self._values[term.id] = self._emit(term)
        return known

    def bind(self, term: Term, value: str) -> None:
        """``value`` is what ``term`` stands for from here on."""
        self._values[term.id] = value

    def _emit(self, term: Term) -> str:
        op, w = term.op, term.width
        kind = f"i{w}"
        if op == "var":
            return self._variable(term)
        if op == "undef":
            return self.new(f"freeze {kind} poison")
        if op == "load":
            volatile, pointer = self._pointer(term.args[1])
            return self.new(f"load {volatile}{kind}, ptr {pointer}, align 1")
        if op in ("shl", "lshr", "ashr"):
            return self._integers.shift(term)
        if op in _DIVISIONS and w == 128:
            return self._integers.long_division(term)
        if op in BINARY:
            a, b = term.args
            return self.new(f"{op} {kind} {self.value(a)}, {self.value(b)}")
        if op in ("zext", "sext"):
            return self._extend(term.args[0], op, w)
        if op == "extract":
            return self._extract(term)
        if op == "concat":
            return self._concat(term)
        if op == "ite":
            integral = self._floats.integral(term)
            if integral is not None:
                return integral
            condition, a, b = term.args
            return self._select(term, condition, a, b)
        if op == "not":
            return self.new(f"xor {kind} {self.value(term.args[0])}, -1")
        if op == "neg":
            return self.new(f"sub {kind} 0, {self.value(term.args[0])}")
        if op == "popcount":
            value = self.value(term.args[0])
            if self.target == "riscv64" and w <= 64:  # LLVM would see a count of trailing zeros, and use a table
                value = self.new(f'call {kind} asm "", "=r,0"({kind} {value})')
            return self.new(f"call {kind} @llvm.ctpop.{kind}({kind} {value})")
        if op == "clz":
            return self.new(f"call {kind} @llvm.ctlz.{kind}({kind} {self.value(term.args[0])}, i1 false)")
        if op in _PREDICATES:
            a, b = term.args
            return self.new(f"icmp {_PREDICATES[op]} i{a.width} {self.value(a)}, {self.value(b)}")
        if op in ("uaddo", "saddo", "ssubo"):
            return self._integers.overflow(term)
        return self._floats.emit(term)

    def _select(self, term: Term, condition: Term, a: Term, b: Term) -> str:
        c = self.value(condition)
        if a.id in self._floats.known and b.id in self._floats.known:
            kind = TYPES[term.width]
            return self._floats.made(term, f"select i1 {c}, {kind} {self._floats.known[a.id]}, {kind} {self._floats.known[b.id]}")
        return self.new(f"select i1 {c}, i{term.width} {self.value(a)}, i{term.width} {self.value(b)}")

    def _variable(self, term: Term) -> str:
        home = self.inputs.homes.get(term.attr)
        if home is None:
            return self._symbols.value(term.attr)
        return self.new(f"icmp ne i64 {home}, 0") if term.width == 1 else home

    def _extend(self, a: Term, op: str, width: int) -> str:
        if a.width == width:
            return self.value(a)
        if a.op == "var" and a.width == 1 and op == "zext" and a.attr in self.inputs.homes:
            home = self.inputs.homes[a.attr]  # holds 0 or 1
            return home if width == 64 else self.new(f"trunc i64 {home} to i{width}")
        if a.op == "const":
            return str(a.attr if op == "zext" else signed(a.attr, a.width))
        return self.new(f"{op} i{a.width} {self.value(a)} to i{width}")

    def _extract(self, term: Term) -> str:
        (a,), low, w = term.args, term.attr, term.width
        lane = a.op == "var" and a.attr in self.inputs.vectors and w in (8, 16, 32) and low % w == 0
        if lane and self.target == "aarch64":
            return self.inputs.lane(a.attr, low, w)
        value = self.value(a)
        if low:
            value = self.new(f"lshr i{a.width} {value}, {low}")
        return self.new(f"trunc i{a.width} {value} to i{w}")

    def _concat(self, term: Term) -> str:
        w, position, total = term.width, 0, ""
        if self._lanes is not None and w in (2, 4, 8, 16) and all(x.width == 1 for x in term.args):
            mask = self._lanes.sign_mask(tuple(reversed(term.args)))
            if mask is not None:
                return self.new(f"trunc i64 {mask} to i{w}")
        if self._swar is not None and (found := self._in_one_register(term)) is not None:
            return found
        in_turn = self._strict and len(term.args) > 2 and w <= 64  # or all lanes and masks need registers at once
        for part in reversed(term.args):
            value = self._extend(part, "zext", w)
            if in_turn or (self.target == "riscv64" and _multiplies(part)):
                value = self.opaque(value, w)  # or LLVM would multiply what lies in the middle of a register
            if position:
                value = self.new(f"shl i{w} {value}, {position}")
            total = self.new(f"or disjoint i{w} {total}, {value}") if total else value
            position += part.width
            if in_turn:
                total = self.opaque(total, w)
        return total

    def _in_one_register(self, term: Term) -> str | None:
        """Lanes that are packed in general registers."""
        assert self._swar is not None
        w = term.width
        if w in (8, 16) and all(x.width == 1 for x in term.args):
            mask = self._swar.sign_mask(tuple(reversed(term.args)))
            return None if mask is None else self.new(f"trunc i64 {mask} to i{w}")
        if w == 64:
            return self._swar.build(term)
        if w != 128:
            return None
        low, high = (self._extend(extract(term, at, 64), "zext", w) for at in (0, 64))
        return self.new(f"or disjoint i{w} {low}, {self.new(f'shl i{w} {high}, 64')}")


def _multiplies(term: Term, depth: int = 3) -> bool:
    """Whether a product takes part in ``term``, not far down."""
    return term.op == "mul" or (depth > 0 and term.width > 1 and any(_multiplies(x, depth - 1) for x in term.args))


def _summands(address: Term) -> frozenset[str]:
    if address.op == "add":
        return _summands(address.args[0]) | _summands(address.args[1])
    return frozenset((address.attr,)) if address.op == "var" else frozenset()
