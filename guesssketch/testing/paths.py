"""Inputs that Z3 finds: a run is followed up to a branch, and then made to go the other way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from guesssketch.testing.coverage import Edge, Graph, Spot
from guesssketch.testing.inputs import Input, with_answer, with_memory
from guesssketch.testing.pair import Pair, Tested
from guesssketch.testing.side import Answered
from guesssketch.testing.symbolic import Condition, Follower
from isa.separate import new_table, separate
from isa.terms import Term, not_, variables
from solver import door

_RLIMIT: Final = 1_500_000  # of one query, Z3's own count
_TRIES: Final = 4  # for one edge
_LONGEST: Final = 400  # conditions of one query, the nearest ones


class Paths:
    """New inputs for one function. ``tried``: how often for each edge."""

    def __init__(self, pair: Pair, graph: Graph, tested: Tested) -> None:
        self.graph = graph
        self._table = new_table()
        with separate(self._table):
            self._follower = Follower(pair, graph, tested)
        self.tried: dict[Edge, int] = {}

    def turned(self, given: Input, wanted: set[Edge], blocks: set[Spot], others: set[Edge]) -> Iterator[Input]:
        """Inputs like ``given`` that should go along one of the ``wanted`` edges, those to new ``blocks`` first, or else along one
        of ``others``: what a function called gives back hangs on where it goes."""
        with separate(self._table):
            followed = self._follower.follow(given)
            goals: list[tuple[int, int, Edge, Term]] = []

            def rank(edge: Edge) -> int:
                return 2 if edge in others else int(edge[1] not in blocks)

            for number, condition in enumerate(followed.conditions):
                if condition.at is not None:
                    spot, _, other = condition.at
                    goals.append((rank((spot, other)), number, (spot, other), not_(condition.term)))
            for number, choice in followed.choices:
                goals += [(rank((choice.spot, other)), number, (choice.spot, other), term) for other, term in choice.others]
            either = wanted | others
            seen: dict[Edge, int] = {}
            for _, number, edge, term in sorted(goals, key=lambda goal: goal[:2]):
                count = seen.get(edge, 0)
                if edge not in either or count >= 2 or self.tried.get(edge, 0) >= _TRIES * (1 + count):
                    continue
                seen[edge] = count + 1
                self.tried[edge] = self.tried.get(edge, 0) + 1
                found = self._solved(followed.conditions[:number], term)
                if found is not None:
                    yield _input(given, found, followed.answered)

    def _solved(self, before: Sequence[Condition], goal: Term) -> dict[str, int] | None:
        """Values of variables: with the whole path, else without the pinned addresses, else of the goal alone."""
        related = _related(before, goal)
        tries = [related, [c for c in related if c.at is not None], []]
        for number, conditions in enumerate(tries):
            if number and len(conditions) == len(tries[number - 1]):
                continue
            try:
                answer = door.solve([*(c.term for c in conditions), goal], _RLIMIT)
            except door.DoorError:
                return None
            if answer.status == "sat" and answer.model is not None:
                return answer.model.values
        return None


def _related(before: Sequence[Condition], goal: Term) -> list[Condition]:
    """The conditions that speak of what the goal speaks of, however indirectly."""
    names = set(variables(goal))
    kept: list[Condition] = []
    rest = [(c, set(variables(c.term))) for c in before[-_LONGEST:]]
    while True:
        touching = [pair for pair in rest if pair[1] & names]
        if not touching:
            return kept
        kept += [condition for condition, _ in touching]
        rest = [pair for pair in rest if not pair[1] & names]
        names |= {name for _, more in touching for name in more}


def _input(given: Input, values: dict[str, int], answered: Mapping[str, Answered]) -> Input:
    arguments = list(given.arguments)
    found = given
    memory: dict[int, int] = {}
    for name, value in values.items():
        if name[0] == "a" and name[1:].isdigit():
            arguments[int(name[1:])] = value.to_bytes(8, "little")
        elif name[0] == "m":
            memory[int(name[1:], 16)] = value
        elif name in answered:
            found = with_answer(found, answered[name].name, answered[name].count, value)
    for address in sorted(memory):
        if address - 1 not in memory:
            data = bytearray()
            while address + len(data) in memory:
                data.append(memory[address + len(data)])
            found = with_memory(found, address, bytes(data))
    return replace(found, arguments=tuple(arguments))
