"""Source blocks lifted once, each in a table of terms of its own: what becomes of a block does not depend on the others."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from guesssketch.problem import Exit, Problem
from isa.machine import Effect, Instruction
from isa.separate import Table, new_table, separate
from isa.x86_64.lift import lift

_KEPT = 2048  # blocks whose effects are remembered


@contextmanager
def source_effect(problem: Problem) -> Iterator[Effect]:
    """``isa.x86_64.lift.lift``, remembered; terms made while the context lasts fit to it. Nobody may change it."""
    effect, table = _lifted(problem.instructions, problem.exit, problem.is_shared)
    with separate(table):
        yield effect


@functools.lru_cache(maxsize=_KEPT)
def _lifted(instructions: tuple[Instruction, ...], exit: Exit, shared: bool) -> tuple[Effect, Table]:
    table = new_table()
    with separate(table):
        return lift(instructions, exit, shared), table
