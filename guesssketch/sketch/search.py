"""Sketches solved: fillings in order of cost, run on states by the thousand, and what survives proved on its machine code.

Bounded by counts, never by a clock, so that the same sketch gets the same answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, islice, zip_longest
from typing import Final

from guesssketch.assembler import Assembled, AssemblyError, assemble
from guesssketch.judge import verify
from guesssketch.problem import Problem
from guesssketch.sketch.choices import Choices
from guesssketch.sketch.holes import LABEL, Hole, Sketch
from guesssketch.sketch.immediates import RLIMIT, solved
from solver.arena import Arena, nearer
from solver.link import Unlinkable
from solver.verdict import Proved, Refuted

BATCHES: Final = (32, 128, 480)  # candidates assembled together: few at first
TRACED: Final = 800  # wrong candidates of which it is asked whether they have more of the source's values


@dataclass
class Budget:
    """What may still be spent: candidates run, and survivors given to Z3."""

    candidates: int = 12000
    proofs: int = 24

    def is_spent(self) -> bool:
        return self.candidates <= 0 or self.proofs <= 0

    @contextmanager
    def part(self, candidates: int) -> Iterator[Budget]:
        """At most so many candidates of it."""
        share = Budget(max(0, min(candidates, self.candidates)), self.proofs)
        allowed = share.candidates
        yield share
        self.candidates -= allowed - share.candidates
        self.proofs = share.proofs


@dataclass(frozen=True)
class Filling:
    """A candidate, and the sketch that it fills."""

    lines: tuple[str, ...]
    sketch: Sketch


@dataclass(frozen=True)
class Near:
    """A candidate that is wrong, but nearer than what it was made from.

    wrong: names of the results that differ. missing: values that only the source has; None if fewer results are wrong.
    """

    filling: Filling
    wrong: frozenset[str]
    missing: frozenset[int] | None = None


class Search:
    """Candidates for one problem, tried in turn. ``near``: those that come nearer than what they were made from.

    bar: what is wrong there. missing: values that only the source has there, on the first state.
    """

    def __init__(self, problem: Problem, arena: Arena, budget: Budget, bar: frozenset[str] = frozenset(),
                 missing: frozenset[int] = frozenset()) -> None:  # fmt: skip
        self.problem, self.arena, self.budget = problem, arena, budget
        self.bar, self.missing = bar, missing
        self._near: list[Near] = []
        self._traced = TRACED
        self._seen: set[tuple[str, ...]] = set()

    def first(self, candidates: Iterable[Filling]) -> Filling | None:
        """The first candidate that is proved, within the budget."""
        source = self._new(candidates)
        sizes = iter(BATCHES)
        size = next(sizes)
        while not self.budget.is_spent():
            batch = list(islice(source, min(size, self.budget.candidates)))
            size = next(sizes, size)
            if not batch:
                return None
            self.budget.candidates -= len(batch)
            for filling, code in zip(batch, assemble(self.problem.target, [f.lines for f in batch]), strict=True):
                if isinstance(code, Assembled) and self._survives(filling, code) and self._proved(code):
                    return filling
                if self.budget.is_spent():
                    return None
        return None

    def _new(self, candidates: Iterable[Filling]) -> Iterator[Filling]:
        for filling in candidates:
            if filling.lines not in self._seen:
                self._seen.add(filling.lines)
                yield filling

    def _survives(self, filling: Filling, code: Assembled) -> bool:
        try:
            found = self.arena.differences(code)
        except Unlinkable:
            return False
        if not found:
            return True
        wrong = frozenset(d.what for d in found)
        if nearer(wrong, self.bar):
            self._near.append(Near(filling, wrong))
        elif self.missing and self._traced:
            self._traced -= 1
            trace = self.arena.trace(code)
            if trace is not None and (missing := trace.missing) < self.missing:
                self._near.append(Near(filling, wrong, missing))
        return False

    def near(self, count: int) -> list[Filling]:
        """At most ``count`` candidates that came nearer, in turn by results and by values, the nearest first."""
        results = sorted((n for n in self._near if n.missing is None), key=lambda n: len(n.wrong))
        values = sorted((n for n in self._near if n.missing is not None), key=lambda n: len(n.missing or ()))
        turns = (n.filling for pair in zip_longest(results, values) for n in pair if n is not None)
        return list(islice(turns, count))

    def _proved(self, code: Assembled) -> bool:
        self.budget.proofs -= 1
        verdict = verify(self.problem, code, explain=True, rlimit=RLIMIT)
        if isinstance(verdict, Refuted):
            self.arena.add(verdict.counterexample, code)
        return isinstance(verdict, Proved)


def fillings(sketch: Sketch, choices: Choices, arena: Arena) -> Iterator[tuple[str, ...]]:
    """Every way to fill the holes, by the sum of the ranks of what fills them; of a single immediate, first what is solved for."""
    if [hole.kind for hole in sketch.holes] == ["immediate"] and (number := solved(sketch, arena)) is not None:
        yield sketch.filled([number])
    options = [_Ranked(choices.of(hole, line, around)) for hole, line, around in _places(sketch)]
    heap: list[tuple[int, tuple[int, ...]]] = [(0, (0,) * len(options))]
    seen = {heap[0][1]}
    while heap:
        cost, ranks = heapq.heappop(heap)
        texts = [option.at(rank) for option, rank in zip(options, ranks, strict=True)]
        chosen = [text for text in texts if text is not None]
        if len(chosen) < len(texts):
            continue
        yield sketch.filled(chosen)
        for n, rank in enumerate(ranks):
            following = (*ranks[:n], rank + 1, *ranks[n + 1 :])
            if following not in seen:
                seen.add(following)
                heapq.heappush(heap, (cost + 1, following))


class _Ranked:
    """An iterator's items by number, drawn as they are asked for."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source, self._known = source, list[str]()

    def at(self, rank: int) -> str | None:
        """None if there are not so many."""
        self._known += islice(self._source, max(0, rank + 1 - len(self._known)))
        return self._known[rank] if rank < len(self._known) else None


def _places(sketch: Sketch) -> Iterator[tuple[Hole, str, tuple[str, ...]]]:
    """Holes, each with its line and the lines around, as guessed."""
    texts = ["".join(part if isinstance(part, str) else part.guess for part in line) for line in sketch.lines]
    for n, line in enumerate(sketch.lines):
        around = (*texts[max(0, n - 1) : n], *texts[n + 1 : n + 2])
        yield from ((part, texts[n], around) for part in line if isinstance(part, Hole))


def solve(sketch: Sketch, budget: Budget | None = None) -> tuple[str, ...] | None:
    """Target lines that fill ``sketch`` and are proved equal to its problem's source; None if none were found within ``budget``."""
    budget = budget or Budget()
    try:
        arena = Arena(sketch.problem)
    except Unlinkable:
        return None
    plain = ["".join(part for part in line if isinstance(part, str)) for line in sketch.lines]
    filled = (Filling(lines, sketch) for lines in fillings(sketch, Choices(sketch.problem, plain), arena))
    found = Search(sketch.problem, arena, budget).first(filled)
    return None if found is None else found.lines


def layout(problem: Problem, lines: Sequence[str], code: Assembled) -> list[range]:
    """For each line that is no label, its instructions in ``code``: one, but where the assembler makes several (``li``)."""
    texts = [line for line in lines if not LABEL.fullmatch(line)]
    sizes = [1] * len(texts)
    if len(texts) != len(code.instructions):
        wide = [n for n, text in enumerate(texts) if text.startswith("li ")]
        for n, alone in zip(wide, assemble(problem.target, [[texts[n]] for n in wide]), strict=True):
            sizes[n] = len(alone.instructions) if isinstance(alone, Assembled) else 1
    ends = list(accumulate(sizes))
    assert ends[-1:] == [len(code.instructions)] or not ends, (lines, sizes)
    return [range(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def assembled(problem: Problem, lines: Sequence[str]) -> Assembled | None:
    (code,) = assemble(problem.target, [lines])
    return None if isinstance(code, AssemblyError) else code
