"""The figures are what they must be for guessers whose guesses are known."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from guesssketch.errors import InputError, UsageError
from guesssketch.evaluation import aligning, blocks, figures, judging
from guesssketch.evaluation.blocks import Settings, evaluate
from guesssketch.guess.confidence import confidence, doubted
from guesssketch.guess.engine import Guess, How
from guesssketch.guess.form import Form
from guesssketch.guess.model import Model, create, save
from guesssketch.guess.records import Record, sample
from guesssketch.guess.tokens import Vocabulary, target_lines

SAMPLE = Path(__file__).parents[2] / "datasets" / "pairs" / "sample"
COUNT = 30


def records(target: str = "aarch64") -> list[Record]:
    return [r for r in sample(SAMPLE, "test", target, None) if r.verdict == "proved" and r.target_tokens][:COUNT]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Shards of COUNT forms that the teacher's text is proved for."""
    for target in ("aarch64", "riscv64"):
        rows = [{"target": r.target, "source": r.body, "lines": r.lines, "verdict": r.verdict, "count": r.count, "level": r.level}
                for r in records(target)]  # fmt: skip
        (tmp_path / f"{target}-test-000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


class Fake:
    """Says the teacher's text; of the forms in ``wrong`` something else first, and the teacher's text next if ``second``."""

    cut = 12

    def __init__(self, wrong: Sequence[Form] = (), silent: Sequence[Form] = (), second: bool = False) -> None:
        known = [r for target in ("aarch64", "riscv64") for r in records(target)]
        self.texts = {(r.target, repr(r.form)): r.target_tokens or [] for r in known}
        self.wrong, self.silent, self.second = [*map(repr, wrong)], [*map(repr, silent)], second

    def guess(self, forms: Sequence[Form], target: str, how: How, *, align: bool = False) -> list[list[Guess]]:
        return [self._guesses(repr(form), target, how) for form in forms]

    def _guesses(self, form: str, target: str, how: How) -> list[Guess]:
        tokens = self.texts[target, form]
        right = Guess(tokens, [0.99] * len(tokens), [[] for _ in tokens], 0.99, 0.0, target_lines(tokens, target))
        if form in self.silent:
            return []
        if form not in self.wrong:
            return [right]
        other = ["ret" if target == "aarch64" else "ebreak", ";"]
        bad = Guess(other, [0.2, 0.9], [[], []], 0.9, -1.0, target_lines(other, target))
        return [bad, right] if self.second and how.method != "greedy" else [bad]


def test_the_teachers_own_text_is_proved(pairs: Path) -> None:
    report = evaluate(Fake(), Settings(pairs, samples=1, jobs=1))
    for found in report["targets"].values():
        row = found["levels"]["all"]
        assert row["forms"] == row["first"]["count"] == row["one_of"]["count"] == row["exact"]["count"] == COUNT
        assert row["weighted"]["value"] == 1 and row["against_teacher"]["equal"]["count"] == COUNT
        assert not found["no_guess"] and not found["failures"]["examples"]
    table = io.StringIO()
    figures.show({**report, "load_seconds": 1.0}, Console(file=table, width=200))
    assert "100.0% (88.6-100.0)" in table.getvalue()


def test_what_is_wrong_or_silent_is_not_proved_and_is_told(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "CHUNK", COUNT // 2)  # for two processes
    known = records()
    wrong, silent = [known[n] for n in range(0, 12, 2)], known[1:4:2]
    engine = Fake([r.form for r in wrong], [r.form for r in silent], second=True)
    report = evaluate(engine, Settings(pairs, ("aarch64",), samples=2, jobs=2))
    found = report["targets"]["aarch64"]
    row = found["levels"]["all"]
    lost = wrong + silent
    assert row["first"]["count"] == COUNT - len(lost)
    assert row["one_of"]["count"] == COUNT - len(silent)
    total = sum(r.count for r in known)
    assert row["weighted"]["count"] == total - sum(r.count for r in lost) and row["weighted"]["of"] == total
    assert found["no_guess"] == {"the model answers nothing": len(silent)}
    assert sum(found["failures"]["by_kind"].values()) == len(found["failures"]["examples"]) == len(lost)
    assert sum(level["forms"] for name, level in found["levels"].items() if name in figures.LEVELS) == COUNT
    doubt = {point["threshold"]: point for point in report["doubt"]["aarch64"]["curve"]}
    assert report["doubt"]["aarch64"]["wrong"] == len(wrong)
    assert doubt[0.1]["partly"]["count"] == 0 and doubt[0.2]["partly"]["count"] == len(wrong) and doubt[0.2]["doubted"] == 0
    assert doubt[0.995]["doubted"] == 1


def test_a_sample_is_the_same_forms_for_both_targets_and_larger_ones_hold_it() -> None:
    small, large = (sample(SAMPLE, "test", "aarch64", n) for n in (40, 80))
    assert {repr(r.form) for r in small} < {repr(r.form) for r in large}
    assert abs(len(small) - 40) <= len(figures.LEVELS)
    whole = sample(SAMPLE, "test", "aarch64", None)
    for level in figures.LEVELS:
        expected = 40 * sum(r.level == level for r in whole) / len(whole)
        assert abs(sum(r.level == level for r in small) - expected) <= 1


def test_shards_that_are_not_there_or_broken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pairs aarch64-test"):
        sample(tmp_path, "test", "aarch64", None)
    (tmp_path / "aarch64-test-000.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="broken shard"):
        sample(tmp_path, "test", "aarch64", None)


def test_calibration_is_fitted_to_what_was_proved(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LEAST", 20)
    fitted = blocks.calibrated(Fake([r.form for r in records()[:6]]), Settings(pairs, ("aarch64",), samples=1, jobs=1))
    card = {**fitted}
    engine = Fake([r.form for r in records()[:6]])
    guesses = [g[0] for g in engine.guess([r.form for r in records()], "aarch64", How())]
    assert all(confidence(g, card) < 0.1 for g in guesses[:6]) and all(confidence(g, card) > 0.9 for g in guesses[6:])
    assert all(doubted(guesses[0], card)[:1]) and not any(doubted(guesses[6], card))
    assert fitted["doubt"]["recall"] == 1 and fitted["doubt"]["doubted"] == 0


def test_the_card_of_a_model_is_replaced_and_it_says_what_it_cannot_read(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "calibrated", lambda engine, settings: {"doubt": {"threshold": 0.5}})
    monkeypatch.setattr(blocks, "load_seconds", lambda model: 1.0)
    vocabulary = Vocabulary.build([r.target_tokens or [] for r in records()], least=1)
    card: dict[str, Any] = {"longest_source": 60, "longest_target": 12, "cut": 12}
    save(Model(create("tiny", vocabulary).eval(), vocabulary, card), tmp_path / "model")
    settings = Settings(pairs, ("aarch64",), limit=10, samples=1, jobs=1)
    report = blocks.run(tmp_path / "model", settings, calibrate=True)
    assert json.loads((tmp_path / "model" / "card.json").read_text()) == {**card, "doubt": {"threshold": 0.5}}
    assert report["targets"]["aarch64"]["no_guess"], "x86 mnemonics are not in this vocabulary"
    with pytest.raises(UsageError, match="choose another split"):
        blocks.run(tmp_path / "model", replace(settings, split="valid"), calibrate=True)


def test_heads_are_chosen_by_the_truth(pairs: Path) -> None:
    outcomes, _ = blocks.attempted(Fake(), Settings(pairs, ("aarch64",), samples=1, jobs=1))
    known = aligning.known(outcomes, 12)
    assert len(known) > 6
    tokens = [token for block in known for token in (*block.source, *block.tokens)]
    vocabulary = Vocabulary.build([tokens], least=1)
    model = Model(create("tiny", vocabulary).eval(), vocabulary, {})
    model.card |= aligning.choose(model, known)
    found = aligning.measured(model, known)
    alone = model.card["alignment_f1"]
    assert set(alone) == {"0.0", "0.1"} and found["f1"] >= max(alone.values()) - 1e-9
    assert found["interval"][0] <= found["f1"] <= found["interval"][1]
