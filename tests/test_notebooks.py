"""Every notebook of examples/ runs from end to end, with models that know nothing or what is asked, and is kept without outputs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

import guesssketch as gs
from guesssketch.evaluation import blocks
from guesssketch.guess import dataset
from guesssketch.guess.model import Model, create, save
from guesssketch.guess.tokens import Vocabulary, source_tokens

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "examples" / "notebooks"
BOOKS = sorted(NOTEBOOKS.glob("*.ipynb"))
SAMPLE = ROOT / "datasets" / "pairs" / "sample"
ASKING = {"translate_one_function": r"(?m)^ \d\.\d\d  .+ \[[\d. ]+\]  \w", "calibrate_confidence": "came true"}  # what text leads to
FORMS = 12


def test_every_notebook_is_run_here() -> None:
    assert {book.stem for book in BOOKS} == {*ASKING, "compare_two_models", "write_a_sketch", "add_an_instruction"}


def program(book: Path) -> str:
    """Its cells of code, one behind the other."""
    cells = json.loads(book.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def random_model(folder: Path) -> Path:
    """A tiny network with random weights that knows the tokens of the sample, and whose texts end at once or not at all."""
    texts = [text for r in gs.read_pairs(SAMPLE, "aarch64", limit=300) for text in (
        source_tokens(r.form.source, r.form.exit, r.form.live_out, r.form.symbols, "aarch64"), r.target_tokens or [])]  # fmt: skip
    vocabulary = Vocabulary.build(texts, least=1)
    network = create("tiny", vocabulary)
    with torch.no_grad():
        network.final_logits_bias[0, Vocabulary.EOS] = 2.0
    save(Model(network.eval(), vocabulary, {"longest_source": 96, "longest_target": 12, "cut": 12}), folder)
    return folder


@pytest.fixture(scope="module")
def learnt_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network that has learnt what the notebooks will ask, so that its guesses are text."""
    folder = tmp_path_factory.mktemp("learnt")
    function = gs.problems(ROOT / "examples" / "objects" / "switch.O2.o", "aarch64", function="size_name")
    pairs = [*gs.read_pairs(SAMPLE, "aarch64", limit=FORMS), *gs.make_pairs(one.problem for one in function)]
    for split in ("train", "valid"):
        gs.write_pairs(pairs, folder, split)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "LEAST", 1)
        gs.train(gs.TrainSettings(folder, folder / "model", targets=("aarch64",), size="tiny", steps=240, every=240, batch=512,
                                  rate=6e-3))  # fmt: skip
    return folder / "model"


@pytest.mark.parametrize("book", ASKING)
@pytest.mark.parametrize("learnt", [False, True], ids=["random", "learnt"])
def test_notebooks_that_ask_a_model_run(book: str, learnt: bool, request: pytest.FixtureRequest, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    torch.manual_seed(0)
    run(book, monkeypatch, request.getfixturevalue("learnt_model") if learnt else random_model(tmp_path))
    if learnt:
        assert re.search(ASKING[book], capsys.readouterr().out)


def test_models_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(blocks, "load_seconds", lambda model: 0.0)
    run("compare_two_models", monkeypatch, random_model(tmp_path))


def test_a_sketch_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    run("write_a_sketch", monkeypatch)


def run(book: str, monkeypatch: pytest.MonkeyPatch, model: Path | None = None) -> None:
    for name, value in (("MODEL", model), ("FORMS", FORMS), ("STEPS", 10)):
        monkeypatch.setenv(f"GUESSSKETCH_{name}", str(value))
    monkeypatch.chdir(NOTEBOOKS)
    exec(compile(program(NOTEBOOKS / f"{book}.ipynb"), book, "exec"), {"__name__": "__main__"})


def test_the_notebook_that_adds_an_instruction_runs() -> None:
    command = [sys.executable, "-c", program(NOTEBOOKS / "add_an_instruction.ipynb")]
    done = subprocess.run(command, cwd=NOTEBOOKS, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "by the emulator on" in done.stdout and "proved" in done.stdout


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_notebooks_are_kept_without_outputs(book: Path) -> None:
    text = json.loads(book.read_text())
    assert (text["nbformat"], text["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in text["cells"]}) == len(text["cells"])
    assert not [cell for cell in text["cells"] if cell.get("outputs") or cell.get("execution_count")]
