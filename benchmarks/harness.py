"""What the benchmarks share: targets, running commands, calling the translator, results that survive a restart."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "benchmarks"
Entry = dict[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Target:
    """A target as the cross tools call it; ``libraries`` is where its C library lies for a dynamic program."""

    name: str
    compiler: str
    emulator: str
    libraries: str

    def link(self, objects: Sequence[Path | str], program: Path, *flags: str) -> None:
        run([self.compiler, *objects, *flags, "-o", program], timeout=120)

    def command(self, program: Path, *options: str) -> list[str]:
        """How to run ``program`` here; ``options`` are the emulator's."""
        return [self.emulator, "-L", self.libraries, *options, str(program)]


TARGETS = {
    "aarch64": Target("aarch64", "aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu"),
    "riscv64": Target("riscv64", "riscv64-linux-gnu-gcc", "qemu-riscv64", "/usr/riscv64-linux-gnu"),
}


class FailedError(Exception):
    """A command that failed; ``status`` is its exit status, None when it ran out of time; ``said``: its standard error."""

    def __init__(self, what: str, status: int | None = None, said: str = "") -> None:
        self.status = status
        self.said = said
        super().__init__(what)


def require(*commands: str) -> None:
    """Stop the program, naming them, if any of the outside commands is not installed."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")


def run(
    command: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: Path | None = None,
    stdout: Path | None = None,
) -> str:
    """Run a command to its end; gives its standard output ("" if that went to the file ``stdout``).

    Raises:
        FailedError: it exited with another status than 0, by a signal, or took more than ``timeout`` seconds.
    """
    words = [str(word) for word in command]
    shown = " ".join(words[:3]) + (" ..." if len(words) > 3 else "")
    with contextlib.ExitStack() as files:
        source = files.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        sink = files.enter_context(stdout.open("wb")) if stdout else subprocess.PIPE
        try:
            done = subprocess.run(
                words, cwd=cwd, env=env, stdin=source, stdout=sink, stderr=subprocess.PIPE, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise FailedError(f"{shown}: more than {timeout:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise FailedError(f"{shown}: exit {done.returncode}: {said[-2000:]}", done.returncode, said)
    return done.stdout.decode(errors="replace") if done.stdout else ""


@dataclass(frozen=True)
class Translation:
    """What the report said: ``records`` are its blocks."""

    seconds: float
    records: Sequence[Mapping[str, Any]]

    @property
    def blocks(self) -> int:
        return len(self.records)

    @property
    def proved(self) -> int:
        return sum(record["verdict"] == "proved" for record in self.records)

    @property
    def tested(self) -> Counter[str]:
        """How many blocks were only tested, by reason."""
        return Counter(str(record["reason"]) for record in self.records if record["verdict"] == "tested")

    @property
    def proofs(self) -> list[float]:
        """Seconds of each proved block."""
        return [float(record["seconds"]) for record in self.records if record["verdict"] == "proved"]

    def __add__(self, other: Translation) -> Translation:
        """Both; the blocks of objects that were translated twice are counted once."""
        known = {record["object"] for record in self.records}
        new = [record for record in other.records if record["object"] not in known]
        return Translation(self.seconds + other.seconds, [*self.records, *new])


def translate(
    objects: Sequence[Path], target: str, output: Path, *options: str, jobs: int = 1, timeout: float = 3600
) -> Translation:
    """Translate ``objects`` together into the folder ``output``, which also gets ``report.json``.

    Raises:
        FailedError: as `run`; status 3 is a refusal.
    """
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    report = output / "report.json"
    destination = output if len(objects) > 1 else output / objects[0].name
    began = time.monotonic()
    run(
        [sys.executable, "-m", "guesssketch", "translate", *objects, "--target", target, "-o", destination,
         "--report", report, "-j", str(jobs), *options],
        timeout=timeout, cwd=ROOT,
    )  # fmt: skip
    seconds = time.monotonic() - began
    return Translation(seconds, json.loads(report.read_text(encoding="utf-8"))["blocks"])


class Results:
    """Results by key in one JSON file, rewritten whole and atomically after each; safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.entries: dict[str, dict[str, Any]] = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        return found

    def put(self, key: str, entry: dict[str, Any]) -> None:
        self.put_all({key: entry})

    def put_all(self, entries: Mapping[str, dict[str, Any]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._path.with_suffix(".lock").open("w") as locked:
            fcntl.flock(locked, fcntl.LOCK_EX)
            self.entries = {**self._read(), **entries}
            beside = self._path.with_suffix(".new")
            beside.write_text(json.dumps(self.entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(beside, self._path)


def whole_lines(path: Path) -> list[Entry]:
    """What the lines of ``path`` say, after a last one that was cut short is taken away; the file is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    path.write_text("".join(whole), encoding="utf-8")
    return [json.loads(line) for line in whole]


def resumed(path: Path, more: Callable[[int], Iterable[Entry]]) -> list[Entry]:
    """The entries in ``path``, a line each, and those that ``more`` gives from there on, written as they come."""
    entries = whole_lines(path)
    with path.open("a") as file:
        for entry in more(len(entries)):
            file.write(json.dumps(entry) + "\n")
            file.flush()
            entries.append(entry)
    return entries


def in_order(done: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """The results of ``guesssketch.workers.spread`` by number, each as soon as those before it are there."""
    waiting: dict[int, Result] = {}
    following = 0
    for number, result in done:
        waiting[number] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def processor_seconds() -> float:
    """Of this process, and of those that it started and that ended."""
    return sum(os.times()[:4])


def plugin() -> Path:
    """The plugin for QEMU that counts what is run (``guesssketch/testing/coverage.c``), compiled."""
    source = ROOT / "guesssketch" / "testing" / "coverage.c"
    compiled = CACHE / "coverage.so"
    if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        run(["gcc", "-O2", "-shared", "-fPIC", source, "-o", compiled], timeout=60)
    return compiled


def executed(counts: Path) -> int:
    """Instructions that a program executed in its own code, as the plugin wrote it down."""
    pieces = (line.split() for line in counts.read_text(encoding="utf-8").splitlines()[1:])
    return sum(int(count) * int(runs) for _, _, count, runs in pieces)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table, so that it can be pasted into a document as it stands."""
    text = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *text]) for i in range(len(header))]
    for row in [list(header), ["-" * width for width in widths], *text]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")


def mixed_data(path: Path, size: int) -> Path:
    """Write ``size`` bytes, the same each time: prose, records of numbers, noise and long runs, in turns of 64 KiB."""
    if path.exists() and path.stat().st_size == size:
        return path
    rng = random.Random(20240501)
    words = ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randint(1, 9))) for _ in range(4000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    chunk = 1 << 16

    def prose() -> bytes:
        return " ".join(rng.choices(words, weights, k=chunk // 3)).encode()

    def records() -> bytes:
        start = rng.randrange(1 << 20)
        return b"".join(struct.pack("<IhHd", start + i, i % 97 - 48, 7 * i & 0xFFFF, i / 8) for i in range(chunk // 16))

    def noise() -> bytes:
        return rng.randbytes(chunk)

    def runs() -> bytes:
        return b"".join(bytes([rng.randrange(4)]) * rng.randint(1, 2000) for _ in range(chunk // 900))

    data = bytearray()
    kinds = (prose, records, noise, runs)
    while len(data) < size:
        data += kinds[len(data) // chunk % len(kinds)]().ljust(chunk, b"\n")[:chunk]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[:size])
    return path
