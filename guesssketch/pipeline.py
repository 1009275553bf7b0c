"""The pipeline: object files in, object files out.

    object files -> functions, blocks -> liveness -> guess -> sketch -> prove -> stitch -> object files
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from guesssketch import PROPOSERS, cfg, emit, listing, objfile, outputs, wall
from guesssketch.answer import Answer
from guesssketch.cache import Store
from guesssketch.errors import GuessSketchWarning, NotProved, Untranslatable
from guesssketch.guess.proposer import NAME, SHIPPED, Guesser, check, guess_ahead, identity
from guesssketch.liveness import analyse
from guesssketch.problem import MemoryOrder, Problem
from guesssketch.program import Program
from guesssketch.progress import Tell, quiet
from guesssketch.questions import ask
from guesssketch.report import BlockRecord, Report
from guesssketch.resolve import BlockId, Resolver, ambiguous, blocks
from guesssketch.workers import Work, make_proposers, solve
from isa.machine import Instruction
from solver.assume import NOTES

STARTS_THREADS = re.compile(r"(?:pthread|thrd)_create$|GOMP_parallel|__kmpc_fork|_ZNSt6thread")


@dataclass(frozen=True)
class Options:
    """How to translate.

    target: ``aarch64`` or ``riscv64``. require: ``proved`` or ``tested``, the weakest verdict that is let through. jobs: worker
    processes. cache: directory, or None to remember nothing. proposers: names in the order they are asked.
    model: of the proposer ``lm``, a folder or a hub name, None for the one that is shipped; prompt: template for a model that is
    not of this project.
    memory_order: of plain accesses, as other threads see them: ``relaxed``, whatever the target does; ``tso``, x86-64's.
    assume: what to take for granted of the program, of ``solver.assume.NOTES``.
    align: whether a model tells how its guesses are aligned with the source; what is remembered keeps what was told then.
    prototypes: C files with declarations of external functions. progress: called with (stage, done, total); a total of 0
    is not known.
    """

    target: str
    require: Literal["proved", "tested"] = "tested"
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    cache: Path | None = None
    proposers: tuple[str, ...] = PROPOSERS
    model: Path | str | None = None
    prompt: Path | None = None
    prototypes: tuple[Path, ...] = ()
    assume: tuple[str, ...] = ()
    progress: Tell = quiet
    memory_order: MemoryOrder = "relaxed"
    align: bool = False


@dataclass
class Translation:
    """inputs, target: as given. assembly: the text of each output object, in the inputs' order. report: what was proved and how.

    program: as it was read. problems: of each block, in order. answers: by the problem's key. cached: keys of those that were
    remembered.
    """

    inputs: tuple[Path, ...]
    target: str
    assembly: list[str]
    report: Report
    program: Program
    problems: Mapping[BlockId, Sequence[Problem]]
    answers: Mapping[str, Answer]
    cached: Set[str]

    def files(self, output: Path, kind: outputs.Kind = "obj") -> list[tuple[Path, bytes]]:
        """What to write where. Raises UsageError (``outputs.plan``), and ToolError if the assembler fails."""
        slots = outputs.plan(self.inputs, output, kind)
        contents = [text.encode() if kind == "asm" else emit.assemble(text, self.target) for text in self.assembly]
        return outputs.files(slots, contents)

    def write(self, output: str | Path, kind: outputs.Kind = "obj") -> list[Path]:
        """Write objects (or archives of them) or assembly to ``output``: a file for one input, a directory for several.

        Each file appears under its name only when all are whole. Returns their paths. Raises as ``files``, and OSError.
        """
        return outputs.write(self.files(Path(output), kind))


def translate(paths: Sequence[Path], options: Options) -> Translation:
    """Translate objects and archives together.

    Raises InputError (Untranslatable names every place), NotProved, ToolError and UsageError; nothing is written here.
    Warns of threads under relaxed memory order.
    """
    make_proposers(options.proposers, options.target)  # an unknown name is better known before the work
    if NAME in options.proposers:
        check(options.model or SHIPPED)
    clock = _Clock(options.progress)
    with clock("read"):
        program = cfg.recover([file for path in paths for file in objfile.read(path)])
        if several := ambiguous(program):
            raise Untranslatable(several)
        resolver = Resolver(program)
        # Every instruction belongs to one block of one function, and every transfer of control is known.
    with clock("liveness"):
        boundary = wall.Boundary(program, resolver, options.target, options.prototypes, options.memory_order)
        liveness = analyse(program, resolver, boundary)
        # At both ends of each block it is known which bits of the state matter.
    with clock("problems"):
        problems = {at: ask(program, resolver, at, block, liveness.live_in[at], liveness.live_out[at], options.target,
                             options.memory_order, options.assume) for at, block in blocks(program)}  # fmt: skip
        # Equal blocks are equal problems.
    answers, cached = _answers([p for asked in problems.values() for p in asked], options, clock)
    with clock("stitch"):
        _complain(program, problems, answers)
        # Every block has a translation that is proved, or tested with the reason.
        report = _report(program, problems, answers, cached, options.target)
        report.assumptions = sorted([*boundary.assumptions, *(NOTES[name] for name in options.assume)])
        report.options["memory_order"] = options.memory_order
        report.warnings += _threads(program, problems) if options.memory_order == "relaxed" else []
        _enforce(report, options.require)
        texts = {at: block_texts(program, at, problems[at], answers) for at in problems}
        assembly = emit.program(program, resolver, boundary, texts, options.target)
    report.seconds = clock.seconds
    for text in report.warnings:
        warnings.warn(GuessSketchWarning(text), stacklevel=2)
    return Translation(tuple(paths), options.target, assembly, report, program, problems, answers, cached)


def _threads(program: Program, problems: Mapping[BlockId, list[Problem]]) -> list[str]:
    """A warning, if the program seems to have threads: it starts some, or has atomic instructions."""
    outside = {s.name for file in program.objects for s in file.symbols if s.section is None}
    called = sorted(filter(STARTS_THREADS.match, outside))
    atomics = sum(p.is_atomic for asked in problems.values() for p in asked)
    found = [f"calls {name}" for name in called[:3]] + ([f"has atomic instructions ({atomics})"] if atomics else [])
    if not found:
        return []
    return [f"the program {' and '.join(found)}: under relaxed memory order other threads may see its plain loads and stores in "
            "another order than on x86-64; --memory-order tso keeps that order"]  # fmt: skip


class _Clock:
    """Wall time by stage, in seconds; ``progress`` is told of each stage that begins."""

    def __init__(self, progress: Tell) -> None:
        self.seconds: dict[str, float] = {}
        self.progress = progress

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        self.progress(stage, 0, 0)
        yield
        self.seconds[stage] = round(time.perf_counter() - started, 3)


def _answers(problems: Sequence[Problem], options: Options, clock: _Clock) -> tuple[dict[str, Answer], set[str]]:
    """Answers by problem key, and the keys that came from the cache."""
    open_problems = {p.key: p for p in problems}
    total = len(open_problems)
    model = options.model or SHIPPED
    asked = [f"{name}:{identity(model)}" if name == NAME else name for name in options.proposers]
    store = Store(options.cache, ",".join(asked))
    with closing(store):
        answers = store.get(open_problems)
        cached = set(answers)
        missing = [p for key, p in open_problems.items() if key not in cached]
        guesses = {}
        if NAME in options.proposers and missing:
            with clock("guess"):
                guesser = Guesser(options.target, model, template=options.prompt, align=options.align)
                guesses = guess_ahead(missing, guesser, options.jobs, lambda done: clock.progress("guess", done, len(missing)))
        work = Work(options.target, options.proposers, store.folder)
        with clock("prove"), closing(solve(missing, work, options.jobs, guesses)) as solved:
            clock.progress("prove", len(cached), total)
            for chunk, found in solved:
                keyed = {p.key: a for p, a in zip(chunk, found, strict=True)}
                answers.update(keyed)
                store.put(keyed)
                clock.progress("prove", len(answers), total)
    return answers, cached


def _spot(program: Program, at: BlockId, instruction: Instruction) -> tuple[str, int]:
    """The function symbol before ``instruction`` of block ``at``, and the instruction's distance from it, for a reader."""
    function = program.functions[at.object][at.function]
    file = program.objects[at.object]
    section, offset = function.blocks[at.offset].home
    section, offset = section or function.section, offset + instruction.offset
    for part_section, start, size in function.parts:
        if part_section == section and start <= offset < start + size:
            names = [s.name for s in file.symbols if s.section == section and s.value == start and s.type == "function"]
            return (names or [function.name])[0], offset - start
    return function.name, offset - function.offset


def _complain(program: Program, problems: Mapping[BlockId, list[Problem]], answers: Mapping[str, Answer]) -> None:
    """Raise Untranslatable with everything that has no translation."""
    complaints = []
    for at, asked in problems.items():
        block = program.functions[at.object][at.function].blocks[at.offset]
        start = 0
        for problem in asked:
            for index, reason in answers[problem.key].failures:
                instruction = block.instructions[start + index]
                name, offset = _spot(program, at, instruction)
                complaints.append(f"{program.objects[at.object].name}: {name}+{offset:#x}: {instruction.text}: {reason}")
            start += len(problem.instructions)
    if complaints:
        raise Untranslatable(complaints)


def _report(program: Program, problems: dict[BlockId, list[Problem]], answers: dict[str, Answer], cached: set[str],
            target: str) -> Report:  # fmt: skip
    names = [file.name for file in program.objects]
    report = Report(target, dict(zip(names, map(len, program.functions), strict=True)))
    for at, asked in problems.items():
        block = program.functions[at.object][at.function].blocks[at.offset]
        start = 0
        for problem in asked:
            _count(report.candidates, answers[problem.key])
            for piece in answers[problem.key].pieces:
                function, offset = _spot(program, at, block.instructions[start])
                start += piece.source
                report.blocks.append(BlockRecord(
                    object=names[at.object], function=function, offset=offset, proposer=piece.proposer,
                    verdict=piece.verdict, reason=piece.reason, assumptions=piece.assumptions,
                    approximations=piece.approximations, seconds=piece.seconds, source=piece.source, target=piece.target,
                    cached=problem.key in cached))  # fmt: skip
    return report


def _count(counts: dict[str, Counter[str]], answer: Answer) -> None:
    for attempt in answer.attempts:
        counts.setdefault(attempt.proposer, Counter()).update(judged=1, right=int(attempt.proved))
    for piece in answer.pieces:
        counts.setdefault(piece.proposer, Counter()).update(judged=1, right=1, emitted=1)


def _enforce(report: Report, require: str) -> None:
    if require == "proved" and (tested := report.tested()):
        lines = [f"{b.object}: {b.function}+{b.offset:#x}: only tested: {b.reason}" for b in tested]
        raise NotProved("\n".join(lines))


def block_texts(program: Program, at: BlockId, asked: Sequence[Problem], answers: Mapping[str, Answer]
                ) -> tuple[emit.BlockText, ...]:  # fmt: skip
    """The pieces of one block as the emitter wants them, with the source instructions as comments."""
    block = program.functions[at.object][at.function].blocks[at.offset]
    file = program.objects[at.object]

    def comment(instruction: Instruction) -> str:
        places = [listing.place_text(file, block.places[r.symbol]) for r in instruction.relocations]
        return f"{instruction.text}  ({', '.join(places)})" if places else instruction.text

    texts = []
    for problem in asked:
        rest = list(problem.instructions)
        for piece in answers[problem.key].pieces:
            source, rest = rest[: piece.source], rest[piece.source :]
            verdict = piece.verdict if not piece.reason else f"{piece.verdict}: {piece.reason}"
            texts.append(emit.BlockText(lines=piece.lines, places=block.places, comment=tuple(map(comment, source)),
                                        verdict=f"{verdict} ({piece.proposer})"))  # fmt: skip
    return tuple(texts)
