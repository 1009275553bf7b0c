"""How good ``guesssketch test`` is: what it covers, whether it raises false alarms, and which planted faults it finds.

    python benchmarks/testing.py functions --package zlib --level O2 --minutes 10 -j 2 [--no-solver] [--no-guided]
    python benchmarks/testing.py faults --faults 500 --seconds 60

``functions`` runs every function of the packages beside its translation by the lowering, which is proved: any difference is a
false alarm, or a fault of what stands around the proofs, and the exit status is 1. ``--minutes`` is for each package, level and
target, shared among its functions; ``--seconds`` and ``--runs`` are for each function. ``faults`` changes one instruction in a
finished translation, so that a state is known that shows it, in functions taken by chance, and looks for it. Nothing is known
beforehand: there are no seeds and no corpus. Results are kept in ``.cache/benchmarks/testing/``, a line for each function or
fault, and a run takes up where the last one stopped; ``--show`` runs nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from guesssketch.evaluation.statistics import share  # noqa: E402
from guesssketch.sketch.faults import FAULTS  # noqa: E402
from guesssketch.testing.explore import Found, Limits  # noqa: E402
from guesssketch.testing.rounds import Task, explore  # noqa: E402
from guesssketch.workers import spread  # noqa: E402
from harness import CACHE, TARGETS, print_table, whole_lines  # noqa: E402
from planting import judged  # noqa: E402
from subjects import EXAMPLES, Subject, all_subjects, extent, ready  # noqa: E402

PACKAGES = ("zlib", "bzip2", "lua5.4")
LEVELS = ("O0", "O2")
FOLDER = CACHE / "testing"

Entry = dict[str, Any]


def kept(path: Path, entries: Iterable[Entry], count: int) -> None:
    """Add ``entries``, ``count`` of them, to the lines of ``path``, as they are done."""
    with path.open("a", encoding="utf-8") as file:
        for number, entry in enumerate(entries, 1):
            file.write(json.dumps(entry) + "\n")
            file.flush()
            if number % 10 == 0 or number == count:
                print(f"{path.stem}: {number} of {count}", file=sys.stderr, flush=True)


# --- functions --------------------------------------------------------------------------------------------------------


def told(subject: Subject, found: Found) -> Entry:
    """What came of one function of ``subject``."""
    shown = None
    if found.difference is not None:
        shown = {"input": found.difference[0].to_json(), "differences": [str(d) for d in found.difference[1].differences[:4]]}
    return {"key": subject.key, "function": found.name, "runs": found.runs, "seconds": round(found.seconds, 2),
            "statuses": found.statuses, "why": found.why, "solved": found.solved, "difference": shown,
            "blocks": sorted(found.covered.blocks), "edges": sorted(found.covered.edges)}  # fmt: skip


def functions(options: argparse.Namespace) -> list[Entry]:
    """The entries of every subject (``function`` None: what it holds) and function."""
    limits = Limits(options.seconds, options.runs or Limits.runs, options.seed, options.guided, options.solver)
    way = f"{'' if limits.guided else '-unguided'}{'' if limits.solver else '-unsolved'}"
    box = f"{options.minutes:g}min" if options.minutes else f"{options.runs}runs" if options.runs else f"{options.seconds:g}s"
    entries: list[Entry] = []
    for package in options.package or PACKAGES:
        for level in options.level or LEVELS:
            for target in options.target or TARGETS:
                path = FOLDER / f"functions-{package}-{level}-{target}-{box}-{options.seed}{way}.jsonl"
                if not options.show:
                    _functions(path, list(all_subjects([package], [level], [target])), limits, options)
                entries += [{**entry, "group": f"{package} {level} {target}"} for entry in whole_lines(path)]
    return entries


def _functions(path: Path, objects: Sequence[Subject], limits: Limits, options: argparse.Namespace) -> None:
    done = {(entry["key"], entry["function"]) for entry in whole_lines(path)}
    tasks: list[tuple[Subject, str]] = []
    for subject in objects:
        made = ready(subject)
        tasks += [(subject, tested.name) for tested in made.functions]
        if (subject.key, None) not in done:
            blocks, edges = extent(made)
            about = {"key": subject.key, "function": None, "all_blocks": blocks, "all_edges": edges, "left_out": made.left_out}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(about) + "\n")
    left = [(subject, name) for subject, name in tasks if (subject.key, name) not in done]
    box = 60 * options.minutes * options.jobs * len(left) / max(len(tasks), 1) if options.minutes else None
    with closing(explore([Task(subject.stored, name) for subject, name in left], limits, options.jobs, box)) as results:
        kept(path, (told(left[number][0], found) for number, found in results), len(left))


def functions_table(entries: Sequence[Entry]) -> list[list[object]]:
    """Rows: package, level and target; functions tested, left out; runs, compared; blocks, edges; undecided; different."""
    rows: list[list[object]] = []
    for group in dict.fromkeys(entry["group"] for entry in entries):
        own = [entry for entry in entries if entry["group"] == group]
        objects, tested = [e for e in own if e["function"] is None], [e for e in own if e["function"] is not None]
        blocks = {(e["key"], *spot) for e in tested for spot in e["blocks"]}
        edges = {(e["key"], *map(tuple, edge)) for e in tested for edge in e["edges"]}
        all_blocks, all_edges = (sum(e[what] for e in objects) for what in ("all_blocks", "all_edges"))
        statuses = sum((Counter(e["statuses"]) for e in tested), Counter[str]())
        rows.append([group, len(tested), sum(len(e["left_out"]) for e in objects), f"{statuses.total():,}",
                     f"{statuses['equal'] + statuses['different']:,}",
                     _percent(len(blocks), all_blocks), _percent(len(edges), all_edges),
                     sum(not e["statuses"].get("equal") and not e["difference"] for e in tested),
                     sum(e["difference"] is not None for e in tested), f"{sum(e['seconds'] for e in tested):,.0f}"])  # fmt: skip
    return rows


def _percent(covered: int, of: int) -> str:
    return f"{covered}/{of} ({100 * covered / max(of, 1):.1f}%)"


# --- faults -----------------------------------------------------------------------------------------------------------


def faults(options: argparse.Namespace) -> list[Entry]:
    """The entries of the faults up to number ``options.faults``, of those that could be planted."""
    packages, levels, targets = (list(chosen or every) for chosen, every in
                                 ((options.package, PACKAGES), (options.level, LEVELS), (options.target, TARGETS)))  # fmt: skip
    path = FOLDER / f"faults-{'-'.join([*packages, *levels, *targets])}-{options.seconds:g}s.jsonl"
    entries = {entry["n"]: entry for entry in whole_lines(path)}
    if not options.show:
        places = [(subject, made.program.functions[0][tested.index].name)
                  for subject in all_subjects(packages, levels, targets) for made in (ready(subject),) for tested in made.functions]
        drawn = [(number, *random.Random(number).choice(places)) for number in range(options.faults)]
        tasks = sorted((task for task in drawn if task[0] not in entries), key=lambda task: (task[1].key, task[0]))
        with closing(spread(partial(judged, options.seconds), tasks, options.jobs)) as done:
            kept(path, (entry for _, entry in done), len(tasks))
        entries = {entry["n"]: entry for entry in whole_lines(path)}
    return [entry for number, entry in sorted(entries.items()) if number < options.faults and entry["kind"]]


def faults_table(entries: Sequence[Entry]) -> list[list[object]]:
    """Rows: kind, found of how many, percent with Wilson's interval, median seconds; of the escaped, how many were never run."""
    rows: list[list[object]] = []
    groups = [("all", entries), ("not in upper halves alone", [e for e in entries if not e["upper"]])]
    groups += [(kind, [e for e in entries if e["kind"] == kind]) for kind in FAULTS]
    groups += [(name, [e for e in entries if e["key"].startswith(f"{name}/")]) for name in (*PACKAGES, EXAMPLES)]
    groups += [(target, [e for e in entries if f"/{target}/" in e["key"]]) for target in TARGETS]
    for name, some in groups:
        if some:
            escaped = [e for e in some if not e["found"]]
            seconds = sorted(e["seconds"] for e in some if e["found"]) or [0.0]
            rows.append([name, f"{len(some) - len(escaped)}/{len(some)}", share([e["found"] for e in some]),
                         f"{seconds[len(seconds) // 2]:.2f}", sum(not e["reached"] for e in escaped),
                         sum(e["reached"] for e in escaped)])  # fmt: skip
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("functions", "faults"))
    parser.add_argument("--package", choices=(*PACKAGES, EXAMPLES), action="append", help=f"default: {', '.join(PACKAGES)}")
    parser.add_argument("--level", choices=LEVELS, action="append", help="of gcc (default: both)")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--minutes", type=float, metavar="X", help="for each package, level and target, on all workers")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="X", help="for each function (default 60)")
    parser.add_argument("--runs", type=int, metavar="N", help="for each function, at most")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all inputs (default 0)")
    parser.add_argument("--no-solver", dest="solver", action="store_false", help="without Z3")
    parser.add_argument("--no-guided", dest="guided", action="store_false", help="without coverage that steers")
    parser.add_argument("--faults", type=int, default=500, metavar="N", help="to plant (default 500)")
    parser.add_argument("--show", action="store_true", help="run nothing, print what is there")
    parser.add_argument("-j", "--jobs", type=int, default=2, metavar="N", help="worker processes (default 2)")
    options = parser.parse_args(arguments)
    if options.what == "faults":
        found = faults(options)
        print_table(["faults", "found", "% (95%)", "median s", "escaped, never run", "escaped, run"], faults_table(found))
        for entry in found:
            if not entry["found"]:
                print(f"escaped: {entry['n']}: {entry['key']} {entry['function']}+{entry['block']:#x} ({entry['kind']}, "
                      f"{'run' if entry['reached'] else 'never run'}): {entry['change']}")  # fmt: skip
        return 0
    found = functions(options)
    print_table(["objects", "tested", "left out", "runs", "compared", "blocks", "edges", "undecided", "different", "s"],
                functions_table(found))  # fmt: skip
    alarms = [entry for entry in found if entry.get("difference")]
    for entry in alarms:
        print(f"DIFFERENT {entry['key']} {entry['function']}: {'; '.join(entry['difference']['differences'])} on "
              f"{json.dumps(entry['difference']['input'])}")  # fmt: skip
    return int(bool(alarms))


if __name__ == "__main__":
    sys.exit(main())
