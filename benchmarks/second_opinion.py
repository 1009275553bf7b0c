"""A nightly command: what Z3 and the normal form say while objects are translated, asked of another solver.

    python benchmarks/second_opinion.py [OBJECT ...] [--target aarch64 riscv64] [--every N] [--seconds S]

Needs Bitwuzla (``pip install -e '.[nightly]'``). A disagreement is a bug: the query is kept in
``.cache/benchmarks/disagreements``, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from pathlib import Path

from harness import CACHE, ROOT, print_table

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import guesssketch
from guesssketch.errors import Untranslatable
from solver import door, second

TARGETS = ("aarch64", "riscv64")
KEPT = CACHE / "disagreements"


class Asking:
    """A listener that asks every Nth query, chosen by its text, and counts what is said."""

    def __init__(self, every: int, seconds: float) -> None:
        self.every, self.seconds = every, seconds
        self.said: Counter[tuple[str, str]] = Counter()

    def __call__(self, text: str, status: str, may_be_spurious: bool) -> None:
        digest = hashlib.sha256(text.encode()).hexdigest()
        if int(digest, 16) % self.every:
            return
        found = second.opinion(text, status, may_be_spurious, self.seconds)
        self.said[status, found] += 1
        if found == "disagrees":
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{status}-{digest[:16]}.smt2").write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", nargs="*", type=Path, metavar="OBJECT", help="default: all of examples/objects")
    parser.add_argument("--target", nargs="*", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="ask one query in N (default 1)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for one query (default 10)")
    options = parser.parse_args()
    asking = Asking(options.every, options.seconds)
    door.listen(asking)
    for target in options.target:
        for path in options.objects or sorted((ROOT / "examples" / "objects").glob("*.o")):
            try:
                guesssketch.translate(path, target, memory_order="tso" if path.name.startswith("threads") else "relaxed")
            except Untranslatable as error:
                print(f"{path}: {error.problems[0]}", file=sys.stderr)
    print_table(["Z3", "Bitwuzla", "queries"], [[*key, number] for key, number in sorted(asking.said.items())])
    return int(any(found == "disagrees" for _, found in asking.said))


if __name__ == "__main__":
    sys.exit(main())
