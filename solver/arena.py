"""Many candidates for one problem on the same states: the wrong ones die here, by the thousand, before Z3 is asked.

All runs are Unicorn's (``solver.emulate``). What survives is not proved; what dies differs, on a state that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product
from typing import Final

from isa import terms as t
from isa.evaluate import evaluate
from isa.machine import Instruction
from isa.separate import new_table, separate
from isa.statemap import FLAGS, GENERAL, MAPS
from isa.x86_64.lift import lift
from solver.counterexample import Counterexample, Difference
from solver.emulate import CodeLike, ProblemLike, Trial, source_of
from solver.link import Unlinkable, link_source, link_target
from solver.machine import machine
from solver.memory import ARENA, byte

_ATTEMPTS: Final = 20  # states tried for each that is wanted, as the source may fault
STORED: Final = "stored"
_ALL: Final = (1 << 64) - 1
_NEAR: Final = 256  # bytes on each side of what is read
_MOVED: Final = ARENA + 0x800  # how far pointers are moved
FAULT: Final = "target faults"


@dataclass(frozen=True)
class Trace:
    """What a run computed: for each instruction the cells that it changed, with their values; a store as ``STORED`` with the lowest
    address that it changed, above every value of a cell."""

    source: tuple[Mapping[str, int], ...]
    code: tuple[Mapping[str, int], ...]

    @property
    def missing(self) -> frozenset[int]:
        """Values, at least in the low half, that the source has and the code never; 0 and 1 do not count."""
        known = {low(value) for step in self.code for value in step.values()}
        return frozenset(low(v) for step in self.source for cell, v in step.items() if cell not in FLAGS and v > 1) - known


def low(value: int) -> int:
    """What is compared of a value: 32 bits, as the rest may be dead; of a store its whole address."""
    return value if value >> 64 else value & 0xFFFF_FFFF


@dataclass(frozen=True)
class Halt:
    """A run of the code from the first state, stopped before one of its instructions, at ``offset``.

    state: every cell. written: bytes that the code wrote. memory: bytes that differ from ``solver.memory``.
    """

    offset: int
    state: Mapping[str, int]
    written: Mapping[int, int]
    memory: Mapping[int, int]

    def content(self, address: int, size: int) -> int:
        """What memory holds there, little-endian."""
        places = range(address, address + size)
        return int.from_bytes(bytes(self.memory.get(place, byte(place)) for place in places), "little")


def nearer(wrong: Set[str], bar: Set[str]) -> bool:
    """Whether fewer results are wrong than in ``bar``, and no other; a fault is worse than anything."""
    if any(what.startswith(FAULT) for what in wrong):
        return False
    return wrong < bar or any(what.startswith(FAULT) for what in bar)


class Arena:
    """States for the candidates of ``problem``. ``states``: how many, besides those that ``add`` brings.

    Raises Unlinkable if the source cannot be run, or faults in every state tried.
    """

    def __init__(self, problem: ProblemLike, states: int = 12, seed: int = 0) -> None:
        self.problem = problem
        self.source = source_of(problem, seed)
        usable = (n for n in range(_ATTEMPTS * states) if self.source.outcome(n).exit is not None)
        self.numbers = [n for n, _ in zip(usable, range(states), strict=False)]
        if not self.numbers:
            raise Unlinkable("the source faults in every state tried")
        self._steps_of: dict[int, tuple[Mapping[str, int], ...] | None] = {}  # the source's, by state

    def differences(self, code: CodeLike) -> tuple[Difference, ...]:
        """Differences on the first state, always the same one; else on the first of the others that shows any, which moves up.

        Raises Unlinkable if ``code`` cannot be run.
        """
        rank, found = self._first_difference(code)
        if rank > 1:
            self.numbers.insert(1, self.numbers.pop(rank))
        return found

    def focus(self, code: CodeLike) -> tuple[Difference, ...]:
        """``differences``, and the state that shows them becomes the first."""
        rank, found = self._first_difference(code)
        self.numbers.insert(0, self.numbers.pop(rank))
        return found

    def _first_difference(self, code: CodeLike) -> tuple[int, tuple[Difference, ...]]:
        """The rank of the first state that shows any, and what it shows; 0 and none if no state does."""
        trial = Trial(self.problem, code, self.source)
        for rank, number in enumerate(self.numbers):
            found = trial.run(number)
            if isinstance(found, Counterexample):
                return rank, found.differences
        return 0, ()

    def add(self, found: Counterexample, code: CodeLike) -> None:
        """Take a counterexample to ``code`` as one more state, its registers and its bytes of memory.

        The prover knows no addresses that fault: where the source does, pointers are moved to where memory is, with the bytes. What
        the source reads and the counterexample does not list is 0; if that shows no difference, so is all that is near.
        Raises Unlinkable if ``code`` cannot be run.
        """
        state = {name: value for name, value in found.state if name in machine("x86_64").cells}
        trial = Trial(self.problem, code, self.source)
        listed = dict(found.memory)
        with separate(new_table()):
            effect = lift(self.problem.instructions, self.problem.exit)  # type: ignore[arg-type]
            accesses = [*effect.loads, *effect.stores]
            places = [access.address for access in accesses]
            bases = sorted(name for name in t.variables(*places) if name in GENERAL)
            env = {**dict.fromkeys(t.variables(*places), 0), **self.source.placement.values, **dict(found.state)}
            starts = evaluate(places, env, lambda a: listed.get(a, 0))
        exact = {a + k: 0 for a, access in zip(starts, accesses, strict=True) for k in range(access.size)} | listed
        around = {a + k: 0 for a in starts for k in range(-_NEAR, _NEAR)} | listed
        every = ((), *((name,) for name in bases), tuple(bases))
        for content, moved in product((exact, around), every):
            shift = _MOVED if moved else 0
            cells = state | {name: state.get(name, 0) + shift & _ALL for name in moved}
            number = self.source.add(cells, {address + shift & _ALL: value for address, value in content.items()})
            if self.source.outcome(number).exit is not None and isinstance(trial.run(number), Counterexample):
                self.numbers.insert(1, number)
                return

    def trace(self, code: CodeLike) -> Trace | None:
        """Both sides step by step from the first state; None where a side does not run straight through."""
        number = self.numbers[0]
        trial = Trial(self.problem, code, self.source)
        if number not in self._steps_of:
            self._steps_of[number] = self._source_steps(number)
        source = self._steps_of[number]
        if source is None:
            return None
        ends = [i.offset + len(i.code) for i in code.instructions]
        state = trial.initial(number)
        linked = link_target(code.instructions, self.source.placement)
        steps = _steps(self.problem.target, [linked[:end] for end in ends], state, self.source.memory_of(number))
        return None if steps is None else Trace(source, steps)

    def halts(self, code: CodeLike) -> list[Halt]:
        """Before each instruction and at the end, as far as the code runs straight through."""
        number, target = self.numbers[0], self.problem.target
        state = Trial(self.problem, code, self.source).initial(number)
        linked = link_target(code.instructions, self.source.placement)
        cells = list(machine(target).cells)
        memory = self.source.memory_of(number)
        found = [Halt(0, {**dict.fromkeys(cells, 0), **state}, {}, memory)]
        for end in (i.offset + len(i.code) for i in code.instructions):
            outcome = machine(target).run(linked[:end], state, cells, memory)
            if outcome.exit is None:
                break
            found.append(Halt(end, outcome.state, outcome.writes, {**memory, **outcome.writes}))
        return found

    def wrong_with(self, code: CodeLike, halt: Halt, changes: Sequence[Mapping[str, int]]) -> list[frozenset[str]]:
        """What is wrong in the end, for each way to change cells at ``halt``. Raises Unlinkable if ``code`` cannot be run."""
        trial = Trial(self.problem, code, self.source)
        found = []
        for change in changes:
            state = {**halt.state, **change}
            differences = trial.resume(self.numbers[0], halt.offset, state, halt.memory, halt.written)
            found.append(frozenset(d.what for d in differences))
        return found

    def linked(self, code: CodeLike) -> tuple[Instruction, ...]:
        """The code as it runs: the fields of its relocations filled in. Raises Unlinkable."""
        whole = link_target(code.instructions, self.source.placement)
        return tuple(Instruction(i.offset, whole[i.offset : i.offset + len(i.code)], i.text) for i in code.instructions)

    def symbols(self) -> Mapping[str, int]:
        """Where runs place the symbols."""
        return self.source.placement.values

    def accesses(self) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]]]:
        """What the source reads in the first state: address and bytes; and writes: address, bytes, value in the end."""
        number = self.numbers[0]
        env = {**self.source.placement.values, **self.source.state(number)}
        content, written = self.source.memory_of(number), self.source.outcome(number).writes
        with separate(new_table()):
            effect = lift(self.problem.instructions, self.problem.exit)  # type: ignore[arg-type]
            every = [*effect.loads, *effect.stores]
            try:
                values = evaluate([x for a in every for x in (a.address, a.guard)], env, lambda a: content.get(a, byte(a)))
            except (KeyError, ValueError):
                return [], []
        places = [(address, a.size) for a, address, guard in zip(every, values[::2], values[1::2], strict=True) if guard]
        loads, stores = places[: len(effect.loads)], places[len(effect.loads) :]
        return loads, [(a, n, sum(written.get(a + k, 0) << 8 * k for k in range(n))) for a, n in stores]

    def _source_steps(self, number: int) -> tuple[Mapping[str, int], ...] | None:
        instructions: Sequence[Instruction] = self.problem.instructions
        last = len(instructions) if self.problem.exit == "fall" else len(instructions) - 1
        try:
            codes = [link_source(instructions[:k], "fall", self.source.placement).code for k in range(1, last + 1)]
        except Unlinkable:
            return None
        steps = _steps("x86_64", codes, self.source.state(number), self.source.memory_of(number))
        return None if steps is None else steps + ({},) * (len(instructions) - last)

    def homes(self, differences: Sequence[Difference]) -> tuple[set[str], bool, bool]:
        """Where the code's fault shows: target cells, whether memory, whether the way out."""
        known = MAPS[self.problem.target].homes
        cells = {known[d.what] for d in differences if d.what in known}
        return cells, any(d.what.startswith("byte") for d in differences), any(d.what.startswith("branch") for d in differences)


def _steps(isa: str, prefixes: Sequence[bytes], state: Mapping[str, int], memory: Mapping[int, int]
           ) -> tuple[Mapping[str, int], ...] | None:  # fmt: skip
    one = machine(isa)
    cells = list(one.cells)
    before = {name: state.get(name, 0) for name in cells}
    written: Mapping[int, int] = {}
    steps = []
    for code in prefixes:
        outcome = one.run(code, state, cells, memory)
        if outcome.exit is None:
            return None
        changed = {name: value for name, value in outcome.state.items() if value != before[name]}
        if stored := [a for a, byte in outcome.writes.items() if written.get(a) != byte]:
            changed[STORED] = min(stored) | 1 << 64
        before, written = outcome.state, outcome.writes
        steps.append(changed)
    return tuple(steps)
