"""Write what ``build.py`` made as JSON lines, gzip shards by target and split: ``python datasets/pairs/export.py OUT FOLDER``.

A line is one pair: ``source`` (normal form: see ``forms.to_text``), ``lines`` (target text), verdict and detail, how often
the form occurs and in how many objects, and where it was first seen.
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from store import SPLITS, Store  # noqa: E402

SHARD = 100_000  # pairs in a file
TARGETS = ("aarch64", "riscv64")


def lines(examples: Iterable[dict[str, object]]) -> Iterator[str]:
    for example in examples:
        record = dict(example)
        record["source"] = json.loads(str(record["source"]))
        record["lines"] = str(record.pop("target_lines")).split("\n") if record["target_lines"] else []
        yield json.dumps(record, separators=(",", ":")) + "\n"


def _write(path: Path, text: Iterable[str], compress: bool) -> None:
    """Whole or not at all; equal text gives equal bytes."""
    temporary = path.with_name(f"{path.name}.partial")
    with temporary.open("wb") as raw:
        if compress:
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed, io.TextIOWrapper(packed, "utf-8") as file:
                file.writelines(text)
        else:
            raw.writelines(line.encode() for line in text)
    temporary.rename(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="what build.py was given")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth pair")
    parser.add_argument("--shorter", action="store_true", help="of a pair, what shorten.py has found in its place")
    parser.add_argument("--plain", action="store_true", help="not compressed")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with closing(Store(options.out / "pairs.sqlite", read_only=True)) as store:
        store.assign_splits()
        for target in TARGETS:
            for split in SPLITS:
                text = lines(itertools.islice(store.examples(split, target, shorter=options.shorter), 0, None, options.every))
                for number in itertools.count():
                    shard = list(itertools.islice(text, SHARD))
                    if not shard:
                        break
                    name = f"{target}-{split}-{number:03}.jsonl{'' if options.plain else '.gz'}"
                    _write(options.folder / name, shard, not options.plain)
                    print(name, len(shard))
    return 0


if __name__ == "__main__":
    sys.exit(main())
