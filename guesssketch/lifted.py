"""Source blocks lifted once, each in a table of terms of its own: what becomes of a block, and of each translation that is judged
for it, does not depend on others."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from guesssketch.problem import Exit, Problem
from isa.machine import Effect, Instruction
from isa.separate import Table, new_table, separate
from isa.x86_64.lift import lift
from solver.assume import conditions

_KEPT = 2048  # blocks whose effects are remembered


@contextmanager
def source_effect(problem: Problem) -> Iterator[Effect]:
    """``isa.x86_64.lift.lift``, remembered; terms made while the context lasts fit to it, and are forgotten then. Nobody may change
    it."""
    effect, table = _lifted(problem.instructions, problem.exit, problem.is_shared, problem.assume)
    with separate(table.copy()):
        yield effect


@functools.lru_cache(maxsize=_KEPT)
def _lifted(instructions: tuple[Instruction, ...], exit: Exit, shared: bool, assume: tuple[str, ...]) -> tuple[Effect, Table]:
    table = new_table()
    with separate(table):
        effect = lift(instructions, exit, shared)
        effect.assumed = conditions(effect, assume)
        return effect, table

