"""Intervals, calibration and doubt on numbers whose answers are known."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import pytest

from guesssketch.evaluation import calibration
from guesssketch.evaluation.doubt import Doubts, Needed, error_spans, needed
from guesssketch.evaluation.statistics import bootstrap, calibration_error, isotonic, reliability, share, weighted_share, wilson
from guesssketch.guess.confidence import SCORES, certainties, confidence, doubted, interpolated


@dataclass
class Told:
    probabilities: list[float]
    end: float = 1.0
    lines: tuple[str, ...] | None = ("nop",)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of) == pytest.approx((low, high), abs=5e-5)


def test_nothing_is_known_of_nothing() -> None:
    assert (share([]).value, share([]).low, share([]).high) == (0, 0, 1)
    assert weighted_share([], []) == share([])


def test_weights() -> None:
    told = weighted_share([True, False, True], [5, 3, 2])
    assert (told.count, told.of, told.value) == (7, 10, 0.7)
    same = weighted_share([True] * 100, [1] * 100)
    assert (same.low, same.high) == pytest.approx(wilson(100, 100))
    assert weighted_share([True] * 100, [1000] + [1] * 99).low < 0.5  # one form has nearly all the weight


def test_bootstrap_of_a_proportion_is_near_its_interval_and_repeats() -> None:
    right = [n < 80 for n in range(100)]
    low, high = bootstrap(lambda rows: sum(right[n] for n in rows) / len(rows), 100)
    assert (low, high) == pytest.approx((0.72, 0.88), abs=0.02)
    assert (low, high) == bootstrap(lambda rows: sum(right[n] for n in rows) / len(rows), 100)


def test_isotonic_pools_what_falls() -> None:
    knots = isotonic([1, 2, 3, 4], [False, True, False, True])
    assert [x for x, _ in knots] == [1, 2.5, 4]
    assert [y for _, y in knots] == pytest.approx([1 / 6, 0.5, 5 / 6])  # four points allow no more certainty


def test_isotonic_rises_and_recovers_the_curve() -> None:
    draw = random.Random(1)
    x = [draw.random() for _ in range(5000)]
    knots = isotonic(x, [draw.random() < v * v for v in x])
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in itertools.pairwise(knots))
    assert all(abs(interpolated(v, knots) - v * v) < 0.08 for v in (0.1, 0.3, 0.5, 0.7, 0.9))


def test_calibration_error_of_the_calibrated_is_small_and_of_others_is_their_distance() -> None:
    draw = random.Random(2)
    x = [draw.random() for _ in range(5000)]
    right = [draw.random() < v for v in x]
    error = calibration_error(x, right)
    assert error.value < 0.025 and error.low <= error.value <= error.high < 0.03
    assert error.perfect == pytest.approx(error.value, abs=0.008)
    assert calibration_error([0.9] * 100, [n < 60 for n in range(100)]).value == pytest.approx(0.3)
    curve = reliability(x, right)
    assert len(curve) == 15 and sum(b.right.of for b in curve) == len(x)
    assert all(abs(b.confidence - b.right.value) < 0.08 for b in curve)


def test_the_score_that_foretells_best_is_chosen() -> None:
    draw = random.Random(3)
    guesses, right = [], []
    for _ in range(600):
        least, others = draw.random(), draw.random()
        guesses.append(Told([least, *[least + (1 - least) * others] * draw.randrange(1, 8)]))
        right.append(draw.random() < least)
    fitted = calibration.fit(guesses, right)
    assert fitted["score"] == "least"
    assert confidence(Told([0.9, 0.95]), {"calibration": fitted}) == pytest.approx(0.9, abs=0.1)
    assert confidence(Told([0.9], lines=None), {"calibration": fitted}) == 0


def test_scores() -> None:
    told = Told([0.5, 0.5], 0.5)
    assert {name: score(told) for name, score in SCORES.items()} == pytest.approx({"product": 0.125, "least": 0.5, "mean": 0.5})
    assert confidence(told, {}) == pytest.approx(0.125)
    assert doubted(Told([0.9, 0.4], 0.6), {"doubt": {"threshold": 0.4}}) == [False, True, False]
    assert certainties(Told([0.5], 0.5)) == pytest.approx([1 - (0.5 * 0.75) ** 0.5] * 2)
    assert certainties(Told([0.9, 0.4]))[0] < certainties(Told([0.9, 0.99]))[0] < certainties(Told([1.0, 0.99]))[0] < 1
    assert SCORES["product"](Told([0.0])) == pytest.approx(0)


def test_error_spans_are_what_the_teacher_has_not_and_where_its_own_belongs() -> None:
    truth = ["add", "x0", "x1", ";", "ret", ";"]
    assert error_spans(truth, truth) == []
    assert error_spans(["add", "x0", "x2", ";", "ret", ";"], truth) == [range(2, 3)]
    assert error_spans(["add", "x0", ";", "ret", ";"], truth) == [range(1, 3)]  # x1 belongs between x0 and ;
    assert error_spans(["add", "x0", "x1", ";"], truth) == [range(3, 5)]  # the last token and the end
    assert error_spans(["nop", ";", *truth], truth) == [range(2)]


def test_doubt_recall_by_hand() -> None:
    assert needed([0.9, 0.3, 0.8, 1.0], [range(2), range(2, 3)]) == Needed(partly=0.3, wholly=0.8)
    doubts = Doubts([Needed(0.3, 0.8), Needed(0.5, 0.5)], [0.6, 0.7, 0.95, 1.0])
    point = doubts.at(0.65)
    assert (point.partly.value, point.wholly.value, point.doubted) == (1, 0.5, 0.25)
    lowest = doubts.lowest(1.0)
    assert lowest is not None and lowest == pytest.approx(0.8) and doubts.at(lowest).wholly.value == 1
    assert doubts.lowest(0.5) == pytest.approx(0.5)
    assert len(doubts.curve()) == 20 and Doubts([], []).lowest() is None
