"""Sketches solved: fillings in order of cost, run on states by the thousand, and what survives proved on its machine code.

Bounded by counts, never by a clock, so that the same sketch gets the same answer.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, islice, zip_longest
from typing import Final, Literal

from guesssketch.assembler import Assembled, AssemblyError, assemble
from guesssketch.judge import verify
from guesssketch.problem import Problem
from guesssketch.sketch.choices import Choices
from guesssketch.sketch.holes import LABEL, Hole, Sketch
from guesssketch.sketch.immediates import RLIMIT, solved
from solver.arena import Arena, how_wrong, nearer
from solver.counterexample import Difference
from solver.link import Unlinkable
from solver.verdict import Proved, Refuted

BATCHES: Final = (32, 128, 480)  # candidates assembled together: few at first
WEIGHED: Final = 100  # wrong candidates that are run on all states, for each that is asked for
TRACED: Final = 600  # wrong candidates of which it is asked whether they have more of the source's values


@dataclass
class Budget:
    """What may still be spent: candidates run, and survivors given to Z3."""

    candidates: int = 18000
    proofs: int = 72

    def is_spent(self) -> bool:
        """Whether no candidate or no proof is left."""
        return self.candidates <= 0 or self.proofs <= 0

    @contextmanager
    def part(self, candidates: int, proofs: int) -> Iterator[Budget]:
        """At most so much of it."""
        share = Budget(min(candidates, self.candidates), min(proofs, self.proofs))
        self.candidates -= share.candidates
        self.proofs -= share.proofs
        yield share
        self.candidates += share.candidates
        self.proofs += share.proofs


@dataclass(frozen=True)
class Filling:
    """A candidate, and the sketch that it fills."""

    lines: tuple[str, ...]
    sketch: Sketch


@dataclass(frozen=True)
class Near:
    """A candidate that is wrong, but nearer than what it was made from.

    rest: how wrong it is in one of the first two states, if less is wrong there; or how many of the source's values it lacks in
    both, if that is why.
    """

    filling: Filling
    code: Assembled
    why: Literal["results", "values"]
    rest: int


class Search:
    """Candidates for one problem, tried in turn.

    made_from: the guess, None if that does not assemble. weigh: whether to look for candidates that come nearer than the guess;
    traced: for so many wrong ones by the source's values, too.
    """

    def __init__(self, problem: Problem, arena: Arena, made_from: Assembled | None = None, weigh: bool = False, traced: int = 0
                 ) -> None:  # fmt: skip
        self.problem, self.arena = problem, arena
        self._near: list[Near] = []
        self._weights: dict[tuple[str, ...], tuple[frozenset[int], Mapping[int, Sequence[Difference]]]] = {}
        self._seen: set[tuple[str, ...]] = set()
        self._batch: list[tuple[Filling, Assembled | AssemblyError]] = []  # to be run, the next one last
        self._made_from, self._weigh, self._traced = made_from, weigh, traced
        self._states = tuple(arena.numbers[:2])
        wrong = min(2, len(arena.everywhere(made_from))) if made_from and weigh else 0
        self._bars = [(n, {d.what for d in arena.on(n, made_from)}) for n in self._states[:wrong] if made_from]
        self._missing = [(n, self._lacking(n, made_from)) for n in self._states[:wrong] if made_from and traced]

    def _lacking(self, number: int, code: Assembled) -> frozenset[int] | None:
        trace = self.arena.trace(code, number)
        return trace.missing if trace else None

    def first(self, candidates: Iterable[Filling], budget: Budget) -> Filling | None:
        """The first candidate that is proved, within the budget. Of an iterator, the next search goes on with what is left."""
        self.arena.lead(self._states)
        source = self._new(candidates)
        sizes = iter(BATCHES)
        while not budget.is_spent():
            if not self._batch:
                batch = list(islice(source, min(next(sizes, BATCHES[-1]), budget.candidates)))
                if not batch:
                    return None
                self._batch = list(zip(batch, assemble(self.problem.target, [f.lines for f in batch]), strict=True))[::-1]
            filling, code = self._batch.pop()
            budget.candidates -= 1
            if isinstance(code, Assembled) and self._survives(filling, code) and self._proved(filling, code, budget):
                return filling
        return None

    def _new(self, candidates: Iterable[Filling]) -> Iterator[Filling]:
        for filling in candidates:
            if filling.lines not in self._seen:
                self._seen.add(filling.lines)
                yield filling

    def _survives(self, filling: Filling, code: Assembled) -> bool:
        try:
            state, found = self.arena.told(code)
            if found and self._weigh:
                self._near += self._weighed(filling, code, {state: found})
        except Unlinkable:
            return False
        return not found and not self.arena.strays(code)

    def _weighed(self, filling: Filling, code: Assembled, known: Mapping[int | None, Sequence[Difference]]) -> Iterator[Near]:
        """Whether and why it is nearer. known: its differences, by state, where it has been run."""
        differences = ((known[n] if n in known else self.arena.on(n, code), bar) for n, bar in self._bars)
        less = [how_wrong(found) for found, bar in differences if nearer({d.what for d in found}, bar)]
        if less or not self._bars:
            yield Near(filling, code, "results", min(less, default=0))
        elif self._traced > 0 and all(bar for _, bar in self._missing):
            self._traced -= 1
            lacking = [self._lacking(n, code) for n, _ in self._missing]
            if all(one is not None and bar and one < bar for one, (_, bar) in zip(lacking, self._missing, strict=True)):
                yield Near(filling, code, "values", sum(len(one or ()) for one in lacking))

    def near(self, count: int) -> list[Filling]:
        """At most ``count`` candidates that came nearer, in turn by results in all states and by values, the nearest first; of
        those with the same results one comes before all others."""
        results, values = ([n for n in sorted(self._near, key=lambda n: n.rest) if n.why == why] for why in ("results", "values"))
        everywhere = [(self._everywhere(n), n) for n in results[: WEIGHED * count]]
        bar = _sum(self.arena.everywhere(self._made_from)) if self._made_from else math.inf
        better = ((found, near) for found, near in sorted(everywhere, key=_by_wrongness)
                  if _sum(found) < bar and not self.arena.strays(near.code))  # fmt: skip
        seen, ranked = Counter[str](), []
        for found, near in islice(better, 10 * count):
            ranked.append((seen[repr(found)], near.filling))
            seen[repr(found)] += 1
        first = [filling for _, filling in sorted(ranked, key=lambda entry: entry[0])]
        turns = (one for turn in zip_longest(first, (n.filling for n in values)) for one in turn if one)
        return list(islice(turns, count))

    def _everywhere(self, near: Near) -> Mapping[int, Sequence[Difference]]:
        """Its differences by state."""
        run, found = self._weights.get(near.filling.lines, (frozenset(), {}))
        if len(run) < len(self.arena.numbers):
            found = dict(sorted({**found, **self.arena.everywhere(near.code, run)}.items()))
            self._weights[near.filling.lines] = frozenset(self.arena.numbers), found
        return found

    def _proved(self, filling: Filling, code: Assembled, budget: Budget) -> bool:
        budget.proofs -= 1
        verdict = verify(self.problem, code, explain=True, rlimit=RLIMIT)
        if isinstance(verdict, Refuted):
            self._near.append(Near(filling, code, "results", 0))
            self.arena.add(verdict.counterexample, code)
        return isinstance(verdict, Proved)


def _sum(found: Mapping[int, Sequence[Difference]]) -> int:
    return sum(map(how_wrong, found.values()))


def _by_wrongness(entry: tuple[Mapping[int, Sequence[Difference]], Near]) -> tuple[int, int]:
    return _sum(entry[0]), len(entry[1].filling.lines)


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
    found = Search(sketch.problem, arena).first(filled, budget)
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
