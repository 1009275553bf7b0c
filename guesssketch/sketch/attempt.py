"""One place of a guess repaired: doubted, turned into sketches, solved; or candidates found that are less wrong."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from guesssketch.sketch.pieces import Cut, Piece
from guesssketch.sketch.search import Budget, Filling, Search, assembled, fillings, layout
from guesssketch.sketch.ways import Ways
from solver.arena import Arena
from solver.link import Unlinkable
from solver.verdict import Proved, Refuted

_UNTOLD: Final[tuple[float, tuple[str, ...]]] = (0.0, ())
_MENDED: Final[tuple[float, tuple[str, ...]]] = (0.02, ())  # of a line that made the guess less wrong
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

    def before(self, rest: tuple[str, ...], tail: int) -> Step:
        """The same, in a guess that has ``rest`` in place of the last ``tail`` lines."""
        doubts = (*self.doubts[: len(self.doubts) - tail], *[0.0] * len(rest))
        lines = (*self.sketch.lines[: len(self.sketch.lines) - tail], *((line,) for line in rest))
        guess, filled = ((*x[: len(x) - tail], *rest) for x in (self.guess, self.filled))
        return Step(guess, doubts, self.wrong, replace(self.sketch, lines=lines), filled)


@dataclass(frozen=True)
class Guess:
    """What is to be repaired.

    told: for each line how much the model doubts it, 0 to 1, and what it thought of too; empty if it did not tell. kept: so many
    lines, the first, are thought right. tail: so many, the last, must stay.
    """

    problem: Problem
    arena: Arena
    lines: tuple[str, ...]
    told: tuple[tuple[float, tuple[str, ...]], ...] = ()
    kept: int = 0
    tail: int = 0

    def part(self, piece: Piece, cut: Cut) -> Guess:
        """The piece before ``cut``."""
        told = (*self.told[: len(self.lines) - cut.rest], *[_UNTOLD] * piece.tail) if self.told else ()
        return Guess(piece.problem, piece.arena, piece.lines, told, self.kept, piece.tail)

    def with_first(self, lines: tuple[str, ...], rest: int) -> Guess:
        """With ``lines``, which are right, before the last ``rest``."""
        kept = len(self.lines) - rest
        told = (*[_UNTOLD] * len(lines), *self.told[kept:]) if self.told else ()
        return replace(self, lines=(*lines, *self.lines[kept:]), told=told, kept=len(lines))

    def instead(self, lines: tuple[str, ...]) -> Guess:
        """Other lines; of those that are new the model tells nothing."""
        size = min(len(self.lines), len(lines))
        ahead = next((n for n in range(size) if self.lines[n] != lines[n]), size)
        behind = next((n for n in range(size - ahead) if self.lines[-1 - n] != lines[-1 - n]), size - ahead)
        told = (*self.told[:ahead], *[_MENDED] * (len(lines) - ahead - behind), *self.told[len(self.lines) - behind :])
        return replace(self, lines=lines, told=told if self.told else ())


def known(problem: Problem, lines: tuple[str, ...], insight: Insight, arena: Arena) -> Guess:
    if not (insight.doubts or insight.least or insight.others):
        return Guess(problem, arena, lines)
    return Guess(problem, arena, lines, tuple(zip(insight.doubted(len(lines)), insight.others or [()] * len(lines), strict=True)))


class Attempt:
    """A guess with one place open. weigh, traced: as in ``Search``."""

    def __init__(self, guess: Guess, ways: Ways, weigh: bool = False, traced: int = 0) -> None:
        self.guess = guess
        self._right = False
        self._wrong: frozenset[str] = frozenset()
        self._search: Search | None = None
        problem, lines, arena = guess.problem, guess.lines, guess.arena
        code = assembled(problem, lines)
        asked: Iterator[tuple[float, Sketch]] = iter(())
        if code is None:
            self._doubt = _unassembled(problem, lines)
        else:
            try:
                found = arena.focus(code)
            except Unlinkable:
                return
            if not found:
                verdict = verify(problem, code, explain=True, rlimit=RLIMIT)
                self._right = isinstance(verdict, Proved)
                if not isinstance(verdict, Refuted):
                    return
                arena.add(verdict.counterexample, code)
                found = arena.focus(code) or verdict.counterexample.differences
            self._wrong = frozenset(d.what for d in found)
            told = [u for line, (u, _) in zip(lines, guess.told, strict=bool(guess.told)) if not LABEL.fullmatch(line)]
            parts = layout(problem, lines, code)
            self._doubt = doubts(problem, code, parts, arena, found, told, ways).where_open(lines, guess.kept, guess.tail)
            if ways.forced and not ways.immediates_only:
                asked = forced(problem, lines, edits(problem, lines, code, parts, arena, self._doubt, self._wrong))
        others = [other for _, other in guess.told]
        tail = tuple((line,) for line in lines[len(lines) - guess.tail :])

        def allowed(found: tuple[float, Sketch]) -> bool:
            return found[1].lines[len(found[1].lines) - len(tail) :] == tail

        sketched = list(filter(allowed, sketches(problem, lines, self._doubt, others, ways)))
        self._search = Search(problem, arena, code, weigh, traced)
        self._candidates = _candidates(problem, arena, lines, self._doubt, filter(allowed, asked), sketched)

    def go_on(self, budget: Budget) -> tuple[tuple[str, ...], tuple[Step, ...]] | None:
        """Lines that are proved, and how they come of the guess: by no step if it is right. Spends of ``budget``."""
        if self._search is None:
            return (self.guess.lines, ()) if self._right else None
        found = self._search.first(self._candidates, budget)
        return None if found is None else (found.lines, (self._step(found),))

    def near(self, count: int) -> list[Step]:
        """To what is less wrong, the nearest first."""
        return [self._step(filling) for filling in self._search.near(count)] if self._search else []

    def _step(self, filling: Filling) -> Step:
        lines = self.guess.lines
        return Step(lines, self._doubt.by_line(lines), tuple(sorted(self._wrong)), filling.sketch, filling.lines)


def _unassembled(problem: Problem, lines: Sequence[str]) -> Doubts:
    (error,) = assemble(problem.target, [lines])
    assert isinstance(error, AssemblyError)
    return Doubts(tuple(1.0 if error.line in (None, n) else 0.01 for n, line in enumerate(lines) if not LABEL.fullmatch(line)))


def _candidates(problem: Problem, arena: Arena, lines: Sequence[str], doubt: Doubts, asked: Iterator[tuple[float, Sketch]],
                sketched: Sequence[tuple[float, Sketch]]) -> Iterator[Filling]:  # fmt: skip
    """Fillings of all sketches of the guess, interleaved by cost. asked: with rising costs; each is made when its turn comes."""
    choices = Choices(problem, lines, doubt.unset)
    heap = [(cost, number, fillings(sketch, choices, arena), sketch) for number, (cost, sketch) in enumerate(sketched)]
    heapq.heapify(heap)
    following, number = next(asked, None), len(heap)
    while heap or following:
        if following and (not heap or following[0] <= heap[0][0]):
            cost, sketch = following
            heapq.heappush(heap, (cost, number, fillings(sketch, choices, arena), sketch))
            following, number = next(asked, None), number + 1
            continue
        cost, place, rest, sketch = heapq.heappop(heap)
        if (candidate := next(rest, None)) is not None:
            yield Filling(candidate, sketch)
            heapq.heappush(heap, (cost + _STEP, place, rest, sketch))
