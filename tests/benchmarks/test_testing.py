"""The measurements of ``guesssketch test``: a planted fault is known to be one and is counted, and a broken-off run is taken up."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
subjects, planting, testing = (importlib.import_module(name) for name in ("subjects", "planting", "testing"))


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    """One object of the examples, which is then all that there is."""
    (one,) = (s for s in subjects.subjects(subjects.EXAMPLES, "O2", "aarch64") if s.name == "structs")
    monkeypatch.setenv("GUESSSKETCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subjects, "CACHE", tmp_path)
    monkeypatch.setattr(testing, "FOLDER", tmp_path)
    monkeypatch.setattr(testing, "all_subjects", lambda *asked: iter([one]))
    return one


def test_one_instruction_is_changed_and_found(subject: object) -> None:
    fault = planting.planted(subject, "main", random.Random(1))
    unchanged = planting.replace(fault, after=fault.before)
    (whole,) = subjects.translation(subject).assembly
    assert planting.rewritten(subject, unchanged) == whole
    changed = planting.rewritten(subject, fault)
    assert 1 <= len({*changed.split("\n")} ^ {*whole.split("\n")}) <= 2 and "->" in fault.change
    entry = planting.judged(20.0, (0, subject, "main"))
    assert entry["kind"] in planting.FAULTS and entry["found"] and entry["shown"]


def test_functions_are_counted_once_and_a_difference_is_told(subject: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
                                                              ) -> None:  # fmt: skip
    command = ["functions", "--package", "examples", "--level", "O2", "--target", "aarch64", "--runs", "30", "-j", "1"]
    assert testing.main(command) == 0
    table = capsys.readouterr().out
    assert "| examples O2 aarch64 | 1 " in table and "| 30 " in table and "/31 (100.0%)" in table
    (path,) = tmp_path.glob("functions-*.jsonl")
    lines = path.read_text()
    path.write_text(lines + '{"cut sho')
    assert testing.main(command) == 0 and path.read_text() == lines and capsys.readouterr().out == table
    shown = '"difference": {"input": {}, "differences": ["result 0"]}'
    path.write_text(lines.replace('"difference": null', shown))
    assert testing.main([*command, "--show"]) == 1 and "DIFFERENT examples/O2/aarch64/structs main" in capsys.readouterr().out
