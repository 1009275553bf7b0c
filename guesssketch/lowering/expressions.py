"""The expression part of ``ir``: one SSA value for each term, floats as bitcasts, no fast-math and no contraction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Literal

from guesssketch.lowering.conversions import TYPES, Conversions
from guesssketch.lowering.division import divide
from guesssketch.lowering.lanes import ROUND, Lanes, Row, by_lanes, split
from guesssketch.lowering.pins import BOOLEANS, Pin
from guesssketch.lowering.swar import Swar
from guesssketch.problem import Problem, Symbol
from isa.terms import BINARY, FLOAT_BINARY, FLOAT_COMPARE, Term, extract, mask, signed
from solver.assume import IN_RANGE, converted

_DIVISIONS: Final = frozenset({"udiv", "urem", "sdiv", "srem"})
_PREDICATES: Final = {"eq": "eq", "ult": "ult", "ule": "ule", "slt": "slt", "sle": "sle"}
_FLOAT_PREDICATES: Final = {"feq": "oeq", "flt": "olt", "fle": "ole"}


Maker = Term | Literal["state", "jump"]  # what a line of IR is there for: a term, the state map, or the way out


class Unsupported(Exception):
    """A block with no lowering; the text says what is in the way."""


class Expressions:
    """Emits IR for terms, each once.

    lines: the function's body so far. makers: for each of them, what it is there for. globals: declarations it needs.
    """

    def __init__(self, function: str, problem: Problem, strict: bool, ordered_symbols: frozenset[str]) -> None:
        self.lines: list[str] = []
        self.makers: list[Maker] = []
        self._maker: Maker = "state"
        self.globals: list[str] = []
        self._function = function
        self._problem = problem
        self._strict = strict
        self._ordered = ordered_symbols
        self._symbols = {s.name: s for s in problem.symbols}
        self._values: dict[int, str] = {}
        self._floats: dict[int, str] = {}
        self._held_in: dict[int, str] = {}  # held terms of fewer than 64 bits: the register that they lie in
        self._homes: dict[str, str] = {}
        self._quotients: dict[tuple[int, int, bool], tuple[str, str]] = {}
        self._vectors: dict[str, str] = {}
        self._thread_pointer: str | None = None
        self._conversions = Conversions(self._new, self._as_float, IN_RANGE in problem.assume)
        packed = problem.target == "aarch64" and not strict
        self._swar = Swar(self._new, self.value, self._opaque) if problem.target == "riscv64" and not strict else None
        self._lanes: Lanes | None = None
        if packed:
            self._lanes = _Lanes(
                self._new, self.value, self._vector_source, lambda x: self._hidden(x, x.width),
                IN_RANGE in problem.assume, self.making
            )

    # --- entry and exit ----------------------------------------------------------------------------------------------

    def bind_inputs(self, mark: str, pins: Sequence[Pin]) -> None:
        """The entry marker: defines every pinned register."""
        if not pins:
            return
        types = [pin.type for pin in pins]
        result = types[0] if len(types) == 1 else "{ " + ", ".join(types) + " }"
        constraints = ",".join(f"={{{pin.register}}}" for pin in pins)
        entry = self._new(f'call {result} asm sideeffect "{mark}", "{constraints}"()')
        values = [entry] if len(types) == 1 else [
            self._new(f"extractvalue {result} {entry}, {n}") for n in range(len(types))]  # fmt: skip
        for pin, value in zip(pins, values, strict=True):
            if pin.type == "<2 x i64>":
                for lane, cell in enumerate(pin.cells):
                    self._homes[cell] = self._new(f"extractelement <2 x i64> {value}, i64 {lane}")
                    self._vectors[cell] = value
            else:
                self._homes[pin.cells[0]] = self._as_int(value, pin.type)
                if pin.type == "double":
                    self._vectors[pin.cells[0]] = value

    def _as_int(self, value: str, kind: str) -> str:
        return self._new(f"bitcast double {value} to i64") if kind == "double" else value

    def late(self, cells: Mapping[str, Term]) -> set[int]:
        """Values of vector cells that are left to ``output``, which may make them by packed operations."""
        return {x.id for cell, x in cells.items() if cell.startswith("xmm")} if self._lanes is not None else set()

    def output(self, pin: Pin, cells: Mapping[str, Term]) -> tuple[str, str, str]:
        """(register, type, value) for an exit marker."""
        if pin.type == "<2 x i64>":
            vector = self._packed([cells[cell] for cell in pin.cells]) if all(c in cells for c in pin.cells) else None
            if vector is not None:
                return pin.register, pin.type, self._new(f"bitcast {vector} to <2 x i64>")
            vector = "poison"
            for lane, cell in enumerate(pin.cells):
                if cell in cells:
                    value = self._hidden(cells[cell], 64)
                    vector = self._new(f"insertelement <2 x i64> {vector}, i64 {value}, i64 {lane}")
            return pin.register, pin.type, vector
        cell = pin.cells[0]
        term = cells[cell]
        if cell in BOOLEANS:
            value = self._homes[cell] if term.op == "var" and term.attr == cell else self._extend(term, "zext", 64)
            return pin.register, pin.type, value
        if pin.type in ("float", "double"):
            width = 32 if pin.type == "float" else 64
            packed = self._packed([term]) if width == 64 else None
            if packed is not None:
                return pin.register, pin.type, self._new(f"bitcast {packed} to double")
            if term.width == width and term.id in self._floats:
                return pin.register, pin.type, self._floats[term.id]
            return pin.register, pin.type, self._new(f"bitcast i{width} {self._hidden(term, width)} to {pin.type}")
        value = self.value(term)
        return (pin.register, "i64", self._held_in[term.id]) if term.id in self._held_in else (pin.register, pin.type, value)

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
        if term.op == "var" and term.attr in self._vectors:
            cell = term.attr
            both = cell[:-2] + "hi" in self._vectors
            base = 64 if cell.endswith("hi") else 0
            return self._vectors[cell], "<2 x i64>" if both else "double", base, 128 if both else 64
        if term.op == "load" and term.width in (16, 32, 64, 128):
            return self.value(term), f"i{term.width}", 0, term.width
        return None

    def _hidden(self, term: Term, width: int) -> str:
        """The value widened to ``width``; a constant goes through empty assembly, or LLVM would load it from a pool."""
        value = self._extend(term, "zext", width)
        if term.op != "const" or term.attr == 0:
            return value
        return self._opaque(value, width)

    def _opaque(self, value: str, width: int) -> str:
        """The same value in a general register, but nothing that LLVM knows of; computed at this very place."""
        return self._new(f'call i{width} asm sideeffect "", "=r,0"(i{width} {value})')

    # --- memory ------------------------------------------------------------------------------------------------------

    def _pointer(self, address: Term) -> tuple[str, str]:
        """(``volatile `` or nothing, pointer)."""
        pointer = self._new(f"inttoptr i64 {self.value(address)} to ptr")
        return "volatile " if self._ordered and _summands(address) & self._ordered else "", pointer

    def store(self, term: Term) -> None:
        _, address, value = term.args
        with self.making(term):
            volatile, pointer = self._pointer(address)
            packed = self._packed([value]) if value.width == 128 else None
            if packed is not None:
                operand = packed
            elif value.id in self._floats:
                operand = f"{TYPES[value.width]} {self._floats[value.id]}"
            else:
                operand = f"i{value.width} {self.value(value)}"
            self.add(f"store {volatile}{operand}, ptr {pointer}, align 1")

    def guarded(self, guard: Term, accesses: Sequence[Term]) -> None:
        """Make ``accesses`` only if ``guard``; the loads among them give 0 otherwise."""
        with self.making(guard):
            self.add(f"br i1 {self.value(guard)}, label %do, label %join", "do:")
        values, floats = dict(self._values), dict(self._floats)
        for term in accesses:
            if term.op == "store":
                self.store(term)
            else:
                self.value(term)
        loaded = {term.id: (self._values[term.id], term.width) for term in accesses if term.op == "load"}
        self.add("br label %join", "join:")
        self._values, self._floats = values, floats
        for number, (value, width) in loaded.items():
            self._values[number] = self._new(f"phi i{width} [ {value}, %do ], [ 0, %entry ]")

    # --- values ------------------------------------------------------------------------------------------------------

    def value(self, term: Term) -> str:
        """The operand for ``term`` as ``i<width>``."""
        if term.op == "const":
            return str(bool(term.attr)).lower() if term.width == 1 else str(signed(term.attr, term.width))
        known = self._values.get(term.id)
        if known is None:
            with self.making(term):
                known = self._values[term.id] = self._emit(term)
        return known

    def add(self, *lines: str) -> None:
        """Append ``lines`` for what is being made."""
        self.lines += lines
        self.makers += [self._maker] * len(lines)

    def _new(self, text: str) -> str:
        name = f"%v{len(self.lines)}"
        self.add(f"{name} = {text}")
        return name

    @contextmanager
    def making(self, maker: Maker) -> Iterator[None]:
        """What is appended while the context lasts is there for ``maker``."""
        before, self._maker = self._maker, maker
        try:
            yield
        finally:
            self._maker = before

    def _emit(self, term: Term) -> str:
        op, w = term.op, term.width
        kind = f"i{w}"
        if op == "var":
            return self._variable(term)
        if op == "undef":
            return self._new(f"freeze {kind} poison")
        if op == "load":
            volatile, pointer = self._pointer(term.args[1])
            return self._new(f"load {volatile}{kind}, ptr {pointer}, align 1")
        if op == "held":
            return self._held(term)
        if op in ("shl", "lshr", "ashr"):
            return self._shift(term)
        if op in _DIVISIONS and w == 128:
            return self._long_division(term)
        if op in BINARY:
            a, b = term.args
            return self._new(f"{op} {kind} {self.value(a)}, {self.value(b)}")
        if op in ("zext", "sext"):
            return self._extend(term.args[0], op, w)
        if op == "extract":
            return self._extract(term)
        if op == "concat":
            return self._concat(term)
        if op == "ite":
            integral = converted(term)
            if integral is not None:
                make = self._conversions.riscv64 if self._problem.target == "riscv64" else self._conversions.aarch64
                return make(integral, w)
            condition, a, b = term.args
            return self._select(term, condition, a, b)
        if op == "not":
            return self._new(f"xor {kind} {self.value(term.args[0])}, -1")
        if op == "neg":
            return self._new(f"sub {kind} 0, {self.value(term.args[0])}")
        if op == "popcount":
            value = self.value(term.args[0])
            if (
                self._problem.target == "riscv64" and w <= 64
            ):  # LLVM would see a count of trailing zeros, and use a table
                value = self._new(f'call {kind} asm "", "=r,0"({kind} {value})')
            return self._new(f"call {kind} @llvm.ctpop.{kind}({kind} {value})")
        if op == "clz":
            return self._new(f"call {kind} @llvm.ctlz.{kind}({kind} {self.value(term.args[0])}, i1 false)")
        if op in _PREDICATES:
            a, b = term.args
            return self._new(f"icmp {_PREDICATES[op]} i{a.width} {self.value(a)}, {self.value(b)}")
        if op in ("uaddo", "saddo", "ssubo"):
            return self._overflow(term)
        return self._float(term)

    def _long_division(self, term: Term) -> str:
        """A division of 128 bits by what was extended from 64: the quotient fits, or x86-64 faults."""
        dividend, divisor = term.args
        is_signed = term.op in ("sdiv", "srem")
        if divisor.op not in ("const", "sext" if is_signed else "zext"):
            raise Unsupported("a division by 128 bits")
        key = (dividend.id, divisor.id, is_signed)
        if key not in self._quotients:
            high, low, by = (self.value(x) for x in (extract(dividend, 64, 64), extract(dividend, 0, 64), extract(divisor, 0, 64)))
            self._quotients[key] = divide(self._new, high, low, by, is_signed)
        return self._new(f"zext i64 {self._quotients[key][term.op in ('urem', 'srem')]} to i128")

    def _held(self, term: Term) -> str:
        """The same value in a general register, of which LLVM knows no more than how it is extended."""
        value = self.value(term.args[0])
        wide = value if term.width == 64 else self._extend(term.args[0], term.attr, 64)
        held = self._new(f'call i64 asm "", "=r,0"(i64 {wide})')
        if term.width == 64:
            return held
        self._held_in[term.id] = held
        return self._new(f"trunc {'nuw' if term.attr == 'zext' else 'nsw'} i64 {held} to i{term.width}")

    def _select(self, term: Term, condition: Term, a: Term, b: Term) -> str:
        c = self.value(condition)
        if a.id in self._floats and b.id in self._floats:
            kind = TYPES[term.width]
            return self._from_float(term, f"select i1 {c}, {kind} {self._floats[a.id]}, {kind} {self._floats[b.id]}")
        return self._new(f"select i1 {c}, i{term.width} {self.value(a)}, i{term.width} {self.value(b)}")

    def _variable(self, term: Term) -> str:
        name = term.attr
        if name in self._homes:
            home = self._homes[name]
            return self._new(f"icmp ne i64 {home}, 0") if term.width == 1 else home
        if name in self._symbols:
            return self._symbol(self._symbols[name])
        if name == "fs_base":
            return self._thread()
        raise Unsupported(f"no home for {name}")

    def _thread(self) -> str:
        if self._thread_pointer is None:
            if self._problem.target == "riscv64":  # ghccc has no thread-local storage there
                self._thread_pointer = self._new('call i64 asm "mv $0, tp", "=r"()')
            else:
                pointer = self._new("call ptr @llvm.thread.pointer()")
                self._thread_pointer = self._new(f"ptrtoint ptr {pointer} to i64")
        return self._thread_pointer

    def _symbol(self, symbol: Symbol) -> str:
        place = f"@{self._function}.{symbol.name}"
        executable = any(
            r.symbol == symbol.name and r.kind == "tpoff" for i in self._problem.instructions for r in i.relocations
        )
        if symbol.kind == "tls" and self._problem.target == "riscv64":
            name = f"{self._function}.{symbol.name}"
            text = (
                f"lui $0, %tprel_hi({name})\\0Aaddi $0, $0, %tprel_lo({name})"
                if executable
                else f"la.tls.ie $0, {name}"
            )
            return self._new(f'call i64 asm "{text}", "=r"()')
        if symbol.kind == "tls":
            model = "localexec" if executable else "initialexec"
            self.globals.append(f"{place} = external thread_local({model}) global i8")
            address = self._new(f"ptrtoint ptr {place} to i64")
            return self._new(f"sub i64 {address}, {self._thread()}")
        linkage = "extern_weak" if symbol.kind == "got" else "external dso_local"
        self.globals.append(f"{place} = {linkage} global i8, align {symbol.align}")
        address = self._new(f"ptrtoint ptr {place} to i64")
        return self._new(f'call i64 asm "", "=r,0"(i64 {address})') if self._strict else address

    def _extend(self, a: Term, op: str, width: int) -> str:
        if a.width == width:
            return self.value(a)
        if a.op == "var" and a.width == 1 and op == "zext" and a.attr in self._homes:
            home = self._homes[a.attr]  # holds 0 or 1
            return home if width == 64 else self._new(f"trunc i64 {home} to i{width}")
        if a.op == "const":
            return str(a.attr if op == "zext" else signed(a.attr, a.width))
        return self._new(f"{op} i{a.width} {self.value(a)} to i{width}")

    def _extract(self, term: Term) -> str:
        (a,), low, w = term.args, term.attr, term.width
        lane = a.op == "var" and a.attr in self._vectors and w in (8, 16, 32) and low % w == 0
        if lane and self._problem.target == "aarch64":
            return self._lane(a.attr, low, w)
        value = self.value(a)
        if low:
            value = self._new(f"lshr i{a.width} {value}, {low}")
        return self._new(f"trunc i{a.width} {value} to i{w}")

    def _lane(self, cell: str, low: int, width: int) -> str:
        """A lane of an input vector register, without passing through a general register."""
        vector = self._vectors[cell]
        both = cell[:-2] + "hi" in self._vectors
        lanes = (128 if both else 64) // width
        kind = f"<{lanes} x i{width}>"
        cast = self._new(f"bitcast {'<2 x i64>' if both else 'double'} {vector} to {kind}")
        first = 64 // width if cell.endswith("hi") else 0
        return self._new(f"extractelement {kind} {cast}, i64 {first + low // width}")

    def _concat(self, term: Term) -> str:
        w, position, total = term.width, 0, ""
        if self._lanes is not None and w in (2, 4, 8, 16) and all(x.width == 1 for x in term.args):
            mask = self._lanes.sign_mask(tuple(reversed(term.args)))
            if mask is not None:
                return self._new(f"trunc i64 {mask} to i{w}")
        if self._swar is not None and (found := self._in_one_register(term)) is not None:
            return found
        in_turn = self._strict and len(term.args) > 2 and w <= 64  # or all lanes and masks need registers at once
        for part in reversed(term.args):
            value = self._extend(part, "zext", w)
            if in_turn or (self._problem.target == "riscv64" and _multiplies(part)):
                value = self._opaque(value, w)  # or LLVM would multiply what lies in the middle of a register
            if position:
                value = self._new(f"shl i{w} {value}, {position}")
            total = self._new(f"or disjoint i{w} {total}, {value}") if total else value
            position += part.width
            if in_turn:
                total = self._opaque(total, w)
        return total

    def _in_one_register(self, term: Term) -> str | None:
        """Lanes that are packed in general registers."""
        assert self._swar is not None
        w = term.width
        if w in (8, 16) and all(x.width == 1 for x in term.args):
            mask = self._swar.sign_mask(tuple(reversed(term.args)))
            return None if mask is None else self._new(f"trunc i64 {mask} to i{w}")
        if w == 64:
            return self._swar.build(term)
        if w != 128:
            return None
        low, high = (self._extend(extract(term, at, 64), "zext", w) for at in (0, 64))
        return self._new(f"or disjoint i{w} {low}, {self._new(f'shl i{w} {high}, 64')}")

    def _shift(self, term: Term) -> str:
        a, n = term.args
        op, w, limit = term.op, term.width, upper_bound(n)
        if limit < w:
            return self._new(f"{op} i{w} {self.value(a)}, {self.value(n)}")
        wide = 32 if limit < 32 and w < 32 else 64 if limit < 64 and w < 64 else 0
        if wide:
            extended = self._extend(a, "sext" if op == "ashr" else "zext", wide)
            amount = self._extend(n, "zext", wide)
            return self._new(f"trunc i{wide} {self._new(f'{op} i{wide} {extended}, {amount}')} to i{w}")
        amount = self.value(n)
        inside = self._new(f"icmp ult i{w} {amount}, {w}")
        if op == "ashr":
            cut = self._new(f"select i1 {inside}, i{w} {amount}, i{w} {w - 1}")
            return self._new(f"ashr i{w} {self.value(a)}, {cut}")
        cut = self._new(f"select i1 {inside}, i{w} {amount}, i{w} 0")
        shifted = self._new(f"{op} i{w} {self.value(a)}, {cut}")
        return self._new(f"select i1 {inside}, i{w} {shifted}, i{w} 0")

    def _overflow(self, term: Term) -> str:
        a, b = term.args
        kind = f"i{a.width}"
        name = {"uaddo": "uadd", "saddo": "sadd", "ssubo": "ssub"}[term.op]
        arguments = f"{kind} {self.value(a)}, {kind} {self.value(b)}"
        pair = self._new(f"call {{ {kind}, i1 }} @llvm.{name}.with.overflow.{kind}({arguments})")
        return self._new(f"extractvalue {{ {kind}, i1 }} {pair}, 1")

    # --- floats ------------------------------------------------------------------------------------------------------

    def _as_float(self, term: Term) -> str:
        known = self._floats.get(term.id)
        if known is None:
            kind = TYPES.get(term.width)
            if kind is None:
                raise Unsupported(f"{term.width}-bit float")
            known = self._floats[term.id] = self._new(
                f"bitcast i{term.width} {self._hidden(term, term.width)} to {kind}"
            )
        return known

    def _from_float(self, term: Term, text: str) -> str:
        value = self._new(text)
        self._floats[term.id] = value
        return self._new(f"bitcast {TYPES[term.width]} {value} to i{term.width}")

    def _float(self, term: Term) -> str:
        op, w = term.op, term.width
        if op in FLOAT_COMPARE or op == "fnan":
            kind = TYPES.get(term.args[0].width, "")
            operands = [self._as_float(a) for a in term.args]
            predicate = "uno" if op == "fnan" else _FLOAT_PREDICATES[op]
            return self._new(f"fcmp {predicate} {kind} {operands[0]}, {operands[-1]}")
        if op in ("f2s", "f2u"):
            source = term.args[0]
            value, kind = self._as_float(source), TYPES[source.width]
            if term.attr not in (None, "rtz"):
                value = self._new(f"call {kind} @llvm.{ROUND[term.attr]}.f{source.width}({kind} {value})")
            integer = self._new(f"{'fptosi' if op == 'f2s' else 'fptoui'} {kind} {value} to i{w}")
            return self._new(f"freeze i{w} {integer}")
        result = TYPES.get(w)
        if result is None:
            raise Unsupported(f"{op} to {w} bits")
        if op in ("s2f", "u2f"):
            a = term.args[0]
            return self._from_float(
                term, f"{'sitofp' if op == 's2f' else 'uitofp'} i{a.width} {self.value(a)} to {result}"
            )
        operands = [self._as_float(a) for a in term.args]
        if op in FLOAT_BINARY:
            return self._from_float(term, f"{op} {result} {operands[0]}, {operands[1]}")
        if op == "f2f":
            before = TYPES[term.args[0].width]
            return self._from_float(term, f"{'fpext' if w == 64 else 'fptrunc'} {before} {operands[0]} to {result}")
        if op == "fround" and self._problem.target == "riscv64":
            value = self._conversions.rounded(term.args[0], term.attr)
            self._floats[term.id] = value
            return self._new(f"bitcast {result} {value} to i{w}")
        name = {"fsqrt": "sqrt", "fma": "fma", "fround": ROUND.get(term.attr, "")}.get(op)
        if not name:
            raise Unsupported(op)
        return self._from_float(
            term, f"call {result} @llvm.{name}.f{w}({', '.join(f'{result} {x}' for x in operands)})"
        )


class _Lanes(Lanes):
    """Packed operations, each of them made for the first lane of its row."""

    def __init__(
        self,
        emit: Callable[[str], str],
        scalar: Callable[[Term], str],
        source: Callable[[Term], tuple[str, str, int, int] | None],
        hide: Callable[[Term], str],
        in_range: bool,
        making: Callable[[Maker], AbstractContextManager[None]],
    ) -> None:
        super().__init__(emit, scalar, source, hide, in_range)
        self._making = making

    def build(self, row: Row, depth: int = 0) -> str | None:
        with self._making(next(x for x in row if x is not None)):
            return super().build(row, depth)


def _multiplies(term: Term, depth: int = 3) -> bool:
    """Whether a product takes part in ``term``, not far down."""
    return term.op == "mul" or (depth > 0 and term.width > 1 and any(_multiplies(x, depth - 1) for x in term.args))


def _summands(address: Term) -> frozenset[str]:
    if address.op == "add":
        return _summands(address.args[0]) | _summands(address.args[1])
    return frozenset((address.attr,)) if address.op == "var" else frozenset()


def upper_bound(term: Term) -> int:
    """A number that the unsigned value of ``term`` never exceeds."""
    if term.op == "const":
        return int(term.attr)
    if term.op == "and":
        return min(upper_bound(a) for a in term.args)
    if term.op == "zext":
        return upper_bound(term.args[0])
    if term.op == "extract" and term.attr == 0:
        return min(mask(term.width), upper_bound(term.args[0]))
    if term.op == "ite":
        return max(upper_bound(a) for a in term.args[1:])
    return mask(term.width)
