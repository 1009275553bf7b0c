"""Putting SSE code back together: equal lanes of a 128-bit result become one LLVM vector operation.

The lifted terms of packed instructions speak of single lanes. ``Lanes.build`` takes a row of lanes (low first, None
where anything will do) and looks for one operation that makes them all, for a shuffle of at most two rows, or for the
lanes of an input register or a 16-byte load. It gives None where it sees no row; its lanes are then made one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from guesssketch.lowering.conversions import TYPES
from guesssketch.lowering.idioms import looked_up, rounded_mean, saturating, saturation, signs, summands
from guesssketch.lowering.simplify import adjoined
from isa import terms as t
from isa.terms import COMPARE, FLOAT_BINARY, FLOAT_COMPARE, Term
from solver.assume import converted

Row = tuple[Term | None, ...]
_PLAIN: Final = frozenset({"add", "sub", "mul", "and", "or", "xor"})
_PREDICATES: Final = frozenset({"eq", "ult", "ule", "slt", "sle"})
_FLOAT_PREDICATES: Final = {"feq": "oeq", "flt": "olt", "fle": "ole", "fnan": "uno"}
_UNIFORM: Final = _PLAIN | _PREDICATES | FLOAT_BINARY | FLOAT_COMPARE | frozenset(
    {"ite", "not", "neg", "zext", "sext", "fsqrt", "fnan", "s2f", "f2s", "f2f", "fround"})  # fmt: skip
ROUND: Final = {"rne": "roundeven", "rtz": "trunc", "rtp": "ceil", "rtn": "floor", "rna": "round"}
_SHIFTS: Final = frozenset({"shl", "lshr", "ashr"})
_DEEPEST: Final = 40


def split(terms: Sequence[Term]) -> Row | None:
    """128 bits (64-bit halves or one whole, low first) as equal lanes of the narrowest part; None if there are none."""
    parts: list[Term] = []
    for term in terms:
        parts += reversed(term.args) if term.op == "concat" else [term]
    width = min(p.width for p in parts)
    if width not in (8, 16, 32, 64) or any(p.width % width for p in parts):
        return None
    return tuple(t.extract(p, low, width) for p in parts for low in range(0, p.width, width))


def by_lanes(term: Term) -> Term:
    """A bitwise operation on concatenations as the concatenation of operations on their parts."""
    if term.op not in ("and", "or", "xor"):
        return term
    sides = [by_lanes(x) for x in term.args]
    width = min((p.width for x in sides if x.op == "concat" for p in x.args), default=term.width)
    if width not in (8, 16, 32) or any(p.width % width for x in sides if x.op == "concat" for p in x.args):
        return term
    places = range(term.width - width, -1, -width)
    return t.concat(*(t.binary(term.op, *(t.extract(x, low, width) for x in sides)) for low in places))


class Lanes:
    """emit: appends an IR instruction and gives its name. scalar: the operand for a term. hide: a constant's operand,
    kept out of sight. in_range: whether floats that are converted to integers fit. source: (name, type, first bit of the
    term, bits) of the vector that holds a term, or None."""

    def __init__(
        self,
        emit: Callable[[str], str],
        scalar: Callable[[Term], str],
        source: Callable[[Term], tuple[str, str, int, int] | None],
        hide: Callable[[Term], str],
        in_range: bool = False,
    ) -> None:
        self._in_range = in_range
        self._emit, self._scalar, self._source, self._hide = emit, scalar, source, hide
        self._known: dict[tuple[int, ...], str | None] = {}
        self._lower: dict[tuple[int, ...], tuple[int, ...]] = {}

    def build(self, row: Row, depth: int = 0) -> str | None:
        """The name of a vector ``<n x i<width>>`` that holds ``row``."""
        key = tuple(-1 if x is None else x.id for x in row)
        if key not in self._known:
            self._known[key] = self._lower_half(key, row) or (self._build(row, depth) if depth < _DEEPEST else None)
            self._lower[key[: len(key) // 2]] = key
        return self._known[key]

    def _lower_half(self, key: tuple[int, ...], row: Row) -> str | None:
        """Part of a vector that is there already: one half of a register is live, the whole was stored."""
        whole = self._known.get(self._lower.get(key, ()))
        width = next(x.width for x in row if x is not None)
        return whole and self._shuffle(whole, "poison", 2 * len(row), width, range(len(row)))

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
        found = self._idiom(row, depth) or self._wider(row, depth)
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
        joined = [None if a is None or b is None else _together(a, b) for a, b in pairs]
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
            return "zeroinitializer" if value == 0 else _splat(n, w, -1)
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
        return self._shuffle(casts[0], casts[1] if len(casts) > 1 else "poison", count, width, order)

    def _shuffle(self, a: str, b: str, count: int, width: int, order: Sequence[int | None]) -> str:
        kind = f"<{count} x i{width}>"
        mask = ", ".join(f"i32 {'poison' if o is None else o}" for o in order)
        return self._emit(f"shufflevector {kind} {a}, {kind} {b}, <{len(order)} x i32> <{mask}>")

    def _merged(self, row: Row, groups: Sequence[str], depth: int) -> str | None:
        """Lanes made by two operations, each in its own vector at the places of its operands, then shuffled."""
        n = len(row)
        width = next(x.width for x in row if x is not None)
        order: list[int | None] = [None] * n
        vectors: list[str] = []
        for number, op in enumerate(groups):
            members = [at for at, x in enumerate(row) if x is not None and x.op == op]
            places = [_place(x) for at in members if (x := row[at]) is not None]
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
        return self._shuffle(vectors[0], vectors[1], n, width, order)

    # --- what x86-64 does in one instruction ------------------------------------------------------------------------

    def _idiom(self, row: Row, depth: int) -> str | None:
        full = [x for x in row if x is not None]
        if any(x.op not in ("ite", "extract", "add") for x in full):
            return None
        if len(full) < len(row):  # the lower lanes, and anything above them
            n, count, width = len(full), len(row), full[0].width
            made = self._idiom(tuple(full), depth) if 2 * n == count and None not in row[:n] else None
            order = [at if at < n else None for at in range(count)]
            return made and self._shuffle(made, "poison", n, width, order)
        for known in (self._saturating, self._saturated, self._averaged, self._converted, self._looked_up, self._summed):
            found = known(full, depth)
            if found is not None:
                return found
        return None

    def _rows(self, parts: Sequence[tuple[Term, ...]], depth: int) -> list[str] | None:
        """A vector for each operand, of the operands of all lanes."""
        made = [self.build(row, depth + 1) for row in zip(*parts, strict=True)]
        return None if None in made else [x for x in made if x is not None]

    def _saturating(self, row: Sequence[Term], depth: int) -> str | None:
        found = [saturating(x) for x in row]
        names = {x[0] for x in found if x is not None}
        if None in found or len(names) != 1:
            return None
        rows = self._rows([x[1] for x in found if x is not None], depth)
        n, w = len(row), row[0].width
        kind = f"<{n} x i{w}>"
        if rows is None:
            return None
        return self._emit(f"call {kind} @llvm.{names.pop()}.sat.v{n}i{w}({kind} {rows[0]}, {kind} {rows[1]})")

    def _saturated(self, row: Sequence[Term], depth: int) -> str | None:
        found = [saturation(x) for x in row]
        signed = {x[0] for x in found if x is not None}
        n, w = len(row), row[0].width
        if None in found or len(signed) != 1 or n * w not in (64, 128):
            return None
        name = "sqxtn" if signed.pop() else "sqxtun"
        m = 64 // w
        halves = []
        for at in range(0, n, m):
            rows = self._rows([(x[1],) for x in found[at : at + m] if x is not None], depth)
            if rows is None:
                return None
            halves.append(self._emit(f"call <{m} x i{w}> @llvm.aarch64.neon.{name}.v{m}i{w}(<{m} x i{2 * w}> {rows[0]})"))
        return halves[0] if n == m else self._shuffle(halves[0], halves[1], m, w, range(n))

    def _averaged(self, row: Sequence[Term], depth: int) -> str | None:
        found = [rounded_mean(x) for x in row]
        n, w = len(row), row[0].width
        if None in found or n * w not in (64, 128):
            return None
        rows = self._rows([x for x in found if x is not None], depth)
        kind = f"<{n} x i{w}>"
        if rows is None:
            return None
        return self._emit(f"call {kind} @llvm.aarch64.neon.urhadd.v{n}i{w}({kind} {rows[0]}, {kind} {rows[1]})")

    def _converted(self, row: Sequence[Term], depth: int) -> str | None:
        found = [converted(x) for x in row]
        n, w = len(row), row[0].width
        if None in found or len({x.width for x in found if x is not None}) != 1:
            return None
        rows = self._rows([(x,) for x in found if x is not None], depth)
        if rows is None or found[0] is None:
            return None
        emit, source, wide = self._emit, found[0].width, max(w, found[0].width)
        kind, bits, least = f"<{n} x {TYPES[source]}>", f"<{n} x i{w}>", _splat(n, w, -1 << (w - 1))
        value = emit(f"bitcast <{n} x i{source}> {rows[0]} to {kind}")
        integer = emit(f"call <{n} x i{wide}> @llvm.fptosi.sat.v{n}i{wide}.v{n}f{source}({kind} {value})")
        if self._in_range:
            return integer if wide == w else emit(f"trunc <{n} x i{wide}> {integer} to {bits}")
        if wide == w:
            limit = ", ".join([f"{TYPES[source]} {2.0 ** (w - 1)}"] * n)
            fits = emit(f"fcmp olt {kind} {value}, <{limit}>")
        else:
            narrow = emit(f"trunc <{n} x i{wide}> {integer} to {bits}")
            same = emit(f"icmp eq <{n} x i{wide}> {emit(f'sext {bits} {narrow} to <{n} x i{wide}>')}, {integer}")
            fits, integer = emit(f"and <{n} x i1> {same}, {emit(f'fcmp ord {kind} {value}, {value}')}"), narrow
        return emit(f"select <{n} x i1> {fits}, {bits} {integer}, {bits} {least}")

    def _looked_up(self, row: Sequence[Term], depth: int) -> str | None:
        found = [looked_up(x) for x in row]
        tables = {x[:2] for x in found if x is not None}
        if None in found or len(row) != 16 or len(tables) != 1:
            return None
        halves = split(tables.pop())
        table = halves and self.build(halves, depth + 1)
        indexes = self._rows([x[2:] for x in found if x is not None], depth)
        if not table or not halves or halves[0] is None or not indexes:
            return None
        table = self._emit(f"bitcast <{len(halves)} x i{halves[0].width}> {table} to <16 x i8>")
        index = self._emit(f"and <16 x i8> {indexes[0]}, {_splat(16, 8, -113)}")  # what is negative is beyond the table
        return self._emit(f"call <16 x i8> @llvm.aarch64.neon.tbl1.v16i8(<16 x i8> {table}, <16 x i8> {index})")

    def _summed(self, row: Sequence[Term], depth: int) -> str | None:
        """Sums of the eight bytes under each of two lanes."""
        parts = [summands(x) for x in row]
        if len(row) != 2 or any(len(p) != 8 or any(x.op != "zext" or x.args[0].width != 8 for x in p) for p in parts):
            return None
        bytes_ = [sorted((x.args[0] for x in p), key=lambda x: _place(x) or 0) for p in parts]
        value = self.build(tuple(bytes_[0] + bytes_[1]), depth + 1)
        for n, w in ((8, 16), (4, 32), (2, 64)):
            if value is None:
                return None
            name = f"llvm.aarch64.neon.uaddlp.v{n}i{w}.v{2 * n}i{w // 2}"
            value = self._emit(f"call <{n} x i{w}> @{name}(<{2 * n} x i{w // 2}> {value})")
        return value

    def sign_mask(self, bits: tuple[Term, ...]) -> str | None:
        """The name of an i64 whose low bits are ``bits`` (16, 8, 4 or 2 of them, low first), gathered from a vector."""
        n = len(bits)
        found = signs(bits) if n in (2, 4, 8, 16) else None
        vector = self.build(tuple(found)) if found else None
        if vector is None:
            return None
        width = 128 // n
        value = self._emit(f"lshr <{n} x i{width}> {vector}, {_splat(n, width, width - 1)}")
        gathered = 1
        while width < 64:
            n, width, before = n // 2, 2 * width, f"<{n} x i{width}>"
            kind = f"<{n} x i{width}>"
            value = self._emit(f"bitcast {before} {value} to {kind}")
            moved = self._emit(f"lshr {kind} {value}, {_splat(n, width, width // 2 - gathered)}")
            value = self._emit(f"add {kind} {value}, {moved}")
            gathered *= 2
        low, high = (self._emit(f"extractelement <2 x i64> {value}, i64 {k}") for k in (0, 1))
        mask = (1 << gathered) - 1
        low, high = (self._emit(f"and i64 {x}, {mask}") for x in (low, high))
        return self._emit(f"or i64 {low}, {self._emit(f'shl i64 {high}, {gathered}')}")

    # --- one operation for all ---------------------------------------------------------------------------------------

    def _arguments(self, row: Row, count: int, depth: int) -> list[str] | None:
        made: list[str] = []
        operands = [None if x is None else _ordered(x) for x in row]
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
            return self._emit(f"xor {kind} {a}, {_splat(n, w, -1)}")
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
        return self._emit(f"{first.op} <{n} x i{first.width}> {value}, {_splat(n, first.width, amount.attr)}")

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
            value = self._emit(f"lshr {kind} {value}, {_splat(n, wide, first.attr)}")
        return self._emit(f"trunc {kind} {value} to <{n} x i{first.width}>")


def _splat(n: int, width: int, value: int) -> str:
    return "<" + ", ".join([f"i{width} {value}"] * n) + ">"


def _together(low: Term, high: Term) -> Term | None:
    """Two lanes as one that is not merely both; None if they are no such parts."""
    whole = adjoined(high, low)
    if low is high and low.op == "ite" and {x.op for x in low.args[1:]} == {"const"}:
        values = {x.attr for x in low.args[1:]}
        if values == {0, t.mask(low.width)}:
            return t.ite(low.args[0], *(t.sext(x, 2 * low.width) for x in low.args[1:]))
    return None if whole.op in ("concat", "const", "zext") else whole


def _ordered(term: Term) -> tuple[Term, ...]:
    """The operands, those of a commutative operation in an order that does not depend on the lane."""
    if term.op not in t.COMMUTATIVE:
        return term.args
    a, b = term.args
    return (b, a) if _leaf(b) < _leaf(a) else term.args


def _leaf(term: Term) -> tuple[str, str]:
    operation = term.op
    while term.args and term.op != "load":
        term = term.args[0]
    return operation, str(term.attr).split(".")[
        0
    ] if term.op == "var" else f"{term.op} {term.id if term.op == 'load' else ''}"


def _place(term: Term) -> int | None:
    """The lane, in its own register, of the first operand of ``term``."""
    width = term.width
    while term.args and term.op not in ("extract", "load"):
        term = term.args[0]
    if term.op != "extract" or term.args[0].op not in ("var", "load"):
        return None
    whole = term.args[0]
    base = 64 if whole.op == "var" and str(whole.attr).endswith(".hi") else 0
    return int(base + term.attr) // width
