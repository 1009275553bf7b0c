"""Blocks whose accesses other threads may notice: each is made once, in the source's order, with barriers around it.

Plain accesses are volatile, which LLVM neither merges nor reorders; barriers and atomic accesses are inline assembly. A locked
instruction becomes one AMO where RISC-V has it, else a load-exclusive and a store-exclusive; if the latter fails, the block
goes back to its start with all registers as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from guesssketch.lowering.emitter import Unsupported
from guesssketch.lowering.expressions import Expressions
from guesssketch.lowering.simplify import simplify
from guesssketch.problem import Problem
from isa import terms as t
from isa.machine import EVERY_ORDER, Effect, Event
from isa.terms import BINARY, FLOAT_BINARY, FLOAT_COMPARE, Term

_BARRIERS: Final = {
    ("aarch64", frozenset({"rr", "rw"})): "dmb ishld",
    ("aarch64", frozenset({"ww"})): "dmb ishst",
    ("aarch64", EVERY_ORDER): "dmb ish",
    ("riscv64", frozenset({"rr", "rw"})): "fence r, rw",
    ("riscv64", frozenset({"ww"})): "fence w, w",
    ("riscv64", EVERY_ORDER): "fence rw, rw",
}
_BEHIND_LOAD, _BEFORE_STORE = frozenset({"rr", "rw"}), frozenset({"ww"})
_SUFFIX: Final = {1: "b", 2: "h", 4: "", 8: ""}
_FLOATING: Final = FLOAT_BINARY | FLOAT_COMPARE | {"fsqrt", "fma", "fnan", "f2f", "f2s", "f2u", "fround"}
_AMOS: Final = {"add": "amoadd", "and": "amoand", "or": "amoor", "xor": "amoxor"}


@dataclass(frozen=True)
class Shared:
    """What a block does, simplified: its events in order, the live-out cells, where it goes."""

    events: list[Event]
    cells: dict[str, Term]
    condition: Term | None
    target: Term | None

    @property
    def terms(self) -> list[Term]:
        ways = [x for x in (self.condition, self.target) if x is not None]
        return [x for e in self.events for x in e.terms] + [*self.cells.values(), *ways]


def shared(effect: Effect, cells: dict[str, Term], problem: Problem) -> Shared:
    """The live part of ``effect``, simplified; ``cells`` as yet as they are."""
    ways = [x for x in (effect.condition, effect.target) if x is not None]
    raw = Shared(effect.events, cells, effect.condition, effect.target)
    low = {s.name for s in problem.symbols if s.low}
    done = iter(simplify(raw.terms, [name for name, _ in problem.live_in], low))
    events = [e.mapped(lambda _: next(done)) for e in effect.events]
    made = {name: next(done) for name in cells}
    found = [next(done) for _ in ways]
    condition = found[0] if effect.condition is not None else None
    return Shared(events, made, condition, found[-1] if effect.target is not None else None)


class SharedExpressions(Expressions):
    """Emits IR for events, and what they and the live-out cells need."""

    def __init__(self, function: str, problem: Problem, strict: bool) -> None:
        self._wide: dict[str, tuple[str, int]] = {}  # a half of a vector load -> the vector, the half's first bit
        super().__init__(function, problem, strict, frozenset())
        self._guards = 0
        self._tso = problem.order == "tso"

    def accesses(self, block: Shared) -> str | None:
        """Emit all events; gives the bit that asks for another round, if there is one."""
        if len(block.events) == 1 and block.events[0].kind in ("atomic", "fence"):
            event = block.events[0]
            if event.kind == "fence":
                self.barrier(event.orders)
                return None
            return _Atomic(self, event).emit()
        as_floats = _used_as_floats(block)
        for guard, group in groupby(block.events, key=lambda e: e.guard):
            events = list(group)
            if guard is t.TRUE:
                self._plain(events, as_floats)
            else:
                self._guarded(guard, events, as_floats)
        return None

    def barrier(self, orders: frozenset[str]) -> None:
        self.add(f'call void asm sideeffect "{_BARRIERS[self.target, orders]}", "~{{memory}}"()')

    def bind(self, term: Term, value: str) -> None:
        """``value`` is what ``term`` stands for from here on."""
        self._values[term.id] = value

    def _guarded(self, guard: Term, events: Sequence[Event], as_floats: set[int]) -> None:
        if self._guards:
            raise Unsupported("accesses under several conditions")
        self._guards = 1
        self.add(f"br i1 {self.value(guard)}, label %do, label %join", "do:")
        values, floats = dict(self._values), dict(self._floats.known)
        self._plain(events, as_floats=set())
        loaded = [(e.value, self._values[e.value.id]) for e in events if e.kind == "load" and e.value is not None]
        self.add("br label %join", "join:")
        self._values, self._floats.known = values, floats
        for term, value in loaded:
            self.bind(term, self.new(f"phi i{term.width} [ {value}, %do ], [ 0, %entry ]"))

    def _plain(self, events: Sequence[Event], as_floats: set[int]) -> None:
        at = 0
        while at < len(events):
            size = 2 if at + 1 < len(events) and events[at + 1].part else 1
            self._access(events[at : at + size], as_floats)
            at += size

    def _access(self, parts: Sequence[Event], as_floats: set[int]) -> None:
        """One access of the source, of one or two events."""
        if parts[0].kind == "store":
            if self._tso:
                self.barrier(_BEFORE_STORE)
            self._store(parts)
            return
        self._load(parts, as_floats)
        if self._tso:
            self.barrier(_BEHIND_LOAD)

    def _load(self, parts: Sequence[Event], as_floats: set[int]) -> None:
        if len(parts) == 2 and self.target == "aarch64":
            assert parts[0].address is not None
            vector = self.new(f"load volatile <2 x i64>, ptr {self._place(parts[0].address)}, align 1")
            for lane, event in enumerate(parts):
                assert event.value is not None
                self.bind(event.value, self.new(f"extractelement <2 x i64> {vector}, i64 {lane}"))
                self._wide[event.value.attr] = vector, 64 * lane
            return
        for event in parts:
            assert event.address is not None and event.value is not None
            term, place = event.value, self._place(event.address)
            if term.id in as_floats:
                kind = {32: "float", 64: "double"}[term.width]
                value = self._floats.known[term.id] = self.new(f"load volatile {kind}, ptr {place}, align 1")
                self.bind(term, self.new(f"bitcast {kind} {value} to i{term.width}"))
            else:
                self.bind(term, self.new(f"load volatile i{term.width}, ptr {place}, align 1"))

    def _store(self, parts: Sequence[Event]) -> None:
        values = [e.value for e in parts if e.value is not None]
        if len(parts) == 2 and self.target == "aarch64":
            assert parts[0].address is not None
            packed = self._packed(values) or self._whole(values) or self._inserted(values)
            self.add(f"store volatile {packed}, ptr {self._place(parts[0].address)}, align 1")
            return
        for event, x in zip(parts, values, strict=True):
            assert event.address is not None
            source = self.inputs.vectors.get(x.attr) if x.op == "var" else None
            if x.id in self._floats.known:
                operand = f"{'float' if x.width == 32 else 'double'} {self._floats.known[x.id]}"
            elif source is not None and (self.target == "riscv64" or _alone(x.attr, self.inputs.vectors)):
                operand = f"double {source}"
            else:
                operand = f"i{x.width} {self.value(x)}"
            self.add(f"store volatile {operand}, ptr {self._place(event.address)}, align 1")

    def _whole(self, halves: Sequence[Term]) -> str | None:
        """The vector register or load whose two halves these are, with its type."""
        low, high = map(self._vector_source, halves)
        if low is None or high is None or low[0] != high[0] or (low[2], high[2], low[3]) != (0, 64, 128):
            return None
        return f"<2 x i64> {low[0]}"

    def _inserted(self, halves: Sequence[Term]) -> str:
        vector = "poison"
        for lane, x in enumerate(halves):
            vector = self.new(f"insertelement <2 x i64> {vector}, i64 {self._hidden(x, 64)}, i64 {lane}")
        return f"<2 x i64> {vector}"

    def _place(self, address: Term) -> str:
        return self.new(f"inttoptr i64 {self.value(address)} to ptr")

    def _vector_source(self, term: Term) -> tuple[str, str, int, int] | None:
        if term.op == "var" and term.attr in self._wide:
            vector, first = self._wide[term.attr]
            return vector, "<2 x i64>", first, 128
        return super()._vector_source(term)


def _alone(cell: str, vectors: Mapping[str, str]) -> bool:
    """Whether ``cell`` is the low half of a vector of which nobody reads the high one."""
    return cell.endswith(".lo") and f"{cell[:-2]}hi" not in vectors


def _used_as_floats(block: Shared) -> set[int]:
    """Loads whose values go to floating registers or operations."""
    loaded = {e.value.id: e.value for e in block.events if e.kind == "load" and e.value is not None}
    users = {a.id for x in t.walk(*block.terms) if x.op in _FLOATING for a in x.args}
    for cell, x in block.cells.items():
        if cell.startswith("xmm"):
            users |= {part.id for part in (x, *(x.args if x.op in ("zext", "concat") else ()))}
    return {n for n, x in loaded.items() if n in users and x.width in (32, 64)}


class _Atomic:
    """The one atomic access of a locked instruction."""

    def __init__(self, emitter: SharedExpressions, event: Event) -> None:
        assert event.address is not None and event.stored is not None and event.value is not None
        self.new = emitter.new
        self.out, self.size, self.stored = emitter, event.size, event.stored
        self.found = [x for x in t.walk(event.value) if x.op == "var"]
        self.found.sort(key=lambda x: int(x.attr.partition(":")[2]))
        self.address = emitter.value(event.address)

    def emit(self) -> str | None:
        """Gives the bit that says whether it failed; None if it cannot."""
        if self.out.target == "aarch64":
            return self._exclusive_pair() if self.size == 16 else self._exclusive_aarch64()
        if self.size == 16:
            raise Unsupported("an atomic access of 16 bytes")
        operation = self._amo()
        if self.size >= 4:
            return self._whole_word(operation)
        return self._part_of_word(operation)

    # AArch64

    def _exclusive_aarch64(self) -> str:
        kind, view = ("i64", "x") if self.size == 8 else ("i32", "w")
        suffix = _SUFFIX[self.size]
        old = self.new(f'call {kind} asm sideeffect "ldxr{suffix} ${{0:{view}}}, [$1]", "=r,r"(i64 {self.address})')
        width = 8 * self.size
        self.out.bind(self.found[0], old if width >= 32 else self.new(f"trunc i32 {old} to i{width}"))
        new = self.out.value(self.stored)
        if width < 32:
            new = self.new(f"zext i{width} {new} to i32")
        failed = self.new(f'call i32 asm sideeffect "stlxr{suffix} ${{0:w}}, ${{1:{view}}}, [$2]", '
                          f'"=&r,r,r,~{{memory}}"({kind} {new}, i64 {self.address})')  # fmt: skip
        return self.new(f"icmp ne i32 {failed}, 0")

    def _exclusive_pair(self) -> str:
        both = self.new('call { i64, i64 } asm sideeffect "ldxp $0, $1, [$2]", "=&r,=&r,r"' f"(i64 {self.address})")
        for number, x in enumerate(self.found):
            self.out.bind(x, self.new(f"extractvalue {{ i64, i64 }} {both}, {number}"))
        new = [self.out.value(t.extract(self.stored, low, 64)) for low in (0, 64)]
        failed = self.new('call i32 asm sideeffect "stlxp ${0:w}, $1, $2, [$3]", "=&r,r,r,r,~{memory}"'
                          f"(i64 {new[0]}, i64 {new[1]}, i64 {self.address})")  # fmt: skip
        return self.new(f"icmp ne i32 {failed}, 0")

    # RISC-V

    def _amo(self) -> tuple[str, Term] | None:
        """The AMO that stores this, and its operand, which does not depend on what is found."""
        (found,), x = self.found, self.stored
        if found.attr not in t.variables(x):
            return "amoswap", x
        if x is t.not_(found):
            return "amoxor", t.const(-1, x.width)
        if x.op in BINARY and found in x.args:
            other = x.args[1] if x.args[0] is found else x.args[0]
            if found.attr in t.variables(other):
                return None
            if x.op in _AMOS:
                return _AMOS[x.op], other
            if x.op == "sub" and x.args[0] is found:
                return "amoadd", t.neg(other)
        return None

    def _amo_call(self, operation: str, suffix: str, operand: str, address: str) -> str:
        return self.new(f'call i64 asm sideeffect "{operation}.{suffix}.aqrl $0, $1, ($2)", "=r,r,r,~{{memory}}"'
                        f"(i64 {operand}, i64 {address})")  # fmt: skip

    def _reserved(self, suffix: str, address: str) -> str:
        return self.new(f'call i64 asm sideeffect "lr.{suffix}.aq $0, ($1)", "=r,r"(i64 {address})')

    def _conditional(self, suffix: str, new: str, address: str) -> str:
        failed = self.new(f'call i64 asm sideeffect "sc.{suffix}.aqrl $0, $1, ($2)", "=r,r,r,~{{memory}}"'
                          f"(i64 {new}, i64 {address})")  # fmt: skip
        return self.new(f"icmp ne i64 {failed}, 0")

    def _whole_word(self, operation: tuple[str, Term] | None) -> str | None:
        suffix, width = ("d", 64) if self.size == 8 else ("w", 32)

        def whole(value: str) -> str:
            return value if width == 64 else self.new(f"sext i32 {value} to i64")

        def narrow(value: str) -> str:
            return value if width == 64 else self.new(f"trunc i64 {value} to i32")

        if operation is not None:
            operand = whole(self.out.value(operation[1]))
            self.out.bind(self.found[0], narrow(self._amo_call(operation[0], suffix, operand, self.address)))
            return None
        self.out.bind(self.found[0], narrow(self._reserved(suffix, self.address)))
        return self._conditional(suffix, whole(self.out.value(self.stored)), self.address)

    def _part_of_word(self, operation: tuple[str, Term] | None) -> str | None:
        """Bytes in their word. Of the address of a half, bit 0 stays, so that a misaligned one traps."""
        new, width = self.new, 8 * self.size
        place = new(f"and i64 {self.address}, {-4 if self.size == 1 else -3}")
        offset = new(f"and i64 {self.address}, {3 if self.size == 1 else 2}")
        by = new(f"shl i64 {offset}, 3")
        ones = (1 << width) - 1

        def part(word: str) -> str:
            return new(f"trunc i64 {new(f'lshr i64 {word}, {by}')} to i{width}")

        def shifted(value: str) -> str:
            return new(f"shl i64 {new(f'zext i{width} {value} to i64')}, {by}")

        if operation is not None and operation[0] in ("amoand", "amoor", "amoxor"):
            operand = shifted(self.out.value(operation[1]))
            if operation[0] == "amoand":
                around = new(f"xor i64 {new(f'shl i64 {ones}, {by}')}, -1")
                operand = new(f"or i64 {operand}, {around}")
            self.out.bind(self.found[0], part(self._amo_call(operation[0], "w", operand, place)))
            return None
        word = self._reserved("w", place)
        old = part(word)
        self.out.bind(self.found[0], old)
        change = shifted(new(f"xor i{width} {old}, {self.out.value(self.stored)}"))
        return self._conditional("w", new(f"xor i64 {word}, {change}"), place)
