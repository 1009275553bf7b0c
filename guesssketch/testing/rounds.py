"""Functions explored in rounds: what one leaves behind in a round is what others begin with in the next, and those that are wholly
covered leave their time to the rest."""

from __future__ import annotations

import functools
import math
import pickle
import random
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from guesssketch.testing.coverage import Graph
from guesssketch.testing.explore import Explorer, Found, Limits
from guesssketch.testing.inputs import Input
from guesssketch.testing.pair import Pair, Prepared
from guesssketch.testing.states import State
from guesssketch.workers import spread

_PARTS: Final = (0.2, 0.5, 1.0)  # of time and runs, after each round
_STATES: Final = 16  # of other functions, that one is given in a round
_APART: Final = 1_000_003  # between the seeds of rounds


@dataclass(frozen=True)
class Task:
    """The function ``name`` of what is pickled in ``stored``. saved: inputs that are known. before: what came of it so far.
    states: that others of the object left."""

    stored: Path
    name: str
    saved: tuple[Input, ...] = ()
    before: Found | None = None
    states: tuple[State, ...] = ()


@functools.lru_cache(maxsize=1)
def _pair(stored: Path) -> tuple[Pair, Graph]:
    prepared: Prepared = pickle.loads(stored.read_bytes())
    return Pair(prepared), Graph(prepared.program, prepared.bases)


def explored(limits: Limits, task: Task) -> Found:
    """In a worker: one function, for one round."""
    pair, graph = _pair(task.stored)
    (tested,) = (t for t in pair.prepared.functions if t.name == task.name)
    return Explorer(pair, graph, tested, limits, task.states, task.before).run(task.saved)


def explore(tasks: Sequence[Task], limits: Limits, jobs: int, seconds: float | None = None) -> Generator[tuple[int, Found]]:
    """``(n, what came of tasks[n])``, each function as it is done. seconds: for all together, instead of ``limits.seconds`` each.

    Raises ToolError if a worker dies.
    """
    known = {number: Found(task.name) for number, task in enumerate(tasks)}
    current = dict(enumerate(tasks))
    for number, (before, part) in enumerate(pairwise((0.0, *_PARTS))):
        spent = sum(found.seconds for found in known.values())
        own = limits.seconds * (part - before) if seconds is None else (seconds * part - spent) / max(len(current), 1)
        now = replace(limits, seconds=own, runs=math.ceil(limits.runs * part), seed=limits.seed + number * _APART)
        order = sorted(current)
        with closing(spread(functools.partial(explored, now), [current[n] for n in order], jobs)) as done:
            for place, found in done:
                known[order[place]] = found
                if number + 1 == len(_PARTS) or found.whole or found.difference is not None:
                    del current[order[place]]
                    yield order[place], found
        current = {n: _next(n, tasks, known, now.seed) for n in current}


def _next(number: int, tasks: Sequence[Task], known: dict[int, Found], seed: int) -> Task:
    """The task of function ``number`` for another round."""
    task = tasks[number]
    others = [n for n in sorted(known) if n != number and tasks[n].stored == task.stored]
    states = [state for n in others for state in known[n].states]
    source = random.Random(f"{seed}.{task.name}")
    before = known[number]
    return replace(task, saved=tuple(before.corpus), before=before, states=tuple(source.sample(states, min(len(states), _STATES))))
