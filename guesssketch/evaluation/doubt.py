"""Where a wrong guess is wrong, by the teacher's text, and whether the certainty of its tokens (``confidence``) told.

An *error span* is a run of the guess's tokens that the teacher's text has not (``difflib`` on tokens); where the teacher
has tokens that the guess lacks, the span is the two tokens between which they belong. A threshold *finds* a wrong guess

- partly, if one of its spans holds a token of lower certainty: something in the guess is known to be wrong there;
- wholly, if each of its spans does: a sketch that leaves the doubted tokens open can become the teacher's text.

The cost is the share of tokens in right guesses that are below the threshold.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from guesssketch.evaluation.outcome import Outcome
from guesssketch.evaluation.statistics import Share, share
from guesssketch.guess.confidence import certainties

RECALL: Final = 0.95  # of wrong guesses, that the threshold is to find wholly
CURVE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995,
                0.9999)  # fmt: skip


def error_spans(guess: Sequence[str], truth: Sequence[str]) -> list[range]:
    """Error spans of ``guess``; ``len(guess)`` stands for its end. Empty if both are the same."""
    spans = []
    for kind, start, stop, _, _ in SequenceMatcher(None, guess, truth, autojunk=False).get_opcodes():
        if kind == "insert":
            spans.append(range(max(0, start - 1), start + 1))
        elif kind != "equal":
            spans.append(range(start, stop))
    return spans


@dataclass(frozen=True)
class Needed:
    """Thresholds above which a wrong guess is found partly, and wholly."""

    partly: float
    wholly: float


def needed(certainty: Sequence[float], spans: Sequence[range]) -> Needed:
    """certainty: of the guess's tokens and of its end. spans: at least one."""
    least = [min(certainty[n] for n in span) for span in spans]
    return Needed(min(least), max(least))


@dataclass(frozen=True)
class Point:
    """What a threshold does. doubted: share of tokens in right guesses; there is no interval, as they are not independent."""

    threshold: float
    partly: Share
    wholly: Share
    doubted: float


class Doubts:
    """wrong: of each wrong guess whose truth is known. right: certainties of all tokens in right guesses."""

    def __init__(self, wrong: Sequence[Needed], right: Sequence[float]) -> None:
        self.wrong = wrong
        self._right = sorted(right)

    def at(self, threshold: float) -> Point:
        return Point(
            threshold=threshold,
            partly=share([need.partly < threshold for need in self.wrong]),
            wholly=share([need.wholly < threshold for need in self.wrong]),
            doubted=bisect_left(self._right, threshold) / max(1, len(self._right)),
        )

    def lowest(self, recall: float = RECALL) -> float | None:
        """The lowest threshold, which costs least, that finds that share of wrong guesses wholly; None if none is wrong."""
        if not self.wrong:
            return None
        order = sorted(need.wholly for need in self.wrong)
        return math.nextafter(order[math.ceil(recall * len(order)) - 1], math.inf)

    def curve(self) -> list[Point]:
        return [self.at(threshold) for threshold in CURVE]


def doubts(outcomes: Sequence[Outcome]) -> Doubts:
    """Of first guesses that are text. Right is what is proved, the teacher's text or not; the truth about the others is the
    teacher's text, where that is proved.
    """
    wrong, right = [], []
    for outcome in outcomes:
        guess, record = outcome.guess, outcome.record
        if guess is None or guess.lines is None:
            continue
        certainty = certainties(guess)
        if outcome.proved:
            right += certainty
        elif record.verdict == "proved" and record.target_tokens is not None:
            spans = error_spans(guess.tokens, record.target_tokens)
            wrong += [needed(certainty, spans)] if spans else []
    return Doubts(wrong, right)


def card_entry(doubts: Doubts) -> dict[str, Any] | None:
    """What the model's card keeps: the threshold, and how it did where it was chosen; None if nothing was wrong."""
    threshold = doubts.lowest()
    if threshold is None:
        return None
    point = doubts.at(threshold)
    return {"threshold": threshold, "recall": point.wholly.value, "partly": point.partly.value, "doubted": point.doubted,
            "wrong": len(doubts.wrong)}  # fmt: skip
