"""``guesssketch evaluate programs``: whole C programs compiled, translated, linked, run and compared.

A *trial* is one program by one compiler at one level for one target, and every trial counts, however it ends. A program is right
if all its runs are; the truth of a run is what its suite expects, and where it says nothing what the original does here.
"""

from __future__ import annotations

import functools
import hashlib
import queue
import re
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from guesssketch import PROPOSERS, pipeline
from guesssketch.errors import InputError, ToolError, UsageError
from guesssketch.evaluation import toolchain
from guesssketch.evaluation.kept import Entry, Kept, digest
from guesssketch.evaluation.program_figures import RIGHT, measured
from guesssketch.evaluation.suite import Case, Program, Suite, read
from guesssketch.evaluation.toolchain import BuildError
from guesssketch.guess.proposer import NAME, SHIPPED, check, identity
from guesssketch.problem import MemoryOrder
from guesssketch.progress import Tell, quiet
from guesssketch.testing.programs import Done, differing, emulator, execute
from guesssketch.workers import Alone, make_proposers

LEVELS: Final = ("-O0", "-O1", "-O2", "-O3")
COMPILERS: Final = (toolchain.COMPILER,)
SECONDS: Final = 900.0  # for a translation
SLOWER: Final = 10  # an emulated run may take so many times as long
FRESH: Final = 40  # translations by one process: what it remembers only grows
_WORST: Final = ("differs", "crashed", "timed out", "original fails", RIGHT)


@dataclass(frozen=True)
class Settings:
    """suite: folder or manifest. compilers: commands that make x86-64 objects. flags: for them, as well as the level and what the
    suite asks for. link: for all linkers. proposers, model, memory_order: as in ``pipeline.Options``. seconds: for each
    translation, which is a fault if it takes longer. limit: programs, evenly spread, None for all. jobs: trials at once.
    cache: see ``pipeline.Options``. results: file in which results are kept as they come and from which those that still hold are
    taken; None for none. again: take none.
    """

    suite: Path
    targets: tuple[str, ...] = ("aarch64", "riscv64")
    levels: tuple[str, ...] = LEVELS
    compilers: tuple[str, ...] = COMPILERS
    flags: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    proposers: tuple[str, ...] = PROPOSERS
    model: Path | str | None = None
    memory_order: MemoryOrder = "relaxed"
    seconds: float = SECONDS
    limit: int | None = None
    jobs: int = 2
    cache: Path | None = None
    results: Path | None = None
    again: bool = False
    progress: Tell = quiet


class Trial(NamedTuple):
    program: Program
    compiler: str
    level: str
    target: str


@dataclass(frozen=True)
class _Task:
    """One translation, for a worker process."""

    objects: tuple[Path, ...]
    output: Path
    options: pipeline.Options


def run(settings: Settings) -> Entry:
    """The report, ready for JSON: ``program_figures.measured`` tells of it.

    Translations are made by processes of their own, so a script that calls this needs a main module that can be imported
    (``if __name__ == "__main__"``).

    Raises UsageError and InputError for what is wrong with the suite, and ToolError for a compiler or emulator that is not there.
    """
    digest.cache_clear()
    suite = read(settings.suite)
    programs = suite.programs
    if settings.limit and settings.limit < len(programs):
        programs = tuple(programs[n * len(programs) // settings.limit] for n in range(settings.limit))
    programs = tuple(replace(program, flags=(*program.flags, *settings.flags), link=(*program.link, *settings.link))
                     for program in programs)  # fmt: skip
    for target in settings.targets:
        make_proposers(settings.proposers, target)
        emulator(target)
    if NAME in settings.proposers:
        check(settings.model or SHIPPED)
    emulator("x86_64")
    trials = [Trial(program, compiler, level, target) for program in programs for compiler in settings.compilers
              for level in settings.levels for target in settings.targets]  # fmt: skip
    identified = _Identities(suite, settings)
    kept = Kept(settings.results, settings.again)
    keys = [identified.key(trial) for trial in trials]
    entries = [kept.get(key) for key in keys]
    groups: dict[tuple[str, str, str], list[int]] = {}
    for n, trial in enumerate(trials):
        if entries[n] is None:
            groups.setdefault((trial.program.name, trial.compiler, trial.level), []).append(n)
    done = len(trials) - sum(map(len, groups.values()))
    settings.progress("programs", done, len(trials))
    numbers = list(groups.values())
    for index, found in _all([[trials[n] for n in group] for group in numbers], suite, settings):
        for n, entry in zip(numbers[index], found, strict=True):
            kept.put(keys[n], entry)
            entries[n] = entry
        done += len(found)
        settings.progress("programs", done, len(trials))
    told = [_named(trial) | (entry or {}) for trial, entry in zip(trials, entries, strict=True)]
    report = measured(told, settings.targets, settings.compilers, settings.levels, programs)
    options = {"proposers": list(settings.proposers), "memory_order": settings.memory_order,
               "model": None if settings.model is None else str(settings.model),
               "compilers": {name: toolchain.version(name) for name in settings.compilers}}  # fmt: skip
    left_out = [path.relative_to(suite.folder).as_posix() for path in suite.left_out]
    return {"suite": str(settings.suite), "options": options, **report, "left_out": left_out}


def _named(trial: Trial) -> Entry:
    return {"program": trial.program.name, "compiler": trial.compiler, "level": trial.level, "target": trial.target}


class _Identities:
    """Everything but the sources that a trial's result may depend on."""

    def __init__(self, suite: Suite, settings: Settings) -> None:
        self.suite = suite
        asked = (settings.proposers, identity(settings.model or SHIPPED) if NAME in settings.proposers else "")
        self.common = (_ours(), asked, settings.memory_order, {t: toolchain.linker(t) for t in settings.targets})

    def key(self, trial: Trial) -> str:
        program = trial.program
        inputs = [digest(path) for case in program.cases for path in case.run.inputs]
        told = (self.common, program, inputs, trial.compiler, toolchain.version(trial.compiler), trial.level, trial.target)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


@functools.cache
def _ours() -> str:
    """Hash of this project's own files."""
    root = Path(__file__).parents[2]
    files = sorted(path for name in ("isa", "solver", "guesssketch") for path in (root / name).rglob("*")
                   if path.suffix in (".py", ".json", ".s", ".c", ".S") and SHIPPED not in path.parents)  # fmt: skip
    return hashlib.sha256("".join(digest(path) for path in files).encode()).hexdigest()[:16]


# --- trials -----------------------------------------------------------------------------------------------------------


def _all(groups: Sequence[Sequence[Trial]], suite: Suite, settings: Settings) -> Iterator[tuple[int, list[Entry]]]:
    """(n, the entries of ``groups[n]``) as they are done; the trials of a group differ in their target only."""
    if not groups:
        return
    workers = [Alone(FRESH) for _ in range(settings.jobs)]
    idle: queue.SimpleQueue[Alone] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def tried(group: Sequence[Trial]) -> list[Entry]:
        worker = idle.get()
        try:
            return _tried(group, suite, settings, worker)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(settings.jobs) as threads:
        futures = {threads.submit(tried, group): n for n, group in enumerate(groups)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.close()


def _tried(group: Sequence[Trial], suite: Suite, settings: Settings, worker: Alone) -> list[Entry]:
    """One program by one compiler at one level: the original is built and run once."""
    program, compiler, level, _ = group[0]
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as name:
        folder = Path(name)
        made_of: set[Path] = set()
        objects = tuple(folder / f"{n}-{source.stem}.o" for n, source in enumerate(program.sources))
        try:
            for source, output in zip(program.sources, objects, strict=True):
                flags = (level, *program.flags)
                made_of |= toolchain.compile_source(source.resolve(), compiler, flags, output, suite.folder.resolve())
            toolchain.link_original(objects, compiler, program.link, folder / "original", suite.folder.resolve())
        except BuildError as error:
            made_of |= set(program.sources)
            return [_entry("does not compile", str(error), made_of) for _ in group]
        originals = [execute(folder / "original", "x86_64", case.run) for case in program.cases]
        found = []
        for trial in group:
            task = _Task(objects, folder / trial.target, pipeline.Options(
                trial.target, jobs=1, cache=settings.cache, proposers=settings.proposers, model=settings.model,
                memory_order=settings.memory_order))  # fmt: skip
            found.append(_entry("", "", made_of) | _translated_and_run(trial, task, originals, suite, worker, settings.seconds))
    return found


def _entry(kind: str, why: str, made_of: set[Path]) -> Entry:
    return {"kind": kind, "why": why, "made_of": {str(path): digest(path) for path in sorted(made_of)}}


def _translated_and_run(trial: Trial, task: _Task, originals: Sequence[Done], suite: Suite, worker: Alone, seconds: float) -> Entry:
    started = time.monotonic()
    try:
        entry = worker.run(_translated, task, seconds)
    except ToolError as error:
        return {"kind": "fault", "why": str(error)}
    entry["seconds"] = round(time.monotonic() - started, 2)
    if entry["kind"]:
        return entry
    program = task.output / "program"
    try:
        objects = [task.output / path.name for path in task.objects]
        toolchain.link_translation(objects, trial.target, trial.program.link, program, suite.folder.resolve())
    except BuildError as error:
        return entry | {"kind": "not linked", "why": str(error)}
    runs = []
    for case, original in zip(trial.program.cases, originals, strict=True):
        known = case.expected is not None or original.status is not None  # else nothing tells what is right
        done = execute(program, trial.target, replace(case.run, timeout=SLOWER * case.run.timeout)) if known else original
        kind, why = compared(case, original, done)
        runs.append({"name": case.name, "kind": kind, "why": why, "truth": "original" if case.expected is None else "expected"})
    worst = min(runs, key=lambda told: _WORST.index(told["kind"]))
    return entry | {"kind": worst["kind"], "why": worst["why"], "runs": runs}


def _translated(task: _Task) -> Entry:
    """In a worker: what became of the translation. ``kind`` is "" if it was written."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            done = pipeline.translate(task.objects, task.options)
            task.output.mkdir()
            done.write(task.output / task.objects[0].name if len(task.objects) == 1 else task.output)
        except UsageError:
            raise
        except InputError as error:
            return {"kind": "refused", "why": _short(str(error))}
        except Exception as error:  # whatever goes wrong is a result, and the next program is another matter
            return {"kind": "fault", "why": str(error) if isinstance(error, ToolError) else repr(error)}
    verdicts = done.report.verdicts()
    return {"kind": "", "why": "", "blocks": verdicts.total(), "proved": verdicts["proved"],
            "tested": dict(Counter(block.reason for block in done.report.tested())),
            "proposers": dict(Counter(block.proposer for block in done.report.blocks)),
            "warnings": [str(warning.message) for warning in warned]}  # fmt: skip


def _short(text: str) -> str:
    """The lines of a refusal, without the numbers in the objects' names."""
    return re.sub(r"(?m)^\S*?\d+-(?=\S+\.o:)", "", text)


def compared(case: Case, original: Done, done: Done) -> tuple[str, str]:
    """Kind and reason. The case's own output and status count, where it has them, else the original's, with the files it wrote."""
    kind, why = _verdict(case, original, done, "the translation")
    if kind == RIGHT:
        return kind, why
    fails, reason = _verdict(case, original, original, "the original")
    if fails == RIGHT:
        return kind, why
    same, other = _verdict(Case(case.name, case.run), original, done, "the translation")
    return ("original fails", reason) if original.status is None or same == RIGHT else (same, other)


def _verdict(case: Case, original: Done, done: Done, who: str) -> tuple[str, str]:
    status = original.status if case.status is None else case.status
    if done.status is None:
        return "timed out", f"{who} took too long, or wrote without end"
    if done.status < 0 and done.status != status:
        return "crashed", f"{who} ended by signal {-done.status}"
    if status is not None and done.status != status:
        return "differs", f"{who} ended with {done.status}, not {status}"
    if case.expected is not None:
        wanted, got = _lines(case.expected), _lines(done.stdout)
        return ("differs", differing("stdout", wanted, got, "what is expected", who)) if wanted != got else (RIGHT, "")
    if original.status is None:
        return "original fails", "the original took too long, or wrote without end"
    for name, mine, theirs in [("stdout", original.stdout, done.stdout), *_files(original.files, done.files)]:
        if mine != theirs:
            return "differs", differing(name, mine, theirs, "the original", who)
    return RIGHT, ""


def _files(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> list[tuple[str, bytes, bytes]]:
    return [(name, ours.get(name, b""), theirs.get(name, b"")) for name in sorted({*ours, *theirs})]


def _lines(text: bytes) -> bytes:
    """As expected outputs are kept, often by editors: without white space at the ends of lines and of the whole."""
    return b"\n".join(line.rstrip() for line in text.split(b"\n")).rstrip()
