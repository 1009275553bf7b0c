"""Inputs for one function: random and boundary ones, then changes of those that reached something new.

What an input is worth is what it reaches in the original. Runs in which the original faults are stepping stones (``mending``).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from guesssketch.program import Call, TailCall
from guesssketch.resolve import Resolver
from guesssketch.testing import layout
from guesssketch.testing.convention import extended
from guesssketch.testing.coverage import Covered, Edge, Graph, Spot
from guesssketch.testing.inputs import Input, smaller, with_answer, with_filled, with_memory
from guesssketch.testing.mending import Mender
from guesssketch.testing.pair import LONGEST, Judged, Pair, Tested
from guesssketch.testing.paths import Paths
from guesssketch.testing.side import STEPS, TOO_MANY, Answered
from guesssketch.testing.states import State, called, left
from guesssketch.testing.tracing import Tracer
from guesssketch.testing.values import Values, constants

_FIRST: Final = 60  # inputs made at random before any is changed
_ENOUGH: Final = 2000  # runs after which a function that is wholly covered is left
_STUCK: Final = 20  # runs that reached nothing new, before the solver is asked
_ASKED: Final = 3  # times that the solver is given one input
_LONG: Final = 500  # pieces of code after which a run counts twice
_CUT: Final = 16  # runs that were cut short for being long, before they may be longer, where hardly any is not
_LONGER: Final = 16  # times as long
_LITTERED: Final = 32  # places of an input that are littered at once
_MENDED: Final = 12  # times in a row that an input is mended
_ANSWERS: Final = 100  # of a run, that are changed
_PATCHES: Final = 100  # of memory, in one input
_KEPT: Final = 4  # states that are left to others
_TEXT: Final = 64  # bytes of memory that are made like others
_COMPARED: Final = 8  # pairs of a run, in which that is done
_WORN: Final = 12  # changes of an input between two looks at which others there are


@dataclass(frozen=True)
class Limits:
    """seconds, runs: for each function, whichever is reached first. guided: whether coverage steers."""

    seconds: float = 10.0
    runs: int = 1_000_000
    seed: int = 0
    guided: bool = True
    solver: bool = True


@dataclass
class Found:
    """What became of one function, in all rounds so far. covered: by runs that could be compared. difference: the smallest input
    that shows one. instructions: of the translation, (address, size) of pieces that were run. states: that it left behind.
    whole: whether everything is covered."""

    name: str
    runs: int = 0
    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    covered: Covered = field(default_factory=lambda: Covered(frozenset(), frozenset()))
    instructions: set[tuple[int, int]] = field(default_factory=set)
    corpus: list[Input] = field(default_factory=list)
    difference: tuple[Input, Judged] | None = None
    why: Counter[str] = field(default_factory=Counter)
    solved: int = 0
    """Inputs that the solver made."""
    states: tuple[State, ...] = ()
    whole: bool = False


@dataclass
class _Entry:
    given: Input
    covered: Covered
    sound: bool  # the run could be compared
    length: int  # pieces of code that it ran
    answered: list[Answered]
    tries: int = 0
    asked: int = 0
    accesses: tuple[list[tuple[int, int]], list[tuple[int, int]]] | None = None


def goals(pair: Pair, graph: Graph, tested: Tested) -> set[int]:
    """The functions that only ``tested`` and others can reach: itself, and those it calls that are not run by themselves."""
    program = pair.prepared.program
    resolver = Resolver(program)
    apart = {other.index for other in pair.prepared.functions}
    found, pending = {tested.index}, [tested.index]
    while pending:
        for block in program.functions[0][pending.pop()].blocks.values():
            if isinstance(block.terminator, Call | TailCall) and block.terminator.callee is not None:
                at = resolver.callee(0, block.terminator.callee)
                if at is not None and at.function not in found and at.function not in apart:
                    found.add(at.function)
                    pending.append(at.function)
    return found


class Explorer:
    """Inputs for ``tested``, as long as ``limits`` let it. states: that other functions left. before: what came of it so far, whose
    runs count in the limit on runs."""

    def __init__(self, pair: Pair, graph: Graph, tested: Tested, limits: Limits, states: Sequence[State] = (),
                 before: Found | None = None) -> None:  # fmt: skip
        self.states = states
        self.pair, self.graph, self.tested, self.limits = pair, graph, tested, limits
        self.source = random.Random(f"{limits.seed}.{tested.name}")
        functions = pair.prepared.program.functions[0]
        self.goals = goals(pair, graph, tested)
        self.values = Values(self.source, constants([functions[n] for n in sorted(self.goals)]))
        self.found = before or Found(tested.name)
        self._left: list[tuple[int, State]] = []
        self._tracer = Tracer(pair, tested)
        self._mender = Mender(tested, self._tracer, self.values, self.source)
        self._blocks: set[Spot] = set()
        self._edges: set[Edge] = set()
        self._sound_blocks: set[Spot] = set()
        self._sound_edges: set[Edge] = set()
        self._entries: list[_Entry] = []
        self._wanted_blocks = {s for s in graph.blocks if s.function in self.goals}
        self._wanted_edges = {e for e in graph.edges if e[0].function in self.goals}
        self._cut = self._looked = 0  # runs cut short, since how many
        self._longer = True  # whether runs may be made longer
        self._since = 0  # runs since something new was reached
        self._paths: Paths | None = None

    # --- one input ---

    def attempt(self, given: Input, mended: int = 0) -> Judged:
        """Run ``given`` on both sides, and keep it if it reached something new. ``mended``: how often it was, since it was made."""
        given = self._proper(given)
        found = self.found
        found.runs += 1
        self._since += 1
        source = self.pair.original(self.tested, given)
        cut = None if source.how in ("return", "no-return") else source.where
        answered = [answer for answer in self.pair.source.answered[:_ANSWERS] if answer.is_integer]
        self._unequal = list(dict.fromkeys(self.pair.source.unequal))
        covered = self.graph.covered(self.graph.path(self.pair.source.process.blocks, cut))
        judged = self.pair.judge(self.tested, given, source)
        found.statuses[judged.status] += 1
        if judged.why:
            found.why[judged.why] += 1
        sound = judged.status in ("equal", "different")
        new = not (covered.blocks <= self._blocks and covered.edges <= self._edges)
        if sound and not (covered.blocks <= self._sound_blocks and covered.edges <= self._sound_edges):
            new = True
            found.instructions.update(self.pair.pieces(self.tested, given))
            self._sound_blocks |= covered.blocks
            self._sound_edges |= covered.edges
        self._blocks |= covered.blocks
        self._edges |= covered.edges
        if new:
            self._since = 0
            self._alike(given)
            if sound and source.how == "return" and (state := left(self.pair.source, source, given, self.pair.prepared.writable)):
                self._left.append((len(covered.edges), state))
            self._entries.append(_Entry(given, covered, sound, len(self.pair.source.process.blocks), answered))
        if source.how == "steps" and source.detail in TOO_MANY and self._lengthened():
            self._pending.append((given, mended))
        bad = source.how in ("fault", "steps") and (new or 0 < mended < _MENDED or self.source.random() < 0.2)
        if bad and len(self._pending) <= 200 and len(given.memory) <= _PATCHES and (better := self._mender.mended(given, source)):
            self._pending.append((better, mended + 1))  # tried before anything else
        return judged

    def _alike(self, given: Input) -> None:
        """Try ``given`` with what the library has found unlike made alike: text is not guessed."""
        for unequal in [u for u in self._unequal if len(u.data) <= _TEXT][:_COMPARED]:
            if self._tracer.is_given(unequal.address):
                self._pending.append((with_memory(given, unequal.address, unequal.data), 0))
            if unequal.handed is not None:  # the code may have written there before, as it does before it reads
                self._pending.append((with_filled(given, unequal.handed, unequal.data), 0))

    def _lengthened(self) -> bool:
        """Whether runs may be longer from now on, as nearly all were cut short. If the longest are, too, short ones have to do."""
        self._cut += 1
        if not self._longer or self._cut < _CUT or self._cut * 10 < (self.found.runs - self._looked) * 9:
            return False
        self._cut, self._looked = 0, self.found.runs
        self._longer = self.pair.steps < LONGEST
        self.pair.steps = self.pair.steps * _LONGER if self._longer else STEPS
        return self._longer

    def _proper(self, given: Input) -> Input:
        """``given`` with narrow arguments extended, as compilers take callers to do."""
        kinds = self.tested.signature.parameters
        arguments = tuple(extended(int.from_bytes(value, "little"), kind.code).to_bytes(8, "little") if kind.size < 4 else value
                          for kind, value in zip(kinds, given.arguments, strict=True))  # fmt: skip
        return given if arguments == given.arguments else replace(given, arguments=arguments)

    def run(self, saved: Sequence[Input] = ()) -> Found:
        """Go on until the limits are reached, everything is covered, or a difference is found."""
        started = time.monotonic()
        found = self.found
        done = found.seconds
        self._deadline = started + self.limits.seconds
        self._fresh = _FIRST
        self.pair.steps = STEPS
        self._pending = [(given, 0) for given in saved if len(given.arguments) == len(self.tested.signature.parameters)]
        while found.runs < self.limits.runs and time.monotonic() < self._deadline:
            given, mended = self._pending.pop() if self._pending else (self._next(), 0)
            judged = self.attempt(given, mended)
            if judged.status == "different":
                found.difference = self._smallest(given, judged)
                break
            if found.runs >= _ENOUGH and self._wanted_blocks <= self._sound_blocks and self._wanted_edges <= self._sound_edges:
                found.whole = True
                break
        found.seconds = done + time.monotonic() - started
        found.covered = Covered(found.covered.blocks | self._sound_blocks, found.covered.edges | self._sound_edges)
        found.corpus = self._least()
        found.states = tuple(state for _, state in sorted(self._left, key=lambda pair: -pair[0])[:_KEPT]) or found.states
        return found

    # --- new inputs ---

    def fresh(self) -> Input:
        if self.states and self.source.random() < 0.7:
            return called(self.source.choice(self.states), self.tested.signature, self.values, self.source)
        arguments = tuple(self.values.argument(kind, n) for n, kind in enumerate(self.tested.signature.parameters))
        return Input(self.source.randrange(1 << 16), arguments)

    def _next(self) -> Input:
        if self.limits.solver and self._since >= _STUCK:
            self._since = 0
            if solved := self._turned():
                self._pending += [(given, 0) for given in solved[:-1]]
                return solved[-1]
        self._fresh -= 1
        if self._fresh >= 0 or not self.limits.guided or not self._entries or self.source.random() < 0.1:
            return self.fresh()
        entry = self._chosen()
        entry.tries += 1
        given = entry.given
        if self.source.random() < 0.15:
            return self._littered(given, entry)
        for _ in range(self.source.choice((1, 1, 1, 2, 2, 3, 5))):
            given = self._changed(given, entry)
        return given

    def _turned(self) -> list[Input]:
        """What the solver makes of an input that it was given least often: inputs that take edges which none took yet."""
        wanted = self._wanted_edges - self._sound_edges
        entries = [entry for entry in self._entries if entry.asked < _ASKED]
        if not wanted or not entries:
            return []
        if self._paths is None:
            self._paths = Paths(self.pair, self.graph, self.tested)
        entry = min(entries, key=lambda e: (e.asked, not e.sound))
        entry.asked += 1
        found: list[Input] = []
        others = self.graph.edges - self._wanted_edges - self._sound_edges
        for given in self._paths.turned(entry.given, wanted, self._wanted_blocks - self._sound_blocks, others):
            found.append(given)
            if time.monotonic() > self._deadline:
                break
        self.found.solved += len(found)
        return found[::-1]

    def _chosen(self) -> _Entry:
        """Recent ones and those rarely tried first."""
        some = [self._entries[-1 - int(self.source.expovariate(0.15)) % len(self._entries)] for _ in range(2)]
        some.append(self.source.choice(self._entries))
        return min(some, key=lambda e: e.tries * (1 + e.length / _LONG) + (0 if e.sound else _WORN))

    def _changed(self, given: Input, entry: _Entry) -> Input:
        if entry.answered and self.source.random() < 0.25:
            answer = self.source.choice(entry.answered)
            pointer = answer.code in ("ptr", "unknown") and self.source.random() < 0.4
            return with_answer(given, answer.name, answer.count, self.values.pointer() if pointer else self.values.number())
        kind = self.source.random()
        if kind < 0.6 and (places := self._accesses(entry)):
            address, size = places[self.source.randrange(len(places))]
            old = next((data for at, data in reversed(given.memory) if at == address and len(data) == size), None)
            if old is None:
                old = self._tracer.held(given, address, size)
            new = self._copied(given, entry, size) if self.source.random() < 0.1 else self.values.patch(old)
            if size == 8 and layout.is_code(int.from_bytes(new, "little")):
                return given  # a function of another type, or the middle of one: no program would call that
            return with_memory(given, address, new)
        if kind < 0.85 and given.arguments:
            index = self.source.randrange(len(given.arguments))
            type_ = self.tested.signature.parameters[index]
            value = given.arguments[index]
            if type_.is_integer and len(value) == 8 and type_.code != "ptr" and self.source.random() < 0.4:
                value = self.values.patch(value)
            else:
                value = self.values.argument(type_, index)
            return replace(given, arguments=(*given.arguments[:index], value, *given.arguments[index + 1 :]))
        if kind < 0.93:
            return replace(given, seed=self.source.randrange(1 << 16))
        if kind < 0.96:
            return replace(given, denied=self.source.choice((-1, 0, 1, 2, 3)))
        other = self.source.choice(self._entries).given
        return replace(given, memory=(*given.memory, *other.memory)[-_PATCHES:])

    def _copied(self, given: Input, entry: _Entry, size: int) -> bytes:
        """What stands elsewhere: comparisons of two places need to come out equal."""
        places = [(at, n) for at, n in self._accesses(entry) if n == size]
        address, _ = self.source.choice(places) if places else (layout.ARENA, size)
        return self._tracer.held(given, address, size)

    def _accesses(self, entry: _Entry) -> list[tuple[int, int]]:
        """Places outside the stack that a run reads before it writes them."""
        if entry.accesses is None:
            entry.accesses = self._tracer.looked(entry.given)
        return entry.accesses[0]

    def _littered(self, given: Input, entry: _Entry) -> Input:
        """``given`` with noise where its run writes without having read: a store that is left out, or is too narrow, shows."""
        self._accesses(entry)
        assert entry.accesses
        places = [(at, size) for at, size in entry.accesses[1] if layout.is_given(at) and size <= 8]
        for address, size in self.source.sample(places, min(len(places), _LITTERED)):
            given = with_memory(given, address, self.source.randbytes(size))
        return given

    # --- the end ---

    def _least(self) -> list[Input]:
        """Few inputs that cover together what all did, small ones first."""
        blocks: set[Spot] = set()
        edges: set[Edge] = set()
        kept: list[Input] = []
        for entry in sorted(self._entries, key=lambda e: (not e.sound, -len(e.covered.edges), e.given.size)):
            if not (entry.covered.blocks <= blocks and entry.covered.edges <= edges):
                blocks |= entry.covered.blocks
                edges |= entry.covered.edges
                kept.append(entry.given)
        return kept

    def _smallest(self, given: Input, judged: Judged) -> tuple[Input, Judged]:
        """The input made as small as it can be in the time that was given for all, and still show a difference of the same kind."""
        kind = judged.differences[0].what.split()[0]
        best = given, judged
        deadline = time.monotonic() + self.limits.seconds
        for _ in range(3):
            before = best[0]
            for simpler in smaller(best[0]):
                found = self.pair.judge(self.tested, simpler)
                if found.status == "different" and found.differences[0].what.split()[0] == kind:
                    best = simpler, found
                if time.monotonic() > deadline:
                    return best
            if best[0] == before:
                break
        return best
