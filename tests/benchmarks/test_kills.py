"""Killed a few times, the translator leaves nothing half done; and the command that kills sees what is."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
kills = importlib.import_module("kills")


def test_a_translation_stands_kills(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kills, "OBJECTS", [kills.OBJECTS[0].with_name(f"{name}.O2.o") for name in ("recursion", "bits")])
    work = kills.WORKS["translate"]
    seconds, reference = kills.to_the_end(work, tmp_path), work.results(tmp_path)
    assert sorted(reference) == ["bits.O2.o", "recursion.O2.o", "report.json"] and work.wrong(tmp_path, reference) == ""
    hits, wrong = kills.one_run(work, reference, seconds * 0.8, random.Random(3), 2)
    assert hits and wrong == []
    half = tmp_path / "out" / "bits.O2.o"
    half.write_bytes(half.read_bytes()[:-1])
    assert work.wrong(tmp_path, reference) == "bits.O2.o is not what it must be"


def test_the_recipe_of_the_pairs_takes_the_options(tmp_path: Path) -> None:
    for script, *words in kills.WORKS["pairs"].commands(tmp_path):
        said = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True).stdout
        assert all(word in said for word in words if isinstance(word, str) and word.startswith("-"))
