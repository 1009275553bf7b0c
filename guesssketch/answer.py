"""Answers to problems: ask the proposers in order, judge what they say, cut what nobody could answer whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from guesssketch.assembler import Assembled, assemble
from guesssketch.judge import Judgement, judge
from guesssketch.lifted import source_effect
from guesssketch.problem import Candidate, Doubt, Filled, Insight, Problem, Proposer
from guesssketch.questions import cut
from solver.verdict import Proved, Refuted, Tested, Verdict

SUMMARY: Final = 160  # characters


@dataclass(frozen=True)
class Piece:
    """The accepted translation of one piece of a block.

    source, target: number of instructions on each side. verdict: ``proved`` or ``tested``; ``reason``: why only tested.
    seconds: spent on judging the accepted candidate. insight: what its proposer told of it.
    """

    lines: tuple[str, ...]
    proposer: str
    verdict: str
    reason: str
    assumptions: tuple[str, ...]
    approximations: tuple[str, ...]
    source: int
    target: int
    seconds: float
    insight: Insight | None = None


@dataclass(frozen=True)
class Attempt:
    """A candidate that was not accepted, for ``source`` instructions from the problem's ``start``, and why not, in one line.

    insight: what its proposer told of it. proved: it was right, but another has fewer instructions."""

    start: int
    source: int
    proposer: str
    lines: tuple[str, ...]
    reason: str
    insight: Insight | None = None
    proved: bool = False


@dataclass(frozen=True)
class Answer:
    """Pieces that run one after the other, or, in ``failures``, what has no translation: (index of the problem's instruction,
    reason in one line). attempts: what was not accepted on the way, in the order of the instructions and then of judging."""

    pieces: tuple[Piece, ...]
    failures: tuple[tuple[int, str], ...] = ()
    attempts: tuple[Attempt, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Answer:
        data: dict[str, Any] = _tuples(json.loads(text))
        for one in (*data["pieces"], *data["attempts"]):
            if (told := one["insight"]) is not None:
                doubts, filled = (Doubt(**d) for d in told["doubts"]), (Filled(**f) for f in told["filled"])
                one["insight"] = Insight(told["confidence"], tuple(doubts), told["alignment"], told["others"], tuple(filled))
        pieces, attempts = (Piece(**piece) for piece in data["pieces"]), (Attempt(**attempt) for attempt in data["attempts"])
        return Answer(tuple(pieces), data["failures"], tuple(attempts))


def _tuples(value: Any) -> Any:
    """JSON with its lists as tuples."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {name: _tuples(item) for name, item in value.items()} if isinstance(value, dict) else value


@dataclass
class _Node:
    """A problem in the tree of cuts: answered by a judgement, or by its two halves.

    start: index of its first instruction in the root's problem. attempts: candidates that were not accepted.
    """

    problem: Problem
    start: int
    judgement: Judgement | None = None
    halves: tuple[_Node, _Node] | None = None
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Instructions of the accepted candidate."""
        assert self.judgement and self.judgement.code
        return len(self.judgement.code.instructions)


def answer(problems: Sequence[Problem], proposers: Sequence[Proposer]) -> list[Answer]:
    """One answer for each problem (all for one target).

    The proposers are asked in order, each in one batch for all that is still open; a candidate that is not proved leaves its
    problem open. What stays open is cut in two and asked again; a single instruction that cannot be proved may be tested.
    The last proposer is asked for every problem: where it is proved with fewer instructions, its answer replaces the one
    before, so that no answer has more instructions than its own.
    """
    roots = [_Node(p, 0) for p in problems]
    open_nodes = list(roots)
    while open_nodes:
        _ask(open_nodes, proposers)
        halves: list[_Node] = []
        for node in open_nodes:
            if node.judgement is None and len(node.problem.instructions) > 1:
                one, two = cut(node.problem)
                node.halves = _Node(one, node.start), _Node(two, node.start + len(one.instructions))
                halves.extend(node.halves)
        open_nodes = halves
    return [_collect(node) for node in roots]


def _ask(nodes: Sequence[_Node], proposers: Sequence[Proposer]) -> None:
    """Try every proposer on ``nodes``, setting ``judgement`` where a candidate is accepted."""
    for proposer in proposers:
        rest = [node for node in nodes if node.judgement is None or proposer is proposers[-1]]
        if not rest:
            continue
        proposed = [list(candidates) for candidates in proposer.propose([node.problem for node in rest])]
        _replace([(n, c[0]) for n, c in zip(rest, proposed, strict=True) if n.judgement and c])
        for rank in range(max(map(len, proposed), default=0)):
            asked = [(n, c[rank]) for n, c in zip(rest, proposed, strict=True) if n.judgement is None and rank < len(c)]
            _judge([n for n, _ in asked], [c for _, c in asked])
        last = [(n, c[0]) for n, c in zip(rest, proposed, strict=True) if n.judgement is None and c]
        last = [(n, c) for n, c in last if proposer is proposers[-1] and len(n.problem.instructions) == 1]
        _judge([n for n, _ in last], [c for _, c in last], final=True)


def _replace(asked: Sequence[tuple[_Node, Candidate]]) -> None:
    """Judge each candidate that has fewer instructions than its node's answer, and accept it if it is proved."""
    if not asked:
        return
    codes = assemble(asked[0][0].problem.target, [c.lines for _, c in asked])
    shorter = [(n, c, code) for (n, c), code in zip(asked, codes, strict=True)
               if isinstance(code, Assembled) and len(code.instructions) < n.size]  # fmt: skip
    _judge([n for n, _, _ in shorter], [c for _, c, _ in shorter], assembled=[code for _, _, code in shorter])


def _judge(nodes: Sequence[_Node], candidates: Sequence[Candidate], final: bool = False,
           assembled: Sequence[Assembled] | None = None) -> None:  # fmt: skip
    judged = judge([n.problem for n in nodes], candidates, final=final, assembled=assembled)
    for node, judgement in zip(nodes, judged, strict=True):
        candidate = judgement.candidate
        node.attempts = [a for a in node.attempts if a.lines != candidate.lines]  # judged again: the last word counts
        if not isinstance(judgement.verdict, Proved | Tested):
            node.attempts.append(_attempt(node, candidate, summary(judgement.verdict)))
            continue
        if node.judgement:
            reason = f"right, but {candidate.proposer} has fewer instructions"
            node.attempts.append(_attempt(node, node.judgement.candidate, reason, proved=True))
        node.judgement = judgement


def _attempt(node: _Node, candidate: Candidate, reason: str, proved: bool = False) -> Attempt:
    size = len(node.problem.instructions)
    return Attempt(node.start, size, candidate.proposer, candidate.lines, reason, _kept(candidate), proved)


def _collect(root: _Node) -> Answer:
    pieces: list[Piece] = []
    failures: list[tuple[int, str]] = []
    attempts: list[Attempt] = []
    stack = [root]
    while stack:
        node = stack.pop()
        attempts += node.attempts
        if node.halves:
            stack.extend(reversed(node.halves))
        elif node.judgement:
            pieces.append(_piece(node.problem, node.judgement))
        else:
            failures.append((node.start, node.attempts[-1].reason if node.attempts else _why_no_candidate(node.problem)))
    return Answer(() if failures else tuple(pieces), tuple(failures), tuple(attempts))


def _why_no_candidate(problem: Problem) -> str:
    with source_effect(problem) as effect:
        return "nothing here knows what it does" if effect.opaque else "no proposer has a translation"


def summary(verdict: Verdict) -> str:
    """The verdict in one line of at most SUMMARY characters; of a counterexample, what differs."""
    text = str(verdict).partition("\n")[0]
    if isinstance(verdict, Refuted):
        differences = [
            f"{d.what}{'' if d.place is None else f' [{d.place:#x}]'}: source {d.source:#x}, target {d.code:#x}"
            for d in verdict.counterexample.differences
        ]
        more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
        text = f"refuted: {differences[0]}{more}" if differences else text
    return text if len(text) <= SUMMARY else text[: SUMMARY - 3] + "..."


def _kept(candidate: Candidate) -> Insight | None:
    """What readers want to know of it; the rest serves the sketch alone."""
    return candidate.insight and replace(candidate.insight, others=(), least=())


def _piece(problem: Problem, judgement: Judgement) -> Piece:
    verdict = judgement.verdict
    assert judgement.code is not None and isinstance(verdict, Proved | Tested)
    proved = isinstance(verdict, Proved)
    return Piece(
        lines=judgement.candidate.lines,
        proposer=judgement.candidate.proposer,
        verdict="proved" if proved else "tested",
        reason="" if isinstance(verdict, Proved) else verdict.reason,
        assumptions=verdict.assumptions if isinstance(verdict, Proved) else (),
        approximations=verdict.approximations if isinstance(verdict, Proved) else (),
        source=len(problem.instructions),
        target=len(judgement.code.instructions),
        seconds=round(judgement.seconds, 4),
        insight=_kept(judgement.candidate),
    )
