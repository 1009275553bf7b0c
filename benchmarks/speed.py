"""How long, and how much memory: all of zlib's gcc -O2 objects translated together, with an empty cache and then again.

``python benchmarks/speed.py`` prints seconds cold and warm, the median proof, and the peak of the memory that the
translator and its children held together (proportional set size, sampled), and writes ``.cache/benchmarks/speed.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

from building import build, recipes
from harness import CACHE, TARGETS, FailedError, Translation, print_table, translate
from memory import MemorySampler


def measure(objects: list[Path], target: str, cache: Path, jobs: int) -> tuple[Translation, int]:
    sampler = MemorySampler()
    sampler.start()
    try:
        done = translate(objects, target, CACHE / "speed" / target, "--cache", str(cache), jobs=jobs)
    finally:
        peak = sampler.stop()
    return done, peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="the translator's -j (default 2)")
    options = parser.parse_args()
    objects = build(recipes()["zlib"], "gcc -O2", "pie").groups()[0][1]
    figures: dict[str, dict[str, float]] = {}
    for target in options.target or TARGETS:
        cache = CACHE / "speed" / f"{target}.cache"
        shutil.rmtree(cache, ignore_errors=True)
        try:
            cold, peak = measure(objects, target, cache, options.jobs)
            warm, _ = measure(objects, target, cache, options.jobs)
        except FailedError as error:
            print(error, file=sys.stderr)
            return 1
        figures[target] = {
            "blocks": cold.blocks,
            "proved": cold.proved,
            "cold seconds": round(cold.seconds, 1),
            "warm seconds": round(warm.seconds, 1),
            "median proof, ms": round(1000 * statistics.median(cold.proofs), 1) if cold.proofs else 0,
            "peak MiB": round(peak / 2**20),
        }
    print_table(["zlib, gcc -O2", *next(iter(figures.values()))], [[t, *f.values()] for t, f in figures.items()])
    path = CACHE / "speed.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
