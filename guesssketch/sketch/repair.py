"""A guess that failed, repaired: doubted, turned into sketches, solved; where it is wrong in two places, one after the other."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from guesssketch.assembler import AssemblyError, assemble
from guesssketch.judge import verify
from guesssketch.problem import Insight, Problem
from guesssketch.sketch.angels import edits
from guesssketch.sketch.choices import Choices
from guesssketch.sketch.doubt import Doubts, doubts
from guesssketch.sketch.edits import forced, sketches
from guesssketch.sketch.holes import LABEL, Hole, Sketch
from guesssketch.sketch.immediates import RLIMIT
from guesssketch.sketch.pieces import Cut, Piece, cuts, pieces
from guesssketch.sketch.ranges import spread
from guesssketch.sketch.search import Budget, Filling, Search, assembled, fillings, layout
from guesssketch.sketch.ways import ALL, Ways
from solver.arena import FAULTS, Arena, how_wrong
from solver.link import Unlinkable
from solver.verdict import Proved, Refuted

Row = TypeVar("Row")
_SECOND: Final = 6  # candidates that came nearer, from which a second place is looked for
_PIECE: Final = 4  # the part of the pieces' budget that one gets
_UNTOLD: Final[tuple[float, tuple[str, ...]]] = (0.0, ())
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
    """Repair ``guess``, of which the model told ``insight``: whole, or else piece by piece where its alignment cuts it."""
    budget = budget or Budget()
    total = budget.candidates
    try:
        arena = Arena(problem)
    except Unlinkable:
        return Repair(None, 0)
    told = insight if insight and ways.told else Insight()
    first = None if ways.immediates_only else _with_room(problem, tuple(guess), told)
    if first:
        guess, told = first[0].filled, first[1]
    guessed = _known(problem, tuple(guess), told, arena)
    steps = list[Step]()
    with budget.part(2 * total // 3, 2 * budget.proofs // 3) as share:
        whole = _repaired(guessed, share, ways)
    if whole.lines is None and ways.cut:
        rest = cuts(problem, guess, told.alignment, arena)
        with budget.part(total // 6, budget.proofs // 2) as share:
            known, steps = _by_pieces(guessed, rest, share, ways)
        whole = _repaired(known, budget, ways) if steps else whole
    done = (*([first[0]] if first else ()), *steps, *whole.steps)
    return Repair(whole.lines, total - budget.candidates, done if whole.lines is not None else ())


def _with_room(problem: Problem, lines: tuple[str, ...], told: Insight) -> tuple[Step, Insight] | None:
    """The guess with numbers that have no room in their instructions put into registers, and what was told of it then."""
    parts = spread(problem, lines)
    if parts is None:
        return None
    counts = [len(part) for part in parts]
    changed = [part != (line,) for part, line in zip(parts, lines, strict=True)]
    holes = tuple((Hole("choice", ("; ".join(part),), line),) if new else (line,)
                  for part, line, new in zip(parts, lines, changed, strict=True))  # fmt: skip
    step = Step(lines, tuple(map(float, changed)), (), Sketch(problem, holes), tuple(line for part in parts for line in part))
    rest = [() if new else texts for texts, new in zip(told.others, changed, strict=bool(told.others))]
    sure = [1.0 - doubt for doubt in told.doubted(len(lines))] if told.doubts or told.least else []
    alignment, others, least = _repeated(told.alignment, counts), _repeated(rest, counts), _repeated(sure, counts)
    return step, Insight(alignment=alignment, others=others, least=least)


def _repeated(rows: Sequence[Row], counts: Sequence[int]) -> tuple[Row, ...]:
    """Each of ``rows`` as often as it counts, if there are any."""
    return tuple(row for row, count in zip(rows, counts, strict=bool(rows)) for _ in range(count))


def _by_pieces(known: _Guess, rest: Sequence[Cut], budget: Budget, ways: Ways) -> tuple[_Guess, list[Step]]:
    """The guess with the pieces repaired that end at cuts of ``rest``, as far as that goes, and how."""
    candidates, proofs = budget.candidates // _PIECE, budget.proofs // 2
    steps = list[Step]()
    while rest and not budget.is_spent():
        parts = pieces(known.problem, known.lines, rest)
        after = max((n + 1 for n, part in enumerate(parts) if part and part.equal), default=0)
        if after:
            known = replace(known, kept=len(known.lines) - rest[after - 1].rest)
        wrong = next(((cut, part) for cut, part in zip(rest[after:], parts[after:], strict=True) if part), None)
        if wrong is None:
            break
        cut, part = wrong
        with budget.part(candidates, proofs) as share:
            found = _repaired(known.part(part, cut), share, ways)
        if found.lines is not None:
            behind = known.lines[len(known.lines) - cut.rest :]
            better = known.with_first(found.lines[: len(found.lines) - part.tail], cut.rest)
            if not _is_worse(better, known):
                known, steps = better, [*steps, *(step.before(behind, part.tail) for step in found.steps)]
        rest = rest[rest.index(cut) + 1 :]
    return known, steps


@dataclass(frozen=True)
class _Guess:
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

    def part(self, piece: Piece, cut: Cut) -> _Guess:
        """The piece before ``cut``."""
        told = (*self.told[: len(self.lines) - cut.rest], *[_UNTOLD] * piece.tail) if self.told else ()
        return _Guess(piece.problem, piece.arena, piece.lines, told, self.kept, piece.tail)

    def with_first(self, lines: tuple[str, ...], rest: int) -> _Guess:
        """With ``lines``, which are right, before the last ``rest``."""
        kept = len(self.lines) - rest
        told = (*[_UNTOLD] * len(lines), *self.told[kept:]) if self.told else ()
        return replace(self, lines=(*lines, *self.lines[kept:]), told=told, kept=len(lines))

    def instead(self, lines: tuple[str, ...]) -> _Guess:
        """Other lines, of which the model tells nothing."""
        return replace(self, lines=lines, told=())


def _is_worse(after: _Guess, before: _Guess) -> bool:
    """Whether more is wrong, in the states in which neither faults."""
    codes = [assembled(guess.problem, guess.lines) for guess in (after, before)]
    try:
        new, old = (after.arena.everywhere(code) if code else {} for code in codes)
    except Unlinkable:
        return True
    counts = [(how_wrong(new.get(n, ())), how_wrong(old.get(n, ()))) for n in {**new, **old}]
    return sum(a - b for a, b in counts if max(a, b) < FAULTS) > 0


def _known(problem: Problem, lines: tuple[str, ...], insight: Insight, arena: Arena) -> _Guess:
    if not (insight.doubts or insight.least or insight.others):
        return _Guess(problem, arena, lines)
    return _Guess(problem, arena, lines, tuple(zip(insight.doubted(len(lines)), insight.others or [()] * len(lines), strict=True)))


@dataclass(frozen=True)
class _Attempt:
    """lines: proved. steps: how; none if the guess is right. near: steps to what is less wrong."""

    lines: tuple[str, ...] | None = None
    steps: tuple[Step, ...] = ()
    near: tuple[Step, ...] = ()


def _repaired(guess: _Guess, budget: Budget, ways: Ways) -> _Attempt:
    """One place repaired, or, from what came nearer, two."""
    total, proofs = budget.candidates, budget.proofs
    with budget.part(total // 2, proofs // 2) as share:
        first = _attempt(guess, share, ways, weigh=True)
    if first.lines is not None:
        return first
    for near in first.near:
        with budget.part(total // (2 * _SECOND), max(2, proofs // _SECOND)) as share:
            again = _attempt(guess.instead(near.filled), share, ways)
        if again.lines is not None:
            return _Attempt(again.lines, (near, *again.steps))
    return _Attempt()


def _attempt(guess: _Guess, budget: Budget, ways: Ways, weigh: bool = False) -> _Attempt:
    """One place repaired; or, if asked for by ``weigh``, what came nearer."""
    problem, lines, arena = guess.problem, guess.lines, guess.arena
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
        told = [u for line, (u, _) in zip(lines, guess.told, strict=bool(guess.told)) if not LABEL.fullmatch(line)]
        parts = layout(problem, lines, code)
        doubt = doubts(problem, code, parts, arena, found, told, ways).where_open(lines, guess.kept, guess.tail)
        if ways.forced and not ways.immediates_only:
            asked = list(forced(problem, lines, edits(problem, lines, code, parts, arena, doubt, wrong)))
    others = [other for _, other in guess.told]
    tail = tuple((line,) for line in lines[len(lines) - guess.tail :])
    sketched = [(cost, sketch) for cost, sketch in [*asked, *sketches(problem, lines, doubt, others, ways)]
                if sketch.lines[len(sketch.lines) - len(tail) :] == tail]  # fmt: skip
    search = Search(problem, arena, budget, code, weigh)
    proved = search.first(_candidates(problem, arena, lines, doubt, sketched))

    def step(filling: Filling) -> Step:
        return Step(lines, doubt.by_line(lines), tuple(sorted(wrong)), filling.sketch, filling.lines)

    if proved is not None:
        return _Attempt(proved.lines, (step(proved),))
    return _Attempt(near=tuple(map(step, search.near(_SECOND))) if weigh else ())


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
