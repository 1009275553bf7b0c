"""Many candidates for one problem on the same states: the wrong ones die here, by the thousand, before Z3 is asked.

All runs are Unicorn's (``solver.emulate``). What survives is not proved; what dies differs, on a state that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from isa.aarch64.lift import lift as lift_aarch64
from isa.evaluate import evaluate
from isa.machine import Instruction
from isa.riscv64.lift import lift as lift_riscv64
from isa.separate import new_table, separate
from isa.statemap import CONDITIONS, FLAGS, MAPS
from isa.x86_64.lift import lift
from solver.counterexample import Counterexample, Difference
from solver.emulate import CodeLike, ProblemLike, Trial, memory_differences, source_of
from solver.link import Unlinkable, link_source, link_target
from solver.machine import machine
from solver.memory import byte
from solver.moved import moved
from solver.states import condition

_ATTEMPTS: Final = 20  # states tried for each that is wanted, as the source may fault
_SEEDS: Final = 8  # placements of the symbols tried, as the source may fault in all states wherever what they name is no pointer
STORED: Final = "stored"
FAULT: Final = "target faults"
FAULTS: Final = 100  # results that a fault counts for
_FOCUS: Final = 2  # states that stay the first


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


@dataclass(frozen=True)
class End:
    """How both sides end from one state.

    source: its live-outs. code: its cells, none after a fault. memory: whether it is the same.
    """

    source: Mapping[str, int]
    code: Mapping[str, int]
    memory: bool

    def holds(self, name: str, bits: int, cell: str) -> bool:
        """Whether the code's ``cell`` holds the low ``bits`` of what the source's ``name`` does."""
        wanted = self.source[name] if name in self.source else condition(name, self.source)
        keep = (1 << (64 if name in FLAGS or name in CONDITIONS else bits)) - 1
        return bool(self.code) and (wanted ^ self.code[cell]) & keep == 0


def _kind(difference: Difference) -> str:
    return "memory" if difference.what.startswith("byte") else difference.what


def how_wrong(differences: Sequence[Difference]) -> int:
    """The more the worse; a fault is worse than anything."""
    return sum(FAULTS if d.what.startswith(FAULT) else 1 for d in differences)


def nearer(wrong: Set[str], bar: Set[str]) -> bool:
    """Whether fewer results are wrong than in ``bar``, and no other; a fault is worse than anything."""
    if any(what.startswith(FAULT) for what in wrong):
        return False
    return wrong < bar or any(what.startswith(FAULT) for what in bar)


class Arena:
    """States for the candidates of ``problem``. ``states``: how many, besides those that ``add`` brings.

    Raises Unlinkable if the source cannot be run, or faults in every state tried.
    """

    def __init__(self, problem: ProblemLike, states: int = 12) -> None:
        self.problem = problem
        for seed in range(_SEEDS):
            self.source = source_of(problem, seed)
            usable = (n for n in range(_ATTEMPTS * states) if self.source.outcome(n).exit is not None)
            self.numbers = [n for n, _ in zip(usable, range(states), strict=False)]
            if self.numbers:
                break
        else:
            raise Unlinkable("the source faults in every state tried")
        self._steps_of: dict[int, tuple[Mapping[str, int], ...] | None] = {}  # the source's, by state

    def differences(self, code: CodeLike) -> tuple[Difference, ...]:
        """Differences on the first state that shows any; none if no state does. Raises Unlinkable if ``code`` cannot be run."""
        return self.told(code)[1]

    def told(self, code: CodeLike) -> tuple[int | None, tuple[Difference, ...]]:
        """The state that tells ``differences``, which moves up, though not before the first two."""
        trial = Trial(self.problem, code, self.source)
        for rank, number in enumerate(self.numbers):
            found = trial.run(number)
            if isinstance(found, Counterexample):
                if rank > _FOCUS:
                    self.numbers.insert(_FOCUS, self.numbers.pop(rank))
                return number, found.differences
        return None, ()

    def everywhere(self, code: CodeLike, but: Set[int] = frozenset()) -> dict[int, tuple[Difference, ...]]:
        """Differences by state (``but`` for some), of those that show any. Raises Unlinkable if ``code`` cannot be run."""
        trial = Trial(self.problem, code, self.source)
        found = ((number, trial.run(number)) for number in self.numbers if number not in but)
        return {number: one.differences for number, one in found if isinstance(one, Counterexample)}

    def focus(self, code: CodeLike) -> tuple[Difference, ...]:
        """Differences on the first state that shows any, which becomes the first. The second is then that of the others in which
        least is wrong, if there is one without what is wrong in the first: where a code is wrong in two places, only the other
        one shows there."""
        found = self.everywhere(code)
        if not found:
            return ()
        first, *others = found
        shown = {_kind(d) for d in found[first]}
        others.sort(key=lambda n: (shown <= {_kind(d) for d in found[n]}, how_wrong(found[n])))
        for number in (*others[:1], first):
            self.numbers.insert(0, self.numbers.pop(self.numbers.index(number)))
        return found[first]

    def lead(self, numbers: Sequence[int]) -> None:
        """Let these states be the first."""
        self.numbers = [*numbers, *(n for n in self.numbers if n not in numbers)]

    def on(self, number: int, code: CodeLike) -> tuple[Difference, ...]:
        """Differences on one state. Raises Unlinkable if ``code`` cannot be run."""
        found = Trial(self.problem, code, self.source).run(number)
        return found.differences if isinstance(found, Counterexample) else ()

    def add(self, found: Counterexample, code: CodeLike) -> None:
        """Take a counterexample to ``code`` as one more state, if there is a way to put it where memory is (``solver.moved``).

        Raises Unlinkable if ``code`` cannot be run.
        """
        trial = Trial(self.problem, code, self.source)
        with separate(new_table()):
            effect = lift(self.problem.instructions, self.problem.exit)  # type: ignore[arg-type]
            for cells, memory in moved(found, effect, self.source.placement.values):
                number = self.source.add(cells, memory)
                if self.source.outcome(number).exit is not None and isinstance(trial.run(number), Counterexample):
                    self.numbers.insert(1, number)
                    return

    def strays(self, code: CodeLike) -> bool:
        """Whether, in the first state, ``code`` reads a byte that the source does not access: no run shows that it may not."""
        number = self.numbers[0]
        content = self.source.memory_of(number)
        trial = Trial(self.problem, code, self.source)
        env = {**dict.fromkeys(machine(self.problem.target).cells, 0), **self.source.placement.values, **trial.initial(number)}
        with separate(new_table()):
            lift_code = lift_aarch64 if self.problem.target == "aarch64" else lift_riscv64
            effect = lift_code(code.instructions, code.size)
            try:
                values = evaluate([x for a in effect.loads for x in (a.address, a.guard)], env, lambda a: content.get(a, byte(a)))
            except (KeyError, ValueError):
                return False
        loads, stores = self.accesses()
        known = {a + k for a, size, *_ in (*loads, *stores) for k in range(size)}
        places = zip(values[::2], values[1::2], effect.loads, strict=True)
        return any(address + k not in known for address, guard, load in places if guard for k in range(load.size))

    def trace(self, code: CodeLike, number: int | None = None) -> Trace | None:
        """Both sides step by step from one state, by default the first; None where a side does not run straight through."""
        number = self.numbers[0] if number is None else number
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

    def ends(self, code: CodeLike) -> list[End]:
        """How both sides end, from each state. Raises Unlinkable if ``code`` cannot be run."""
        trial, cells = Trial(self.problem, code, self.source), list(machine(self.problem.target).cells)
        found = []
        for number in self.numbers:
            outcome, memory = self.source.outcome(number), self.source.memory_of(number)
            got = machine(self.problem.target).run(trial.code, trial.initial(number), cells, memory, trial.exits)
            same = got.exit is not None and not memory_differences(outcome.writes, got.writes, memory, trial.floats)
            found.append(End(outcome.state, got.state if got.exit is not None else {}, same))
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

    def symbols(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Where runs place the symbols, and their slots in the global offset table."""
        return self.source.placement.values, self.source.placement.slots

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
