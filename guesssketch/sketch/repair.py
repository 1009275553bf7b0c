"""A guess that failed, repaired: whole, one place after the other, or piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from guesssketch.problem import Insight, Problem
from guesssketch.sketch.attempt import Attempt, Guess, Step, known
from guesssketch.sketch.holes import Hole, Sketch
from guesssketch.sketch.pieces import Cut, cuts, pieces
from guesssketch.sketch.ranges import spread
from guesssketch.sketch.search import TRACED, Budget, assembled
from guesssketch.sketch.ways import ALL, Ways
from solver.arena import FAULTS, Arena, how_wrong
from solver.link import Unlinkable

Row = TypeVar("Row")
_SECOND: Final = 6  # candidates that came nearer, from which a second place is looked for
_ROUNDS: Final = ((48, 144), (8, 72), (3, 18))  # parts of the candidates: for the first place; for the second from each of these
_LEAST: Final = 3  # proofs that each may ask for
_THIRD: Final = 72  # part of the candidates for a third place from each
_PIECE: Final = 4  # the part of the pieces' budget that one gets


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
    guessed = known(problem, tuple(guess), told, arena)
    steps = list[Step]()
    with budget.part(2 * total // 3, 2 * budget.proofs // 3) as share:
        whole = _repaired(guessed, share, ways)
    if whole is None and ways.cut:
        rest = cuts(problem, guess, told.alignment, arena)
        with budget.part(total // 6, budget.proofs // 2) as share:
            better, steps = _by_pieces(guessed, rest, share, ways)
        whole = _repaired(better, budget, ways) if steps else None
    if whole is None:
        return Repair(None, total - budget.candidates)
    return Repair(whole[0], total - budget.candidates, (*([first[0]] if first else ()), *steps, *whole[1]))


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


def _by_pieces(known: Guess, rest: Sequence[Cut], budget: Budget, ways: Ways) -> tuple[Guess, list[Step]]:
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
        if found:
            behind = known.lines[len(known.lines) - cut.rest :]
            better = known.with_first(found[0][: len(found[0]) - part.tail], cut.rest)
            if not _is_worse(better, known):
                known, steps = better, [*steps, *(step.before(behind, part.tail) for step in found[1])]
        rest = rest[rest.index(cut) + 1 :]
    return known, steps


def _is_worse(after: Guess, before: Guess) -> bool:
    """Whether more is wrong, in the states in which neither faults."""
    codes = [assembled(guess.problem, guess.lines) for guess in (after, before)]
    try:
        new, old = (after.arena.everywhere(code) if code else {} for code in codes)
    except Unlinkable:
        return True
    counts = [(how_wrong(new.get(n, ())), how_wrong(old.get(n, ()))) for n in {**new, **old}]
    return sum(a - b for a, b in counts if max(a, b) < FAULTS) > 0


Found = tuple[tuple[str, ...], tuple[Step, ...]]
"""Lines that are proved, and how they were found."""


def _repaired(guess: Guess, budget: Budget, ways: Ways) -> Found | None:
    """One place repaired, or, from what came nearer, two or three: first with few candidates each, then with more."""
    total, proofs = budget.candidates, budget.proofs
    first = Attempt(guess, ways, weigh=True, traced=TRACED)
    others: dict[tuple[str, ...], tuple[Step, Attempt]] = {}
    for part, each in _ROUNDS:
        with budget.part(total // part, max(_LEAST, proofs // part)) as share:
            if found := first.go_on(share):
                return found
        for near in first.near(_SECOND):
            step, again = others.setdefault(near.filled, (near, Attempt(guess.instead(near.filled), ways, weigh=True)))
            with budget.part(total // each, max(_LEAST, proofs // each)) as share:
                if found := again.go_on(share):
                    return found[0], (step, *found[1])
    for step, again in others.values():
        for near in again.near(1):
            with budget.part(total // _THIRD, max(_LEAST, proofs // _THIRD)) as share:
                if found := Attempt(again.guess.instead(near.filled), ways).go_on(share):
                    return found[0], (step, near, *found[1])
    return None
