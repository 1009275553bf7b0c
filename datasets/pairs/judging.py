"""Problems to pairs: canonical lowering, then states in an emulator, then a proof."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import forms
import workpool
from store import Judged

from guesssketch.assembler import Assembled, AssemblyError, assemble
from guesssketch.judge import verify
from guesssketch.lowering import Lowering
from guesssketch.problem import Problem
from solver import gate
from solver.emulate import compare
from solver.verdict import Proved, Refuted

STATES = 64  # compared for a pair without a proof; before a proof, ``judge.FILTER_STATES``
NOT_SAMPLED = "no proof asked for"
RLIMIT = 200_000  # for each query to Z3: some 50 ms
_SECONDS = 20  # for one problem's states and proof


@dataclass(frozen=True)
class Batch:
    """problems: (number, text). proved: share of them, by their key, whose proof is asked for. memory: what is learnt of forms."""

    target: str
    problems: tuple[tuple[int, str], ...]
    proved: float
    memory: Path


def sampled(text: str, share: float) -> bool:
    """Whether the form is among the share that is proved; the same for both targets, and always."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32


def run_batch(batch: Batch) -> list[Judged]:
    gate.use_cache(batch.memory)
    problems = [forms.from_text(text, batch.target) for _, text in batch.problems]
    found = [next(iter(c), None) for c in Lowering(batch.target, style="canonical").propose(problems)]
    lines = [None if c is None else c.lines for c in found]
    codes = iter(assemble(batch.target, [x for x in lines if x is not None]))
    results = []
    for (number, body), problem, text in zip(batch.problems, problems, lines, strict=True):
        if text is None:
            results.append(Judged(number, "none", "no lowering inside the rules", ""))
            continue
        verdict, detail = _verdict(problem, next(codes), sampled(body, batch.proved))
        results.append(Judged(number, verdict, detail[:200], "\n".join(text)))
    return results


def _verdict(problem: Problem, code: Assembled | AssemblyError, prove: bool) -> tuple[str, str]:
    if isinstance(code, AssemblyError):
        return "failed", f"does not assemble: {code.message}"
    try:
        with workpool.limit(_SECONDS):
            verdict = verify(problem, code, rlimit=RLIMIT) if prove else None
            if isinstance(verdict, Proved):
                return "proved", "; ".join(verdict.assumptions)
            if isinstance(verdict, Refuted):
                return "refuted", "a counterexample was found"
            agreement = compare(problem, code, STATES)
    except workpool.TimeLimitError as error:
        return "failed", str(error)
    if agreement.difference is not None:
        return "refuted", "differs on a state"
    if not agreement.states:
        return "failed", f"no state could be compared: {agreement.why}"
    return "tested", NOT_SAMPLED if verdict is None else verdict.reason


def failed(batch: Batch, why: str) -> Sequence[Judged]:
    return [Judged(number, "failed", why, "") for number, _ in batch.problems]


