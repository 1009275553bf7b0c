"""The probability that a guess is proved, fitted to guesses that were judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from guesssketch.evaluation.statistics import isotonic
from guesssketch.guess.confidence import SCORES, Told, interpolated

FOLDS: Final = 5


def fit(guesses: Sequence[Told], proved: Sequence[bool]) -> dict[str, Any]:
    """The card's ``calibration``: the score with the least Brier score (1950) when each fifth of the guesses is foretold by the
    others, and its isotonic curve over all. ``brier``: by score. At least one guess is needed; those without text do not count.
    """
    rows = [n for n, guess in enumerate(guesses) if guess.lines is not None]
    right = [proved[n] for n in rows]
    values = {name: [score(guesses[n]) for n in rows] for name, score in SCORES.items()}
    brier = {name: _brier(x, right) for name, x in values.items()}
    best = min(brier, key=brier.__getitem__)
    return {"score": best, "knots": isotonic(values[best], right), "brier": brier, "guesses": len(rows)}


def _brier(x: Sequence[float], right: Sequence[bool]) -> float:
    total = 0.0
    for fold in range(FOLDS):
        learnt = [n for n in range(len(x)) if n % FOLDS != fold] or list(range(len(x)))
        knots = isotonic([x[n] for n in learnt], [right[n] for n in learnt])
        total += sum((interpolated(x[n], knots) - right[n]) ** 2 for n in range(fold, len(x), FOLDS))
    return total / len(x)
