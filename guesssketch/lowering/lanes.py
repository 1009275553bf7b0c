"""Putting SSE code back together: equal lanes of a 128-bit result become one LLVM vector operation.

The lifted terms of packed instructions speak of single lanes. ``Lanes.build`` takes a row of lanes (low first, None
where anything will do) and looks for one operation that makes them all, for a shuffle of at most two rows, or for the
lanes of an input register or a 16-byte load. It gives None where it sees no row; its lanes are then made one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from guesssketch.lowering.conversions import ROUND, TYPES
from guesssketch.lowering.emitter import Emitter
from guesssketch.lowering.neon import Neon
from guesssketch.lowering.rows import Row, ordered, position, shuffle, splat, together
from isa import terms as t
from isa.terms import COMPARE, FLOAT_BINARY, FLOAT_COMPARE, Term

_PLAIN: Final = frozenset({"add", "sub", "mul", "and", "or", "xor"})
_PREDICATES: Final = frozenset({"eq", "ult", "ule", "slt", "sle"})
_FLOAT_PREDICATES: Final = {"feq": "oeq", "flt": "olt", "fle": "ole", "fnan": "uno"}
_UNIFORM: Final = _PLAIN | _PREDICATES | FLOAT_BINARY | FLOAT_COMPARE | frozenset(
    {"ite", "not", "neg", "zext", "sext", "fsqrt", "fnan", "s2f", "f2s", "f2f", "fround"})  # fmt: skip
_SHIFTS: Final = frozenset({"shl", "lshr", "ashr"})
_DEEPEST: Final = 40


class Lanes:
    """scalar: the operand for a term. source: (name, type, first bit of the term, bits) of the vector that holds a term, or
    None. hide: a constant's operand, kept out of sight. in_range: whether floats that are converted to integers fit."""

    def __init__(
        self,
        emitter: Emitter,
        scalar: Callable[[Term], str],
        source: Callable[[Term], tuple[str, str, int, int] | None],
        hide: Callable[[Term], str],
        in_range: bool,
    ) -> None:
        self._emit = emitter.new
        self._scalar, self._source, self._hide = scalar, source, hide
        self._neon = Neon(emitter, self.build, in_range)
        self._known: dict[tuple[int, ...], str | None] = {}
        self._lower: dict[tuple[int, ...], tuple[int, ...]] = {}

    def build(self, row: Row, depth: int = 0) -> str | None:
        """The name of a vector ``<n x i<width>>`` that holds ``row``."""
        key = tuple(-1 if x is None else x.id for x in row)
        if key not in self._known:
            self._known[key] = self._lower_half(key, row) or (self._build(row, depth) if depth < _DEEPEST else None)
            self._lower[key[: len(key) // 2]] = key
        return self._known[key]

    def sign_mask(self, bits: tuple[Term, ...]) -> str | None:
        """The name of an i64 whose low bits are ``bits`` (16, 8, 4 or 2 of them, low first), gathered from a vector."""
        return self._neon.sign_mask(bits)

    def _lower_half(self, key: tuple[int, ...], row: Row) -> str | None:
        """Part of a vector that is there already: one half of a register is live, the whole was stored."""
        whole = self._known.get(self._lower.get(key, ()))
        width = next(x.width for x in row if x is not None)
        return whole and self._emit(shuffle(whole, "poison", 2 * len(row), width, range(len(row))))

    def _build(self, row: Row, depth: int) -> str | None:
        real = [x for x in row if x is not None]
        first = real[0]
        n, w = len(row), first.width
        if all(x.op == "const" for x in real):
            return self._constants(row)
        if w > 1:
            found = self._from_sources(row)
            if found is not None:
                return found
        found = self._neon.operation(row, depth) or self._wider(row, depth)
        if found is not None:
            return found
        if all(x.op == first.op and x.attr == first.attr and len(x.args) == len(first.args) for x in real):
            made = self._uniform(row, first, n, depth)
            if made is not None:
                return made
        groups = {x.op for x in real}
        if len(groups) == 2 and n <= 16 and w > 1:
            return self._merged(row, sorted(groups), depth)
        if n <= 4 and w >= 32 and len(groups) <= 2:
            vector = "poison"
            for lane, x in enumerate(row):
                if x is not None:
                    vector = self._emit(f"insertelement <{n} x i{w}> {vector}, i{w} {self._scalar(x)}, i64 {lane}")
            return vector
        return None

    def _wider(self, row: Row, depth: int) -> str | None:
        """Lanes that are parts of lanes of twice the width."""
        n, pairs = len(row), list(zip(row[::2], row[1::2], strict=False))
        joined = [None if a is None or b is None else together(a, b) for a, b in pairs]
        w = next(x.width for x in row if x is not None)
        if w not in (8, 16, 32) or n < 4 or None in joined:
            return None
        made = self.build(tuple(joined), depth + 1)
        return made and self._emit(f"bitcast <{n // 2} x i{2 * w}> {made} to <{n} x i{w}>")

    # --- leaves ------------------------------------------------------------------------------------------------------

    def _constants(self, row: Row) -> str | None:
        values = {x.attr for x in row if x is not None}
        first = next(x for x in row if x is not None)
        n, w = len(row), first.width
        value = next(iter(values))
        if len(values) == 1 and value in (0, t.mask(w)):
            return "zeroinitializer" if value == 0 else splat(n, w, -1)
        if w == 1:
            return None
        if len(values) == 1:
            scalar = self._emit(f"insertelement <{n} x i{w}> poison, i{w} {self._hide(first)}, i64 0")
            return self._emit(f"shufflevector <{n} x i{w}> {scalar}, <{n} x i{w}> poison, <{n} x i32> zeroinitializer")
        if n * w != 128:
            return None
        whole = t.concat(*(t.const(0, w) if x is None else x for x in reversed(row)))
        vector = "poison"
        for half in (0, 1):
            part = self._hide(t.extract(whole, 64 * half, 64))
            vector = self._emit(f"insertelement <2 x i64> {vector}, i64 {part}, i64 {half}")
        return self._emit(f"bitcast <2 x i64> {vector} to <{n} x i{w}>")

    def _from_sources(self, row: Row) -> str | None:
        """A shuffle of the lanes of at most two registers or loads."""
        width = next(x.width for x in row if x is not None)
        sources: dict[str, tuple[str, int]] = {}
        picks: list[tuple[str, int] | None] = []
        for x in row:
            if x is None:
                picks.append(None)
                continue
            whole, low = (x.args[0], x.attr) if x.op == "extract" else (x, 0)
            found = self._source(whole)
            if found is None or (found[2] + low) % width:
                return None
            name, kind, base, bits = found
            sources[name] = kind, bits
            picks.append((name, (base + low) // width))
        if len(sources) > 2:
            return None
        names = list(sources)
        count = 128 // width
        casts = []
        for name in names:
            kind, bits = sources[name]
            if bits < 64:
                name = self._emit(f"insertelement <{64 // bits} x {kind}> poison, {kind} {name}, i64 0")
                kind, bits = f"<{64 // bits} x {kind}>", 64
            cast = self._emit(f"bitcast {kind} {name} to <{bits // width} x i{width}>")
            if bits == 64:
                mask = ", ".join(f"i32 {n if n < count // 2 else 'poison'}" for n in range(count))
                cast = self._emit(f"shufflevector <{count // 2} x i{width}> {cast}, <{count // 2} x i{width}> poison,"
                                  f" <{count} x i32> <{mask}>")  # fmt: skip
            casts.append(cast)
        order = [None if p is None else names.index(p[0]) * count + p[1] for p in picks]
        if len(names) == 1 and len(row) == count and all(o is None or o == at for at, o in enumerate(order)):
            return casts[0]
        return self._emit(shuffle(casts[0], casts[1] if len(casts) > 1 else "poison", count, width, order))

    def _merged(self, row: Row, groups: Sequence[str], depth: int) -> str | None:
        """Lanes made by two operations, each in its own vector at the places of its operands, then shuffled."""
        n = len(row)
        width = next(x.width for x in row if x is not None)
        order: list[int | None] = [None] * n
        vectors: list[str] = []
        for number, op in enumerate(groups):
            members = [at for at, x in enumerate(row) if x is not None and x.op == op]
            places = [position(x) for at in members if (x := row[at]) is not None]
            if len(set(places)) != len(places) or any(p is None or p >= n for p in places):
                places = list(range(len(members)))
            inner: list[Term | None] = [None] * n
            for at, place in zip(members, places, strict=True):
                assert place is not None
                inner[place] = row[at]
                order[at] = number * n + place
            vector = self.build(tuple(inner), depth + 1)
            if vector is None:
                return None
            vectors.append(vector)
        return self._emit(shuffle(vectors[0], vectors[1], n, width, order))

    # --- one operation for all ---------------------------------------------------------------------------------------

    def _arguments(self, row: Row, count: int, depth: int) -> list[str] | None:
        made: list[str] = []
        operands = [None if x is None else ordered(x) for x in row]
        for k in range(count):
            vector = self.build(tuple(None if x is None else x[k] for x in operands), depth + 1)
            if vector is None:
                return None
            made.append(vector)
        return made

    def _uniform(self, row: Row, first: Term, n: int, depth: int) -> str | None:
        op, w = first.op, first.width
        kind = f"<{n} x i{w}>"
        if op in _SHIFTS:
            return self._shift(row, first, n, depth)
        if any(a.width != b.width for x in row if x is not None for a, b in zip(x.args, first.args, strict=True)):
            return None
        if op == "extract":
            return self._narrowed(row, first, n, depth)
        if op not in _UNIFORM:
            return None
        if op == "f2s" and first.attr != "rtz":
            return None
        arguments = self._arguments(row, len(first.args), depth)
        if arguments is None:
            return None
        a = arguments[0]
        inner = f"<{n} x i{first.args[0].width}>"
        if op in _PLAIN:
            return self._emit(f"{op} {kind} {a}, {arguments[1]}")
        if op in _PREDICATES and op in COMPARE:
            return self._emit(f"icmp {op} {inner} {a}, {arguments[1]}")
        if op == "not":
            return self._emit(f"xor {kind} {a}, {splat(n, w, -1)}")
        if op == "neg":
            return self._emit(f"sub {kind} zeroinitializer, {a}")
        if op in ("zext", "sext"):
            return self._emit(f"{op} {inner} {a} to {kind}")
        if op == "ite":
            return self._emit(f"select <{n} x i1> {a}, {kind} {arguments[1]}, {kind} {arguments[2]}")
        return self._float(op, w, first, n, arguments)

    def _float(self, op: str, w: int, first: Term, n: int, arguments: Sequence[str]) -> str | None:
        width = first.args[0].width
        names = TYPES
        if width not in names or (w not in names and w != 1):
            return None
        if op == "s2f":
            return self._as_int(self._emit(f"sitofp <{n} x i{width}> {arguments[0]} to <{n} x {names[w]}>"), w, n)
        kind = f"<{n} x {names[width]}>"
        floats = [self._emit(f"bitcast <{n} x i{width}> {a} to {kind}") for a in arguments]
        if op in _FLOAT_PREDICATES:
            return self._emit(f"fcmp {_FLOAT_PREDICATES[op]} {kind} {floats[0]}, {floats[-1]}")
        if op == "f2s":
            return self._emit(f"freeze <{n} x i{w}> {self._emit(f'fptosi {kind} {floats[0]} to <{n} x i{w}>')}")
        if op == "fsqrt":
            return self._as_int(self._emit(f"call {kind} @llvm.sqrt.v{n}f{width}({kind} {floats[0]})"), w, n)
        if op == "fround":
            name = f"llvm.{ROUND[first.attr]}.v{n}f{width}"
            return self._as_int(self._emit(f"call {kind} @{name}({kind} {floats[0]})"), w, n)
        if op == "f2f":
            change = "fpext" if w == 64 else "fptrunc"
            return self._as_int(self._emit(f"{change} {kind} {floats[0]} to <{n} x {names[w]}>"), w, n)
        return self._as_int(self._emit(f"{op} {kind} {floats[0]}, {floats[1]}"), w, n)

    def _as_int(self, value: str, w: int, n: int) -> str:
        return self._emit(f"bitcast <{n} x {'float' if w == 32 else 'double'}> {value} to <{n} x i{w}>")

    def _shift(self, row: Row, first: Term, n: int, depth: int) -> str | None:
        amounts = {x.args[1] for x in row if x is not None}
        amount = next(iter(amounts))
        if len(amounts) != 1 or (amount.op == "const" and amount.attr >= first.width):
            return None
        value = self.build(tuple(None if x is None else x.args[0] for x in row), depth + 1)
        if value is None:
            return None
        if amount.op != "const":
            return self._shift_by_count(first, n, value, amount)
        return self._emit(f"{first.op} <{n} x i{first.width}> {value}, {splat(n, first.width, amount.attr)}")

    def _shift_by_count(self, first: Term, n: int, value: str, amount: Term) -> str | None:
        """All lanes by one count that is at most their width, which AArch64's shifts by a register can do."""
        w = first.width
        if amount.op != "ite" or amount.args[2] is not t.const(w, w) or n * w not in (64, 128):
            return None
        count, kind = self._scalar(amount), f"<{n} x i{w}>"
        if first.op != "shl":
            count = self._emit(f"sub i{w} 0, {count}")
        one = self._emit(f"insertelement {kind} poison, i{w} {count}, i64 0")
        all_ = self._emit(f"shufflevector {kind} {one}, {kind} poison, <{n} x i32> zeroinitializer")
        name = f"llvm.aarch64.neon.{'s' if first.op == 'ashr' else 'u'}shl.v{n}i{w}"
        return self._emit(f"call {kind} @{name}({kind} {value}, {kind} {all_})")

    def _narrowed(self, row: Row, first: Term, n: int, depth: int) -> str | None:
        wide = first.args[0].width
        if wide > 64 or first.width == 1:
            return None
        value = self.build(tuple(None if x is None else x.args[0] for x in row), depth + 1)
        if value is None:
            return None
        kind = f"<{n} x i{wide}>"
        if first.attr:
            value = self._emit(f"lshr {kind} {value}, {splat(n, wide, first.attr)}")
        return self._emit(f"trunc {kind} {value} to <{n} x i{first.width}>")
