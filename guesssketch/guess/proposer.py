"""The model as a proposer: problems are cut to the model's size, put in normal form, guessed in batches, and named back."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guesssketch.errors import UsageError
from guesssketch.guess.form import Form, normalise
from guesssketch.guess.joining import Said, candidate, said
from guesssketch.problem import Candidate, Problem
from guesssketch.questions import cut

if TYPE_CHECKING:
    from guesssketch.guess.engine import Engine, Guess, How, Trained

NAME: Final = "lm"
SHIPPED: Final = Path(__file__).parents[1] / "data" / "model"
AHEAD: Final = 2048  # problems guessed between two signs of progress: many, so that forms of like length come together
_HUB: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
SMALL: Final = 1 << 24  # bytes; larger files are told apart without being read


@dataclass
class _Node:
    """A problem in the tree of cuts: ``form`` is guessed, or its halves are. Neither: nothing to say."""

    problem: Problem
    form: Form | None = None
    halves: tuple[_Node, _Node] | None = None


class Guesser:
    """Candidates by a model.

    model: an engine, or the folder or hub name of one, read when it is first needed. how: the search; greedy if not given.
    template: see ``open_engine``. align: let the candidates tell how they are aligned with the source, which costs time.
    """

    name = NAME

    def __init__(self, target: str, model: Engine | Path | str = SHIPPED, how: How | None = None,
                 template: Path | None = None, align: bool = False) -> None:  # fmt: skip
        self.target = target
        self.model = model
        self.how = how
        self.template = template
        self.align = align

    @cached_property
    def engine(self) -> Engine:
        """Raises UsageError if there is no such model."""
        return open_engine(self.model, self.template) if isinstance(self.model, Path | str) else self.model

    def propose(self, problems: Sequence[Problem]) -> Iterator[Sequence[Candidate]]:
        for problem, known in zip(problems, self.guessed(problems), strict=True):
            yield known.get(problem.key, ())

    def guessed(self, problems: Sequence[Problem]) -> list[Mapping[str, Sequence[Candidate]]]:
        """For each problem the candidates, by key, for itself and for every piece it was cut into on the way."""
        roots = [self._tree(problem) for problem in problems]
        guesses = self._guesses([leaf.form for root in roots for leaf in _leaves(root) if leaf.form])
        return [self._candidates(root, guesses) for root in roots]

    def _tree(self, problem: Problem) -> _Node:
        if len(problem.instructions) > max(1, self.engine.cut):
            one, two = cut(problem)
            return _Node(problem, halves=(self._tree(one), self._tree(two)))
        return _Node(problem, form=normalise(problem))

    def _guesses(self, forms: Sequence[Form]) -> dict[bytes, list[Guess]]:
        """By what the model sees; what looks the same is asked once."""
        from guesssketch.guess.engine import How

        distinct = {form.key: form for form in forms}
        guesses = self.engine.guess(list(distinct.values()), self.target, self.how or How(), align=self.align)
        return dict(zip(distinct, guesses, strict=True))

    def _candidates(self, root: _Node, guesses: Mapping[bytes, Sequence[Guess]]) -> dict[str, Sequence[Candidate]]:
        known: dict[str, Sequence[Candidate]] = {}

        card = self._card

        def visit(node: _Node) -> list[list[Said]]:
            """For each leaf below, what was said by rank; no candidate for a node where a leaf has none."""
            if node.halves:
                pieces = visit(node.halves[0]) + visit(node.halves[1])
            else:
                pieces = [self._named(node, guesses, card)]
            ranks = max(map(len, pieces)) if all(pieces) else 0
            found: dict[tuple[str, ...], Candidate] = {}
            for rank in range(ranks):
                text = candidate([piece[min(rank, len(piece) - 1)] for piece in pieces], NAME)
                found.setdefault(text.lines, text)
            known[node.problem.key] = tuple(found.values())
            return pieces

        visit(root)
        return known

    def _named(self, node: _Node, guesses: Mapping[bytes, Sequence[Guess]], card: Mapping[str, Any]) -> list[Said]:
        """The form's guesses under the problem's own names, best first."""
        if node.form is None:
            return []
        return [said(guess, node.form, self.target, card) for guess in guesses[node.form.key] if guess.lines is not None]

    @cached_property
    def _card(self) -> Mapping[str, Any]:
        from guesssketch.guess.engine import Trained

        return self.engine.model.card if isinstance(self.engine, Trained) else {}


class Ready:
    """Candidates that were guessed before, by the problem's key."""

    name = NAME

    def __init__(self, candidates: Mapping[str, Sequence[Candidate]]) -> None:
        self.candidates = candidates

    def propose(self, problems: Sequence[Problem]) -> Iterator[Sequence[Candidate]]:
        for problem in problems:
            yield self.candidates.get(problem.key, ())


def guess_ahead(problems: Sequence[Problem], guesser: Guesser, jobs: int, progress: Callable[[int], None]
                ) -> dict[str, Mapping[str, Sequence[Candidate]]]:  # fmt: skip
    """By problem key, ``Guesser.guessed``: all in this process, ``jobs`` batches at once. ``progress``: told the number done.

    Raises UsageError if there is no such model.
    """
    import torch

    from guesssketch.guess.engine import How

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    guesser.how = replace(guesser.how or How(), threads=jobs)
    guesses: dict[str, Mapping[str, Sequence[Candidate]]] = {}
    try:
        for start in range(0, len(problems), AHEAD):
            some = problems[start : start + AHEAD]
            guesses |= zip((p.key for p in some), guesser.guessed(some), strict=True)
            progress(len(guesses))
    finally:
        torch.set_num_threads(before)
        if hasattr(library := ctypes.CDLL(None), "malloc_trim"):  # glibc's threads keep what they freed, as the workers come
            library.malloc_trim(0)
    return guesses


def check(model: Path | str) -> None:
    """Raise UsageError for what is neither there nor a name that the hub could know. Asks nobody."""
    if not os.path.exists(model) and not _HUB.fullmatch(str(model)):
        raise UsageError(f"{model}: no such model folder", "--model names one, or a model on the hub as owner/name")


def identity(model: Path | str) -> str:
    """Tells models apart: a hub model's name, or a hash of a folder's files, in which weights stand for themselves by name, size
    and time of change. A mistake costs no soundness, only guesses: what is remembered under an identity is proved."""
    if not Path(model).is_dir():
        return str(model)
    digest = hashlib.sha256()
    for file in sorted(Path(model).iterdir()):
        if file.is_file():
            facts = file.stat()
            content = file.read_bytes() if facts.st_size <= SMALL else str(facts.st_mtime_ns).encode()
            digest.update(f"{file.name} {facts.st_size} ".encode() + content)
    return digest.hexdigest()


def open_engine(name: Path | str, template: Path | None = None) -> Engine:
    """The engine for a model folder of this project, or for any transformers model, by folder or hub name.

    template: the prompt of a model that is not this project's. Raises UsageError, one line, if there is no model, or it
    cannot be read.
    """
    if Path(name, "card.json").is_file() or name == SHIPPED:
        if template:
            raise UsageError(f"{template}: {name} is of this project and takes no prompt", "--model names one that does")
        return _trained(name, identity(name))
    check(name)
    from guesssketch.guess.foreign import TEMPLATE, Foreign

    return Foreign.open(name, template or TEMPLATE, identity(name))


@lru_cache(maxsize=1)  # several translations in one process load it once
def _trained(name: Path | str, _: str) -> Engine:
    from guesssketch.guess.engine import Trained, precision
    from guesssketch.guess.model import load

    return Trained(load(name, dtype=precision()))


def accelerated(folder: Path | str) -> Trained:
    """The engine of a model folder, on the accelerator if PyTorch knows one: for making data and measuring. Raises UsageError."""
    import torch

    from guesssketch.guess.engine import Trained, precision
    from guesssketch.guess.model import load

    return Trained(load(folder, "cuda", torch.bfloat16) if torch.cuda.is_available() else load(folder, dtype=precision()))


def _leaves(node: _Node) -> Iterator[_Node]:
    if node.halves is None:
        yield node
        return
    for half in node.halves:
        yield from _leaves(half)
