"""What x86-64 does to all lanes in one instruction, in the few that AArch64 has for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guesssketch.lowering.conversions import TYPES
from guesssketch.lowering.emitter import Emitter
from guesssketch.lowering.idioms import looked_up, rounded_mean, saturating, saturation, signs, summands
from guesssketch.lowering.rows import Row, position, shuffle, splat, split
from isa.terms import Term
from solver.assume import converted


class Neon:
    """build: the vector of a row, at a depth. in_range: whether floats that are converted to integers fit."""

    def __init__(self, emitter: Emitter, build: Callable[[Row, int], str | None], in_range: bool) -> None:
        self._emit, self._build, self._in_range = emitter.new, build, in_range

    def operation(self, row: Row, depth: int) -> str | None:
        """The name of the vector that one such instruction makes; None if ``row`` is nothing of the kind."""
        full = [x for x in row if x is not None]
        if any(x.op not in ("ite", "extract", "add") for x in full):
            return None
        if len(full) < len(row):  # the lower lanes, and anything above them
            n, count, width = len(full), len(row), full[0].width
            made = self.operation(tuple(full), depth) if 2 * n == count and None not in row[:n] else None
            order = [at if at < n else None for at in range(count)]
            return made and self._emit(shuffle(made, "poison", n, width, order))
        for known in (self._saturating, self._saturated, self._averaged, self._converted, self._looked_up, self._summed):
            found = known(full, depth)
            if found is not None:
                return found
        return None

    def _rows(self, parts: Sequence[tuple[Term, ...]], depth: int) -> list[str] | None:
        """A vector for each operand, of the operands of all lanes."""
        made = [self._build(row, depth + 1) for row in zip(*parts, strict=True)]
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
        return halves[0] if n == m else self._emit(shuffle(halves[0], halves[1], m, w, range(n)))

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
        kind, bits, least = f"<{n} x {TYPES[source]}>", f"<{n} x i{w}>", splat(n, w, -1 << (w - 1))
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
        table = halves and self._build(halves, depth + 1)
        indexes = self._rows([x[2:] for x in found if x is not None], depth)
        if not table or not halves or halves[0] is None or not indexes:
            return None
        table = self._emit(f"bitcast <{len(halves)} x i{halves[0].width}> {table} to <16 x i8>")
        index = self._emit(f"and <16 x i8> {indexes[0]}, {splat(16, 8, -113)}")  # what is negative is beyond the table
        return self._emit(f"call <16 x i8> @llvm.aarch64.neon.tbl1.v16i8(<16 x i8> {table}, <16 x i8> {index})")

    def _summed(self, row: Sequence[Term], depth: int) -> str | None:
        """Sums of the eight bytes under each of two lanes."""
        parts = [summands(x) for x in row]
        if len(row) != 2 or any(len(p) != 8 or any(x.op != "zext" or x.args[0].width != 8 for x in p) for p in parts):
            return None
        bytes_ = [sorted((x.args[0] for x in p), key=lambda x: position(x) or 0) for p in parts]
        value = self._build(tuple(bytes_[0] + bytes_[1]), depth + 1)
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
        vector = self._build(tuple(found), 0) if found else None
        if vector is None:
            return None
        width = 128 // n
        value = self._emit(f"lshr <{n} x i{width}> {vector}, {splat(n, width, width - 1)}")
        gathered = 1
        while width < 64:
            n, width, before = n // 2, 2 * width, f"<{n} x i{width}>"
            kind = f"<{n} x i{width}>"
            value = self._emit(f"bitcast {before} {value} to {kind}")
            moved = self._emit(f"lshr {kind} {value}, {splat(n, width, width // 2 - gathered)}")
            value = self._emit(f"add {kind} {value}, {moved}")
            gathered *= 2
        low, high = (self._emit(f"extractelement <2 x i64> {value}, i64 {k}") for k in (0, 1))
        mask = (1 << gathered) - 1
        low, high = (self._emit(f"and i64 {x}, {mask}") for x in (low, high))
        return self._emit(f"or i64 {low}, {self._emit(f'shl i64 {high}, {gathered}')}")
