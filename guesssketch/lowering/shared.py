"""Blocks whose accesses other threads may notice: each is made once, in the source's order, with barriers around it.

Plain accesses are volatile, which LLVM neither merges nor reorders; barriers and atomic accesses (``atomic``) are inline assembly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from guesssketch.lowering.atomic import Atomic
from guesssketch.lowering.emitter import Unsupported
from guesssketch.lowering.expressions import Expressions
from guesssketch.lowering.simplify import simplify
from guesssketch.problem import Problem
from isa import terms as t
from isa.machine import EVERY_ORDER, Effect, Event
from isa.terms import FLOAT_BINARY, FLOAT_COMPARE, Term

_BARRIERS: Final = {
    ("aarch64", frozenset({"rr", "rw"})): "dmb ishld",
    ("aarch64", frozenset({"ww"})): "dmb ishst",
    ("aarch64", EVERY_ORDER): "dmb ish",
    ("riscv64", frozenset({"rr", "rw"})): "fence r, rw",
    ("riscv64", frozenset({"ww"})): "fence w, w",
    ("riscv64", EVERY_ORDER): "fence rw, rw",
}
_BEHIND_LOAD, _BEFORE_STORE = frozenset({"rr", "rw"}), frozenset({"ww"})
_FLOATING: Final = FLOAT_BINARY | FLOAT_COMPARE | {"fsqrt", "fma", "fnan", "f2f", "f2s", "f2u", "fround"}


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
            return Atomic(self, event).emit()
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
