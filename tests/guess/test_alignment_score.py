import pytest

from guesssketch.guess.alignment_score import Counts, chosen, count, f1, f1_interval

TRUTH = [frozenset({0}), frozenset({0, 1}), frozenset[int]()]  # the last line has none


def test_lines_without_a_truth_do_not_count() -> None:
    found = [frozenset({0}), frozenset({0}), frozenset({2})]
    assert count(found, TRUTH) == Counts(right=2, found=2, true=3)
    precision, recall, both = f1([found, found], [TRUTH, TRUTH])
    assert precision == 1
    assert recall == pytest.approx(2 / 3)
    assert both == pytest.approx(0.8)


def test_lines_must_match() -> None:
    with pytest.raises(ValueError, match="longer"):
        count([], TRUTH)


def test_what_is_near_the_greatest_weight_is_found() -> None:
    assert chosen([[0.6, 0.4, 0.0], [0.0, 0.0, 0.0]], share=0.5) == [{0, 1}, frozenset()]
    assert chosen([[0.6, 0.4, 0.0]], share=1) == [{0}]


def test_the_interval_holds_the_value() -> None:
    counts = [Counts(3, 4, 4), Counts(1, 4, 2), Counts(5, 5, 5)] * 10
    low, high = f1_interval(counts)
    assert low < 2 * 9 / 24 < high
    assert f1_interval(counts) == (low, high)
