"""Candidates judged by worker processes; the parent, which holds the model, only waits. Equal questions are asked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from guesssketch.answer import summary
from guesssketch.assembler import Assembled, AssemblyError, assemble
from guesssketch.judge import judge
from guesssketch.lowering import Lowering
from guesssketch.problem import Candidate, Problem
from guesssketch.progress import Tell, quiet
from guesssketch.workers import spread
from solver import gate
from solver.verdict import Proved, Refuted, Verdict

CHUNK: Final = 40  # questions that a worker takes at a time
Lines = tuple[str, ...]



@dataclass(frozen=True)
class Judged:
    """One candidate's verdict: ``proved``, ``refuted``, ``unknown`` or ``no code`` (it does not assemble).

    detail: one line. differs: of a refuted one, the first result that differs (``memory`` for bytes of it).
    size: instructions of its machine code, 0 if it has none.
    """

    verdict: str
    detail: str
    differs: str
    size: int


@dataclass(frozen=True)
class Question:
    """Is one of ``candidates`` a translation of ``problem``? They are judged in order until one is.

    teacher: to be measured beside them.
    """

    problem: Problem
    candidates: tuple[Lines, ...]
    teacher: Lines


@dataclass(frozen=True)
class Reply:
    """judged: as many of the candidates, in order, as it took.

    teacher, lowering: instructions of the machine code, the lowering's proved; None if there is none, or it was not asked.
    """

    judged: tuple[Judged, ...]
    teacher: int | None
    lowering: int | None


def judge_all(questions: Sequence[Question], jobs: int, *, lowering: bool = False, memory: Path | None = None,
              progress: Tell = quiet, stage: str = "judging") -> list[Reply]:  # fmt: skip
    """A reply for each question.

    lowering: measure ``Lowering(target)`` as well. memory: see ``workers.Work``. Raises ToolError if a worker dies.
    """
    equal: dict[tuple[str, tuple[Lines, ...], Lines], list[int]] = {}
    for n, question in enumerate(questions):
        equal.setdefault((question.problem.key, question.candidates, question.teacher), []).append(n)
    chunks: list[list[list[int]]] = []
    for target in dict.fromkeys(q.problem.target for q in questions):
        groups = [group for group in equal.values() if questions[group[0]].problem.target == target]
        chunks += [groups[i : i + CHUNK] for i in range(0, len(groups), CHUNK)]
    replies: dict[int, Reply] = {}
    progress(stage, 0, len(questions))
    work = partial(_judge, lowering=lowering, memory=memory)
    for index, found in spread(work, [[questions[group[0]] for group in chunk] for chunk in chunks], jobs):
        for group, reply in zip(chunks[index], found, strict=True):
            replies.update(dict.fromkeys(group, reply))
        progress(stage, len(replies), len(questions))
    return [replies[n] for n in range(len(questions))]


def _judge(questions: Sequence[Question], lowering: bool, memory: Path | None) -> list[Reply]:
    """In a worker; all questions are for one target."""
    if memory is not None:
        gate.use_cache(memory)
    target = questions[0].problem.target
    judged: list[list[Judged]] = [[] for _ in questions]
    for rank in range(max(len(q.candidates) for q in questions)):
        rows = [n for n, q in enumerate(questions) if rank < len(q.candidates) and not _done(judged[n])]
        for n, verdict in zip(rows, _verdicts([(questions[n].problem, questions[n].candidates[rank]) for n in rows]), strict=True):
            judged[n].append(verdict)
    teachers = [_size(code) for code in assemble(target, [q.teacher for q in questions])]
    lowered: dict[int, int] = {}
    if lowering:
        lines = Lowering(target).lower([q.problem for q in questions])
        verdicts = _verdicts([(questions[n].problem, text) for n, text in lines.items()])
        lowered = {n: v.size for n, v in zip(lines, verdicts, strict=True) if v.verdict == "proved"}
    return [Reply(tuple(judged[n]), teachers[n], lowered.get(n)) for n in range(len(questions))]


def _done(judged: Sequence[Judged]) -> bool:
    return bool(judged) and judged[-1].verdict == "proved"


def _verdicts(asked: Sequence[tuple[Problem, Lines]]) -> list[Judged]:
    found = judge([problem for problem, _ in asked], [Candidate(lines, "lm") for _, lines in asked])
    return [_told(one.verdict, one.code) for one in found]


def _told(verdict: Verdict, code: Assembled | None) -> Judged:
    if code is None:
        return Judged("no code", summary(verdict), "", 0)
    if isinstance(verdict, Proved):
        return Judged("proved", "", "", len(code.instructions))
    if not isinstance(verdict, Refuted):
        return Judged("unknown", summary(verdict), "", len(code.instructions))
    differences = verdict.counterexample.differences
    what = differences[0].what.partition(":")[0] if differences else "?"
    return Judged("refuted", summary(verdict), "memory" if what.startswith("byte [") else what, len(code.instructions))


def _size(code: Assembled | AssemblyError) -> int | None:
    return len(code.instructions) if isinstance(code, Assembled) else None
