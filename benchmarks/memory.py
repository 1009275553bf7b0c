"""The memory that this process's children hold together (proportional set size), sampled."""

from __future__ import annotations

import os
import threading
from pathlib import Path

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
