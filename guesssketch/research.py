"""The library's calls for looking inside: objects, problems, proposers, what a model knew, and pairs to learn from.

``guesssketch`` exports all of them. Nothing here loads PyTorch before a model is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from guesssketch import cfg, objfile, wall
from guesssketch.assembler import Assembled, assemble
from guesssketch.errors import UsageError
from guesssketch.guess.proposer import SHIPPED, Guesser, open_engine
from guesssketch.guess.records import Record, body_of, sample
from guesssketch.guess.teacher import Teacher
from guesssketch.judge import verify
from guesssketch.liveness import analyse
from guesssketch.problem import Candidate, MemoryOrder, Problem, Proposer
from guesssketch.program import Block, Function, ObjectFile, Program
from guesssketch.questions import ask, pieces
from guesssketch.resolve import BlockId, Resolver
from guesssketch.workers import make_proposers
from isa.statemap import MAPS
from solver.verdict import Proved

if TYPE_CHECKING:
    from guesssketch.guess.engine import Engine, How

Name = str | Path
Floats = NDArray[np.float64]
LONGEST: Final = 12  # instructions in the source of a pair, as in datasets/pairs


@dataclass(frozen=True)
class Located:
    """A problem, and where it comes from. block: whose problem it is, or a piece of it. start: index of its first instruction."""

    object: str
    function: str
    block: Block
    start: int
    problem: Problem


def read(*paths: Name) -> Program:
    """Objects and archives as one program: its functions and their basic blocks, recovered. Raises InputError."""
    return cfg.recover([file for path in paths for file in objfile.read(Path(path))])


def walk(program: Program, function: str | None = None) -> Iterator[tuple[ObjectFile, Function, Block]]:
    """Every block (of the functions of one name) with its function and object, in the order of the input."""
    for file, functions in zip(program.objects, program.functions, strict=True):
        for found in functions:
            if function in (None, found.name):
                yield from ((file, found, block) for block in found.blocks.values())


def problems(program: Program | Name, target: str, *, function: str | None = None, prototypes: Sequence[Name] = (),
             memory_order: MemoryOrder = "relaxed", longest: int | None = None) -> list[Located]:  # fmt: skip
    """What is asked of proposers for a program (or an object file): its blocks with what is live, names taken away.

    function: only of this name. longest: cut to so many instructions at most, as ``questions.pieces`` does.
    Raises UsageError for an unknown target or function, and InputError.
    """
    if target not in MAPS:
        raise UsageError(f"unknown target {target!r}: choose from {', '.join(MAPS)}")
    program = program if isinstance(program, Program) else read(program)
    if function is not None and not any(f.name == function for functions in program.functions for f in functions):
        raise UsageError(f"no function {function!r}")
    resolver = Resolver(program)
    live = analyse(program, resolver, wall.Boundary(program, resolver, target, tuple(map(Path, prototypes)), memory_order))
    found: list[Located] = []
    for number, functions in enumerate(program.functions):
        for index, one in enumerate(functions):
            for offset, block in one.blocks.items() if function in (None, one.name) else ():
                at = BlockId(number, index, offset)
                whole = ask(program, resolver, at, block, live.live_in[at], live.live_out[at], target, memory_order)
                start = 0
                for problem in whole if longest is None else (piece for p in whole for piece in pieces(p, longest)):
                    found.append(Located(program.objects[number].name, one.name, block, start, problem))
                    start += len(problem.instructions)
    return found


def load_model(model: Name = SHIPPED) -> Engine:
    """A model by folder or hub name; without one, that which is shipped. Raises UsageError if there is none."""
    return open_engine(model)


def propose(asked: Sequence[Problem], proposer: str | Proposer = "lowering", *, model: Name | Engine = SHIPPED,
            count: int = 1) -> list[tuple[Candidate, ...]]:  # fmt: skip
    """Candidates of one proposer for each problem (all for one target), best first.

    proposer: ``lm``, ``sketch``, ``lowering``, or one of your own. model: who ``lm`` is. count: of the model's guesses, found by
    beam search if there are several. Raises UsageError for what is unknown or missing.
    """
    if not asked:
        return []
    if len({problem.target for problem in asked}) > 1:
        raise UsageError("the problems are for different targets: ask for each apart")
    if isinstance(proposer, str):
        target = asked[0].target
        guesser = Guesser(target, model, _beam(count) if count > 1 else None, align=True)
        proposer = make_proposers(("lm", proposer) if proposer == "sketch" else (proposer,), target, guesser)[-1]
    return [tuple(found) for found in proposer.propose(asked)]


def _beam(count: int) -> How:
    from guesssketch.guess.engine import How

    return How("beam", count)


# --- what a proposer knew ---------------------------------------------------------------------------------------------


def confidence(candidates: Iterable[Candidate]) -> Floats:
    """Shape (candidates): the probability that each is right, as its proposer sees it; NaN where that is not told."""
    told = [c.insight.confidence if c.insight else None for c in candidates]
    return np.array([np.nan if one is None else one for one in told], np.float64)


def doubt(candidate: Candidate) -> Floats:
    """Shape (lines): 1 less the probability of the least likely part of each line; NaN where nothing is told."""
    if candidate.insight is None:
        return np.full(len(candidate.lines), np.nan)
    return np.array(candidate.insight.doubted(len(candidate.lines)), np.float64)


def alignment(candidate: Candidate) -> Floats:
    """Shape (lines, source instructions): each line's share in each instruction, rows sum to 1 (or to 0 for a line that only
    joins two pieces); shape (lines, 0) where that is not told."""
    rows = candidate.insight.alignment if candidate.insight else ()
    return np.array(rows, np.float64) if rows else np.empty((len(candidate.lines), 0))


# --- pairs to learn from ----------------------------------------------------------------------------------------------


def make_pairs(asked: Iterable[Problem], *, level: str = "", teacher: Proposer | None = None) -> Iterator[Record]:
    """Pairs that a model can be trained on, from problems for one target: normal forms, each once, with a proved translation.

    teacher: the model's own (``guess.teacher``) if not given; its first candidate is the pair's text, if that is proved. level: of
    optimisation, to be told with the pair. Problems of more than ``LONGEST`` instructions are best cut before (``problems``).
    What has no form, no candidate or no proof is left out.
    """
    counts: dict[bytes, int] = {}
    bodies: dict[bytes, Record] = {}
    for problem in asked:
        found = body_of(problem)
        if found is None or found[1] is None:
            continue
        key = found[0].key
        counts[key] = counts.get(key, 0) + 1
        if key not in bodies:
            data = {"target": problem.target, "source": json.loads(json.dumps(found[1])), "lines": [], "verdict": "proved",
                    "count": 0, "level": level}  # fmt: skip
            bodies[key] = Record.read(data)
    if not bodies:
        return
    forms = list(bodies.values())
    asker = teacher or Teacher(forms[0].target)
    said = [next(iter(candidates), None) for candidates in asker.propose([record.problem for record in forms])]
    codes = assemble(forms[0].target, [candidate.lines if candidate else () for candidate in said])
    for (key, record), candidate, code in zip(bodies.items(), said, codes, strict=True):
        if candidate and isinstance(code, Assembled) and isinstance(verify(record.problem, code), Proved):
            yield Record(record.target, record.form, candidate.lines, "proved", counts[key], level, record.body)


def read_pairs(folder: Name, target: str, split: str = "test", limit: int | None = None) -> list[Record]:
    """Pairs of a folder of shards, or ``limit`` of them, of each level its share: the same ones always, for both targets.

    Raises UsageError if there are no such shards, InputError for a broken one.
    """
    return sample(Path(folder), split, target, limit)


def write_pairs(pairs: Iterable[Record], folder: Name, split: str) -> list[Path]:
    """Shards of a split (``train``, ``valid`` or ``test``), one for each target, as ``train`` and ``evaluate_blocks`` read them.

    Whatever shard 000 of the split there was is replaced. Returns the files.
    """
    lines: dict[str, list[str]] = {}
    for pair in pairs:
        row = {"target": pair.target, "source": pair.body, "lines": pair.lines, "verdict": pair.verdict, "count": pair.count,
               "level": pair.level}  # fmt: skip
        lines.setdefault(pair.target, []).append(json.dumps(row) + "\n")
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = {Path(folder) / f"{target}-{split}-000.jsonl": "".join(rows) for target, rows in lines.items()}
    for path, text in written.items():
        path.write_text(text)
    return list(written)
