"""A guess that failed, repaired: doubted, turned into sketches, solved; where it is wrong in two places, one after the other."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from guesssketch.assembler import AssemblyError, assemble
from guesssketch.judge import verify
from guesssketch.problem import Insight, Problem
from guesssketch.sketch.angels import edits
from guesssketch.sketch.choices import Choices
from guesssketch.sketch.doubt import Doubts, doubts
from guesssketch.sketch.edits import forced, sketches
from guesssketch.sketch.holes import LABEL, Sketch
from guesssketch.sketch.immediates import RLIMIT
from guesssketch.sketch.search import Budget, Filling, Search, assembled, fillings, layout
from guesssketch.sketch.ways import ALL, Ways
from solver.arena import Arena
from solver.link import Unlinkable
from solver.verdict import Proved, Refuted

_SECOND: Final = 6  # candidates that came nearer, from which a second place is looked for
_STEP: Final = 0.02  # cost of each filling after the first


@dataclass(frozen=True)
class Step:
    """One place repaired.

    doubts: of each of the guess's lines, 0 to 1. wrong: names of the results that differed. sketch: the guess with the hole that
    was filled. filled: the lines after it.
    """

    guess: tuple[str, ...]
    doubts: tuple[float, ...]
    wrong: tuple[str, ...]
    sketch: Sketch
    filled: tuple[str, ...]


@dataclass(frozen=True)
class Repair:
    """What came of a guess.

    lines: proved, None if no repair was found. tried: candidates that were run. steps: the places, in order; none if the guess
    is right as it is.
    """

    lines: tuple[str, ...] | None
    tried: int
    steps: tuple[Step, ...] = ()


def repair(problem: Problem, guess: Sequence[str], insight: Insight | None = None, budget: Budget | None = None,
           ways: Ways = ALL) -> Repair:  # fmt: skip
    """Repair ``guess``, of which the model told ``insight``."""
    budget = budget or Budget()
    insight = insight if ways.told else None
    total = budget.candidates
    try:
        arena = Arena(problem)
    except Unlinkable:
        return Repair(None, 0)
    first = _attempt(problem, tuple(guess), arena, budget, insight, total // 2, ways)
    if first.found is not None:
        return Repair(first.found, total - budget.candidates, first.steps)
    for near in first.near:
        again = _attempt(problem, near.filled, arena, budget, None, total // (2 * _SECOND), ways)
        if again.found is not None:
            return Repair(again.found, total - budget.candidates, (near, *again.steps))
    return Repair(None, total - budget.candidates)


@dataclass(frozen=True)
class _Attempt:
    """found: proved. steps: how; none if the guess is right. near: steps to what is less wrong."""

    found: tuple[str, ...] | None = None
    steps: tuple[Step, ...] = ()
    near: tuple[Step, ...] = ()


def _attempt(problem: Problem, lines: tuple[str, ...], arena: Arena, budget: Budget, insight: Insight | None, share: int,
             ways: Ways) -> _Attempt:  # fmt: skip
    """One place repaired, for at most ``share`` candidates; or what came nearer."""
    code = assembled(problem, lines)
    wrong: frozenset[str] = frozenset()
    asked: list[tuple[float, Sketch]] = []
    if code is None:
        doubt = _unassembled(problem, lines)
    else:
        try:
            found = arena.focus(code)
        except Unlinkable:
            return _Attempt()
        if not found:
            verdict = verify(problem, code, explain=True, rlimit=RLIMIT)
            if isinstance(verdict, Proved):
                return _Attempt(lines)
            if not isinstance(verdict, Refuted):
                return _Attempt()
            arena.add(verdict.counterexample, code)
            found = arena.focus(code) or verdict.counterexample.differences
        wrong = frozenset(d.what for d in found)
        doubted = insight.doubted(len(lines)) if insight and insight.doubts else ()
        told = [u for line, u in zip(lines, doubted, strict=bool(doubted)) if not LABEL.fullmatch(line)]
        parts = layout(problem, lines, code)
        doubt = doubts(problem, code, parts, arena, found, told, ways)
        if ways.forced and not ways.immediates_only:
            asked = list(forced(problem, lines, edits(problem, lines, code, parts, arena, doubt, wrong)))
    others = insight.others if insight else ()
    with budget.part(share) as here:
        search = Search(problem, arena, here, wrong, doubt.lacking)
        proved = search.first(_candidates(problem, arena, lines, doubt, [*asked, *sketches(problem, lines, doubt, others, ways)]))

    def step(filling: Filling) -> Step:
        return Step(lines, doubt.by_line(lines), tuple(sorted(wrong)), filling.sketch, filling.lines)

    if proved is not None:
        return _Attempt(proved.lines, (step(proved),))
    return _Attempt(near=tuple(map(step, search.near(_SECOND))))


def _unassembled(problem: Problem, lines: Sequence[str]) -> Doubts:
    (error,) = assemble(problem.target, [lines])
    assert isinstance(error, AssemblyError)
    return Doubts(tuple(1.0 if error.line in (None, n) else 0.01 for n, line in enumerate(lines) if not LABEL.fullmatch(line)))


def _candidates(problem: Problem, arena: Arena, lines: Sequence[str], doubt: Doubts, sketched: Sequence[tuple[float, Sketch]]
                ) -> Iterator[Filling]:  # fmt: skip
    """Fillings of all sketches of the guess, interleaved by cost."""
    choices = Choices(problem, lines, doubt.unset)
    heap = [(cost, number, fillings(sketch, choices, arena)) for number, (cost, sketch) in enumerate(sketched)]
    heapq.heapify(heap)
    while heap:
        cost, number, rest = heapq.heappop(heap)
        if (candidate := next(rest, None)) is not None:
            yield Filling(candidate, sketched[number][1])
            heapq.heappush(heap, (cost + _STEP, number, rest))
