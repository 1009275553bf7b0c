"""How well an alignment agrees with the truth (``guesssketch.evaluation.aligning``), over pairs (target line, what it is made of).

Lines that have no truth (labels) do not count, whatever is found for them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHARE = 0.5  # of a row's greatest weight: what has as much is found too

Sets = Sequence[frozenset[int]]  # for each target line what it is made of


@dataclass(frozen=True)
class Counts:
    """Numbers of pairs: found and true, found, true. Sums of counts give averages over pairs (micro)."""

    right: int = 0
    found: int = 0
    true: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.found + other.found, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.right / (self.found + self.true) if self.found + self.true else 0.0


def chosen(weights: Sequence[Sequence[float]], share: float = SHARE) -> list[frozenset[int]]:
    """Sets from a matrix (target lines, source instructions) of weights, at least 0.

    In each row the greatest, and what has at least ``share`` (0 to 1) of it; nothing in a row of zeros.
    """
    return [frozenset(n for n, weight in enumerate(row) if weight > 0 and weight >= share * max(row)) for row in weights]


def count(found: Sets, truth: Sets) -> Counts:
    """One block's counts. Raises ValueError if the numbers of lines differ."""
    pairs = [(a, b) for a, b in zip(found, truth, strict=True) if b]
    return Counts(sum(len(a & b) for a, b in pairs), sum(len(a) for a, _ in pairs), sum(len(b) for _, b in pairs))


def total(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts())


def f1(found: Sequence[Sets], truth: Sequence[Sets]) -> tuple[float, float, float]:
    """(precision, recall, F1) over all pairs of all blocks. Raises ValueError if blocks or their lines do not match."""
    whole = total(count(a, b) for a, b in zip(found, truth, strict=True))
    return whole.precision, whole.recall, whole.f1


def f1_interval(counts: Sequence[Counts], rounds: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95% interval of F1 by the percentile bootstrap over blocks, whose lines are not independent (Efron 1979).

    The same counts and seed give the same interval. (0, 1) if there is no block.
    """
    if not counts:
        return 0.0, 1.0
    generator = random.Random(seed)
    values = sorted(total(generator.choices(counts, k=len(counts))).f1 for _ in range(rounds))
    return values[int(0.025 * rounds)], values[min(int(0.975 * rounds), rounds - 1)]
