"""Candidates judged: assembled, run on states in Unicorn, then proved. The only door from a proposal to an answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from guesssketch.allowed import strangers
from guesssketch.assembler import Assembled, AssemblyError, assemble, confirmed
from guesssketch.lifted import source_effect
from guesssketch.problem import Candidate, Problem
from isa.aarch64.lift import lift as lift_aarch64
from isa.riscv64.lift import lift as lift_riscv64
from isa.statemap import MAPS
from solver import gate
from solver.emulate import agree, compare
from solver.equivalence import RLIMIT, check
from solver.verdict import Proved, Refuted, Tested, Unknown, Verdict

LIFTS = {"aarch64": lift_aarch64, "riscv64": lift_riscv64}
FILTER_STATES = 4  # states run before Z3 is asked: wrong candidates mostly die on the first
TEST_STATES = 1000  # states behind a ``Tested`` verdict


@dataclass(frozen=True)
class Judgement:
    """A verdict on one candidate. ``code``: its machine code, None if it has none. ``seconds``: time to judge it."""

    candidate: Candidate
    verdict: Verdict
    code: Assembled | None
    seconds: float


def judge(problems: Sequence[Problem], candidates: Sequence[Candidate], *, final: bool = False, explain: bool = False,
          assembled: Sequence[Assembled | AssemblyError] | None = None) -> list[Judgement]:  # fmt: skip
    """Judge ``candidates[i]`` for ``problems[i]`` (all for one target). ``final``, ``explain``: see ``verify``.

    assembled: what ``assemble`` makes of the candidates, if that is known. What is accepted has one encoding, whichever assembler
    is asked. Raises ToolError if an assembler fails.
    """
    if not problems:
        return []
    target = problems[0].target
    if assembled is None:
        assembled = assemble(target, [c.lines for c in candidates])
    found = [_judge(p, c, code, final, explain) for p, c, code in zip(problems, candidates, assembled, strict=True)]
    accepted = [n for n, j in enumerate(found) if isinstance(j.verdict, Proved | Tested)]
    codes = [(candidates[n].lines, code) for n in accepted if (code := found[n].code)]
    for n, same in zip(accepted, confirmed(target, codes), strict=True):
        if not same:
            found[n] = replace(found[n], verdict=Unknown("the assemblers do not agree on its encoding"), code=None)
    return found


def _judge(problem: Problem, candidate: Candidate, code: Assembled | AssemblyError, final: bool, explain: bool) -> Judgement:
    started = time.perf_counter()
    if isinstance(code, AssemblyError):
        return Judgement(candidate, Unknown(f"does not assemble: {code.message}"), None, 0.0)
    if strange := strangers(candidate.lines, problem.symbols, problem.instructions):
        return Judgement(candidate, Unknown(f"the block has no {strange}"), None, 0.0)
    verdict = verify(problem, code, final, explain)
    return Judgement(candidate, verdict, code, time.perf_counter() - started)


def verify(problem: Problem, code: Assembled, final: bool = False, explain: bool = False, rlimit: int = RLIMIT) -> Verdict:
    """The verdict on machine code as a translation of ``problem``.

    final: what cannot be proved may be tested. explain: take the time to shrink a counterexample. rlimit: bound on each
    query to Z3.
    """
    difference = None if problem.is_atomic else agree(problem, code, states=FILTER_STATES)  # it may stop where misaligned
    if difference is not None and not explain:
        return Refuted(difference)
    verdict = prove(problem, code, rlimit)
    if difference is not None:
        return verdict if isinstance(verdict, Refuted) else Refuted(difference)
    if isinstance(verdict, Proved | Refuted) or not final:
        return verdict
    if problem.is_atomic or (problem.is_shared and not verdict.ordered):  # no state shows what other threads see
        return verdict
    agreement = compare(problem, code, TEST_STATES)
    if agreement.difference is not None:
        return Refuted(agreement.difference)
    return Tested(agreement.states, verdict.reason) if agreement.states else Unknown(f"{verdict.reason}; {agreement.why}")


def prove(problem: Problem, code: Assembled, rlimit: int = RLIMIT) -> Proved | Refuted | Unknown:
    """What the semantics say, though states may tell already."""
    missing = gate.unvalidated("x86_64", problem.instructions) + gate.unvalidated(problem.target, code.instructions)
    if missing:
        return Unknown(f"semantics not validated: {'; '.join(missing)}")
    with source_effect(problem) as source:
        target = LIFTS[problem.target](code.instructions, code.size, problem.is_shared)
        state = MAPS[problem.target]
        return check(source, target, state, problem.live_in, problem.live_out, problem.exit, problem.symbols,
                     order=problem.order, rlimit=rlimit)  # fmt: skip
