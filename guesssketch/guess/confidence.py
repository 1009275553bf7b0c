"""How much to trust a guess: the probability that it will be proved, and which of its tokens to doubt.

Both are read off the probabilities of the guess's tokens. The card of a model holds what was measured on blocks that
training never saw (``guesssketch evaluate blocks --calibrate``):

    calibration   {"score": name in SCORES, "knots": [[score, probability of being proved], ...]}, both rising
    doubt         {"threshold": a token of lower certainty is doubted}
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

_LEAST: Final = 2**-24  # what float32 tells from 1, half of it


class Told(Protocol):
    """What must be known of a guess: ``engine.Guess`` is one."""

    @property
    def probabilities(self) -> Sequence[float]: ...
    @property
    def end(self) -> float: ...
    @property
    def lines(self) -> Sequence[str] | None: ...


def _logs(guess: Told) -> list[float]:
    return [math.log(max(p, 1e-300)) for p in (*guess.probabilities, guess.end)]


SCORES: Final[Mapping[str, Callable[[Told], float]]] = {
    "product": lambda guess: math.exp(sum(_logs(guess))),
    "least": lambda guess: min(*guess.probabilities, guess.end, 1.0),
    "mean": lambda guess: math.exp(sum(_logs(guess)) / (len(guess.probabilities) + 1)),  # geometric
}
"""One number a guess, from 0 to 1, over its tokens' probabilities and its end's."""


def confidence(guess: Told, card: Mapping[str, Any]) -> float:
    """Probability that the guess is proved; 0.0 for one that is no text. Without a calibration, the product, as it is."""
    if guess.lines is None:
        return 0.0
    calibration = card.get("calibration")
    if not calibration:
        return SCORES["product"](guess)
    return interpolated(SCORES[calibration["score"]](guess), calibration["knots"])


def certainties(guess: Told) -> list[float]:
    """Of each token, and last of the end: one less the geometric mean of the chance that it is another, and that any is. A wrong
    token is often likely by itself, in a text that is not."""
    whole = SCORES["product"](guess)
    return [1 - math.sqrt(max(1 - p, _LEAST) * (1 - min(whole, 1.0))) for p in (*guess.probabilities, guess.end)]


def doubted(guess: Told, card: Mapping[str, Any]) -> list[bool]:
    """For each token whether it is doubted, and last whether the end is. Without a threshold in the card, all are."""
    threshold = card.get("doubt", {}).get("threshold", math.inf)
    return [certainty < threshold for certainty in certainties(guess)]


def interpolated(x: float, knots: Sequence[Sequence[float]]) -> float:
    """Straight lines through ``knots`` ([x, y], x rising), level outside them."""
    at = bisect_right(knots, x, key=lambda knot: knot[0])
    if at == 0:
        return knots[0][1]
    if at == len(knots):
        return knots[-1][1]
    (x0, y0), (x1, y1) = knots[at - 1], knots[at]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
