"""Problems to pairs: the teacher's translation, atom by atom, each atom run on states and proved; then the whole run on states.

An atom is lowered and judged once, and remembered beside the pairs. A pair is proved if all its atoms are; of a share of the
pairs the whole is proved, too, so that the one is held against the other.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import forms
import workpool
from store import Judged

from guesssketch.assembler import Assembled, AssemblyError, assemble
from guesssketch.guess import teacher
from guesssketch.guess.teacher import Atom
from guesssketch.judge import FILTER_STATES, prove, verify
from guesssketch.problem import Problem
from solver import gate
from solver.emulate import agree, compare
from solver.verdict import Proved, Refuted

STATES = 64  # compared for an atom without a proof
RLIMIT = 200_000  # for each query to Z3: some 50 ms
SECONDS = 20  # for one problem's states and proof


@dataclass(frozen=True)
class Batch:
    """problems: (number, text). whole: share of them, by their key, that is also proved as a whole. memory: folder for what is
    learnt of forms and atoms."""

    targets: tuple[str, ...]
    problems: tuple[tuple[int, str], ...]
    whole: float
    memory: Path


@dataclass(frozen=True)
class Known:
    """What is known of an atom: verdict and detail as in ``Judged``, and its translation, lines joined; "" is no instruction."""

    verdict: str
    detail: str
    lines: str

    @property
    def text(self) -> tuple[str, ...] | None:
        return None if self.verdict == "none" else tuple(filter(None, self.lines.split("\n")))


class Memory:
    """What is known of atoms, in a file that several processes share. ``with closing``."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=120)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")  # nothing is lost but work
        self._db.execute("CREATE TABLE IF NOT EXISTS atoms(target TEXT, key BLOB, verdict TEXT, detail TEXT, lines TEXT, "
                         "PRIMARY KEY(target, key)) WITHOUT ROWID")  # fmt: skip

    def get(self, target: str, keys: Iterable[bytes]) -> dict[bytes, Known]:
        ask = "SELECT verdict, detail, lines FROM atoms WHERE target = ? AND key = ?"
        found = ((key, self._db.execute(ask, (target, key)).fetchone()) for key in keys)
        return {key: Known(*row) for key, row in found if row}

    def put(self, target: str, known: Mapping[bytes, Known]) -> None:
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO atoms VALUES(?,?,?,?,?)",
                                 [(target, key, *astuple(one)) for key, one in known.items()])  # fmt: skip

    def close(self) -> None:
        self._db.close()


def sampled(text: str, share: float) -> bool:
    """Whether the form is among the share that is proved whole; the same for both targets, and always."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32


def run_batch(batch: Batch) -> dict[str, list[Judged]]:
    """By target, what became of each problem, in their order."""
    gate.use_cache(batch.memory)
    problems = [forms.from_text(body, batch.targets[0]) for _, body in batch.problems]
    blocks = [teacher.split(problem) for problem in problems]  # no target has its own cuts or names
    results = {}
    for target in batch.targets:
        meant = [replace(problem, target=target) for problem in problems]
        results[target] = _judged(batch, target, meant, [[atom.to(target) for atom in block] for block in blocks])
    return results


def _judged(batch: Batch, target: str, problems: Sequence[Problem], blocks: Sequence[Sequence[Atom]]) -> list[Judged]:
    atoms = [atom for block in blocks for atom in block]
    with closing(Memory(batch.memory / "atoms.sqlite")) as memory:
        known = memory.get(target, {atom.key for atom in atoms})
        new = _learn([atom for atom in atoms if atom.key not in known], target)
        memory.put(target, new)
    known |= new
    texts = {key: one.text for key, one in known.items()}
    lines = [teacher.text(block, texts, target) for block in blocks]
    codes = iter(assemble(target, [x for x in lines if x is not None]))
    results = []
    for (number, body), problem, block, text in zip(batch.problems, problems, blocks, lines, strict=True):
        if text is None:
            results.append(Judged(number, "none", _why_none(block, known), ""))
            continue
        whole = sampled(body, batch.whole)
        verdict, detail = _verdict(problem, next(codes), [known[atom.key] for atom in block], whole)
        results.append(Judged(number, verdict, detail[:200], "\n".join(text)))
    return results


def _learn(atoms: Iterable[Atom], target: str) -> dict[bytes, Known]:
    lessons = teacher.lessons(atoms, target)
    codes = iter(assemble(target, [lesson.lines for lesson in lessons.values() if lesson.lines is not None]))
    found: dict[bytes, Known] = {}
    for key, lesson in lessons.items():
        if lesson.question is None:
            found[key] = Known("none", "its form cannot be encoded", "")
        elif lesson.lines is None:
            found[key] = Known("none", "no lowering inside the rules", "")
        else:
            found[key] = Known(*_atom_verdict(lesson.question, next(codes)), "\n".join(lesson.lines))
    return found


def _atom_verdict(problem: Problem, code: Assembled | AssemblyError) -> tuple[str, str]:
    if isinstance(code, AssemblyError):
        return "failed", f"does not assemble: {code.message}"[:200]
    try:
        with workpool.limit(SECONDS):
            verdict = verify(problem, code, rlimit=RLIMIT)
            if isinstance(verdict, Proved):
                return "proved", "; ".join(verdict.assumptions)[:200]
            if isinstance(verdict, Refuted):
                return "refuted", "a counterexample was found"
            agreement = compare(problem, code, STATES)
    except workpool.TimeLimitError as error:
        return "failed", str(error)
    if agreement.difference is not None:
        return "refuted", "differs on a state"
    if not agreement.states:
        return "failed", f"no state could be compared: {agreement.why}"[:200]
    return "tested", verdict.reason[:200]


def _verdict(problem: Problem, code: Assembled | AssemblyError, atoms: Sequence[Known], whole: bool) -> tuple[str, str]:
    """Of the whole, from those of its atoms: the worst of them, and "refuted" if a state or the proof of the whole says so."""
    if isinstance(code, AssemblyError):
        return "failed", f"does not assemble: {code.message}"
    worst = max(atoms, key=lambda one: ("proved", "tested", "failed", "refuted").index(one.verdict))
    try:
        with workpool.limit(SECONDS):
            if agree(problem, code, states=FILTER_STATES) is not None:
                return "refuted", "differs on a state"
            if whole and isinstance(prove(problem, code, RLIMIT), Refuted):
                return "refuted", "a counterexample was found for the whole"
    except workpool.TimeLimitError as error:
        return "failed", str(error)
    details = dict.fromkeys(one.detail for one in atoms if one.verdict == worst.verdict and one.detail)
    return worst.verdict, "; ".join(details)


def _why_none(block: Sequence[Atom], known: Mapping[bytes, Known]) -> str:
    return next((known[atom.key].detail for atom in block if known[atom.key].verdict == "none"), "no normal form")


def failed(batch: Batch, why: str) -> dict[str, list[Judged]]:
    return {target: [Judged(number, "failed", why, "") for number, _ in batch.problems] for target in batch.targets}
