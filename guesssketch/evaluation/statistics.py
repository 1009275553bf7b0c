"""Intervals, and how well probabilities fit what came true."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
Floats = NDArray[np.float64]

_Z: Final = 1.959963984540054  # 95% of a normal distribution lie this many deviations about its mean
RESAMPLES: Final = 1000
BINS: Final = 15


@dataclass(frozen=True)
class Share:
    """A proportion with its 95% interval; ``of`` 0 has the value 0 and the interval from 0 to 1."""

    count: int
    of: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f}% ({100 * self.low:.1f}-{100 * self.high:.1f})" if self.of else "-"


def share(right: Sequence[bool]) -> Share:
    """The share of True, with Wilson's interval."""
    low, high = wilson(sum(right), len(right))
    return Share(sum(right), len(right), sum(right) / max(1, len(right)), low, high)


def weighted_share(right: Sequence[bool], weights: Sequence[int]) -> Share:
    """As ``share``, each item counted ``weights`` times (at least 1). count, of: sums of weights.

    The interval is the wider on each side of the bootstrap's over items, and Wilson's for the effective number of items
    (Kish 1965, Survey Sampling, 11.7), as no resampling tells what items that all agree leave open.
    """
    w, r = np.asarray(weights, np.float64), np.asarray(right, np.float64)
    if not len(w):
        return share([])
    value = float((w * r).sum() / w.sum())
    by_items = bootstrap(lambda rows: float((w[rows] * r[rows]).sum() / w[rows].sum()), len(w))
    items = float(w.sum() ** 2 / (w * w).sum())
    by_number = wilson(value * items, items)
    return Share(int((w * r).sum()), int(w.sum()), value, min(by_items[0], by_number[0]), max(by_items[1], by_number[1]))


def wilson(count: float, of: float) -> Interval:
    """95% interval of a proportion (Wilson 1927, JASA 22:209)."""
    if not of:
        return 0.0, 1.0
    p, z2 = count / of, _Z * _Z
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(statistic: Callable[[NDArray[np.int64]], float], count: int, seed: int = 0) -> Interval:
    """95% interval by percentiles of ``statistic`` over row numbers drawn with replacement, the same ones every time."""
    return _middle(_resampled(statistic, count, seed))


def _resampled(statistic: Callable[[NDArray[np.int64]], float], count: int, seed: int = 0) -> Floats:
    draw = np.random.default_rng(seed)
    return np.array([statistic(draw.integers(0, count, count)) for _ in range(RESAMPLES)])


def _middle(values: Floats) -> Interval:
    return float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))


def isotonic(x: Sequence[float], y: Sequence[bool]) -> list[list[float]]:
    """Knots [x, y] of the rising curve that fits best, by pooling adjacent violators; at least one point is needed.

    A pool's value stands at its mean x, and straight lines lead from pool to pool: centred isotonic regression (Oron and
    Flournoy 2017, Statistics in Biopharmaceutical Research 9:258). No value is surer than the number of points allows.
    """
    order = np.argsort(np.asarray(x, np.float64), kind="stable")
    pools: list[list[float]] = []  # [points, sum of x, sum of y]
    last = None
    for n in order:
        if x[n] == last:
            pool = pools.pop()
            pool = [pool[0] + 1, pool[1] + x[n], pool[2] + y[n]]
        else:
            pool = [1.0, float(x[n]), float(y[n])]
        last = x[n]
        pools.append(pool)
    merged: list[list[float]] = []
    for pool in pools:
        merged.append(pool)
        while len(merged) > 1 and merged[-2][2] * merged[-1][0] >= merged[-1][2] * merged[-2][0]:
            top = merged.pop()
            merged[-1] = [a + b for a, b in zip(merged[-1], top, strict=True)]
    least = 1 / (len(x) + 2)
    return [[sx / n, min(max(sy / n, least), 1 - least)] for n, sx, sy in merged]


@dataclass(frozen=True)
class Bin:
    """Guesses of like confidence: their mean confidence, and the share of them that came true."""

    confidence: float
    right: Share


def reliability(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> list[Bin]:
    """Bins of equal mass, rising; equal confidences stay together."""
    order = sorted(range(len(right)), key=lambda n: confidences[n])
    edges = _edges([confidences[n] for n in order], bins)
    groups = [order[a:b] for a, b in zip([0, *edges], edges, strict=False)]
    return [Bin(sum(confidences[n] for n in g) / len(g), share([right[n] for n in g])) for g in groups]


@dataclass(frozen=True)
class CalibrationError:
    """value: mean distance between confidence and share that came true, over bins. perfect: what confidences that are right
    would show on average with so many guesses, by chance alone."""

    value: float
    low: float
    high: float
    perfect: float


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> CalibrationError:
    """Expected calibration error (Naeini et al. 2015, AAAI) over bins of equal mass.

    The interval is the bootstrap's, less what resampling adds to the error on average, since chance can only add.
    """
    if not len(right):
        return CalibrationError(0.0, 0.0, 1.0, 0.0)
    c, r = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    every = np.arange(len(c))
    value = _error(c, r, every, bins)
    values = _resampled(lambda rows: _error(c, r, rows, bins), len(c))
    low, high = _middle(np.maximum(values - values.mean() + value, 0.0))
    draw = np.random.default_rng(0)
    perfect = [_error(c, (draw.random(len(c)) < c).astype(np.float64), every, bins) for _ in range(RESAMPLES // 10)]
    return CalibrationError(value, low, high, sum(perfect) / len(perfect))


def _error(confidences: Floats, right: Floats, rows: NDArray[np.int64], bins: int) -> float:
    rows = rows[np.argsort(confidences[rows], kind="stable")]
    gap = confidences[rows] - right[rows]
    edges = _edges(confidences[rows], bins)
    return float(sum(abs(gap[a:b].sum()) for a, b in zip([0, *edges], edges, strict=False)) / len(rows))


def _edges(ordered: Sequence[float] | Floats, bins: int) -> list[int]:
    """Where each bin ends: equal values are not parted."""
    size = len(ordered)
    last = {k * size // bins - 1 for k in range(1, bins + 1)} - {-1}
    return sorted({int(np.searchsorted(ordered, ordered[n], side="right")) for n in last})
