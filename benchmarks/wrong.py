"""Wrong translations, for ``repair.py``: faults planted in right ones, or failed guesses of a model; and what it thinks of them.

A result is an entry for each block: ``n``, ``level``, ``kinds`` (of what is wrong, none if nothing is) and ``lines``. Of those that
are wrong ``told`` is what the repair is told: how likely each token is, what would be likelier, how it is aligned with the source.
For the curve of thresholds there are ``spans``, the least probability in each span of tokens that is wrong
(``guesssketch.evaluation.doubt``), ``tokens``, how many others there are, and ``below``, how many of these the model thinks less
likely than each of ``THRESHOLDS``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


from guesssketch.evaluation.doubt import error_spans  # noqa: E402
from guesssketch.evaluation.judging import Question, judge_all  # noqa: E402
from guesssketch.guess.joining import candidate, said  # noqa: E402
from guesssketch.guess.proposer import accelerated  # noqa: E402
from guesssketch.guess.records import Record  # noqa: E402
from guesssketch.judge import verify  # noqa: E402
from guesssketch.problem import Doubt, Insight  # noqa: E402
from guesssketch.sketch.faults import FAULTS, plant  # noqa: E402
from guesssketch.sketch.search import assembled  # noqa: E402
from guesssketch.workers import spread  # noqa: E402
from harness import Entry, in_order  # noqa: E402
from solver.verdict import Refuted  # noqa: E402

if TYPE_CHECKING:
    from guesssketch.guess.engine import Guess, Trained

Item = TypeVar("Item")
THRESHOLDS: Final = (0.5, 0.9, 0.98, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
WINDOW: Final = 4096  # blocks that are broken or guessed together: a run that is stopped begins its window again


def engine(folder: Path | str) -> Trained:
    """The model, on the accelerator if PyTorch knows one."""
    import torch

    torch.set_num_threads(1)  # several batches at once instead
    return accelerated(folder)


def by_each(work: Callable[[Item], Entry], items: Sequence[Item], jobs: int) -> Iterator[Entry]:
    """An entry for each of ``items``, in order."""
    with closing(spread(work, items, jobs)) as done:
        yield from in_order(done)


def planted(places: int, task: tuple[int, Record]) -> Entry:
    """A fault by its number: in ``places``, or, if that is 0, in one or two in turn. There is none if the record has no place for
    it, or is right all the same, or nobody knows."""
    number, record = task
    pick = random.Random(number)
    kinds = [pick.choice(list(FAULTS)) for _ in range(places or 1 + number % 2)]
    lines: list[str] | None = list(record.lines)
    for kind in kinds:
        lines = plant(record.problem, lines, FAULTS[kind], pick) if lines else None
    code = assembled(record.problem, lines) if lines else None
    wrong = code is not None and isinstance(verify(record.problem, code), Refuted)
    return {"n": number, "level": record.level, "kinds": kinds if wrong else [], "lines": lines if wrong else None}


def faults(records: Sequence[Record], model: Trained, target: str, numbers: range, places: int, jobs: int, known: int
           ) -> Iterator[Entry]:  # fmt: skip
    """Fault ``n`` in record ``n``, counted round."""
    for start in range(known, len(numbers), WINDOW):
        asked = [(number, records[number % len(records)]) for number in numbers[start : start + WINDOW]]
        found = list(by_each(partial(planted, places), asked, jobs))
        _tell(model, target, [record for _, record in asked], found)
        yield from found


def guesses(records: Sequence[Record], model: Trained, target: str, jobs: int, known: int) -> Iterator[Entry]:
    """The model's first guess of each record; no lines if it is no text."""
    from guesssketch.guess.engine import How

    for start in range(known, len(records), WINDOW):
        asked = records[start : start + WINDOW]
        texts = [found[0].lines if found else None for found in model.guess([r.form for r in asked], target, How(threads=jobs))]
        questions = [Question(r.problem, (lines,) if lines else (), r.lines) for r, lines in zip(asked, texts, strict=True)]
        found: list[Entry] = []
        for number, (record, lines, reply) in enumerate(zip(asked, texts, judge_all(questions, jobs), strict=True), start):
            right = any(judged.verdict == "proved" for judged in reply.judged)
            found.append({"n": number, "level": record.level, "kinds": [] if right else ["guess"], "lines": lines})
        _tell(model, target, asked, found)
        yield from found


def _tell(model: Trained, target: str, records: Sequence[Record], entries: Sequence[Entry]) -> None:
    """Put into each entry what the model thinks of its lines."""
    asked = [(record, entry) for record, entry in zip(records, entries, strict=True) if entry["lines"]]
    read = model.read([record.form for record, _ in asked], target, [entry["lines"] for _, entry in asked])
    for (record, entry), guess in zip(asked, read, strict=True):
        if guess is not None:
            entry.update(_doubted(guess, record.target_tokens if entry["kinds"] else None))
            if entry["kinds"]:
                entry["told"] = asdict(candidate([said(guess, record.form, target, model.model.card)], "lm").insight or Insight())


def _doubted(guess: Guess, truth: Sequence[str] | None) -> Entry:
    """truth: tokens of a right translation; None if it is not known, or this is one."""
    likely = [*guess.probabilities, guess.end]
    spans = error_spans(guess.tokens, truth) if truth else []
    rest = [p for at, p in enumerate(likely) if not any(at in span for span in spans)]
    return {"spans": [min(likely[at] for at in span) for span in spans], "tokens": len(rest),
            "below": [sum(p < limit for p in rest) for limit in THRESHOLDS]}  # fmt: skip


def insight(entry: Entry) -> Insight | None:
    known: dict[str, Any] | None = entry.get("told")
    return Insight(**{**known, "doubts": tuple(Doubt(**doubt) for doubt in known["doubts"])}) if known else None
