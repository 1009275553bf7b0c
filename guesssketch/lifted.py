"""Source blocks lifted once, each in a table of terms of its own: what becomes of a block does not depend on the others."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from isa.machine import Effect, Instruction
from isa.separate import Table, new_table, separate
from isa.x86_64.lift import Exit, lift

_KEPT = 2048  # blocks whose effects are remembered


@contextmanager
def source_effect(instructions: Sequence[Instruction], exit: Exit) -> Iterator[Effect]:
    """``isa.x86_64.lift.lift``, remembered; terms made while the context lasts fit to it. Nobody may change it."""
    effect, table = _lifted(tuple(instructions), exit)
    with separate(table):
        yield effect


@functools.lru_cache(maxsize=_KEPT)
def _lifted(instructions: tuple[Instruction, ...], exit: Exit) -> tuple[Effect, Table]:
    table = new_table()
    with separate(table):
        return lift(instructions, exit), table
