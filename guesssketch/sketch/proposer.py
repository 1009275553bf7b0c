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
        return map(repaired, self.repairs(problems))

    def repairs(self, problems: Sequence[Problem]) -> Iterator[list[Repair]]:
        """For each problem the repairs of its best guesses, up to the first that came out right."""
        for problem, candidates in zip(problems, self.guesser.propose(problems), strict=True):
            tried: list[Repair] = []
            for candidate in candidates[:GUESSES]:
                if not repaired(tried):
                    tried.append(repair(problem, candidate.lines, candidate.insight))
            yield tried


def repaired(tried: Sequence[Repair]) -> Sequence[Candidate]:
    """The candidate that came of ``tried``, or none."""
    found = ((one, one.lines) for one in tried if one.lines is not None)
    return [_candidate(one, lines) for one, lines in islice(found, 1)]


def _candidate(one: Repair, lines: tuple[str, ...]) -> Candidate:
    changes = filled(one.steps[0].guess, lines) if one.steps else ()
    return Candidate(lines, NAME, insight=Insight(filled=changes))
