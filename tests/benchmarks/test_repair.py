"""The benchmark of the repair: the same results however many processes make them, taken up where they stopped, as told by the model."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from guesssketch.evaluation.doubt import error_spans
from guesssketch.guess.engine import Guess, How
from guesssketch.guess.form import Form
from guesssketch.guess.records import sample
from guesssketch.guess.tokens import target_tokens

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
harness, repair, wrong = (importlib.import_module(name) for name in ("harness", "repair", "wrong"))

RECORDS = [r for r in sample(repair.ROOT / "datasets" / "pairs" / "sample", "test", "aarch64", None) if 1 < len(r.lines) < 5]


class Doubtful:
    """A model that says the teacher's text, but of every second form without the last line; it doubts what is not the teacher's."""

    def __init__(self) -> None:
        self.model = type("Model", (), {"card": {}})()
        self.truth = {r.form.key: r.lines for r in RECORDS}
        self.asked = 0

    def guess(self, forms: Sequence[Form], target: str, how: How) -> list[list[Guess]]:
        self.asked += len(forms)
        lines = [self.truth[form.key][: -(n % 2) or None] for n, form in enumerate(forms)]
        return [[guess] for guess in self.read(forms, target, lines) if guess]

    def read(self, forms: Sequence[Form], target: str, texts: Sequence[Sequence[str]]) -> list[Guess | None]:
        return [self._read(form, tuple(lines)) for form, lines in zip(forms, texts, strict=True)]

    def _read(self, form: Form, lines: tuple[str, ...]) -> Guess:
        tokens = target_tokens(lines)
        spans = error_spans(tokens, target_tokens(self.truth[form.key]))
        likely = [0.3 if any(n in span for span in spans) else 0.99 for n in range(len(tokens))]
        return Guess(tokens, likely, [[] for _ in tokens], 1.0, 0.0, lines)


def same(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**json.loads(json.dumps(e)), "seconds": 0.0} for e in entries]


@pytest.fixture(scope="module")
def planted() -> list[Any]:
    """Records with faults, wrong ones."""
    made = wrong.faults(RECORDS, Doubtful(), "aarch64", range(10), 0, 1, 0)
    return [(RECORDS[e["n"] % len(RECORDS)], e) for e in made if e["kinds"]]


def test_faults_are_the_same_by_several_processes_and_from_the_middle(planted: list[Any]) -> None:
    several = list(wrong.faults(RECORDS, Doubtful(), "aarch64", range(10), 0, 2, 0))
    assert [e for e in several if e["kinds"]] == [e for _, e in planted]
    assert list(wrong.faults(RECORDS, Doubtful(), "aarch64", range(10), 0, 1, 6)) == several[6:]
    assert {len(e["kinds"]) for e in several} == {0, 1, 2} and all(tuple(e["lines"]) != record.lines for record, e in planted)


def test_repairs_are_the_same_by_several_processes_and_where_they_stopped(planted: list[Any], tmp_path: Path) -> None:
    def results(jobs: int, known: int) -> Any:
        return repair.results(planted[:5], Doubtful(), "aarch64", "all", jobs, known)

    alone = list(results(1, 0))
    assert [e["n"] for e in alone] == [e["n"] for _, e in planted[:5]] and any(e["right"] for e in alone)
    harness.resumed(tmp_path / "stopped", lambda known: islice(results(1, known), 2))
    assert same(harness.resumed(tmp_path / "stopped", lambda known: results(2, known))) == same(alone)


def test_the_model_tells_the_repair_where_to_look(planted: list[Any]) -> None:
    record, entry = next((r, e) for r, e in planted if e["kinds"] == ["immediate"] or e["kinds"] == ["register"])
    told = wrong.insight(entry)
    assert told is not None and min(told.least) == 0.3 and entry["spans"] == [0.3] and entry["below"][0] == 0
    sure = entry["told"] | {"least": [0.9] * len(entry["lines"]), "doubts": []}
    blind, found = (repair.repaired("below0.5", (record, {**entry, "told": told})) for told in (sure, entry["told"]))
    assert blind["right"] is None and blind["tried"] == 0 and found["right"] is True


def test_of_the_models_guesses_only_the_wrong_ones_are_repaired() -> None:
    model, records = Doubtful(), RECORDS[:6]
    made = list(wrong.guesses(records, model, "aarch64", 1, 0))
    failed = [(records[e["n"]], e) for e in made if e["kinds"]]
    assert all(made[n]["kinds"] == [] for n in (0, 2, 4)) and failed and model.asked == len(records)
    entries = list(repair.results(failed, model, "aarch64", "all", 1, 0))
    assert all(e["right"] for e in entries)
    assert [str(cells[3]).split("%")[0] for cells in repair.whole(made, failed, entries)][-1] == "100.0"
    again = list(repair.results(failed, model, "aarch64", "beam8", 1, 0))  # it says all forms but every second right
    assert [e["right"] for e in again] == [True if n % 2 == 0 else None for n in range(len(failed))]
