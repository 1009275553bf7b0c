"""Each stage as text by function and block, shared by ``guesssketch show``, tests and bug reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guesssketch import PROPOSERS, cfg, objfile, wall
from guesssketch.errors import UsageError
from guesssketch.guess.proposer import SHIPPED, Guesser
from guesssketch.judge import judge
from guesssketch.listing import block_lines, block_name, function_head
from guesssketch.liveness import Live, Liveness, analyse
from guesssketch.problem import MemoryOrder, Problem, Proposer
from guesssketch.program import Block, Program
from guesssketch.questions import ask, cut
from guesssketch.resolve import BlockId, Resolver
from guesssketch.sketch.proposer import Sketcher, repaired
from guesssketch.sketch.story import story
from guesssketch.workers import make_proposers
from isa import terms as t
from isa.statemap import CONDITIONS, FLAGS, GENERAL, VECTORS
from solver.verdict import Proved, Tested

STAGES: Final = ("cfg", "liveness", "source", "candidates", "proof")
_ORDER: Final = {name: n for n, name in enumerate((*GENERAL, *VECTORS, *FLAGS, *CONDITIONS))}


@dataclass(frozen=True)
class Listing:
    """One function at a stage. head: what is said of it as a whole. blocks: lines of text by the block's name."""

    object: str
    function: str
    head: list[str]
    blocks: dict[str, list[str]]


def show(path: Path, function: str | None, stage: str, target: str, prototypes: Sequence[Path] = (),
         order: MemoryOrder = "relaxed", proposers: Sequence[str] = PROPOSERS, model: Path | str | None = None
         ) -> Iterator[Listing]:  # fmt: skip
    """One stage of one object file (or of each object of an archive), function by function.

    stage: ``cfg`` (functions and blocks), ``liveness``, ``source`` (each block's effect as terms), ``candidates`` (what the
    ``proposers`` say, and how a guess of ``model`` was repaired), ``proof`` (and the verdict on each). Only the named function's
    blocks are translated and proved.
    Raises UsageError for an unknown function, and InputError.
    """
    program = cfg.recover(objfile.read(path))
    names = {f.name for functions in program.functions for f in functions}
    if function is not None and function not in names:
        raise UsageError(f"{path}: no function {function!r}; it has {', '.join(sorted(names)) or 'none'}")
    wanted = [(n, i, f) for n, row in enumerate(program.functions) for i, f in enumerate(row) if function in (None, f.name)]
    if stage == "cfg":
        for number, _, f in wanted:
            file = program.objects[number]
            blocks = {block_name(offset): block_lines(file, block) for offset, block in f.blocks.items()}
            yield Listing(file.name, f.name, function_head(file, f), blocks)
        return
    resolver = Resolver(program)
    liveness = analyse(program, resolver, wall.Boundary(program, resolver, target, tuple(prototypes)))
    asked = make_proposers(proposers, target, Guesser(target, model or SHIPPED))
    listing = _Listing(program, resolver, liveness, stage, target, asked, order)
    for number, index, f in wanted:
        blocks = {block_name(at): list(listing.block(BlockId(number, index, at), block)) for at, block in f.blocks.items()}
        yield Listing(program.objects[number].name, f.name, [f"{f.name}:"], blocks)


def text(listing: Listing) -> Iterator[str]:
    """Its lines."""
    yield from listing.head
    for name, lines in listing.blocks.items():
        yield f"  block {name}"
        yield from (f"    {line}" for line in lines)


@dataclass(frozen=True)
class _Listing:
    program: Program
    resolver: Resolver
    liveness: Liveness
    stage: str
    target: str
    proposers: list[Proposer]
    order: MemoryOrder

    def block(self, at: BlockId, block: Block) -> Iterator[str]:
        live_in, live_out = self.liveness.live_in[at], self.liveness.live_out[at]
        yield f"live in:  {_live(live_in)}"
        if self.stage == "source":
            yield from self._effect(at)
        elif self.stage != "liveness":
            start = 0
            for problem in ask(self.program, self.resolver, at, block, live_in, live_out, self.target, self.order):
                yield from self._problem(problem, block, start)
                start += len(problem.instructions)
        yield f"live out: {_live(live_out)}"

    def _effect(self, at: BlockId) -> Iterator[str]:
        effect, live_out = self.liveness.effects[at], self.liveness.live_out[at]
        yield from (f"{cell} = {t.show(term)}" for cell, term in sorted(effect.cells.items()) if cell in live_out)
        yield f"memory = {t.show(effect.memory)}"
        for name, term in (("taken if", effect.condition), ("target", effect.target)):
            if term is not None:
                yield f"{name} {t.show(term)}"
        yield from (f"opaque: {reason}" for reason in effect.opaque)

    def _problem(self, problem: Problem, block: Block, start: int) -> Iterator[str]:
        """One problem, and where it has no answer, its two halves, as ``guesssketch.answer`` cuts it."""
        end = start + len(problem.instructions)
        _, base = block.home
        for written, asked in zip(block.instructions[start:end], problem.instructions, strict=True):
            yield f"{base + written.offset:6x}  {asked.text}"
        answered = False
        told: dict[tuple[str, ...], str] = {}
        for proposer in self.proposers:
            if isinstance(proposer, Sketcher):
                (tried,) = proposer.repairs([problem])
                yield from (line for repair in tried for line in story(repair))
                candidates = repaired(tried)
            else:
                (candidates,) = proposer.propose([problem])
            if not candidates:
                yield f"{proposer.name}: no candidate"
            for candidate in candidates:
                if candidate.lines in told:
                    yield f"{candidate.proposer}: as {told[candidate.lines]}"
                    continue
                told[candidate.lines] = candidate.proposer
                yield f"{candidate.proposer}:"
                yield from (f"        {line}" for line in candidate.lines)
                answered = answered or self.stage == "candidates"
                if self.stage == "proof" and not answered:
                    (judgement,) = judge([problem], [candidate], final=end - start == 1, explain=True)
                    yield from str(judgement.verdict).split("\n")
                    answered = isinstance(judgement.verdict, Proved | Tested)
        if not answered and end - start > 1:
            one, two = cut(problem)
            middle = start + len(one.instructions)
            yield f"cut before {base + block.instructions[middle].offset:x}, live there: {_live(dict(two.live_in))}"
            yield from self._problem(one, block, start)
            yield from self._problem(two, block, middle)


def _live(live: Live) -> str:
    cells = sorted(live.items(), key=lambda cell: _ORDER[cell[0]])
    return " ".join(f"{name}:{bits}" if bits not in (1, 64) else name for name, bits in cells) or "nothing"
