"""Counterexamples: found on concrete states, confirmed by evaluation, shrunk, and printed to be read."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from isa import terms as t
from isa.evaluate import evaluate
from isa.terms import Term
from solver.relation import Goal

_SHRINK_EVALUATIONS: Final = 200
Memory = Callable[[int], int]


@dataclass(frozen=True)
class Difference:
    """One result that differs: the source's value and the target's, ``bits`` wide."""

    what: str
    source: int
    code: int
    bits: int


@dataclass(frozen=True)
class Counterexample:
    """An initial state (everything not listed is 0) after which the two sides differ.

    state: x86-64 cells, symbols, and target cells that stand for nothing (``code.x17``). memory: (address, byte).
    """

    state: tuple[tuple[str, int], ...]
    memory: tuple[tuple[int, int], ...]
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        start = [f"{name.removeprefix('code.')}{' (target, unrelated)' if name.startswith('code.') else ''} = {value:#x}"
                 for name, value in self.state]  # fmt: skip
        start += [f"byte [{address:#x}] = {byte:#04x}" for address, byte in self.memory]
        lines = ["  from the state (all else 0)", *(f"    {line}" for line in start or ["all 0"])]
        for d in self.differences:
            lines.append(f"  {d.what}: source {d.source:#x}, target {d.code:#x}")
        return "\n".join(lines)


def _byte(salt: int, address: int) -> int:
    """The content of a made-up memory."""
    return address * salt >> 29 & 0xFF


class Search:
    """Concrete states of one proof. ``goals`` must hold where ``assumptions`` do; ``initial``: names for the reader."""

    def __init__(self, goals: Sequence[Goal], assumptions: Sequence[Term], initial: Mapping[str, Term]) -> None:
        self._goals = [g for g in goals if g.source is not g.code]
        self._assumptions = list(assumptions)
        self._initial = initial
        sides = [x for g in self._goals for x in (g.source, g.code)]
        self._widths = {n: v.width for n, v in t.variables(*sides, *assumptions, *initial.values()).items()}
        self._places = [x for x in t.walk(*sides) if x.op == "store"]
        self._loads = [x for x in t.walk(*sides) if x.op == "load"]
        self._memory_pair = next(((g.source, g.code) for g in self._goals if g.source.width == t.MEMORY), None)

    def sample(self, count: int) -> Counterexample | None:
        """Tries ``count`` states: all 0, all 1s, small numbers, and random ones; the same ones every time."""
        for env, memory in self._states(count):
            if self.differences(env, memory):
                return self.shrink(env, memory)
        return None

    def satisfies_assumptions(self, count: int) -> bool:
        """Whether one of ``count`` states satisfies the assumptions."""
        return any(self.assumptions_hold(env, memory) for env, memory in self._states(count))

    def assumptions_hold(self, env: Mapping[str, int], memory: Memory) -> bool:
        return all(evaluate(self._assumptions, self._complete(env), memory))

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
                small = source.choice((1, 2, 7, 16, 0x7F, 0x80, t.mask(width), 1 << (width - 1), source.getrandbits(31)))
                env[name] = (0, small, source.getrandbits(width))[min(n, 2) if n < 3 else n % 2 + 1] & t.mask(width)
            yield env, functools.partial(_byte, source.getrandbits(64) | 1 if n else 0)

    def differences(self, env: Mapping[str, int], memory: Memory) -> tuple[Difference, ...]:
        """What differs after this state; empty if it violates an assumption."""
        values = [g for g in self._goals if g.source.width]
        roots = [*self._assumptions, *(x for g in values for x in (g.source, g.code))]
        roots += [x.args[1] for x in self._places]
        results = evaluate(roots, env, memory)
        if not all(results[: len(self._assumptions)]):
            return ()
        rest = iter(results[len(self._assumptions) :])
        pairs = [(g, next(rest), next(rest)) for g in values]
        found = [Difference(g.what, a, b, g.source.width) for g, a, b in pairs if a != b]
        if self._memory_pair:
            found += self._memory_differences(self._memory_pair, list(rest), env, memory)
        return tuple(found)

    def _memory_differences(self, pair: tuple[Term, Term], starts: list[int], env: Mapping[str, int],
                            memory: Memory) -> list[Difference]:  # fmt: skip
        sizes = [x.args[2].width // 8 for x in self._places]
        touched = sorted({(a + k) & t.mask(64) for a, size in zip(starts, sizes, strict=True) for k in range(size)})
        loads = [t.load(m, t.const(a, 64), 8) for a in touched for m in pair]
        bytes_ = iter(evaluate(loads, env, memory))
        both = [(a, next(bytes_), next(bytes_)) for a in touched]
        return [Difference(f"byte [{a:#x}]", x, y, 8) for a, x, y in both if x != y]

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
            for smaller in (0, 1, 2, 16, value & 0xFF, value & 0xFFFF, value & t.mask(32), 1 << (width - 1)):
                if smaller < value and differs(best | {name: smaller}, bytes_):
                    best[name] = smaller
                    break
        for address in [a for a, byte in bytes_.items() if byte]:
            if differs(best, bytes_ | {address: 0}):
                bytes_[address] = 0
        return self._describe(best, bytes_)

    def _touched(self, env: Mapping[str, int], memory: Memory) -> list[int]:
        accesses = [(x.args[1], x.width // 8) for x in self._loads]
        accesses += [(x.args[1], x.args[2].width // 8) for x in self._places]
        starts = evaluate([a for a, _ in accesses], env, memory)
        return sorted({(a + k) & t.mask(64) for a, (_, size) in zip(starts, accesses, strict=True) for k in range(size)})

    def _describe(self, env: Mapping[str, int], bytes_: Mapping[int, int]) -> Counterexample:
        def memory(address: int) -> int:
            return bytes_.get(address, 0)

        named = {name: term for name, term in self._initial.items() if term.op != "var" or term.attr in env}
        shown = dict(zip(named, evaluate(list(named.values()), env, memory), strict=True))
        hidden = t.variables(*self._initial.values())
        shown |= {name: value for name, value in env.items() if name not in hidden}
        state = tuple((name, value) for name, value in shown.items() if value)
        used = set(self._touched(env, memory))
        content = tuple((a, b) for a, b in sorted(bytes_.items()) if b and a in used)
        return Counterexample(state, content, self.differences(env, memory))
