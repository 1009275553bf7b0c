"""Many candidates for one problem on the same states: the wrong ones die here, by the thousand, before Z3 is asked.

All runs are Unicorn's (``solver.emulate``). What survives is not proved; what dies differs, on a state that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from isa.machine import Instruction
from isa.statemap import MAPS
from solver.counterexample import Counterexample, Difference
from solver.emulate import CodeLike, ProblemLike, Trial, source_of
from solver.link import Unlinkable, link_source, link_target
from solver.machine import machine

_ATTEMPTS: Final = 20  # states tried for each that is wanted, as the source may fault
STORED: Final = "stored"


@dataclass(frozen=True)
class Trace:
    """What a run computed: for each instruction the cells that it changed, with their values; a store as ``STORED`` with the lowest
    address that it changed, above every value of a cell."""

    source: tuple[Mapping[str, int], ...]
    code: tuple[Mapping[str, int], ...]


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
        self.runs = 0

    def differences(self, code: CodeLike) -> tuple[Difference, ...]:
        """Differences on the first state, always the same one; else on the first of the others that shows any, which moves up.

        Raises Unlinkable if ``code`` cannot be run.
        """
        trial = Trial(self.problem, code, self.source)
        for rank, number in enumerate(self.numbers):
            self.runs += 1
            found = trial.run(number)
            if isinstance(found, Counterexample):
                if rank > 1:
                    self.numbers.insert(1, self.numbers.pop(rank))
                return found.differences
        return ()

    def focus(self, code: CodeLike) -> tuple[Difference, ...]:
        """``differences``, and the state that shows them becomes the first."""
        found = self.differences(code)
        trial = Trial(self.problem, code, self.source)
        if found and not isinstance(trial.run(self.numbers[0]), Counterexample):
            self.numbers.insert(0, self.numbers.pop(1))
        return found

    def add(self, found: Counterexample) -> None:
        """Take the registers of a counterexample as one more state (memory stays what it is in every run)."""
        state = {name: value for name, value in found.state if name in machine("x86_64").cells}
        number = self.source.add(state)
        if self.source.outcome(number).exit is not None:
            self.numbers.insert(1, number)

    def trace(self, code: CodeLike) -> Trace | None:
        """Both sides step by step from the first state; None where a side does not run straight through."""
        number = self.numbers[0]
        trial = Trial(self.problem, code, self.source)
        source = self._source_steps(number)
        if source is None:
            return None
        ends = [i.offset + len(i.code) for i in code.instructions]
        state = trial.initial(number)
        linked = link_target(code.instructions, self.source.placement)
        steps = _steps(self.problem.target, [linked[:end] for end in ends], state, self.source.memory)
        return None if steps is None else Trace(source, steps)

    def _source_steps(self, number: int) -> tuple[Mapping[str, int], ...] | None:
        instructions: Sequence[Instruction] = self.problem.instructions
        last = len(instructions) if self.problem.exit == "fall" else len(instructions) - 1
        try:
            codes = [link_source(instructions[:k], "fall", self.source.placement).code for k in range(1, last + 1)]
        except Unlinkable:
            return None
        steps = _steps("x86_64", codes, self.source.state(number), self.source.memory)
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
