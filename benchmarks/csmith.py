"""Random programs: csmith writes them, gcc and the translator must agree on the checksum that they print.

Each case is a seed, a level and a target. The x86-64 program is run natively for the checksum to expect; seeds whose
program takes more than 2 s, or on which gcc's own levels disagree, are skipped. A case that came out ok or was
skipped is not run again. The programs are small, so that many can be had, and of several kinds (``PROFILES``), which
take turns by seed. Results: ``.cache/benchmarks/csmith.json``; sources and objects of what is not ok or skipped are
kept beside it, in ``csmith/SEED``.

A process of its own translates many programs (``-j`` such processes): starting Python takes longer than most proofs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

from harness import CACHE, ROOT, TARGETS, FailedError, Results, require, run

HEADERS = Path("/usr/include/csmith")
LEVELS = ("-O0", "-O1", "-O2", "-O3")
NATIVE_TIMEOUT = 2  # seconds of processor time: a busy machine must not decide which programs serve
EMULATED_TIMEOUT = 100
TRANSLATION_TIMEOUT = 900
SEEDS_A_PROCESS = 40  # then it is replaced: what it remembers only grows
DONE = ("ok", "skipped")
ANSWERS = CACHE / "csmith-answers"  # proofs, shared by all processes


@dataclass(frozen=True)
class Profile:
    """A kind of program: csmith's options, and what compiles the language that it then writes."""

    name: str
    options: str
    compiler: str = "gcc"

    @property
    def suffix(self) -> str:
        return ".cc" if self.compiler == "g++" else ".c"


PROFILES = (
    Profile("small", "--max-funcs 4 --max-block-depth 3 --max-expr-complexity 6"),
    Profile("deep", "--max-funcs 2 --max-block-depth 5 --max-pointer-depth 4"),
    Profile("floats", "--max-funcs 4 --max-block-depth 3 --float"),
    Profile("plain", "--max-funcs 4 --max-block-depth 3 --no-bitfields --no-packed-struct --no-volatiles"),
    Profile("builtins", "--max-funcs 4 --max-block-depth 3 --builtins --disable-builtin-kinds x86"),
    Profile("cpp", "--max-funcs 3 --max-block-depth 3 --lang-cpp --cpp11", "g++"),
)


class SkippedError(Exception):
    """The seed's program cannot serve as a test, for the reason given."""


@dataclass(frozen=True)
class Task:
    """One seed's open cases: (level, target) by the key of their result."""

    seed: int
    profile: Profile
    cases: dict[str, tuple[str, str]]

    @property
    def folder(self) -> Path:
        return CACHE / "csmith" / str(self.seed)


def prepare(task: Task) -> tuple[dict[str, Path], str]:
    """Generate and compile at all levels; gives the objects, and the line that the program prints."""
    task.folder.mkdir(parents=True, exist_ok=True)
    source = task.folder / f"program{task.profile.suffix}"
    run(["csmith", *task.profile.options.split(), "--seed", str(task.seed), "--output", source], timeout=60, cwd=task.folder)
    objects, printed = {}, set()
    for level in LEVELS:
        compiled, program = task.folder / f"program{level}.o", task.folder / f"program{level}"
        run([task.profile.compiler, level, "-g", "-w", "-I", HEADERS, "-c", source, "-o", compiled], timeout=120)
        run([task.profile.compiler, compiled, "-o", program], timeout=60)
        try:
            printed.add(run(["bash", "-c", f'ulimit -t {NATIVE_TIMEOUT}; exec "$0"', program], timeout=60 * NATIVE_TIMEOUT))
        except FailedError as error:
            raise SkippedError(str(error)) from None
        objects[level] = compiled
    if len(printed) > 1:
        raise SkippedError("the native programs disagree")
    return objects, printed.pop()


def judge(compiled: Path, target: str, compiler: str, expected: str) -> dict[str, Any]:
    """Translate, link, run and compare: an entry of the results."""
    from guesssketch import translate
    from guesssketch.errors import GuessSketchError, InputError

    output = compiled.with_suffix(f".{target}.o")
    began = time.monotonic()
    try:
        done = translate(compiled, target, cache=ANSWERS)
        done.write(output)
    except InputError as error:
        return {"status": "refused", "why": str(error)}
    except GuessSketchError as error:
        return {"status": "failed", "why": str(error)}
    verdicts, seconds = done.report.verdicts(), round(time.monotonic() - began, 2)
    entry: dict[str, Any] = {"blocks": verdicts.total(), "proved": verdicts["proved"], "seconds": seconds}
    if tested := Counter(block.reason for block in done.report.tested()):
        entry["tested"] = tested
    try:
        program = compiled.with_suffix(f".{target}")
        run([TARGETS[target].compiler.replace("gcc", compiler), output, "-static", "-o", program], timeout=120)
        printed = run(TARGETS[target].command(program), timeout=EMULATED_TIMEOUT)
    except FailedError as error:
        return entry | {"status": "failed", "why": str(error)}
    if printed != expected:
        return entry | {"status": "wrong", "why": f"{printed.strip()!r} is not {expected.strip()!r}"}
    return entry | {"status": "ok"}


def work(task: Task) -> dict[str, dict[str, Any]]:
    """The results of one seed's cases. Its folder goes if there is nothing to look into."""
    entries: dict[str, dict[str, Any]] = {}
    try:
        objects, expected = prepare(task)
        for key, (level, target) in task.cases.items():
            with _limit(TRANSLATION_TIMEOUT):
                entries[key] = judge(objects[level], target, task.profile.compiler, expected)
    except SkippedError as error:
        entries = {key: {"status": "skipped", "why": str(error)} for key in task.cases}
    except Exception as error:  # whatever goes wrong is a result, and the next seed is another matter
        why = f"{type(error).__name__}: {error}"
        entries |= {key: {"status": "failed", "why": why} for key in task.cases if key not in entries}
    if all(entry["status"] in DONE for entry in entries.values()):
        shutil.rmtree(task.folder, ignore_errors=True)
    return entries


class _limit:  # noqa: N801 (reads like a function)
    """A context that raises FailedError if it takes longer than ``seconds``."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        def late(number: int, frame: FrameType | None) -> None:
            raise FailedError(f"more than {self.seconds} s")

        signal.signal(signal.SIGALRM, late)
        signal.alarm(self.seconds)

    def __exit__(self, *exception: object) -> None:
        signal.alarm(0)


def _begin() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)


def run_all(tasks: Iterable[Task], jobs: int) -> Iterator[tuple[Task, dict[str, dict[str, Any]]]]:
    """Each task with its entries, as they are done. A task whose process dies twice, the second time alone in it, failed."""
    again: list[Task] = []
    waiting = iter(tasks)
    while True:
        pending: dict[Future[dict[str, dict[str, Any]]], Task] = {}
        with ProcessPoolExecutor(jobs, get_context("spawn"), _begin, max_tasks_per_child=SEEDS_A_PROCESS) as pool:
            for task in waiting:
                pending[pool.submit(work, task)] = task
                if len(pending) > 2 * jobs:
                    yield from _finished(pending, again)
                if again:
                    break
            while pending:
                yield from _finished(pending, again)
        if not again:
            return
        while again:
            task = again.pop()
            try:
                with ProcessPoolExecutor(1, get_context("spawn"), _begin) as pool:
                    yield task, pool.submit(work, task).result()
            except BrokenProcessPool:
                yield task, {key: {"status": "failed", "why": "the process died"} for key in task.cases}


def _finished(
    pending: dict[Future[dict[str, dict[str, Any]]], Task], again: list[Task]
) -> Iterator[tuple[Task, dict[str, dict[str, Any]]]]:
    """Wait for at least one of ``pending``; those whose process died go to ``again``."""
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        task = pending.pop(future)
        try:
            yield task, future.result()
        except BrokenProcessPool:
            again.append(task)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, default=2000, help="how many seeds (default 2000)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--level", choices=LEVELS, action="append", help="default: all four")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin no seed after this time")
    parser.add_argument("--again", action="store_true", help="run everything anew")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args()
    levels, targets = options.level or list(LEVELS), options.target or list(TARGETS)
    compilers = {profile.compiler for profile in PROFILES}
    require("csmith", *compilers, *(TARGETS[t].compiler.replace("gcc", c) for t in targets for c in compilers),
            *(TARGETS[t].emulator for t in targets))  # fmt: skip
    results = Results(CACHE / "csmith.json")
    began = time.monotonic()
    chosen: list[str] = []

    def tasks() -> Iterator[Task]:
        for seed in range(options.first, options.first + options.count):
            profile = PROFILES[seed % len(PROFILES)]
            cases = {f"{seed:06}.{profile.name}{level}/{target}": (level, target) for level in levels for target in targets}
            chosen.extend(cases)
            todo = {k: c for k, c in cases.items() if options.again or results.entries.get(k, {}).get("status") not in DONE}
            if todo and time.monotonic() - began < 3600 * options.hours:
                yield Task(seed, profile, todo)

    ran = 0
    for task, entries in run_all(tasks(), options.jobs):
        results.put_all(entries)
        ran += len(entries)
        said = Counter(entry["status"] for entry in entries.values())
        rate = 60 * ran / (time.monotonic() - began)
        print(f"{task.seed} {task.profile.name}: {dict(said)}, {rate:.0f} cases a minute", file=sys.stderr, flush=True)

    entries = {key: results.entries[key] for key in sorted(chosen) if key in results.entries}
    counts = Counter(entry["status"] for entry in entries.values())
    reasons: Counter[str] = Counter()
    for key, entry in entries.items():
        reasons.update(entry.get("tested", {}))
        if entry["status"] not in DONE:
            print(f"{entry['status']} {key}: {entry['why']}")
    blocks, proved = (sum(entry.get(what, 0) for entry in entries.values()) for what in ("blocks", "proved"))
    print(", ".join(f"{counts[status]} {status}" for status in ("ok", "wrong", "refused", "failed", "skipped")), end="")
    print(f", {len(chosen) - len(entries)} not run")
    print(f"{blocks} blocks, {proved} proved")
    for reason, count in reasons.most_common():
        print(f"tested {count}: {reason}")
    return 1 if counts["wrong"] or counts["failed"] or counts["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
