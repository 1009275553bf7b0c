"""Symbolic execution of a block's target code: registers and memory as terms, forward branches joined by ``ite``.

``Machine`` is what the instruction semantics of AArch64 and RISC-V write to; ``run`` goes through the code in the order
of its addresses. Since branches only go forward, that order meets every instruction after all its predecessors, so one
pass is enough: paths that meet are joined cell by cell, and an access that only some paths make is guarded. One branch
may go back, to the start of the code: the round that a failed store-exclusive makes, which is kept apart (``Effect.retry``).

Shared memory. With ``shared`` a load gives an unknown of its own, ``seen:N`` for the N-th, since another thread may have
stored; else what memory holds. Whether a store-exclusive fails is the unknown bit ``fails`` in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from isa import terms as t
from isa.machine import TAKEN, Access, Effect, Event, Instruction, Relocation, RelocKind, Retry, seen
from isa.terms import Term

FAILS: Final = "fails"


class Unmodelled(Exception):
    """The instruction has no exact semantics here; ``run`` makes it opaque."""


def require(allowed: object, what: str = "reserved or unmodelled encoding") -> None:
    """Raise Unmodelled unless ``allowed``."""
    if not allowed:
        raise Unmodelled(what)


@dataclass(frozen=True)
class Path:
    """Where control may be: under the conjunction of ``conditions``, with ``cells`` changed so far."""

    conditions: tuple[Term, ...]
    cells: Mapping[str, Term]

    @property
    def guard(self) -> Term:
        return reduce(t.and_, self.conditions, t.TRUE)


def _either(a: tuple[Term, ...], b: tuple[Term, ...]) -> tuple[Term, ...]:
    """The disjunction of two conjunctions."""
    if not a or not b:
        return ()
    if len(b) == 1:
        a, b = b, a
    if len(a) == 1 and b[0] is t.not_(a[0]):  # p or (not p and q) is p or q
        return _either(a, b[1:])
    return (t.or_(reduce(t.and_, a), reduce(t.and_, b)),)


class Machine:
    """The state of one path through a block's code, and the accesses of all paths.

    widths: the width of each cell. code, size: the block; a branch to ``size`` falls through, one to TAKEN is taken.
    shared: see the module's docstring.
    """

    def __init__(self, widths: Mapping[str, int], code: Sequence[Instruction], size: int, shared: bool = False) -> None:
        self.shared = shared
        self.widths = widths
        self.code = code
        self.size = size
        self.index = 0
        self.cells: dict[str, Term] = {}
        self.conditions: tuple[Term, ...] = ()
        self.guard = t.TRUE
        self.effect = Effect({}, t.memory(), shared=shared)
        self.falls = True  # whether control reaches the next instruction
        self.waiting: dict[int, list[Path]] = {}
        self._unused: list[Relocation] = []

    @property
    def word(self) -> int:
        """The encoding of the current instruction."""
        return int.from_bytes(self.code[self.index].code, "little")

    def read(self, cell: str) -> Term:
        found = self.cells.get(cell)
        return t.var(cell, self.widths[cell]) if found is None else found

    def write(self, cell: str, value: Term) -> None:
        assert value.width == self.widths[cell], (cell, value.width)
        self.cells[cell] = value

    def load(self, address: Term, size: int, *, exclusive: bool = False, acquire: bool = False) -> Term:
        """``size`` bytes at ``address``, as 8*size bits. exclusive, acquire: see ``Event``."""
        self.effect.loads.append(Access(address, size, self.guard))
        halves = ((0, 8), (8, 8)) if size == 16 and self.shared and not exclusive else ((0, size),)
        values = []
        for start, width in halves:
            place = t.add(address, t.const(start, 64))
            value = seen(self.effect.events, width) if self.shared else t.load(self.effect.memory, address, 8 * size)
            self.effect.events.append(Event("load", self.guard, place, width, value, part=start > 0, exclusive=exclusive,
                                            acquire=acquire))  # fmt: skip
            values.append(value)
        return t.concat(*reversed(values))

    def store(self, address: Term, value: Term, *, exclusive: bool = False, release: bool = False,
              acquire: bool = False) -> None:  # fmt: skip
        """Store ``value``. exclusive, release, acquire: see ``Event``; an exclusive one is made unless it ``fails``."""
        effect = self.effect
        effect.stores.append(Access(address, value.width // 8, self.guard))
        halves = ((0, 64), (64, 64)) if value.width == 128 and self.shared and not exclusive else ((0, value.width),)
        for low, width in halves:
            place = t.add(address, t.const(low // 8, 64))
            effect.events.append(Event("store", self.guard, place, width // 8, t.extract(value, low, width), part=low > 0,
                                       exclusive=exclusive, release=release, store_acquire=acquire))  # fmt: skip
        made = t.and_(self.guard, t.not_(t.var(FAILS, 1))) if exclusive else self.guard
        if made is not t.TRUE:
            value = t.ite(made, value, t.load(effect.memory, address, value.width))
        effect.memory = t.store(effect.memory, address, value)

    def exclusive_store(self, address: Term, value: Term, *, release: bool, acquire: bool = False) -> Term:
        """A store that may fail; gives the bit that says so. One to a block, whose failure is the variable ``fails``."""
        if any(e.kind == "store" and e.exclusive for e in self.effect.events):
            raise Unmodelled("a second store-exclusive")
        self.aligned(address, value.width // 8)
        self.store(address, value, exclusive=True, release=release, acquire=acquire)
        return t.var(FAILS, 1)

    def exclusive_load(self, address: Term, size: int, *, acquire: bool) -> Term:
        self.aligned(address, size)
        return self.load(address, size, exclusive=True, acquire=acquire)

    def exchange(self, address: Term, size: int, new: Callable[[Term], Term], *, acquire: bool, release: bool,
                 store_acquire: bool = False) -> Term:  # fmt: skip
        """Put ``new`` of what memory holds there, indivisibly; gives what it held."""
        self.aligned(address, size)
        memory, events = self.effect.memory, self.effect.events
        old = seen(events, size) if self.shared else t.load(memory, address, 8 * size)
        value = new(old)
        access = Access(address, size, self.guard)
        self.effect.loads.append(access)
        self.effect.stores.append(access)
        events.append(Event("atomic", self.guard, address, size, old, value, acquire=acquire, release=release,
                            store_acquire=store_acquire))  # fmt: skip
        if self.guard is not t.TRUE:
            value = t.ite(self.guard, value, t.load(memory, address, 8 * size))
        self.effect.memory = t.store(memory, address, value)
        return old

    def aligned(self, address: Term, size: int) -> None:
        """The processor traps unless ``address`` is a multiple of ``size``, a power of two."""
        if size > 1:
            low = t.extract(address, 0, size.bit_length() - 1)
            self.effect.traps.append(t.and_(self.guard, t.ne(low, t.const(0, low.width))))

    def fence(self, orders: frozenset[str]) -> None:
        self.effect.events.append(Event("fence", self.guard, orders=orders))

    def relocation(self, *kinds: RelocKind) -> Relocation | None:
        """The instruction's relocation of one of ``kinds``, now accounted for; one that nobody asks for is opaque."""
        for relocation in self._unused:
            if relocation.kind in kinds:
                self._unused.remove(relocation)
                return relocation
        return None

    def approximate(self, what: str) -> None:
        self.effect.approximations.add(what)

    def branch(self, distance: int, condition: Term | None = None) -> None:
        """Go to ``distance`` bytes from this instruction, if ``condition`` (always if None)."""
        here = self.code[self.index].offset
        to = here + distance
        taken = self.conditions if condition is None else self.conditions + _literal(condition)
        stored = any(e.kind == "store" and e.exclusive for e in self.effect.events)
        if to == 0 and condition is not None and stored and self.effect.retry is None:
            self.effect.retry = Retry(reduce(t.and_, taken, t.TRUE), dict(self.cells))
            self._enter(Path(self.conditions + _literal(t.not_(condition)), self.cells))
            return
        if to <= here or (to not in (self.size, TAKEN) and all(i.offset != to for i in self.code)):
            raise Unmodelled("branch out of the block or backward")
        if condition is None or condition is t.TRUE:
            self.falls = False
        if condition is not t.FALSE:
            self.waiting.setdefault(to, []).append(Path(taken, dict(self.cells)))
        if self.falls and condition is not None:
            self._enter(Path(self.conditions + _literal(t.not_(condition)), self.cells))

    def join(self, paths: Sequence[Path]) -> Path:
        """One path for several that exclude each other."""
        return reduce(self._meet, reversed(paths))  # the latest first: its condition is most likely to cancel

    def _meet(self, a: Path, b: Path) -> Path:
        same = 0
        while same < min(len(a.conditions), len(b.conditions)) and a.conditions[same] is b.conditions[same]:
            same += 1
        choose = reduce(t.and_, a.conditions[same:], t.TRUE)
        cells = {}
        for cell in a.cells.keys() | b.cells.keys():
            initial = t.var(cell, self.widths[cell])
            cells[cell] = t.ite(choose, a.cells.get(cell, initial), b.cells.get(cell, initial))
        return Path(a.conditions[:same] + _either(a.conditions[same:], b.conditions[same:]), cells)

    def _enter(self, path: Path) -> None:
        self.conditions, self.cells, self.guard = path.conditions, dict(path.cells), path.guard

    def arrive(self, index: int) -> bool:
        """Start instruction ``index`` with all the paths that reach it; False if none does."""
        self.index = index
        instruction = self.code[index]
        paths = self.waiting.pop(instruction.offset, [])
        if self.falls:
            paths.append(Path(self.conditions, self.cells))
        if not paths:
            return False
        self.falls = True
        self._enter(self.join(paths))
        self._unused = list(instruction.relocations)
        return True

    def finish(self) -> Effect:
        """The effect of all paths together; to be called after the last instruction."""
        effect = self.effect
        falling = self.waiting.pop(self.size, [])
        if self.falls:
            falling.append(Path(self.conditions, self.cells))
        taken = self.waiting.pop(TAKEN, [])
        if taken:
            effect.condition = self.join(taken).guard
        leaving = ([self.join(taken)] if taken else []) + ([self.join(falling)] if falling else [])
        if leaving:
            cells = self.join(leaving).cells
            effect.cells = {c: v for c, v in sorted(cells.items()) if v is not t.var(c, self.widths[c])}
        return effect

    def settle(self) -> None:
        """After an instruction's semantics: refuse relocations that nobody took."""
        if self._unused:
            raise Unmodelled(f"relocation {self._unused[0].kind}")


def _literal(condition: Term) -> tuple[Term, ...]:
    return () if condition is t.TRUE else (condition,)


def run(machine: Machine, step: Callable[[Instruction], None]) -> Effect:
    """Lift the machine's code: ``step`` gives one instruction's semantics."""
    for index, instruction in enumerate(machine.code):
        if not machine.arrive(index):
            continue
        try:
            step(instruction)
            machine.settle()
        except Unmodelled as refusal:
            machine.effect.opaque.append(f"{instruction.text}: {refusal}" if str(refusal) else instruction.text)
    return machine.finish()
