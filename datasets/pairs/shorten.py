"""Let the verifier teach: for pairs of the training split, find translations that are proved and shorter than the teacher's.

    python datasets/pairs/shorten.py OUT [--model FOLDER] [--samples 8] [--limit N] [-j 2] [--hours H]

Candidates are the lowering's at its best and, with ``--model``, texts that a model writes, drawn at random. Of those with fewer
instructions than the pair, the shortest that is proved is kept in OUT/pairs.sqlite, beside the pair; ``export.py --shorter``
puts it in the pair's place. Stopped however it may be, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import forms  # noqa: E402
import judging  # noqa: E402
import workpool  # noqa: E402
from store import Shorter, Store  # noqa: E402

from guesssketch.allowed import strangers  # noqa: E402
from guesssketch.assembler import Assembled, assemble  # noqa: E402
from guesssketch.guess.engine import How  # noqa: E402
from guesssketch.guess.proposer import Guesser, accelerated  # noqa: E402
from guesssketch.judge import verify  # noqa: E402
from guesssketch.lowering import Lowering  # noqa: E402
from guesssketch.problem import Candidate, Problem  # noqa: E402
from solver import gate  # noqa: E402
from solver.verdict import Proved  # noqa: E402

TARGETS = ("aarch64", "riscv64")
BATCH = 150  # pairs that a worker takes at a time
AHEAD = 2048  # pairs for which a model writes together


@dataclass(frozen=True)
class Batch:
    """pairs: (number, text of the problem, lines of its pair). said: candidates for each. memory: folder for what is learnt of
    forms."""

    target: str
    pairs: tuple[tuple[int, str, str], ...]
    said: tuple[tuple[Candidate, ...], ...]
    memory: Path


def run_batch(batch: Batch) -> list[Shorter]:
    """Of each pair the shortest candidate, the lowering's among them, that is proved and shorter than it."""
    gate.use_cache(batch.memory)
    problems = [forms.from_text(body, batch.target) for _, body, _ in batch.pairs]
    lowered = Lowering(batch.target).propose(problems)
    candidates = [[*own, *said] for own, said in zip(lowered, batch.said, strict=True)]
    own = assemble(batch.target, [tuple(lines.split("\n")) for _, _, lines in batch.pairs])
    codes = iter(assemble(batch.target, [c.lines for group in candidates for c in group]))
    found = []
    for (number, _, _), problem, pair, group in zip(batch.pairs, problems, own, candidates, strict=True):
        size = len(pair.instructions) if isinstance(pair, Assembled) else 0
        sized = [(len(code.instructions), candidate, code) for candidate, code in zip(group, codes, strict=False)
                 if isinstance(code, Assembled)]  # fmt: skip
        shorter = sorted((one for one in sized if one[0] < size), key=lambda one: one[0])
        right = (Shorter(number, candidate.proposer, "\n".join(candidate.lines), size - count)
                 for count, candidate, code in shorter if _proved(problem, candidate, code))  # fmt: skip
        found.append(next(right, Shorter(number, "", "", 0)))
    return found


def _proved(problem: Problem, candidate: Candidate, code: Assembled) -> bool:
    if strangers(candidate.lines, problem.symbols, problem.instructions):
        return False
    try:
        with workpool.limit(judging.SECONDS):
            return isinstance(verify(problem, code, rlimit=judging.RLIMIT), Proved)
    except workpool.TimeLimitError:
        return False


def _batches(store: Store, target: str, options: argparse.Namespace, end: float) -> Iterator[Batch]:
    how = How("sample", options.samples, threads=options.jobs)
    guesser = Guesser(target, accelerated(options.model), how) if options.model else None
    pairs = store.unshortened(target, options.limit)
    for start in range(0, len(pairs), AHEAD):
        some = pairs[start : start + AHEAD]
        said: Sequence[Sequence[Candidate]] = [()] * len(some)
        if guesser:
            said = list(guesser.propose([forms.from_text(body, target) for _, body, _ in some]))
        for at in range(0, len(some), BATCH):
            if time.monotonic() > end:
                return
            yield Batch(target, tuple(some[at : at + BATCH]), tuple(map(tuple, said[at : at + BATCH])), options.out / "forms")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="what build.py was given")
    parser.add_argument("--targets", nargs="*", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="ask this model too")
    parser.add_argument("--samples", type=int, default=8, metavar="N", help="texts that the model writes of each (default 8)")
    parser.add_argument("--limit", type=int, metavar="N", help="pairs of each target (default: all)")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--hours", type=float, help="stop (cleanly) after so long")
    options = parser.parse_args(arguments)
    end = time.monotonic() + options.hours * 3600 if options.hours else float("inf")
    with closing(Store(options.out / "pairs.sqlite")) as store:
        store.assign_splits()
        for target in options.targets:
            seen: Counter[str] = Counter()
            saved = 0
            with closing(workpool.ordered(run_batch, _batches(store, target, options, end), options.jobs)) as results:
                for batch, shorter in results:
                    found = shorter if shorter is not None else [Shorter(number, "", "", 0) for number, _, _ in batch.pairs]
                    store.put_shorter(target, found)
                    seen.update(one.proposer or "none" for one in found)
                    saved += sum(one.saved for one in found)
                    print(f"{target}: {seen.total()} pairs, shorter by {dict(seen)}, {saved} instructions saved", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
