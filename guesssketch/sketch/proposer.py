"""The sketch as a proposer: what a model guessed and nobody could prove, repaired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from guesssketch.problem import Candidate, Insight, Problem, Proposer
from guesssketch.sketch.filled import filled
from guesssketch.sketch.repair import Repair, repair

NAME: Final = "sketch"
GUESSES: Final = 2  # of a problem, the best of which are repaired


class Sketcher:
    """Repairs of the candidates of ``guesser``, which was asked before and is asked again for what it said."""

    name = NAME

    def __init__(self, guesser: Proposer) -> None:
        self.guesser = guesser

    def propose(self, problems: Sequence[Problem]) -> Iterator[Sequence[Candidate]]:
        for repairs in self.repairs(problems):
            found = (_candidate(repaired, repaired.lines) for repaired in repairs if repaired.lines is not None)
            yield tuple(islice(found, 1))

    def repairs(self, problems: Sequence[Problem]) -> Iterator[Iterator[Repair]]:
        """For each problem the repairs of its best guesses, made when they are asked for."""
        for problem, candidates in zip(problems, self.guesser.propose(problems), strict=True):
            yield _repairs(problem, candidates[:GUESSES])


def _candidate(repaired: Repair, lines: tuple[str, ...]) -> Candidate:
    changes = filled(repaired.steps[0].guess, lines) if repaired.steps else ()
    return Candidate(lines, NAME, insight=Insight(filled=changes))


def _repairs(problem: Problem, candidates: Sequence[Candidate]) -> Iterator[Repair]:
    for candidate in candidates:
        yield repair(problem, candidate.lines, candidate.insight)
