"""What is asked of a proposer, and what it answers: the one interface between the pipeline and model, sketch, lowering.

A *problem* is one x86-64 basic block (or a piece of one: the state map holds between any two instructions) with what is
live at both ends. A *candidate* is target text. Nobody's candidate is trusted: the solver judges the assembled bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from isa.machine import Instruction
from isa.x86_64.atomics import is_atomic

MemoryOrder = Literal["relaxed", "tso"]
Exit = Literal["fall", "branch", "indirect"]


@dataclass(frozen=True)
class Symbol:
    """A placeholder's nature: how the target may form the address of *symbol plus addend*.

    name: ``S0``, ``S1``, ... in order of first use in the block. kind: ``local`` (pc-relative or absolute, defined in the
    inputs), ``got`` (through the global offset table), ``tls`` (thread-local; the value is its offset from the thread pointer).
    align: a power of two that is known to divide the address (1 if nothing is). low: the address is below 2**31
    because the source says so with a 32-bit absolute relocation.
    """

    name: str
    kind: Literal["local", "got", "tls"]
    align: int = 1
    low: bool = False


@dataclass(frozen=True)
class Problem:
    """A block to translate, free of names and places, so that equal problems can share one answer.

    instructions: x86-64, offsets from 0, symbols replaced by placeholders. A direct jump at the end is left out; a
    conditional one is kept, with its target displacement zeroed. The ``call``, ``ret`` or ``jmp`` of an indirect transfer is left
    out too when direct, and kept when its operand must be computed (``exit`` is then ``indirect``).
    exit: ``fall`` (one successor), ``branch`` (label ``taken`` or fall through), ``indirect`` (the address of where to go next
    is put in the state map's ``branch_target``).
    assume: what the user has asked to take for granted (``solver.assume``).
    live_in, live_out: (cell or condition, number of low bits: 1, 8, 16, 32 or 64), sorted.
    order: what other threads may notice of plain accesses: ``relaxed``, anything; ``tso``, x86-64's order.
    """

    target: str
    instructions: tuple[Instruction, ...]
    exit: Exit
    live_in: tuple[tuple[str, int], ...]
    live_out: tuple[tuple[str, int], ...]
    symbols: tuple[Symbol, ...]
    order: MemoryOrder = "relaxed"
    assume: tuple[str, ...] = ()

    @property
    def is_atomic(self) -> bool:
        """Whether it is a locked instruction or a fence, which is a block of its own."""
        return any(is_atomic(i) for i in self.instructions)

    @property
    def is_shared(self) -> bool:
        """Whether other threads may look at its memory, so that each access counts."""
        return self.order == "tso" or self.is_atomic

    @property
    def key(self) -> str:
        """SHA-256 over everything a translation may depend on (semantics versions are the cache's business)."""
        text = repr((self.target, [(i.code, i.relocations) for i in self.instructions], self.exit, self.live_in,
                     self.live_out, self.symbols, self.order, self.assume))  # fmt: skip
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Doubt:
    """``length`` characters of line ``line``, from ``start``, and the probability that they are right, as the proposer sees it."""

    line: int
    start: int
    length: int
    probability: float


@dataclass(frozen=True)
class Filled:
    """A hole that was filled: the characters that fill it, what kind of hole it was, and what the guess had there."""

    line: int
    start: int
    length: int
    kind: str
    guess: str


@dataclass(frozen=True)
class Insight:
    """What a proposer knows of its candidate besides the text. Readers and the sketch see it; nothing is judged by it.

    confidence: probability that the candidate is right, None if that is not told. doubts: of those parts that are less than sure.
    alignment: for each line, its share in each source instruction (rows sum to 1); empty if that is not told.
    others: for each line, what a model thought of too: the line with one token put out for another, likeliest first; empty if
    that is not told. filled: the holes of the sketch that it comes from. least: for each line, the least probability of its
    tokens; empty if that is not told.
    """

    confidence: float | None = None
    doubts: tuple[Doubt, ...] = ()
    alignment: tuple[tuple[float, ...], ...] = ()
    others: tuple[tuple[str, ...], ...] = ()
    filled: tuple[Filled, ...] = ()
    least: tuple[float, ...] = ()

    def doubted(self, lines: int) -> tuple[float, ...]:
        """For each of ``lines`` lines, 1 less the least probability of its tokens, or of its doubts if that is not told."""
        least = list(self.least) or [1.0] * lines
        for doubt in self.doubts:
            least[doubt.line] = min(least[doubt.line], doubt.probability)
        return tuple(1.0 - probability for probability in least)


@dataclass(frozen=True)
class Candidate:
    """A proposed translation.

    lines: target assembly, one instruction a line, labels as ``1:`` lines. Leaving to the branch's target is a branch to
    ``taken``; leaving to the next block is falling off the end, or a branch to ``fall``. Symbols are the problem's
    placeholders under the target's own operators (``:lo12:S0``, ``%pcrel_hi(S0)``).
    proposer: ``lm``, ``sketch``, ``lowering`` or ``user``. insight: None if the proposer knows no more than the text.
    """

    lines: tuple[str, ...]
    proposer: str
    insight: Insight | None = None


class Proposer(Protocol):
    """Anything that answers problems. ``name``: as reports have it."""

    name: str

    def propose(self, problems: Sequence[Problem]) -> Iterable[Sequence[Candidate]]:
        """For each problem, in their order, candidates from best to worst (maybe none)."""
        ...
