"""Immediates solved for: a number that makes states end right (``solver.numbers``), with one state more until it is proved."""

from __future__ import annotations

from typing import Final

from guesssketch.assembler import Assembled, assemble
from guesssketch.judge import LIFTS, verify
from guesssketch.lifted import source_effect
from guesssketch.problem import Problem
from guesssketch.sketch.holes import Sketch
from solver.arena import Arena
from solver.link import Unlinkable
from solver.numbers import solve_number
from solver.verdict import Proved, Refuted

_VALUES: Final = (1, 2, 4, 8, 16, 24, 32, 64)  # of which some are encodable in any field
_BOUNDS: Final = (-2048, -512, -256, -1, 0, 31, 63, 255, 504, 2047, 4095, 16380, 32760, 65535)  # of fields, all that there are
RLIMIT: Final = 2_000_000  # for each query to Z3 about a survivor
_VERSIONS: Final = 3
_ROUNDS: Final = 8  # each with one more state


def solved(sketch: Sketch, arena: Arena) -> str | None:
    """What fills the one hole of ``sketch``, an immediate, and is proved; None if nobody knows. ``arena``: gets counterexamples."""
    problem = sketch.problem
    values = sorted({*_VALUES, *_BOUNDS})
    codes = assemble(problem.target, [sketch.filled([str(value)]) for value in values])
    known = [(value, code) for value, code in zip(values, codes, strict=True) if isinstance(code, Assembled)]
    usable = [entry for entry in known if entry[0] in _VALUES and len(entry[1].instructions) == len(known[0][1].instructions)]
    if len(usable) < _VERSIONS or problem.is_shared:
        return None
    bounds = known[0][0], known[-1][0]
    states = arena.numbers[:1]
    for _ in range(_ROUNDS):
        number = _number(problem, usable[:_VERSIONS], arena, states, bounds)
        if number is None:
            return None
        (code,) = assemble(problem.target, [sketch.filled([str(number)])])
        try:
            state, found = arena.told(code) if isinstance(code, Assembled) else (None, ())
            if isinstance(code, Assembled) and not found:
                verdict = verify(problem, code, explain=True, rlimit=RLIMIT)
                if not isinstance(verdict, Refuted):
                    return str(number) if isinstance(verdict, Proved) else None
                arena.add(verdict.counterexample, code)
                state = arena.told(code)[0]
        except Unlinkable:
            return None
        if state is None or state in states:  # it has no encoding, or nobody told why not: any state may lead to another number
            state = next((n for n in arena.numbers if n not in states), None)
        if state is None:
            return None
        states.append(state)
    return None


def _number(problem: Problem, codes: list[tuple[int, Assembled]], arena: Arena, states: list[int], bounds: tuple[int, int]
            ) -> int | None:  # fmt: skip
    with source_effect(problem) as source:
        try:
            lifted = [(value, LIFTS[problem.target](code.instructions, code.size)) for value, code in codes]
        except ValueError:
            return None
        return solve_number(problem, source, lifted, arena.source, states, bounds)
