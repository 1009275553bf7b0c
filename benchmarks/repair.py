"""How many wrong translations are repaired, and how soon: planted faults, or the failed guesses of a model.

``python benchmarks/repair.py --target aarch64 --faults 1000`` breaks right translations of blocks (of ``--pairs``, by default the
sample in the repository) in one place or two, repairs them, and has what comes out judged anew. The repair is told the alignment
that a model without fault would tell, where it is known (``guesssketch.guess.teacher``). ``--ways`` leaves parts of the repair
out. With ``--model FOLDER`` the model guesses the blocks, and what is not proved is repaired. Results are kept in
``.cache/benchmarks/repair/``, a line for each fault, and a run takes up where the last one stopped.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


from guesssketch.evaluation.statistics import wilson  # noqa: E402
from guesssketch.guess.proposer import Guesser  # noqa: E402
from guesssketch.guess.records import Record, sample  # noqa: E402
from guesssketch.guess.teacher import taught  # noqa: E402
from guesssketch.judge import verify  # noqa: E402
from guesssketch.problem import Insight, Problem  # noqa: E402
from guesssketch.sketch.faults import FAULTS, plant  # noqa: E402
from guesssketch.sketch.repair import repair  # noqa: E402
from guesssketch.sketch.search import assembled  # noqa: E402
from guesssketch.sketch.ways import ALL, Ways  # noqa: E402
from harness import CACHE, TARGETS, Entry, print_table, resumed  # noqa: E402
from solver.verdict import Proved, Refuted  # noqa: E402

WAYS: Final[Mapping[str, Ways]] = {
    "all": ALL,
    "immediates": Ways(immediates_only=True, cut=False),  # what the published method fills
    "slices": Ways(values=False, forced=False, told=False),  # places by what the wrong results depend on, alone
    "values": Ways(slices=False, forced=False, told=False),  # places by values that the source does not have, alone
    "both": Ways(forced=False, told=False),
    "neither": Ways(slices=False, values=False, forced=False, told=False),
    "told": Ways(slices=False, values=False, forced=False),  # places by the model's confidence alone
    "untold": Ways(told=False),  # cut by values, as no alignment is told
    "uncut": Ways(cut=False),
    "unforced": Ways(forced=False),  # what is put in comes from templates alone
    "untemplated": Ways(templates=False),  # what is put in is read off values alone
}
BATCH: Final = 64  # faults of which the alignment is asked together


@dataclass(frozen=True)
class Planted:
    """A record's lines broken by faults of ``kinds``. origins: for each line that of the record which it comes from, if any."""

    record: Record
    kinds: list[str]
    lines: list[str]
    origins: list[int | None]


def planted(records: Sequence[Record], number: int) -> Planted | None:
    """Fault ``number``: one, or two where the number is odd.

    None if the record has no place for it, or is right all the same, or nobody knows.
    """
    pick = random.Random(number)
    record = pick.choice(records)
    kinds = [pick.choice(list(FAULTS)) for _ in range(1 + number % 2)]
    lines, origins = list(record.lines), list[int | None](range(len(record.lines)))
    for kind in kinds:
        found = plant(record.problem, lines, FAULTS[kind], pick) if lines else None
        if found is None:
            return None
        lines, origins = found, _carried(origins, lines, found)
    code = assembled(record.problem, lines) if lines else None
    if code is None or not isinstance(verify(record.problem, code), Refuted):
        return None
    return Planted(record, kinds, lines, origins)


def _carried(origins: list[int | None], before: list[str], after: list[str]) -> list[int | None]:
    """``origins`` of the lines after one fault."""
    at = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    if len(after) < len(before):
        return origins[:at] + origins[at + 1 :]
    if len(after) > len(before):
        return [*origins[:at], None, *origins[at:]]
    swapped = before[at : at + 2][::-1] == after[at : at + 2]
    return [*origins[:at], *origins[at : at + 2][::-1], *origins[at + 2 :]] if swapped else origins


def aligned(broken: Sequence[Planted], target: str) -> list[Insight | None]:
    """What a model that aligns without fault would tell of each; None where the truth is not known."""
    found: list[Insight | None] = []
    for one, lesson in zip(broken, taught([b.record.problem for b in broken], target), strict=True):
        if lesson is None or lesson.lines != one.record.lines:
            found.append(None)
            continue
        atoms = [None if origin is None else lesson.origins[origin] for origin in one.origins]
        found.append(Insight(alignment=tuple(tuple(float(atom == own) for own in lesson.atoms) for atom in atoms)))
    return found


def repaired(problem: Problem, lines: Sequence[str], insight: Insight | None, ways: Ways) -> Entry:
    """What came of one repair. right: the verdict on its machine code, asked for anew; None if there is none."""
    started = time.perf_counter()
    found = repair(problem, lines, insight, ways=ways)
    seconds = time.perf_counter() - started
    code = assembled(problem, found.lines) if found.lines is not None else None
    right = None if code is None else isinstance(verify(problem, code), Proved)
    return {"right": right, "tried": found.tried, "places": len(found.steps), "seconds": round(seconds, 3)}


def faults(records: Sequence[Record], target: str, numbers: range, ways: Ways, known: int) -> Iterator[Entry]:
    for start in range(known, len(numbers), BATCH):
        found = {number: planted(records, number) for number in numbers[start : start + BATCH]}
        broken = {number: one for number, one in found.items() if one is not None}
        insights = aligned(list(broken.values()), target) if ways.told and ways.cut else [None] * len(broken)
        told = dict(zip(broken, insights, strict=True))
        for number, one in found.items():
            if one is None:
                yield {"n": number, "kinds": []}
            else:
                entry = {"n": number, "kinds": one.kinds, "level": one.record.level, "aligned": told[number] is not None}
                yield entry | repaired(one.record.problem, one.lines, told[number], ways)


def guesses(records: Sequence[Record], target: str, model: str, ways: Ways, known: int) -> Iterator[Entry]:
    """The model's first guess of each record, repaired where it is not proved."""
    guesser = Guesser(target, model)
    for number, record in enumerate(records[known:], known):
        said = [candidate for candidates in guesser.propose([record.problem]) for candidate in candidates][:1]
        codes = [assembled(record.problem, candidate.lines) for candidate in said]
        entry: Entry = {"n": number, "first": False, "kinds": ["guess"], "level": record.level, "right": None, "seconds": 0.0}
        if any(code is not None and isinstance(verify(record.problem, code), Proved) for code in codes):
            entry = {"n": number, "first": True, "kinds": [], "level": record.level}
        for candidate in () if entry["first"] else said:
            entry |= repaired(record.problem, candidate.lines, candidate.insight, ways)
        yield entry


def table(entries: Sequence[Entry]) -> list[list[object]]:
    """Rows: what, how many of how many, percent with Wilson's interval, seconds (median, 9 of 10), wrongly."""
    broken = [e for e in entries if e["kinds"]]
    rows = [_row("all", broken)]
    rows += [_row(f"{n} place{'s' if n > 1 else ''}", [e for e in broken if len(e["kinds"]) == n]) for n in (1, 2)]
    for kind in (*FAULTS, "guess"):
        rows.append(_row(kind, [e for e in broken if e["kinds"] == [kind]]))
    rows += [_row(level, [e for e in broken if e["level"] == level]) for level in sorted({e["level"] for e in broken})]
    return [row for row in rows if row[1] != "0/0"]


def _row(name: str, entries: Sequence[Entry]) -> list[object]:
    right, seconds = sum(e["right"] is True for e in entries), sorted(e["seconds"] for e in entries) or [0.0]
    low, high = wilson(right, len(entries))
    return [name, f"{right}/{len(entries)}", f"{100 * right / max(1, len(entries)):.1f} ({100 * low:.1f}-{100 * high:.1f})",
            f"{statistics.median(seconds):.2f}", f"{seconds[len(seconds) * 9 // 10]:.2f}",
            sum(e["right"] is False for e in entries)]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--pairs", type=Path, default=ROOT / "datasets" / "pairs" / "sample", help="folder of shards")
    parser.add_argument("--faults", type=int, default=200, help="faults to plant, some of which are none (default 200)")
    parser.add_argument("--first", type=int, default=0, help="number of the first fault (default 0)")
    parser.add_argument("--ways", choices=tuple(WAYS), default="all", help="what the repair may use (default all)")
    parser.add_argument("--model", help="folder of a model: repair its failed guesses instead")
    parser.add_argument("--limit", type=int, default=500, help="with --model: blocks to guess (default 500)")
    options = parser.parse_args()
    for target in options.target or TARGETS:
        records = sample(options.pairs, "test", target, options.limit if options.model else None)
        right = [record for record in records if record.verdict == "proved"]
        ways, name = WAYS[options.ways], Path(options.model).name if options.model else f"faults{options.first or ''}"
        more = (partial(guesses, right, target, options.model, ways) if options.model else
                partial(faults, right, target, range(options.first, options.first + options.faults), ways))  # fmt: skip
        entries = resumed(CACHE / "repair" / f"{options.pairs.name}-{name}-{target}-{options.ways}.jsonl", more)
        if options.model:
            first, whole = sum(e["first"] for e in entries), sum(e["first"] or e["right"] is True for e in entries)
            print(f"{target}: first guess proved {first}/{len(entries)}, with sketch {whole}/{len(entries)}")
        print_table([f"{target}, {options.ways}", "repaired", "% (95%)", "median s", "9 of 10, s", "wrongly"], table(entries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
