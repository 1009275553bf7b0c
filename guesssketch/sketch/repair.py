"""A guess that failed, repaired: doubted, turned into sketches, solved; where it is wrong in two places, one after the other."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from guesssketch.assembler import AssemblyError, assemble
from guesssketch.judge import verify
from guesssketch.problem import Problem
from guesssketch.sketch.choices import Choices
from guesssketch.sketch.doubt import Doubts, doubts
from guesssketch.sketch.edits import sketches
from guesssketch.sketch.holes import Sketch
from guesssketch.sketch.search import RLIMIT, Budget, Search, assembled, fillings
from solver.arena import Arena
from solver.link import Unlinkable
from solver.verdict import Proved, Refuted

_SECOND: Final = 6  # candidates that came nearer, from which a second place is looked for
_STEP: Final = 0.02  # cost of each filling after the first


@dataclass(frozen=True)
class Repair:
    """lines: proved, None if no repair was found. tried: candidates that were run. places: holes that were filled."""

    lines: tuple[str, ...] | None
    tried: int
    places: int = 0


def repair(problem: Problem, guess: Sequence[str], unsure: Sequence[float] = (), budget: Budget | None = None) -> Repair:
    """Repair ``guess``. unsure: see ``doubt.doubts``."""
    budget = budget or Budget()
    total = budget.candidates
    try:
        arena = Arena(problem)
    except Unlinkable:
        return Repair(None, 0)
    lines = tuple(guess)
    first = _attempt(problem, lines, arena, budget, unsure, budget.candidates // 2)
    if first.found is not None:
        return Repair(first.found, total - budget.candidates, 1)
    for near in first.near[:_SECOND]:
        again = _attempt(problem, near, arena, budget, (), budget.candidates // 2)
        if again.found is not None:
            return Repair(again.found, total - budget.candidates, 2)
    return Repair(None, total - budget.candidates)


@dataclass(frozen=True)
class _Attempt:
    found: tuple[str, ...] | None
    near: tuple[tuple[str, ...], ...] = ()


def _attempt(problem: Problem, lines: tuple[str, ...], arena: Arena, budget: Budget, unsure: Sequence[float],
             share: int) -> _Attempt:  # fmt: skip
    """One place repaired, for at most ``share`` candidates; or what came nearer."""
    code = assembled(problem, lines)
    here = Budget(min(share, budget.candidates), budget.proofs)
    before = here.candidates, here.proofs
    wrong: frozenset[str] = frozenset()
    if code is None:
        doubt = _unassembled(problem, lines)
    else:
        try:
            found = arena.focus(code)
        except Unlinkable:
            return _Attempt(None)
        if not found:
            verdict = verify(problem, code, explain=True, rlimit=RLIMIT)
            if isinstance(verdict, Proved):
                return _Attempt(lines)
            if not isinstance(verdict, Refuted):
                return _Attempt(None)
            arena.add(verdict.counterexample)
            found = arena.focus(code) or verdict.counterexample.differences
        wrong = frozenset(d.what for d in found)
        doubt = doubts(problem, code, arena, found, unsure)
    search = Search(problem, arena, here, wrong)
    proved = search.first(_candidates(problem, lines, doubt))
    budget.candidates -= before[0] - here.candidates
    budget.proofs -= before[1] - here.proofs
    return _Attempt(proved, tuple(n.lines for n in sorted(search.near.values(), key=lambda n: len(n.wrong))))


def _unassembled(problem: Problem, lines: Sequence[str]) -> Doubts:
    (error,) = assemble(problem.target, [lines])
    assert isinstance(error, AssemblyError)
    weights = tuple(1.0 if error.line in (None, n) else 0.01 for n in range(len(lines)) if not lines[n].endswith(":"))
    return Doubts(weights)


def _candidates(problem: Problem, lines: Sequence[str], doubt: Doubts) -> Iterator[tuple[str, ...]]:
    """Fillings of all sketches of the guess, interleaved by cost."""
    choices = Choices(problem, lines, doubt.unset)
    heap: list[tuple[float, int, Iterator[tuple[str, ...]], tuple[str, ...]]] = []
    for number, (cost, sketch) in enumerate(sketches(problem, lines, doubt)):
        _push(heap, cost, number, fillings(sketch, choices))
    while heap:
        cost, number, rest, candidate = heapq.heappop(heap)
        yield candidate
        _push(heap, cost + _STEP, number, rest)


def _push(heap: list[tuple[float, int, Iterator[tuple[str, ...]], tuple[str, ...]]], cost: float, number: int,
          rest: Iterator[tuple[str, ...]]) -> None:  # fmt: skip
    if (candidate := next(rest, None)) is not None:
        heapq.heappush(heap, (cost, number, rest, candidate))


__all__ = ["Repair", "Sketch", "repair"]
