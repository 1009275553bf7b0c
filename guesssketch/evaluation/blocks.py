"""``guesssketch evaluate blocks``: guess a sample of forms, judge the guesses, and say how good they are.

Forms are what the model sees; each counts once, however often it occurs, unless a figure says that it is weighted. The
forms are those that the data's teacher has a right translation of. Nothing but ``proved`` counts as proved.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from guesssketch.errors import UsageError
from guesssketch.evaluation import aligning, calibration, doubt
from guesssketch.evaluation.figures import measured
from guesssketch.evaluation.judging import Lines, Question, Reply, judge_all
from guesssketch.evaluation.outcome import Outcome
from guesssketch.guess.dataset import TARGETS
from guesssketch.guess.engine import ROWS, Engine, Guess, How, Method, Trained
from guesssketch.guess.model import Model
from guesssketch.guess.proposer import open_engine
from guesssketch.guess.records import Record, sample
from guesssketch.guess.tokens import UnknownToken, source_tokens
from guesssketch.progress import Tell, quiet

FITTED: Final = "valid"  # the split that calibration fits on
WARM: Final = 32  # forms guessed before the clock starts
LEAST: Final = 50  # guesses below which nothing is fitted


@dataclass(frozen=True)
class Settings:
    """pairs: folder of shards. limit: forms of each target, None for all. samples: guesses of each form, the greedy one first.

    search: how the others are found. lowering: compare with ``Lowering`` as well. memory: see ``workers.Work``.
    """

    pairs: Path
    targets: tuple[str, ...] = TARGETS
    split: str = "test"
    limit: int | None = None
    samples: int = 8
    search: Method = "beam"
    jobs: int = 2
    lowering: bool = False
    memory: Path | None = None
    progress: Tell = quiet


@dataclass(frozen=True)
class Speed:
    """Guessing alone, greedily, distinct forms.

    seconds: wall time. threads: of PyTorch. memory_mib: the most that the process had until then, of main memory.
    """

    forms: int
    seconds: float
    threads: int
    memory_mib: float


def run(model: Path | str, settings: Settings, calibrate: bool = False) -> dict[str, Any]:
    """``evaluate`` for a model by folder or name, which is loaded. calibrate: fit on the ``valid`` split first and write that
    into the model's card.

    Raises UsageError for what is no model, or none that has a card.
    """
    settings.progress("load the model", 0, 0)
    engine = open_engine(model)
    fitted: dict[str, Any] = {}
    if calibrate:
        if not isinstance(engine, Trained):
            raise UsageError(f"{model}: only a model of guesssketch's own can be calibrated")
        if settings.split == FITTED:
            raise UsageError(f"what is fitted on the {FITTED} split is not reported on it: choose another split")
        fitted = calibrated(engine, replace(settings, split=FITTED, samples=1, lowering=False))
        engine.model.card.update(fitted)
        write_card(engine.model, Path(model))
    return {"model": str(model), "load_seconds": load_seconds(model), "fitted": fitted, **evaluate(engine, settings)}


def load_seconds(model: Path | str) -> float:
    """Wall time of a fresh process that starts Python, loads the model and ends."""
    program = "import sys\nfrom guesssketch.guess.proposer import open_engine\nopen_engine(sys.argv[1])"
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, str(model)], check=True, env={**os.environ, "PYTHONPATH": paths})
    return time.perf_counter() - started


def evaluate(engine: Engine, settings: Settings) -> dict[str, Any]:
    """The report, ready for JSON: ``figures.measured`` tells the most of it.

    Raises UsageError or InputError for what is wrong with the shards, ToolError if a worker dies.
    """
    outcomes, speed = attempted(engine, settings)
    card = engine.model.card if isinstance(engine, Trained) else {}
    report = {
        "split": settings.split,
        "limit": settings.limit,
        "samples": settings.samples,
        "search": settings.search,
        **measured(outcomes, card, settings.targets),
        "speed": {**asdict(speed), "forms_a_second": speed.forms / max(speed.seconds, 1e-9)},
    }
    if isinstance(engine, Trained):
        known = {t: aligning.known([o for o in outcomes if o.record.target == t]) for t in settings.targets}
        report["alignment"] = {t: aligning.measured(engine.model, blocks) for t, blocks in known.items() if blocks}
    return report


def calibrated(engine: Engine, settings: Settings) -> dict[str, Any]:
    """What a model's card must hold for confidence, doubt and alignment, fitted on the forms of ``settings`` (of a split that
    is neither trained on nor reported). What there is too little to fit by is left out.
    """
    outcomes, _ = attempted(engine, settings)
    guessed = [(o.guess, o) for o in outcomes if o.guess is not None]
    fitted: dict[str, Any] = {}
    if sum(guess.lines is not None for guess, _ in guessed) >= LEAST:
        fitted["calibration"] = calibration.fit([guess for guess, _ in guessed], [o.proved for _, o in guessed])
    if entry := doubt.card_entry(doubt.doubts(outcomes)):
        fitted["doubt"] = entry
    known = [block for t in settings.targets for block in aligning.known([o for o in outcomes if o.record.target == t])]
    if isinstance(engine, Trained) and len(known) >= LEAST:
        fitted |= aligning.choose(engine.model, known)
    return fitted


def write_card(model: Model, folder: Path) -> None:
    """Replace the card in a model's folder in one step."""
    partial = folder / "card.json.partial"
    partial.write_text(json.dumps(model.card, indent=1, default=str) + "\n")
    partial.replace(folder / "card.json")


def attempted(engine: Engine, settings: Settings) -> tuple[list[Outcome], Speed]:
    """Every form guessed and judged, target by target, in the sample's order."""
    settings.progress(f"{settings.split}: read", 0, 0)
    records = [r for target in settings.targets for r in sample(settings.pairs, settings.split, target, settings.limit)]
    for target in settings.targets:
        engine.guess([r.form for r in records if r.target == target][:WARM], target, How())
    started = time.perf_counter()
    greedy = _by_target(engine, records, settings, How(), f"{settings.split}: guessing")
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speed = Speed(len(records), seconds, torch.get_num_threads(), memory)
    more: list[list[Guess]] = [[] for _ in records]
    if settings.samples > 1:
        stage = f"{settings.split}: guessing {settings.samples}"
        more = _by_target(engine, records, settings, How(settings.search, settings.samples), stage)
    questions = [Question(record.problem, _texts(first, rest, settings.samples), record.lines)
                 for record, first, rest in zip(records, greedy, more, strict=True)]  # fmt: skip
    replies = judge_all(questions, settings.jobs, lowering=settings.lowering, memory=settings.memory,
                        progress=settings.progress, stage=f"{settings.split}: judging")  # fmt: skip
    return [_outcome(engine, *each) for each in zip(records, greedy, replies, strict=True)], speed


def _by_target(engine: Engine, records: Sequence[Record], settings: Settings, how: How, stage: str) -> list[list[Guess]]:
    """Longest forms first, those of like length together, so many at a time as the model writes at once."""
    guesses: list[list[Guess]] = [[] for _ in records]
    done, some = 0, max(1, ROWS // how.rows)
    settings.progress(stage, 0, len(records))
    for target in settings.targets:
        asked = sorted((n for n, r in enumerate(records) if r.target == target), key=lambda n: -len(records[n].form.source))
        for start in range(0, len(asked), some):
            part = asked[start : start + some]
            for n, found in zip(part, engine.guess([records[n].form for n in part], target, how), strict=True):
                guesses[n] = found
            done += len(part)
            settings.progress(stage, done, len(records))
    return guesses


def _texts(first: Sequence[Guess], rest: Sequence[Guess], count: int) -> tuple[Lines, ...]:
    """Different texts, the greedy guess's before all."""
    texts = [guess.lines for guess in (*first[:1], *rest) if guess.lines is not None]
    return tuple(dict.fromkeys(texts))[:count]


def _outcome(engine: Engine, record: Record, guesses: Sequence[Guess], reply: Reply) -> Outcome:
    return Outcome(record, guesses[0], "", reply) if guesses else Outcome(record, None, why_not(engine, record), reply)


def why_not(engine: Engine, record: Record) -> str:
    """Why an engine has no guess for a form."""
    if not isinstance(engine, Trained):
        return "the model answers nothing"
    form = record.form
    try:
        ids = engine.model.vocabulary.encode(source_tokens(form.source, form.exit, form.live_out, form.symbols, record.target))
    except UnknownToken as error:
        return str(error)
    except ValueError:
        return "text that the tokenizer does not know"
    longest = engine.model.card["longest_source"]
    return f"longer than {longest} tokens" if len(ids) > longest else "the model answers nothing"
