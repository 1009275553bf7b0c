"""How long, and how much memory: all of zlib's gcc -O2 objects translated together, with an empty cache and then again.

``python benchmarks/speed.py`` prints seconds cold and warm, the median proof, and the peak of the memory that the
translator and its children held together (proportional set size, sampled), and writes ``.cache/benchmarks/speed.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import threading
from pathlib import Path

from harness import CACHE, TARGETS, FailedError, Translation, print_table, translate
from packages import PROGRAMS, build

SAMPLE_SECONDS = 0.25


class MemorySampler(threading.Thread):
    """Watches all descendants of this process; ``peak`` is the most bytes that they held at one time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._stop_event = threading.Event()

    def run(self) -> None:
        while not self._stop_event.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(_held, _descendants(os.getpid()))))

    def stop(self) -> int:
        self._stop_event.set()
        self.join()
        return self.peak


def _descendants(parent: int) -> list[int]:
    """Process ids below ``parent``; a process that ends meanwhile is left out."""
    found: list[int] = []
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        try:
            children = [int(word) for word in path.read_text(encoding="ascii").split()]
        except OSError:
            continue
        found += [pid for child in children for pid in (child, *_descendants(child))]
    return found


def _held(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


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
    zlib = next(program for program in PROGRAMS if program.package == "zlib")
    objects = build(zlib, "gcc -O2", "pic")[0][:-1]  # the last one is the program's
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
