"""Each stage as text, shared by ``guesssketch show``, tests and bug reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from guesssketch import cfg, objfile, pipeline, wall
from guesssketch.errors import UsageError
from guesssketch.judge import judge
from guesssketch.liveness import Live, Liveness, analyse
from guesssketch.problem import Problem
from guesssketch.program import Block, Program
from guesssketch.questions import ask
from guesssketch.resolve import BlockId, Resolver
from isa import terms as t


def show(path: Path, function: str | None, stage: str, target: str) -> Iterator[str]:
    """Lines of text for one stage of one object file.

    stage: ``cfg`` (functions and blocks), ``liveness``, ``source`` (each block's effect as terms), ``candidates`` (what the
    proposers say), ``proof`` (and the verdict on each). Raises UsageError for an unknown function.
    """
    program = cfg.recover(objfile.read(path))
    names = {f.name for functions in program.functions for f in functions}
    if function is not None and function not in names:
        raise UsageError(f"{path}: no function {function!r}; it has {', '.join(sorted(names)) or 'none'}")
    if stage == "cfg":
        for number, functions in enumerate(program.functions):
            for f in functions:
                if function in (None, f.name):
                    yield cfg.show(program.objects[number], f)
        return
    resolver = Resolver(program)
    liveness = analyse(program, resolver, wall.Boundary(program, resolver, target, ()))
    for number, functions in enumerate(program.functions):
        for index, f in enumerate(functions):
            if function not in (None, f.name):
                continue
            yield f"{f.name}:"
            for offset, block in f.blocks.items():
                at = BlockId(number, index, offset)
                yield f"  block +{offset - f.offset:#x}"
                yield from (f"    {line}" for line in _block(program, resolver, liveness, at, block, stage, target))


def _block(program: Program, resolver: Resolver, liveness: Liveness, at: BlockId, block: Block, stage: str,
           target: str) -> Iterator[str]:  # fmt: skip
    yield f"live in:  {_live(liveness.live_in[at])}"
    if stage == "source":
        yield from _effect(liveness, at)
    elif stage != "liveness":
        problems = ask(program, resolver, at, block, liveness.live_in[at], liveness.live_out[at], target)
        for problem in problems:
            yield from _candidates(problem, stage)
    yield f"live out: {_live(liveness.live_out[at])}"


def _live(live: Live) -> str:
    return " ".join(f"{name}:{bits}" if bits not in (1, 64) else name for name, bits in sorted(live.items()))


def _effect(liveness: Liveness, at: BlockId) -> Iterator[str]:
    effect = liveness.effects[at]
    yield from (f"{cell} = {t.show(term)}" for cell, term in sorted(effect.cells.items()) if cell in liveness.live_out[at])
    yield f"memory = {t.show(effect.memory)}"
    for name, term in (("taken if", effect.condition), ("target", effect.target)):
        if term is not None:
            yield f"{name} {t.show(term)}"
    yield from (f"opaque: {reason}" for reason in effect.opaque)


def _candidates(problem: Problem, stage: str) -> Iterator[str]:
    yield from (f"{i.offset:4x}  {i.text}" for i in problem.instructions)
    for proposer in pipeline.make_proposers(("lowering",), problem.target):
        for candidates in proposer.propose([problem]):
            if not candidates:
                yield f"{proposer.name}: no candidate for the whole block"
            for candidate in candidates:
                yield f"{candidate.proposer}:"
                yield from (f"      {line}" for line in candidate.lines)
                if stage == "proof":
                    (judgement,) = judge([problem], [candidate])
                    yield from str(judgement.verdict).split("\n")
