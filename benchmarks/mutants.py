"""The verifier against mutants: right translations are broken, and none that a state tells apart may be proved.

``python benchmarks/mutants.py --target aarch64 --mutants 5000`` takes proved pairs (of ``--pairs``, by default the sample in the
repository), plants a fault of each kind in turn (``breaking.py``), and asks the prover, behind no filter. Each mutant is run on
many random states in Unicorn. One that differs in any and is proved is a fault of the verifier: it is printed, and the exit status
is 1. Of a wrong order of stores no state tells: there it is the order of the writes that Unicorn sees.

Mutants that are proved and differ in no state must be equal. They are run on more states; Bitwuzla, if it is installed, is asked
what Z3 was asked; and their machine code is laid beside the right one's, without a solver: the same terms in all that is live.
Results are kept in ``.cache/benchmarks/mutants/``, a line for each mutant, and a run takes up where the last one stopped.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


from breaking import KINDS, Broken, Rights, broken  # noqa: E402
from guesssketch.assembler import Assembled, assemble  # noqa: E402
from guesssketch.evaluation.statistics import wilson  # noqa: E402
from guesssketch.judge import LIFTS, prove  # noqa: E402
from guesssketch.problem import Problem  # noqa: E402
from guesssketch.workers import spread  # noqa: E402
from harness import CACHE, TARGETS, Entry, in_order, print_table, resumed  # noqa: E402
from isa import terms as t  # noqa: E402
from isa.statemap import CONDITIONS, FLAGS, MAPS  # noqa: E402
from solver import door  # noqa: E402
from solver.emulate import Trial, compare, source_of  # noqa: E402
from solver.link import Unlinkable  # noqa: E402
from solver.machine import machine  # noqa: E402
from solver.normal import Normalizer  # noqa: E402
from solver.verdict import Proved, Refuted  # noqa: E402

second: Any = importlib.import_module("solver.second") if importlib.util.find_spec("bitwuzla") else None

STATES: Final = 256  # on which each mutant is run
MORE: Final = 1024  # on which one that is proved is run besides, its symbols elsewhere
CHUNK: Final = 45  # mutants made and assembled together
SECONDS: Final = 10  # that Bitwuzla gets for a query
_ORDER_STATES: Final = 20


@dataclass(frozen=True)
class Chunk:
    """Mutants ``first`` to ``last - 1`` of a folder's pairs."""

    folder: Path
    target: str
    limit: int
    first: int
    last: int


@functools.cache
def rights(folder: Path, target: str, limit: int) -> Rights:
    return Rights(folder, target, limit)


def tried(chunk: Chunk) -> list[Entry]:
    """What came of each mutant; ``verdict`` is ``none`` where there is no mutant, or its machine code is the right one's."""
    found = [broken(rights(chunk.folder, chunk.target, chunk.limit), n) for n in range(chunk.first, chunk.last)]
    codes = iter(assemble(chunk.target, [lines for _, one in found if one for lines in (one.lines, one.right.lines)]))
    entries = []
    for number, (kind, one) in enumerate(found, chunk.first):
        entry: Entry = {"n": number, "kind": kind, "verdict": "none"}
        if one is not None:
            code, right = next(codes), next(codes)
            new = code != right or one.problem != one.right.problem
            if new and isinstance(code, Assembled) and isinstance(right, Assembled):
                entry |= judged(one, code, right)
        entries.append(entry)
    return entries


def judged(one: Broken, code: Assembled, right: Assembled) -> Entry:
    """verdict: the prover's. told: what a state showed, if any did. states: on how many it was run without a difference."""
    verdict = prove(one.problem, code)
    said = "proved" if isinstance(verdict, Proved) else "refuted" if isinstance(verdict, Refuted) else "unknown"
    shown = compare(one.problem, code, STATES)
    states, told = shown.states, str(shown.difference.differences[0]) if shown.difference else ""
    if not told and one.problem.order == "tso":
        told = order_told(one.problem, code, right)
    if not told and said == "proved":
        again = compare(one.problem, code, MORE, seed=1)
        states, told = states + again.states, str(again.difference.differences[0]) if again.difference else ""
    entry: Entry = {"verdict": said, "told": told, "states": states}
    if said == "proved":
        entry |= {"source": [i.text for i in one.problem.instructions], "right": one.right.lines, "lines": one.lines}
    return entry


def order_told(problem: Problem, code: Assembled, right: Assembled) -> str:
    """A state in which ``code`` does not write memory in the order in which ``right`` does."""
    source = source_of(problem)
    try:
        trials = [Trial(problem, either, source) for either in (code, right)]
    except Unlinkable:
        return ""
    for number in range(_ORDER_STATES):
        if source.outcome(number).exit is None:
            continue
        runs = [machine(problem.target).run(t.code, t.initial(number), t.read, source.memory_of(number), t.exits) for t in trials]
        if list(runs[0].writes) != list(runs[1].writes):
            return f"bytes are written in another order in state {number}"
    return ""


def mutants(folder: Path, target: str, limit: int, wanted: int, jobs: int, known: int) -> Iterator[Entry]:
    """Entries ``known`` to ``wanted - 1``, in order."""
    chunks = [Chunk(folder, target, limit, first, min(first + CHUNK, wanted)) for first in range(known, wanted, CHUNK)]
    with closing(spread(tried, chunks, jobs)) as done:
        for entries in in_order(done):
            yield from entries


def equals(folder: Path, target: str, limit: int, equal: Sequence[int], known: int) -> Iterator[Entry]:
    """Why each of the mutants ``equal[known:]``, which were proved and told by no state, is equal, as others than Z3 see it.

    second: Bitwuzla's opinion of what was asked. terms: whether it leaves what the right translation leaves; None where the lines
    are the right ones and the question is another.
    """
    for start in range(known, len(equal), CHUNK):
        numbers = equal[start : start + CHUNK]
        found = [broken(rights(folder, target, limit), n) for n in numbers]
        codes = iter(assemble(target, [lines for _, one in found if one for lines in (one.lines, one.right.lines)]))
        for number, (kind, one) in zip(numbers, found, strict=True):
            code, right = next(codes), next(codes)
            assert one and isinstance(code, Assembled) and isinstance(right, Assembled)
            terms = same_terms(one.problem, code, right) if code != right else None
            yield {"n": number, "kind": kind, "second": opinion(one.problem, code), "terms": terms}


def opinion(problem: Problem, code: Assembled) -> str:
    """What Bitwuzla says to all that Z3 was asked, or was spared, in the proof: the least of its answers."""
    if second is None:
        return "not asked"
    heard: list[tuple[str, str, bool]] = []
    door.listen(lambda *query: heard.append(query))
    try:
        prove(problem, code)
    finally:
        door.listen(None)
    said = {second.opinion(*query, SECONDS) for query in heard} or {"no answer"}
    return next(o for o in ("disagrees", "cannot read", "no answer", "agrees") if o in said)


def same_terms(problem: Problem, code: Assembled, right: Assembled) -> bool:
    """Whether both leave the same terms, once they are in normal form, in all that is live, in memory and in the way out."""
    if problem.is_shared:
        return False  # it is the accesses that count
    state = MAPS[problem.target]
    live = {state.homes[name]: 64 if name in FLAGS or name in CONDITIONS else bits for name, bits in problem.live_out}
    live |= dict.fromkeys((*state.reserved, *([state.branch_target] if problem.exit == "indirect" else [])), 64)
    sides = []
    for one in (code, right):
        effect = LIFTS[problem.target](one.instructions, one.size)
        cells = [t.extract(effect.cells.get(home, t.var(home, 64)), 0, bits) for home, bits in live.items()]
        sides.append([effect.memory, t.FALSE if effect.condition is None else effect.condition, *cells])
    both = Normalizer()(*sides[0], *sides[1])
    return both[: len(sides[0])] == both[len(sides[0]) :]


def equal_table(entries: Sequence[Entry]) -> list[list[object]]:
    """Rows: kind, equal mutants, those that Bitwuzla proves, those with the right one's terms, and those with neither."""
    kinds = ["all", *KINDS]
    groups = [[e for e in entries if kind in ("all", e["kind"])] for kind in kinds]
    return [[kind, len(group), sum(e["second"] == "agrees" for e in group), sum(bool(e["terms"]) for e in group),
             sum(e["second"] != "agrees" and not e["terms"] for e in group)]
            for kind, group in zip(kinds, groups, strict=True) if group]  # fmt: skip


def is_wrong(entry: Entry) -> bool:
    return entry["verdict"] == "proved" and bool(entry["told"])


def table(entries: Sequence[Entry]) -> list[list[object]]:
    """Rows: kind, mutants, told apart by a state, of those refuted, unknown and proved (with Wilson's interval, in percent), and of
    the others refuted, unknown and proved."""
    real = [e for e in entries if e["verdict"] != "none"]
    return [_row("all", real), *(_row(kind, [e for e in real if e["kind"] == kind]) for kind in KINDS)]


def _row(name: str, entries: Sequence[Entry]) -> list[object]:
    told, equal = [e for e in entries if e["told"]], [e for e in entries if not e["told"]]
    wrong = sum(map(is_wrong, told))
    low, high = wilson(wrong, len(told))
    counts = [sum(e["verdict"] == verdict for e in group) for group in (told, equal) for verdict in ("refuted", "unknown")]
    return [name, len(entries), len(told), *counts[:2], f"{wrong} ({100 * low:.2f}-{100 * high:.2f}%)", *counts[2:],
            sum(e["verdict"] == "proved" for e in equal)]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--pairs", type=Path, default=ROOT / "datasets" / "pairs" / "sample", help="folder of shards")
    parser.add_argument("--limit", type=int, default=500, help="pairs taken of its test split (default 500)")
    parser.add_argument("--mutants", type=int, default=6000, help="for each target; some have no machine code (default 6000)")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    options = parser.parse_args()
    wrong = 0
    for target in options.target or TARGETS:
        name = f"{options.pairs.name}-{options.limit}-{target}.jsonl"
        more = functools.partial(mutants, options.pairs, target, options.limit, options.mutants, options.jobs)
        entries = resumed(CACHE / "mutants" / name, more)
        print_table([target, "mutants", "told apart", "refuted", "unknown", "proved (95%)", "others: refuted", "unknown", "proved"],
                    table(entries))  # fmt: skip
        same = [e["n"] for e in entries if e["verdict"] == "proved" and not e["told"]]
        why = functools.partial(equals, options.pairs, target, options.limit, same)
        equal = resumed(CACHE / "mutants" / name.replace(".jsonl", "-equal.jsonl"), why)
        print_table([f"{target}, equal", "mutants", "Bitwuzla proves it", "same terms", "neither"], equal_table(equal))
        for entry in (e for e in equal if e["second"] != "agrees" and not e["terms"]):
            print(f"by Z3 alone: {target} {entry['n']} {entry['kind']}: Bitwuzla: {entry['second']}")
        wrong += sum(e["second"] == "disagrees" for e in equal)
        for entry in filter(is_wrong, entries):
            wrong += 1
            print(f"PROVED, AND WRONG: {target} {entry['n']} {entry['kind']}: {entry['told']}\n  " + "\n  ".join(entry["lines"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
