"""The pipeline: object files in, object files out.

    object files -> functions, blocks -> liveness -> guess -> sketch -> prove -> stitch -> object files
"""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from guesssketch import cfg, emit, objfile, wall
from guesssketch.answer import Answer, answer
from guesssketch.cache import Cache
from guesssketch.errors import NotProved, Untranslatable
from guesssketch.liveness import analyse
from guesssketch.problem import Problem, Proposer
from guesssketch.program import Block, ObjectFile, Program
from guesssketch.questions import ask
from guesssketch.report import BlockRecord, Report
from guesssketch.resolve import BlockId, Resolver
from solver import gate

CHUNK = 150  # problems that a worker takes at once: large enough for batches, small enough for progress


@dataclass(frozen=True)
class Options:
    """How to translate.

    target: ``aarch64`` or ``riscv64``. require: ``proved`` or ``tested``, the weakest verdict that is let through. jobs: worker
    processes. cache: directory, or None to remember nothing. proposers: names in the order they are asked.
    prototypes: C files with declarations of external functions. progress: called with (stage, done, total).
    """

    target: str
    require: Literal["proved", "tested"] = "tested"
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    cache: Path | None = None
    proposers: tuple[str, ...] = ("lowering",)
    prototypes: tuple[Path, ...] = ()
    progress: Callable[[str, int, int], None] | None = None


@dataclass
class Translation:
    """assembly: the text of each output object, in the order of the input. report: what was proved and how."""

    objects: list[ObjectFile]
    assembly: list[str]
    report: Report


def translate(paths: Sequence[Path], options: Options) -> Translation:
    """Translate objects and archives together.

    Raises InputError (Untranslatable names every place) and NotProved; nothing is written here.
    """
    clock = _Clock()
    with clock("read"):
        program = cfg.recover([file for path in paths for file in objfile.read(path)])
        resolver = Resolver(program)
        # Every instruction belongs to one block of one function, and every transfer of control is known.
    with clock("liveness"):
        boundary = wall.Boundary(program, resolver, options.target, options.prototypes)
        liveness = analyse(program, resolver, boundary)
        # At both ends of each block it is known which bits of the state matter.
    with clock("problems"):
        problems = {at: ask(program, resolver, at, block, liveness.live_in[at], liveness.live_out[at], options.target)
                    for at, block in _blocks(program)}  # fmt: skip
        # Equal blocks are equal problems.
    with clock("prove"):
        answers, cached = _answers([p for asked in problems.values() for p in asked], options)
        _complain(program, problems, answers)
        # Every block has a translation that is proved, or tested with the reason.
    with clock("stitch"):
        report = _report(program, problems, answers, cached, options.target)
        report.assumptions = sorted(boundary.assumptions)
        _enforce(report, options.require)
        texts = {at: _texts(program, at, problems[at], answers) for at in problems}
        assembly = emit.program(program, resolver, boundary, texts, options.target)
    report.seconds = clock.seconds
    return Translation(program.objects, assembly, report)


class _Clock:
    """Wall time by stage, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - started, 3)


def _blocks(program: Program) -> Iterator[tuple[BlockId, Block]]:
    for number, functions in enumerate(program.functions):
        for index, function in enumerate(functions):
            for offset, block in function.blocks.items():
                yield BlockId(number, index, offset), block


def make_proposers(names: Sequence[str], target: str) -> list[Proposer]:
    """The proposers by name, in order. Raises KeyError for an unknown name."""
    from guesssketch.lowering import Lowering

    makers = {"lowering": lambda: Lowering(target)}
    return [makers[name]() for name in names]


def _answers(problems: Sequence[Problem], options: Options) -> tuple[dict[str, Answer], set[str]]:
    """Answers by problem key, and the keys that came from the cache."""
    open_problems = {p.key: p for p in problems}
    total = len(open_problems)
    cache = _open_cache(options)
    answers: dict[str, Answer] = cache.get(open_problems) if cache else {}
    cached = set(answers)
    for key in cached:
        del open_problems[key]
    progress = options.progress or (lambda stage, done, total: None)
    progress("prove", len(cached), total)
    for chunk, found in _solve(list(open_problems.values()), options):
        keyed = {p.key: a for p, a in zip(chunk, found, strict=True)}
        answers.update(keyed)
        if cache:
            cache.put(keyed)
        progress("prove", len(answers), total)
    if cache:
        cache.close()
    return answers, cached


def _solve(problems: list[Problem], options: Options) -> Iterator[tuple[list[Problem], list[Answer]]]:
    """Chunks of problems with their answers, as workers finish them."""
    chunks = [problems[i : i + CHUNK] for i in range(0, len(problems), CHUNK)]
    if len(chunks) <= 1 or options.jobs == 1:
        for chunk in chunks:
            yield chunk, _work(chunk, options)
        return
    options = replace(options, progress=None)  # a console does not travel to a worker
    with ProcessPoolExecutor(min(options.jobs, len(chunks)), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_work, chunk, options): chunk for chunk in chunks}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _work(problems: list[Problem], options: Options) -> list[Answer]:
    if options.cache is not None:
        gate.use_cache(options.cache)
    return answer(problems, make_proposers(options.proposers, options.target))


def _open_cache(options: Options) -> Cache | None:
    if options.cache is None:
        return None
    try:
        return Cache(options.cache, ",".join(options.proposers))
    except (OSError, sqlite3.Error) as error:
        warnings.warn(f"going on without the cache {options.cache}: {error}", stacklevel=2)
        return None


def _name(program: Program, at: BlockId) -> str:
    """``object: function+0xoffset``."""
    function = program.functions[at.object][at.function]
    return f"{program.objects[at.object].name}: {function.name}+{at.offset - function.offset:#x}"


def _complain(program: Program, problems: dict[BlockId, list[Problem]], answers: dict[str, Answer]) -> None:
    """Raise Untranslatable with everything that has no translation."""
    complaints = [
        f"{_name(program, at)}: {text}: {reason}"
        for at, asked in problems.items()
        for problem in asked
        for text, reason in answers[problem.key].failures
    ]
    if complaints:
        raise Untranslatable(complaints)


def _report(program: Program, problems: dict[BlockId, list[Problem]], answers: dict[str, Answer], cached: set[str],
            target: str) -> Report:  # fmt: skip
    report = Report(target, [file.name for file in program.objects], sum(map(len, program.functions)))
    for at, asked in problems.items():
        function = program.functions[at.object][at.function]
        offset = at.offset - function.offset
        for problem in asked:
            for piece in answers[problem.key].pieces:
                report.blocks.append(BlockRecord(
                    object=program.objects[at.object].name, function=function.name, offset=offset, proposer=piece.proposer,
                    verdict=piece.verdict, reason=piece.reason, assumptions=piece.assumptions,
                    approximations=piece.approximations, seconds=piece.seconds, source=piece.source, target=piece.target,
                    cached=problem.key in cached))  # fmt: skip
    return report


def _enforce(report: Report, require: str) -> None:
    if require == "proved" and (tested := report.tested()):
        lines = [f"{b.object}: {b.function}+{b.offset:#x}: only tested: {b.reason}" for b in tested]
        raise NotProved("\n".join(lines))


def _texts(program: Program, at: BlockId, asked: list[Problem], answers: dict[str, Answer]) -> tuple[emit.BlockText, ...]:
    """The pieces of one block as the emitter wants them, with the source instructions as comment."""
    block = program.functions[at.object][at.function].blocks[at.offset]
    texts = []
    for problem in asked:
        rest = list(problem.instructions)
        for piece in answers[problem.key].pieces:
            source, rest = rest[: piece.source], rest[piece.source :]
            verdict = piece.verdict if not piece.reason else f"{piece.verdict}: {piece.reason}"
            texts.append(emit.BlockText(lines=piece.lines, places=block.places, comment=tuple(i.text for i in source),
                                        verdict=f"{verdict} ({piece.proposer})"))  # fmt: skip
    return tuple(texts)


def write(translation: Translation, output: Path, kind: Literal["obj", "asm"], target: str) -> list[Path]:
    """Write the outputs, each under its final name only when whole.

    output: a file if there is one input object, an archive if the input was one (``.a``), else a directory.
    Returns the paths written.
    """
    return emit.write(translation.objects, translation.assembly, output, kind, target)
