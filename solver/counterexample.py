"""Counterexamples: found on concrete states, confirmed by evaluation, shrunk, and printed to be read."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from isa import terms as t
from isa.evaluate import Program, evaluate
from isa.terms import Term
from solver.relation import ANY_ADDRESS, Goal

_SHRINK_EVALUATIONS: Final = 200
# What even-numbered sample states are made of, in turn: doubles of magnitude 1 to 2, any bits, pairs of such singles.
# Signs are mixed, so that sums cancel and show how often their terms were rounded.
_NUMBERS: Final[tuple[Callable[[int], int], ...]] = (
    lambda bits: bits & 0x800F_FFFF_FFFF_FFFF | 0x3FF << 52,
    lambda bits: bits,
    lambda bits: bits & 0x807F_FFFF_807F_FFFF | 0x3F80_0000_3F80_0000,
)
Memory = Callable[[int], int]


@dataclass(frozen=True)
class Difference:
    """One result that differs: both sides' values, ``bits`` wide. place: the address, for a byte of memory."""

    what: str
    source: int
    code: int
    bits: int
    place: int | None = None


@dataclass(frozen=True)
class Counterexample:
    """An initial state (everything not listed is 0) after which the two sides differ.

    state: x86-64 cells, symbols, and target cells that stand for nothing (``code.x17``). memory: (address, byte).
    """

    state: tuple[tuple[str, int], ...]
    memory: tuple[tuple[int, int], ...]
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        start = [f"{_readable(name)} = {value:#x}" for name, value in self.state]
        start += [f"byte [{address:#x}] = {byte:#04x}" for address, byte in self.memory]
        lines = ["  from the state (all else 0)", *(f"    {line}" for line in start or ["all 0"])]
        for d in self.differences:
            what = d.what if d.place is None else f"{d.what} [{d.place:#x}]"
            lines.append(f"  {what}: source {d.source:#x}, target {d.code:#x}")
        return "\n".join(lines)


def _readable(name: str) -> str:
    if name.startswith("code.seen:"):
        return f"what load {int(name.partition(':')[2]) + 1} finds"
    return f"{name.removeprefix('code.')} (on the target, anything)" if name.startswith("code.") else name


def _byte(salt: int, address: int) -> int:
    """The content of a made-up memory."""
    return address * salt >> 29 & 0xFF


class Search:
    """Concrete states of one proof. ``goals`` must hold where ``assumptions`` do; ``initial``: names for the reader.

    Raises ValueError if a term has no concrete meaning (``isa.evaluate``).
    """

    def __init__(self, goals: Sequence[Goal], assumptions: Sequence[Term], initial: Mapping[str, Term]) -> None:
        self._goals = list(goals)
        self._initial = initial
        sides = [x for g in goals for x in (g.source, g.code)]
        self._widths = {n: v.width for n, v in t.variables(*sides, *assumptions, *initial.values()).items()}
        self._assumptions = Program(list(assumptions))
        self._results = Program(sides)
        accesses = [x for x in t.walk(*sides) if x.op in ("load", "store")]
        self._places = Program([x.args[1] for x in accesses])
        self._sizes = [(x.width or x.args[2].width) // 8 for x in accesses]

    def sample(self, count: int) -> Counterexample | None:
        """Tries ``count`` states: all 0, small numbers, random ones, floats; the same ones every time."""
        for env, memory in self._states(count):
            if self.differences(env, memory):
                return self.shrink(env, memory)
        return None

    def satisfies_assumptions(self, count: int) -> bool:
        """Whether one of ``count`` states satisfies the assumptions."""
        return any(self.assumptions_hold(env, memory) for env, memory in self._states(count))

    def assumptions_hold(self, env: Mapping[str, int], memory: Memory) -> bool:
        return all(self._assumptions.run(self._complete(env), memory))

    def confirm(self, env: Mapping[str, int], memory: Memory) -> Counterexample | None:
        """The counterexample that a model is, shrunk; None if both sides agree on it after all."""
        complete = self._complete(env)
        return self.shrink(complete, memory) if self.differences(complete, memory) else None

    def _complete(self, env: Mapping[str, int]) -> dict[str, int]:
        return {name: env.get(name, 0) for name in self._widths}

    def _states(self, count: int) -> Iterator[tuple[dict[str, int], Memory]]:
        for n in range(count):
            source = random.Random(n)
            env = {}
            for name, width in self._widths.items():
                ones, top = t.mask(width), 1 << (width - 1)
                small = source.choice((0, 1, 2, 7, 16, 0x7F, 0x80, ones, top, source.getrandbits(31))) & ones
                number = _NUMBERS[n // 2 % 3](source.getrandbits(64)) if width > 31 else source.getrandbits(width)
                env[name] = 0 if n == 0 else small if n % 2 else number & ones
            yield env, functools.partial(_byte, source.getrandbits(64) | 1 if n else 0)

    def differences(self, env: Mapping[str, int], memory: Memory) -> tuple[Difference, ...]:
        """What differs after this state; empty if it violates an assumption."""
        if not all(self._assumptions.run(env, memory)):
            return ()
        found: list[Difference] = []
        results = self._results.run(env, memory)
        for goal, a, b in zip(self._goals, results[::2], results[1::2], strict=True):
            if goal.source.width == t.MEMORY:
                bytes_ = ((x, a.get(x, memory(x)), b.get(x, memory(x))) for x in sorted({*a, *b}))
                found += [Difference(goal.what, x, y, 8, place) for place, x, y in bytes_ if x != y]
            elif a != b:
                found.append(Difference(goal.what, a, b, goal.source.width))
        return tuple(found)

    def shrink(self, env: Mapping[str, int], memory: Memory) -> Counterexample:
        """A simpler state with a difference: each variable and byte made 0 or small where that keeps one."""
        best = dict(env)
        bytes_ = {a: memory(a) for a in self._touched(best, memory)}
        budget = _SHRINK_EVALUATIONS

        def differs(state: Mapping[str, int], content: Mapping[int, int]) -> bool:
            nonlocal budget
            budget -= 1
            return budget >= 0 and bool(self.differences(state, lambda a: content.get(a, 0)))

        if differs(best, {}):
            bytes_ = {}
        for name, width in self._widths.items():
            value = best[name]
            for smaller in (0, 1, 2, 16, value & 0xFF, value & 0xFFFF, value & t.mask(32), 1 << 31, 1 << (width - 1)):
                if smaller < value and differs(best | {name: smaller}, bytes_):
                    best[name] = smaller
                    break
        for address in [a for a, byte in bytes_.items() if byte]:
            if differs(best, bytes_ | {address: 0}):
                bytes_[address] = 0
        return self._describe(best, bytes_)

    def _touched(self, env: Mapping[str, int], memory: Memory) -> list[int]:
        starts = zip(self._places.run(env, memory), self._sizes, strict=True)
        return sorted({(a + k) & t.mask(64) for a, size in starts for k in range(size)})

    def _describe(self, env: Mapping[str, int], bytes_: Mapping[int, int]) -> Counterexample:
        def memory(address: int) -> int:
            return bytes_.get(address, 0)

        shown = dict(zip(self._initial, evaluate(list(self._initial.values()), env, memory), strict=True))
        parts = t.variables(*self._initial.values())
        shown |= {name: value for name, value in env.items() if name not in parts and name != ANY_ADDRESS}
        state = tuple((name, value) for name, value in shown.items() if value)
        used = set(self._touched(env, memory))
        content = tuple((a, b) for a, b in sorted(bytes_.items()) if b and a in used)
        return Counterexample(state, content, self.differences(env, memory))
