"""Training: it learns, goes on after a break as if there had been none, and refuses what is broken in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from guesssketch.errors import InputError, UsageError
from guesssketch.guess import batches, dataset, model
from guesssketch.guess.engine import guess
from guesssketch.guess.renaming import registers
from guesssketch.guess.tokens import source_tokens, target_tokens
from guesssketch.guess.train import Settings, train
from isa.statemap import MAPS

pytestmark = pytest.mark.usefixtures("one_thread")
HOMES = {"eax": "w8", "ecx": "w3", "edx": "w2", "ebx": "w19", "esi": "w1", "edi": "w0"}
ADDITION = {"add": "add", "sub": "sub", "and": "and", "or": "orr", "xor": "eor"}


def _pairs() -> Iterator[dict[str, Any]]:
    for x86, arm in ADDITION.items():
        for a, home in HOMES.items():
            for b, other in HOMES.items():
                source = {"i": [["01c8", f"{x86} {a}, {b}", []]], "s": [f"{x86} {a}, {b}"], "exit": "fall",
                          "out": [[f"r{a[1:]}", 32]], "passed": [], "dead": [], "symbols": []}  # fmt: skip
                yield {"target": "aarch64", "source": source, "verdict": "proved", "count": 1,
                       "lines": [f"{arm} {home}, {home}, {other}"]}  # fmt: skip


def _write(folder: Path) -> Path:
    for split in ("train", "valid"):
        (folder / f"aarch64-{split}-000.jsonl").write_text("".join(json.dumps(record) + "\n" for record in _pairs()))
    return folder


def _settings(folder: Path, **changes: Any) -> Settings:
    whole = Settings(_write(folder), folder / "model", targets=("aarch64",), size="tiny", batch=512, rate=4e-3, steps=150, every=75)
    return replace(whole, **changes)


def test_overfits_and_loads(tmp_path: Path) -> None:
    line = train(_settings(tmp_path), lambda _: None)
    assert line["valid"]["aarch64"]["exact"] == 1.0
    loaded = model.load(tmp_path / "model")
    assert loaded.card["cut"] == 1
    assert loaded.network.dtype == torch.float32
    source = loaded.vocabulary.encode(source_tokens(["xor edx, esi"], "fall", [("rdx", 32)], [], "aarch64"))
    (found,) = guess(loaded, [source])[0]
    assert found.lines == ("eor w2, w2, w1",)


def test_a_break_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    short = {"steps": 30, "every": 10, "dropout": 0.1}
    train(_settings(tmp_path / "a", **short), lambda _: None)

    class Killed(Exception):
        pass

    def kill(said: str) -> None:
        if said.startswith("step 20"):  # measured, but not saved yet
            raise Killed

    broken = _settings(tmp_path / "b", **short)
    with pytest.raises(Killed):
        train(broken, kill)
    said: list[str] = []
    train(broken, said.append)
    assert any("going on from step 10" in text for text in said)
    assert _curve(tmp_path / "a") == _curve(tmp_path / "b")


def test_goes_on_with_pairs_that_came_since(tmp_path: Path) -> None:
    settings = _settings(tmp_path, steps=20, every=10)
    first = train(replace(settings, steps=10), lambda _: None)
    record = next(_pairs())
    for number, text in enumerate(("sub eax, ecx", "adc eax, ecx")):  # the second has a token of its own
        new = record | {"source": record["source"] | {"s": [text]}}
        (tmp_path / f"aarch64-train-{number + 1:03}.jsonl").write_text(json.dumps(new) + "\n")
    said: list[str] = []
    last = train(settings, said.append)
    assert (first["step"], last["step"]) == (10, 20)
    assert "'aarch64': 181}" in said[0] and "left out: {'aarch64': 1}" in said[0]


def _curve(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "model/curve.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("seconds", "pairs_per_second")} for line in lines]


def test_another_run_does_not_go_on(tmp_path: Path) -> None:
    settings = _settings(tmp_path, steps=10, every=10)
    train(settings, lambda _: None)
    with pytest.raises(UsageError, match="other settings"):
        train(replace(settings, seed=1), lambda _: None)


def test_begins_with_another_model(tmp_path: Path) -> None:
    settings = _settings(tmp_path, steps=10, every=10)
    first = train(settings, lambda _: None)
    unmoved = train(replace(settings, init=settings.output, output=tmp_path / "second", rate=0.0), lambda _: None)
    assert unmoved["valid"]["aarch64"]["loss"] == pytest.approx(first["valid"]["aarch64"]["loss"], rel=0.01)
    with pytest.raises(UsageError, match="another size"):
        train(replace(settings, init=settings.output, output=tmp_path / "third", size="small"), lambda _: None)


def test_time_rules_where_no_steps_are_given(tmp_path: Path) -> None:
    settings = _settings(tmp_path, steps=None, minutes=0.02, every=0.4)
    paused = train(replace(settings, pause=0.008), lambda _: None)
    assert 0.48 <= paused["seconds"] < 1.2 and paused["rate"] > 0
    last = train(settings, lambda _: None)
    assert last["seconds"] >= 1.2 and last["rate"] == 0 and last["step"] > paused["step"]


@pytest.mark.parametrize("part", model.PARTS)
def test_broken_model_folder(tmp_path: Path, part: str) -> None:
    with pytest.raises(UsageError, match="no such model folder"):
        model.load(tmp_path / "none")
    vocabulary = dataset.load(dataset.prepare(_write(tmp_path), "train", ["aarch64"]), None, 64)[1]
    model.save(model.Model(model.create("tiny", vocabulary), vocabulary), tmp_path / "m")
    model.load(tmp_path / "m")
    whole = (tmp_path / "m" / part).read_bytes()
    (tmp_path / "m" / part).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="broken model folder") as caught:
        model.load(tmp_path / "m")
    assert "\n" not in str(caught.value)
    (tmp_path / "m" / part).unlink()
    with pytest.raises(UsageError, match=f"{part} is missing"):
        model.load(tmp_path / "m")


def test_batches_hold_every_pair_once_and_keep_to_their_size(tmp_path: Path) -> None:
    pairs, _ = dataset.load(dataset.prepare(_write(tmp_path), "train", ["aarch64"]), None, 64)
    rows = list(batches.plan(pairs, 512, seed=1, epoch=2, share=0.0))
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(pairs)))
    feed = batches.Feed(pairs, torch.device("cpu"))
    shapes = [(b.source.numel() + b.labels.numel()) for b in map(feed.batch, rows)]
    assert max(shapes) <= 512


def test_numbers_serve_without_their_shard(tmp_path: Path) -> None:
    paths = dataset.prepare(_write(tmp_path), "train", ["aarch64"])
    (tmp_path / "aarch64-train-000.jsonl").unlink()
    assert dataset.prepare(tmp_path, "train", ["aarch64"]) == paths
    pairs, vocabulary = dataset.load(paths, None, 64)
    row = pairs.target[pairs.target_start[0] : pairs.target_start[1]]
    assert vocabulary.decode(row.tolist()) == target_tokens(next(_pairs())["lines"])
    paths[0].write_bytes(paths[0].read_bytes()[:100])
    with pytest.raises(InputError, match="broken"):
        dataset.load(paths, None, 64)


def test_what_the_vocabulary_lacks_is_left_out_and_counted(tmp_path: Path) -> None:
    rare = {**next(_pairs()), "lines": ["madd w0, w1, w2, w3"]}
    _write(tmp_path)
    with (tmp_path / "aarch64-train-000.jsonl").open("a") as shard:
        shard.write(json.dumps(rare) + "\n" + json.dumps({**rare, "verdict": "refuted"}) + "\n")
    pairs, _ = dataset.load(dataset.prepare(tmp_path, "train", ["aarch64"]), None, 64)
    assert pairs.left_out == {"aarch64": 1}
    assert len(pairs) == 180


def test_renamed_copies_say_the_same_on_both_sides() -> None:
    record = next(r for r in _pairs() if r["source"]["s"] == ["sub eax, ecx"])
    other = dataset.other_registers(record)
    assert other is not None
    (text,), (line,) = other["source"]["s"], other["lines"]
    first, second = registers(text)
    a, b = (f"w{MAPS['aarch64'].homes[name][1:]}" for name in (first, second))
    assert text != "sub eax, ecx"
    assert line == f"sub {a}, {a}, {b}"
    assert other["source"]["out"] == [[first, 32]]


def test_copies_come_by_share(tmp_path: Path) -> None:
    pairs, _ = dataset.load(dataset.prepare(_write(tmp_path), "train", ["aarch64"], renamed=True), None, 64)
    copies = int(pairs.renamed.sum())
    assert 100 < copies <= 180 == int((~pairs.renamed).sum())
    sizes = [sum(map(len, batches.plan(pairs, 512, seed=0, epoch=0, share=share))) for share in (0.0, 0.5, 1.0)]
    assert sizes[0] == 180 < sizes[1] < sizes[2] == 180 + copies
