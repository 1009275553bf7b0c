"""Train a model on pairs: one loop, one or several GPUs, for a given time.

- The learning rate rises over the first steps and falls in a line to zero with the *time* used (or with the steps, if they
  are given): a run takes as long as it may.
- What is validated and shipped is a moving average of the weights: good at any moment, so that a run which is cut short
  leaves a usable model.
- A run that is started again goes on from its last checkpoint, with pairs that came since if they keep to its vocabulary;
  time and schedule count over all its starts.
- Several processes (``torchrun``) take shares of each batch and add up their gradients.

The output is a model folder (``model``) that holds, beside the model, ``checkpoint.pt`` and the curve, ``curve.jsonl``: a
line a measurement, with step, seconds, pairs seen, epoch, loss (nats a token, since the line before), rate, pairs a second, and
``valid``, which is ``scoring.validate``'s answer by target.
"""

from __future__ import annotations

import copy
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from guesssketch.errors import UsageError
from guesssketch.guess import dataset, model
from guesssketch.guess.batches import Feed, plan
from guesssketch.guess.dataset import TARGETS, Pairs
from guesssketch.guess.model import Model
from guesssketch.guess.scoring import logits, losses, validate
from guesssketch.guess.team import Clock, Team
from guesssketch.guess.tokens import Vocabulary
from guesssketch.progress import Tell, quiet

TOGETHER: Final = 10  # steps between looks at the clock; checkpoints and measurements come at such steps
WARM_UP: Final = 300  # steps over which the rate rises, or a twentieth of all where that is less
CLIP: Final = 1.0  # longest gradient
AVERAGE: Final = 0.999  # what stays of the moving average in a step
DECAY: Final = 0.01  # of weights that are matrices
_OF_A_START: Final = ("pairs", "output", "minutes", "steps", "pause", "every", "validation", "compile", "jobs")


@dataclass(frozen=True)
class Settings:
    """A run. The first group tells runs apart: a checkpoint goes on only under the same.

    limit: pairs of each target. renamed: share of the copies under other registers, drawn anew each epoch. by_occurrence: a
    pair weighs the square root of how often its form occurs. longest: tokens on a side; longer pairs are left out. batch: tokens
    a process and step, both sides with padding. init: a model folder whose weights and vocabulary to begin with.
    minutes: of the whole run, over all its starts. steps: instead of time; a multiple of ten. pause: minutes after which this
    start stops and leaves the rest to the next. every: seconds (steps, if ``steps`` is given) between measurements.
    validation: pairs of each target. compile: layers by torch.compile, on a GPU. jobs: processes that read shards.
    """

    pairs: Path
    output: Path
    targets: tuple[str, ...] = TARGETS
    size: str = "base"
    init: Path | None = None
    renamed: float = 0.0
    by_occurrence: bool = False
    limit: int | None = None
    longest: int = 256
    batch: int = 65536
    rate: float = 1e-3
    dropout: float = 0.0
    seed: int = 0

    minutes: float = 9.0
    steps: int | None = None
    pause: float | None = None
    every: float = 60.0
    validation: int = 2000
    compile: bool = True
    jobs: int = 1

    def identity(self) -> dict[str, Any]:
        """What tells runs apart, as JSON has it."""
        facts = json.loads(json.dumps(asdict(self), default=str))
        return {name: value for name, value in facts.items() if name not in _OF_A_START}


def train(settings: Settings, say: Callable[[str], None] = print, progress: Tell = quiet) -> dict[str, Any]:
    """Train, and write the model folder ``settings.output``; gives the last line of the curve.

    say: told each measurement. progress: called with (stage, done, total), seconds or, if they are given, steps; a total of 0
    is not known.

    Raises UsageError for settings that do not go together, a missing folder or the checkpoint of another run, InputError for
    broken pairs.
    """
    if settings.longest > model.POSITIONS or settings.longest < 1:
        raise UsageError(f"longest: 1 to {model.POSITIONS} tokens")
    with Team() as team:
        torch.set_float32_matmul_precision("high")
        begun = time.monotonic()
        progress = progress if team.first else quiet
        progress("read pairs", 0, 0)
        pairs, valid, vocabulary = _data(settings, team)
        if team.first:
            own = {t: int((~pairs.renamed & (pairs.kind == TARGETS.index(t))).sum()) for t in pairs.left_out}
            say(f"pairs: {own}, copies: {int(pairs.renamed.sum())}, left out: {pairs.left_out}, tokens: {len(vocabulary)}, "
                f"read in {time.monotonic() - begun:.0f} s")  # fmt: skip
        return _Run(settings, team, pairs, valid, vocabulary, say if team.first else _silent, progress).go()


def _silent(_: str) -> None:
    pass


def _data(settings: Settings, team: Team) -> tuple[Pairs, Pairs, Vocabulary]:
    s = settings
    if team.first:  # the others will find it done
        _prepare(s)
    team.wait()
    train_files, valid_files = _prepare(s)
    begun = s.output if (s.output / "checkpoint.pt").exists() else s.init  # pairs may have come since: the vocabulary stays
    known = model.load(begun).vocabulary if begun else None
    pairs, vocabulary = dataset.load(train_files, known, s.longest, s.limit, s.seed, s.jobs)
    valid, _ = dataset.load(valid_files, vocabulary, s.longest, s.validation, 0, s.jobs)
    if not len(pairs):
        raise UsageError(f"{s.pairs}: nothing to learn from")
    return pairs, valid, vocabulary


def _prepare(s: Settings) -> tuple[list[Path], list[Path]]:
    return (dataset.prepare(s.pairs, "train", s.targets, s.renamed > 0, s.jobs),
            dataset.prepare(s.pairs, "valid", s.targets, False, s.jobs))  # fmt: skip


class _Run:
    def __init__(self, settings: Settings, team: Team, pairs: Pairs, valid: Pairs, vocabulary: Vocabulary,
                 say: Callable[[str], None], progress: Tell) -> None:  # fmt: skip
        self.settings, self.team, self.pairs, self.vocabulary = settings, team, pairs, vocabulary
        self.say, self.progress = say, progress
        device = team.device
        torch.manual_seed(settings.seed)
        self.feed = Feed(pairs, device, settings.by_occurrence)
        self.valid = Feed(valid, device)
        network = model.create(settings.size, vocabulary, settings.dropout)
        if settings.init:
            _begin_with(network, settings.init)
        self.network = network.to(device).train()
        self.average = copy.deepcopy(self.network).eval()
        parameters = list(self.network.parameters())
        lengths = [p.numel() for p in parameters]
        self.gradient = torch.zeros(sum(lengths), device=device)  # all in one, so that one call adds it up
        for parameter, part in zip(parameters, torch.split(self.gradient, lengths), strict=True):
            parameter.grad = part.view_as(parameter)
        groups = [{"params": [p for p in parameters if (p.ndim > 1) == matrix], "weight_decay": DECAY if matrix else 0.0}
                  for matrix in (True, False)]  # fmt: skip
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=device.type == "cuda")
        self.step, self.seconds, self.seen, self.epoch, self.taken = 0, 0.0, 0, 0, 0
        self.loss = torch.zeros((), device=device)  # sum over steps since the last measurement
        self.line: dict[str, Any] = {}
        if settings.compile and device.type == "cuda":
            for layer in (*self.network.model.encoder.layers, *self.network.model.decoder.layers):
                layer.compile(dynamic=True)  # one graph serves all layers of a kind and all lengths

    def go(self) -> dict[str, Any]:
        """Until time, steps or this start's share of the time are used up; the curve's last line."""
        s = self.settings
        self._resume()
        clock = Clock(self.team, self.seconds)
        begun, since = self.seconds, (self.step, self.seen, self.seconds)
        batches = self._batches()
        while True:
            self.seconds = clock.read()
            self.progress("train", *((round(self.seconds), round(60 * s.minutes)) if s.steps is None else (self.step, s.steps)))
            stop = self._share() >= 1 or (s.pause is not None and self.seconds - begun >= 60 * s.pause)
            due = self.seconds - since[2] >= s.every if s.steps is None else self.step - since[0] >= s.every
            if self.step > since[0] and (stop or due):
                self._measure(since)
                self._save()
                since = (self.step, self.seen, self.seconds)
            if stop:
                return self.line
            torch.manual_seed(s.seed + self.step * self.team.size + self.team.number)  # dropout, the same whatever the pauses
            for rows in itertools.islice(batches, TOGETHER):
                self._learn(rows)

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        """From where the run stands, without end; ``epoch`` and ``taken`` tell where the next one is."""
        s = self.settings
        while True:
            epoch = plan(self.pairs, s.batch * self.team.size, s.seed, self.epoch, s.renamed)
            for rows in itertools.islice(epoch, self.taken, None):
                self.taken += 1
                yield rows
            self.epoch, self.taken = self.epoch + 1, 0

    def _share(self) -> float:
        """Of the run that is done, from 0 to 1."""
        s = self.settings
        return min(1.0, self.seconds / (60 * s.minutes) if s.steps is None else self.step / s.steps)

    def _rate(self) -> float:
        s = self.settings
        warm = WARM_UP if s.steps is None else max(1, min(WARM_UP, s.steps // 20))
        return s.rate * min(1.0, (self.step + 1) / warm) * (1 - self._share())

    def _learn(self, rows: NDArray[np.int64]) -> None:
        self.gradient.zero_()
        own = rows[self.team.number :: self.team.size]
        if len(own):
            batch = self.feed.batch(own)
            with self.feed.precision():
                scores = logits(self.network, batch)
            loss = (losses(scores, batch) * batch.weight[:, None]).sum() / self.feed.weight_of(rows)
            loss.backward()  # type: ignore[no-untyped-call]
            self.loss += loss.detach()
        self.team.add(self.gradient)
        self.gradient.mul_((CLIP / (self.gradient.norm() + 1e-6)).clamp(max=1.0))
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.step()
        self.step += 1
        self.seen += len(rows)
        with torch.no_grad():
            new = 1 - min(AVERAGE, self.step / (self.step + 10))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), new)

    def _measure(self, since: tuple[int, int, float]) -> None:
        self.team.add(self.loss)
        seconds = self.seconds - since[2]
        loss = self.loss.item() / (self.step - since[0])
        self.loss.zero_()
        self.line = {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "pairs": self.seen,
            "epoch": self.epoch,
            "loss": round(loss, 6),
            "rate": self._rate(),
            "pairs_per_second": round((self.seen - since[1]) / max(seconds, 1e-9)),
        }
        if self.team.first:
            valid = validate(self.average, self.valid, self.settings.batch // 2)
            self.line["valid"] = valid
            shown = "; ".join(f"{t}: " + ", ".join(f"{name} {value:.4f}" for name, value in v.items()) for t, v in valid.items())
            speed = self.line["pairs_per_second"]
            self.say(f"step {self.step}, {self.seconds:.0f} s, epoch {self.epoch}, {speed} pairs/s: loss {loss:.4f}; {shown}")

    def _save(self) -> None:
        """The curve's line, the model, and all that the next start needs."""
        if not self.team.first:
            return
        folder, s = self.settings.output, self.settings
        facts = s.identity() | self.line | {"known": len(self.pairs), "left_out": self.pairs.left_out, "processes": self.team.size}
        card = {"longest_source": s.longest, "longest_target": s.longest - 1, "cut": self.pairs.cut, "targets": s.targets,
                "training": facts}  # fmt: skip
        model.save(Model(self.average, self.vocabulary, card), folder)
        with (folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps(self.line) + "\n")
        state = {
            "settings": json.dumps(s.identity(), sort_keys=True),
            "vocabulary": self.vocabulary.to_json(),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "position": (self.step, self.seconds, self.seen, self.epoch, self.taken),
            "line": json.dumps(self.line),
        }
        torch.save(state, folder / "checkpoint.partial")
        (folder / "checkpoint.partial").replace(folder / "checkpoint.pt")

    def _resume(self) -> None:
        folder = self.settings.output
        path = folder / "checkpoint.pt"
        if not path.exists():
            if self.team.first:
                (folder / "curve.jsonl").unlink(missing_ok=True)
            return
        try:
            state = torch.load(path, map_location=self.team.device, weights_only=True)
            same = state["settings"] == json.dumps(self.settings.identity(), sort_keys=True)
        except (OSError, RuntimeError, EOFError, KeyError, UnpicklingError) as error:
            raise UsageError(f"{path}: broken checkpoint; delete it to begin anew") from error
        if not same or state["vocabulary"] != self.vocabulary.to_json():
            raise UsageError(f"{path}: of a run with other settings or pairs; delete it, or choose another folder")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.seen, self.epoch, self.taken = state["position"]
        self.line = json.loads(state["line"])
        if self.team.first:
            _shorten(folder / "curve.jsonl", self.step)
        self.say(f"going on from step {self.step}, {self.seconds:.0f} s")


def _begin_with(network: Any, folder: Path) -> None:
    try:
        model.fill(network, model.load(folder).network.weights)
    except RuntimeError as error:
        raise UsageError(f"{folder}: a model of another size") from error


def _shorten(curve: Path, step: int) -> None:
    """Drop lines after ``step``: what came after the checkpoint happens again. A run that was killed may have left half a line."""
    lines = curve.read_text().splitlines(keepends=True) if curve.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    partial = curve.with_name(f"{curve.name}.partial")
    partial.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))
    partial.replace(curve)
