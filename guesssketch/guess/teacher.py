"""The translations that a model learns: instruction by instruction, one way to write each thing.

A block is cut wherever it may be (``questions.atoms``), mostly into single instructions. Each of these *atoms* is lowered in
its normal form, as if it were alone, and the texts run one after the other. So the translation of an instruction depends on
nothing but the instruction and what is live behind it, and equal atoms share one. What is proved of every atom under the
state map is proved of the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from guesssketch.guess.form import Form, encoded, normalise
from guesssketch.guess.joining import joined
from guesssketch.lowering import Lowering
from guesssketch.problem import Candidate, Problem
from guesssketch.questions import atoms


@dataclass(frozen=True)
class Atom:
    """A piece of a block, and its normal form."""

    problem: Problem
    form: Form

    @cached_property
    def key(self) -> bytes:
        """16 bytes, equal for atoms that have one question."""
        return self.form.key

    @property
    def question(self) -> Problem | None:
        """The form as a problem; None if its instructions cannot be encoded."""
        return encoded(self.problem, self.form)

    def to(self, target: str) -> Atom:
        """The same for another target."""
        return Atom(replace(self.problem, target=target), self.form)


def split(problem: Problem) -> list[Atom]:
    """The atoms of ``problem``, in order; none if it has no normal form."""
    found = [(piece, normalise(piece)) for piece in atoms(problem)]
    return [Atom(piece, form) for piece, form in found if form is not None] if all(form for _, form in found) else []


@dataclass(frozen=True)
class Lesson:
    """What an atom asks, None if its instructions cannot be encoded, and the answer, None if there is none."""

    question: Problem | None
    lines: tuple[str, ...] | None


def lessons(atoms: Iterable[Atom], target: str) -> dict[bytes, Lesson]:
    """Of each distinct atom, by key. Raises ToolError if LLVM cannot be run."""
    distinct = {atom.key: atom for atom in atoms}
    questions = {key: atom.question for key, atom in distinct.items()}
    asked = {key: question for key, question in questions.items() if question is not None}
    found = zip(asked, Lowering(target, "canonical").propose(list(asked.values())), strict=True)
    lines = {key: candidate.lines for key, candidates in found for candidate in candidates[:1]}
    return {key: Lesson(question, lines.get(key)) for key, question in questions.items()}


def text(block: Sequence[Atom], known: Mapping[bytes, tuple[str, ...] | None], target: str) -> tuple[str, ...] | None:
    """The translation of a block from those of its atoms' questions, by key; None if one of them has none."""
    lines = [known[atom.key] for atom in block]
    pieces = [atom.form.lines(found, target) for atom, found in zip(block, lines, strict=True) if found is not None]
    return joined(pieces) if block and len(pieces) == len(block) else None


@dataclass(frozen=True)
class Taught:
    """A block's translation. atoms: for each source instruction the number of its atom. origins: for each line the number of the
    atom that it is of; None for a label."""

    lines: tuple[str, ...]
    atoms: tuple[int, ...]
    origins: tuple[int | None, ...]


def taught(problems: Sequence[Problem], target: str) -> list[Taught | None]:
    """Translations with the truth of their alignment; None where there is none. Raises ToolError if LLVM cannot be run."""
    blocks = [split(problem) for problem in problems]
    known = {key: lesson.lines for key, lesson in lessons(chain.from_iterable(blocks), target).items()}
    return [_taught(block, known, target) for block in blocks]


def _taught(block: Sequence[Atom], known: Mapping[bytes, tuple[str, ...] | None], target: str) -> Taught | None:
    lines = text(block, known, target)
    if lines is None:
        return None
    pieces = [known[atom.key] or () for atom in block]
    sizes = [len(joined([piece, ()])) for piece in pieces[:-1]] + [len(pieces[-1])]  # with the label that may lead on
    numbers = [number for number, size in enumerate(sizes) for _ in range(size)]
    origins = tuple(None if line.endswith(":") else number for line, number in zip(lines, numbers, strict=True))
    return Taught(lines, tuple(n for n, atom in enumerate(block) for _ in atom.form.source), origins)


class Teacher:
    """The teacher as a proposer."""

    name = "teacher"

    def __init__(self, target: str) -> None:
        self.target = target

    def propose(self, problems: Sequence[Problem]) -> Iterator[Sequence[Candidate]]:
        """At most one candidate a problem, in order. Raises ToolError if LLVM cannot be run."""
        for lesson in taught(problems, self.target):
            yield () if lesson is None else (Candidate(lesson.lines, self.name),)
