"""How many wrong translations are repaired, and how soon: planted faults, or the failed guesses of a model.

``python benchmarks/repair.py --target aarch64 --faults 1000`` breaks right translations of blocks (of ``--pairs``, by default the
sample in the repository) in one place or two, repairs them, and has what comes out judged anew. With ``--guesses`` the model
guesses the blocks, and what is not proved is repaired. In either case the repair is told what the model thinks of the lines
(``wrong.py``).

``--ways`` leaves parts of the repair out (``WAYS``); ``below0.98`` makes holes only in lines in which the model thinks a token less
likely than that, and asks no counterexample; ``beam8`` and ``drawn8`` do not repair, but ask the model for eight more. Results are
kept in ``.cache/benchmarks/repair/``: what is wrong, a line for each block, and what came of it, a line for each that is wrong and
each way. A run takes up where the last one stopped.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


from guesssketch.evaluation.statistics import share  # noqa: E402
from guesssketch.guess.proposer import SHIPPED  # noqa: E402
from guesssketch.guess.records import Record, sample  # noqa: E402
from guesssketch.judge import verify  # noqa: E402
from guesssketch.sketch.faults import FAULTS  # noqa: E402
from guesssketch.sketch.repair import Repair, repair  # noqa: E402
from guesssketch.sketch.search import assembled  # noqa: E402
from guesssketch.sketch.ways import ALL, Ways  # noqa: E402
from harness import CACHE, TARGETS, Entry, print_table, processor_seconds, resumed  # noqa: E402
from solver.verdict import Proved  # noqa: E402
from wrong import THRESHOLDS, by_each, engine, faults, guesses, insight  # noqa: E402

if TYPE_CHECKING:
    from guesssketch.guess.engine import Method, Trained

CONFIDENCE: Final = Ways(slices=False, values=False, forced=False)
WAYS: Final[Mapping[str, Ways]] = {
    "all": ALL,
    "published": replace(CONFIDENCE, immediates_only=True, cut=False),  # immediates, where the model doubts
    "immediates": Ways(immediates_only=True, cut=False),
    "confidence": CONFIDENCE,  # places by what the model tells, alone
    "counterexample": Ways(told=False),  # the model tells nothing
    "slices": Ways(values=False, forced=False, told=False),  # places by what the wrong results depend on, alone
    "values": Ways(slices=False, forced=False, told=False),  # places by values that the source does not have, alone
    "neither": Ways(slices=False, values=False, forced=False, told=False),
    "unaligned": ALL,  # the model does not tell the alignment: cut by values
    "uncut": Ways(cut=False),
    "unforced": Ways(forced=False),  # what is put in comes from templates alone
    "untemplated": Ways(templates=False),  # what is put in is read off values alone
    **{f"below{limit}": replace(CONFIDENCE, below=limit) for limit in THRESHOLDS},
}
MORE: Final[Mapping[str, Method]] = {"beam8": "beam", "drawn8": "sample"}
LEVELS: Final = {"-O0 -O1": ("-O0", "-O1"), "-O2 -O3 -Os": ("-O2", "-O3", "-Os"), "all": ("-O0", "-O1", "-O2", "-O3", "-Os")}
Wrong = tuple[Record, Entry]


def repaired(way: str, task: Wrong) -> Entry:
    """What came of each. right: the verdict on its machine code, asked for anew; None if there is none. seconds: by the clock, and
    of the processor."""
    record, entry = task
    problem, told, started = record.problem, insight(entry), _now()
    if told and way == "unaligned":
        told = replace(told, alignment=())
    made = repair(problem, entry["lines"], told, ways=WAYS[way]) if entry["lines"] else Repair(None, 0)
    seconds = _since(started)
    code = assembled(problem, made.lines) if made.lines is not None else None
    right = None if code is None else isinstance(verify(problem, code), Proved)
    return {"n": entry["n"], "right": right, "seconds": seconds, "tried": made.tried, "places": len(made.steps),
            "lines": made.lines}  # fmt: skip


def judged(task: tuple[Record, Entry, Sequence[Sequence[str]]]) -> Entry:
    """Whether one of the texts is proved; they are judged in turn."""
    record, entry, texts = task
    started = _now()
    codes = (assembled(record.problem, lines) for lines in texts)
    right = any(code is not None and isinstance(verify(record.problem, code), Proved) for code in codes)
    return {"n": entry["n"], "right": right or None, "seconds": _since(started)}


def _now() -> tuple[float, float]:
    return time.perf_counter(), processor_seconds()


def _since(started: tuple[float, float]) -> list[float]:
    return [round(now - then, 3) for now, then in zip(_now(), started, strict=True)]


def results(wrong: Sequence[Wrong], model: Trained, target: str, way: str, jobs: int, known: int) -> Iterator[Entry]:
    from guesssketch.guess.engine import How

    rest = wrong[known:]
    if way not in MORE or not rest:
        yield from by_each(partial(repaired, way), rest, jobs)
        return
    started = _now()
    said = model.guess([record.form for record, _ in rest], target, How(MORE[way], 8, threads=jobs))
    each = [round(seconds / len(rest), 4) for seconds in _since(started)]
    tasks = [(record, entry, [guess.lines for guess in more if guess.lines and list(guess.lines) != entry["lines"]])
             for (record, entry), more in zip(rest, said, strict=True)]  # fmt: skip
    yield from ({**entry, "guessed": each} for entry in by_each(judged, tasks, jobs))


def table(wrong: Sequence[Wrong], entries: Sequence[Entry]) -> list[list[object]]:
    found = [{**one, **entry} for (_, one), entry in zip(wrong, entries, strict=False)]
    groups = {"all": found}
    groups |= {f"places: {n}": [e for e in found if len(e["kinds"]) == n] for n in sorted({len(e["kinds"]) for e in found})}
    groups |= {kind: [e for e in found if e["kinds"] == [kind]] for kind in (*FAULTS, "guess")}
    groups |= {level: [e for e in found if e["level"] == level] for level in sorted({e["level"] for e in found})}
    return [row(name, group) for name, group in groups.items() if group]


HEADER: Final = ("repaired", "% (95%)", "wrongly", "seconds: median", "mean", "9 of 10", "processor: median", "mean", "9 of 10")


CURVE: Final = ("threshold", "wrong spans found", "blocks wholly found", "others doubted", "others in right blocks")


def row(name: str, entries: Sequence[Entry]) -> list[object]:
    """A guess of the model's counts with its share of the seconds that it took all of them to be guessed."""
    right = share([e["right"] is True for e in entries])
    cells: list[object] = [name, f"{right.count}/{right.of}", right, sum(e["right"] is False for e in entries)]
    for kind in range(2):
        times = sorted(e["seconds"][kind] + e.get("guessed", [0.0, 0.0])[kind] for e in entries) or [0.0]
        cells += [f"{x:.2f}" for x in (statistics.median(times), statistics.mean(times), times[len(times) * 9 // 10])]
    return cells


def curve(made: Sequence[Entry]) -> list[list[object]]:
    """Rows: threshold; wrong spans that hold a less likely token; blocks of which each does; others that are less likely, of wrong
    blocks and of right ones."""
    known = [e for e in made if e.get("spans")]
    rows: list[list[object]] = []
    for n, limit in enumerate(THRESHOLDS):
        spans, blocks = [p < limit for e in known for p in e["spans"]], [max(e["spans"]) < limit for e in known]
        others = [[e for e in made if "below" in e and bool(e["kinds"]) is wrong] for wrong in (True, False)]
        shares = (sum(e["below"][n] for e in group) / max(1, sum(e["tokens"] for e in group)) for group in others)
        rows.append([limit, share(spans), share(blocks), *(f"{100 * s:.1f}%" for s in shares)])
    return rows


def whole(made: Sequence[Entry], wrong: Sequence[Wrong], entries: Sequence[Entry]) -> list[list[object]]:
    """Rows: level, blocks right at once, blocks right after the repair."""
    better = {one["n"] for (_, one), entry in zip(wrong, entries, strict=True) if entry["right"] is True}
    groups = {name: [e for e in made if e["level"] in levels] for name, levels in LEVELS.items()}
    return [[name, len(group), share([not e["kinds"] for e in group]), share([not e["kinds"] or e["n"] in better for e in group])]
            for name, group in groups.items()]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--pairs", type=Path, default=ROOT / "datasets" / "pairs" / "sample", help="folder of shards")
    parser.add_argument("--limit", type=int, default=500, help="blocks taken of its test split (default 500)")
    parser.add_argument("--faults", type=int, default=200, help="faults to plant, some of which are none (default 200)")
    parser.add_argument("--first", type=int, default=0, help="number of the first fault (default 0)")
    parser.add_argument("--places", type=int, default=0, help="of each fault (default: one or two)")
    parser.add_argument("--guesses", action="store_true", help="repair the model's failed guesses instead")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="default: the one that is shipped")
    parser.add_argument("--ways", choices=(*WAYS, *MORE), action="append", help="what the repair may use (default all)")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    options = parser.parse_args()
    folder, model = CACHE / "repair", engine(options.model)
    for target in options.target or TARGETS:
        records = [r for r in sample(options.pairs, "test", target, options.limit) if r.verdict == "proved"]
        stem = f"{options.pairs.name}-{options.limit}-{options.model.name}-{target}"
        if options.guesses:
            more = partial(guesses, records, model, target, options.jobs)
            stem, count = f"{stem}-guesses", len(records)
        else:
            numbers, count = range(options.first, options.first + options.faults), options.faults
            more = partial(faults, records, model, target, numbers, options.places, options.jobs)
            stem = f"{stem}-faults{options.first}-{options.places}"
        made = resumed(folder / f"{stem}.jsonl", more)[:count]
        wrong = [(records[e["n"] % len(records)], e) for e in made if e["kinds"]]
        print(f"{target}: {len(wrong)} of {len(made)} are wrong")
        print_table(CURVE, curve(made))
        rows = []
        for way in options.ways or ["all"]:
            asked = partial(results, wrong, model, target, way, options.jobs)
            entries = resumed(folder / f"{stem}-{way}.jsonl", asked)[: len(wrong)]
            print_table([f"{target}, {way}", *HEADER], table(wrong, entries))
            if options.guesses:
                print_table([f"{target}, {way}", "blocks", "first guess proved", "with the repair"], whole(made, wrong, entries))
            rows.append(row(way, entries))
        print_table([f"{target}", *HEADER], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
