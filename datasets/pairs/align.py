"""Write the truth of alignments for exported pairs: ``python datasets/pairs/align.py FOLDER -o truth.jsonl.gz --split test``.

FOLDER is what ``export.py`` wrote. The lowering is run again, with positions (``guesssketch.lowering.positions``); pairs
whose lines it no longer makes are left out. A line of the result has ``target``, ``split``, ``source`` (``s``, ``exit``,
``out`` and ``symbols`` of the pair: what a model sees), ``lines``, and ``positions``: for each line the indices of source
instructions, an empty list where there is no truth.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import export  # noqa: E402
from store import SPLITS  # noqa: E402

from guesssketch.guess.dataset import read_shard  # noqa: E402
from guesssketch.guess.records import problem_of  # noqa: E402
from guesssketch.lowering.positions import positions  # noqa: E402

BATCH = 150  # pairs in one run of the lowering
SHOWN = ("s", "exit", "out", "symbols")


def aligned(records: Iterator[dict[str, Any]], target: str, counts: Counter[str]) -> Iterator[dict[str, object]]:
    """The truth of pairs for ``target``; ``counts`` is told of pairs, those left out, lines, and lines with a truth."""
    while batch := list(itertools.islice(records, BATCH)):
        placed = positions([problem_of(record["source"], target) for record in batch], target, "canonical")
        for record, found in zip(batch, placed, strict=True):
            counts["pairs"] += 1
            if found is None or list(found[0]) != record["lines"]:
                counts["no positions" if found is None else "other lines"] += 1
                continue
            counts["lines"] += sum(not line.endswith(":") for line in found[0])
            counts["lines with a truth"] += sum(map(bool, found[1]))
            yield {
                "target": target,
                "split": record["split"],
                "source": {name: record["source"][name] for name in SHOWN},
                "lines": record["lines"],
                "positions": [sorted(numbers) for numbers in found[1]],
            }


def _records(folder: Path, target: str, split: str) -> Iterator[dict[str, Any]]:
    """The pairs that have lines; a block may need none."""
    for path in sorted(folder.glob(f"{target}-{split}-*.jsonl*")):
        yield from (record for record in read_shard(path) if record["lines"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--limit", type=int, default=2000, metavar="N", help="pairs looked at, for each target")
    options = parser.parse_args()
    made: list[str] = []
    for target in export.TARGETS:
        counts: Counter[str] = Counter()
        records = itertools.islice(_records(options.folder, target, options.split), options.limit)
        made += [json.dumps(x, separators=(",", ":")) + "\n" for x in aligned(records, target, counts)]
        print(target, ", ".join(f"{name}: {number}" for name, number in counts.items()))
    text = "".join(made).encode()
    options.output.write_bytes(gzip.compress(text, mtime=0) if options.output.suffix == ".gz" else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
