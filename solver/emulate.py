"""The cheap filter, and what stands behind a ``Tested`` verdict: both sides run in Unicorn from related random states.

States in which the source itself faults are left out (docs/design.md: outside the proof). A NaN may stand for any
other, where the source computes with floats.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from isa.evaluate import Program
from isa.machine import TAKEN, Instruction
from isa.separate import new_table, separate
from isa.statemap import CONDITIONS, FLAGS, GENERAL, MAPS, VECTORS
from isa.x86_64.lift import lift
from solver.assume import conditions
from solver.counterexample import Counterexample, Difference
from solver.link import Placement, SourceCode, SymbolLike, Unlinkable, link_source, link_target, place
from solver.machine import Machine, Outcome, machine
from solver.memory import THREAD, byte
from solver.states import condition
from solver.states import state as random_state

__all__ = ["Agreement", "Machine", "Outcome", "agree", "compare"]

_CELLS: Final = (*GENERAL, *VECTORS, *FLAGS)
_WORD: Final = (1 << 64) - 1
_KEPT_OUTCOMES: Final = 16  # of the runs of one source
_KEPT_STATES: Final = 2048  # some 4 KB each
_ATTEMPTS: Final = 20  # states tried for each one wanted, before giving up on a source that keeps faulting


class ProblemLike(Protocol):
    """``guesssketch.problem.Problem``."""

    @property
    def target(self) -> str: ...
    @property
    def instructions(self) -> tuple[Instruction, ...]: ...
    @property
    def exit(self) -> str: ...
    @property
    def live_in(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def live_out(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def symbols(self) -> Sequence[SymbolLike]: ...
    @property
    def assume(self) -> tuple[str, ...]: ...


class CodeLike(Protocol):
    """``guesssketch.assembler.Assembled``."""

    @property
    def instructions(self) -> tuple[Instruction, ...]: ...
    @property
    def size(self) -> int: ...


@dataclass(frozen=True)
class Agreement:
    """``states`` compared without a difference, or the first ``difference``. ``why``: why none could be compared."""

    states: int
    difference: Counterexample | None = None
    why: str = ""


def agree(problem: ProblemLike, code: CodeLike, states: int = 8, seed: int = 0) -> Counterexample | None:
    """The first difference found on ``states`` random states; None says nothing more than that none was found."""
    return compare(problem, code, states, seed).difference


def compare(problem: ProblemLike, code: CodeLike, states: int, seed: int = 0) -> Agreement:
    """Run both sides on ``states`` random states (the same for the same ``seed``)."""
    try:
        source = _source(problem.instructions, problem.exit, problem.live_out, tuple(problem.symbols), seed)
        trial = Trial(problem, code, source)
    except Unlinkable as error:
        return Agreement(0, None, str(error))
    done = 0
    for number in range(_ATTEMPTS * states):
        outcome = trial.run(number)
        if isinstance(outcome, Counterexample):
            return Agreement(done, outcome)
        done += outcome
        if done == states:
            break
    return Agreement(done, None, "" if done else "the source faults in every state tried")


@functools.lru_cache(maxsize=512)
def _assumed(instructions: tuple[Instruction, ...], exit: str, assume: tuple[str, ...]) -> Program | None:
    """What ``assume`` says of the state before a block; None if nothing."""
    if not assume:
        return None
    found = conditions(lift(instructions, exit), assume)  # type: ignore[arg-type]
    return Program(found) if found else None


@functools.lru_cache(maxsize=512)
def _computes_nans(instructions: tuple[Instruction, ...], exit: str) -> bool:
    """Whether a block computes floats whose NaNs its semantics do not say exactly, so that any stands for any other."""
    if not any("xmm" in i.text for i in instructions):
        return False
    with separate(new_table()):
        effect = lift(instructions, exit)  # type: ignore[arg-type]
        return bool(effect.approximations or effect.opaque)


@functools.lru_cache(maxsize=_KEPT_STATES)
def _state(seed: int, number: int) -> Mapping[str, int]:
    """State ``number`` of the source, the same for all problems."""
    return random_state(random.Random(f"{seed}.{number}"), _CELLS) | {"fs_base": THREAD}


@functools.lru_cache(maxsize=128)
def _noise(target: str, seed: int, number: int) -> Mapping[str, int]:
    """What the target's cells hold if they are related to nothing."""
    source = random.Random(f"{target}.{seed}.{number}")
    cells = machine(target).cells
    threads = ("tp", "x4") if target == "riscv64" else ("tp",)
    return {n: source.getrandbits(width) for n, (_, _, width) in cells.items() if n not in threads} | {"tp": THREAD}


class Source:
    """A source block linked, with the outcome of its runs, as several candidates are compared with it."""

    def __init__(self, placement: Placement, code: SourceCode, read: list[str], seed: int) -> None:
        self.placement, self.code, self.seed = placement, code, seed
        self.memory = placement.memory
        self._read = read
        self._exits = [code.fall] + ([] if code.taken is None else [code.taken])
        self._outcomes: list[Outcome] = []
        self._added: list[tuple[Mapping[str, int], Mapping[int, int]]] = []

    def add(self, state: Mapping[str, int], memory: Mapping[int, int]) -> int:
        """One more state, by its cells (the rest are 0) and bytes of memory (the rest is as ever); gives its number."""
        self._added.append(({**dict.fromkeys(_CELLS, 0), **state, "fs_base": THREAD}, {**self.memory, **memory}))
        return -len(self._added)

    def state(self, number: int) -> Mapping[str, int]:
        """A state of chance, the same for all problems, or, if ``number`` is negative, one that was added."""
        return _state(self.seed, number) if number >= 0 else self._added[-number - 1][0]

    def memory_of(self, number: int) -> Mapping[int, int]:
        """In that state, the bytes that differ from ``solver.memory``."""
        return self.memory if number >= 0 else self._added[-number - 1][1]

    def outcome(self, number: int) -> Outcome:
        """How it ends from ``state(number)``."""
        if 0 <= number < len(self._outcomes):
            return self._outcomes[number]
        outcome = machine("x86_64").run(self.code.code, self.state(number), self._read, self.memory_of(number), self._exits)
        if number == len(self._outcomes) < _KEPT_OUTCOMES:
            self._outcomes.append(outcome)
        return outcome


def source_of(problem: ProblemLike, seed: int = 0) -> Source:
    """The source's side of all trials, one's own. Raises Unlinkable."""
    return _source.__wrapped__(problem.instructions, problem.exit, problem.live_out, tuple(problem.symbols), seed)


@functools.lru_cache(maxsize=512)
def _source(instructions: tuple[Instruction, ...], exit: str, live_out: tuple[tuple[str, int], ...],
            symbols: tuple[SymbolLike, ...], seed: int) -> Source:  # fmt: skip
    placement = place(symbols, seed)
    used = {n for n, _ in live_out}
    cells = sorted(used - set(CONDITIONS)) + (list(FLAGS) if used & set(CONDITIONS) else [])
    return Source(placement, link_source(instructions, exit, placement), list(dict.fromkeys([*cells, "rsp"])), seed)


class Trial:
    """Both sides linked and ready to run."""

    def __init__(self, problem: ProblemLike, code: CodeLike, source: Source) -> None:
        self.problem, self.map = problem, MAPS[problem.target]
        self.source = source
        self._assumed = _assumed(problem.instructions, problem.exit, problem.assume)
        self.floats = _computes_nans(problem.instructions, problem.exit)
        self.code, self.size = link_target(code.instructions, source.placement), code.size
        self.exits = [self.size] if problem.exit != "branch" else [self.size, TAKEN]
        self.read = [self.map.homes[n] for n, _ in problem.live_out]
        if problem.exit == "indirect":
            self.read.append(self.map.branch_target)

    def run(self, number: int) -> Counterexample | bool:
        """One state: a difference, whether it was compared."""
        problem = self.problem
        wanted = self.source.outcome(number)
        if wanted.exit is None:
            return False
        state = self.source.state(number)
        if self._assumed is not None and not self._holds(self._assumed, number):
            return False
        memory = self.source.memory_of(number)
        got = machine(problem.target).run(self.code, self.initial(number), self.read, memory, self.exits)
        differences = self._differences(wanted, got, memory)
        if not differences:
            return True
        shown = [(n, state[n] if n in state else condition(n, state)) for n, _ in problem.live_in]
        return Counterexample(tuple(shown), (), tuple(differences))

    def resume(self, number: int, offset: int, state: Mapping[str, int], memory: Mapping[int, int],
               written: Mapping[int, int]) -> list[Difference]:  # fmt: skip
        """Differences in the end, if the code is entered at ``offset`` with ``state``.

        written: what it wrote till then, which ``memory`` (what differs from ``solver.memory``) holds.
        """
        code = machine_nops(self.problem.target, offset) + self.code[offset:]
        got = machine(self.problem.target).run(code, state, self.read, memory, self.exits)
        wanted = self.source.outcome(number)
        return self._differences(wanted, replace(got, writes={**written, **got.writes}), self.source.memory_of(number))

    def _holds(self, assumed: Program, number: int) -> bool:
        state, memory = self.source.state(number), self.source.memory_of(number)
        values = assumed.run({**self.source.placement.values, **state}, lambda a: memory.get(a, byte(a)))
        return all(values)

    def initial(self, number: int) -> dict[str, int]:
        """A target state that the map relates to the source's; what is dead or has no home holds noise."""
        state = self.source.state(number)
        initial = dict(_noise(self.problem.target, self.source.seed, number))
        for name, bits in self.problem.live_in:
            wanted = state[name] if name in state else condition(name, state)
            keep = 64 if name in FLAGS or name in CONDITIONS else bits
            mask = (1 << keep) - 1
            home = self.map.homes[name]
            initial[home] = initial[home] & ~mask | wanted & mask
        return initial

    def _differences(self, wanted: Outcome, got: Outcome, memory: Mapping[int, int]) -> list[Difference]:
        if got.exit is None:
            return [Difference(f"target faults ({got.why})", 0, 1, 1)]
        found = []
        writes = dict(wanted.writes)
        state = dict(wanted.state)
        if self.source.code.pushes_target:
            slot = state["rsp"]
            target = sum(writes.pop(slot + k) << 8 * k for k in range(8))
            state["rsp"] = slot + 8
            if got.state[self.map.branch_target] != target:
                found.append(Difference("branch target", target, got.state[self.map.branch_target], 64))
        elif (wanted.exit == self.source.code.taken) != (got.exit == TAKEN):
            found.append(Difference("branch taken", int(wanted.exit == self.source.code.taken), int(got.exit == TAKEN), 1))
        for name, bits in self.problem.live_out:
            a, b = state[name] if name in state else condition(name, state), got.state[self.map.homes[name]]
            if name not in FLAGS and name not in CONDITIONS:
                a, b = a & (1 << bits) - 1, b & (1 << bits) - 1
            if a != b and not (self.floats and name.startswith("xmm") and same_but_nan(a, b)):
                found.append(Difference(name, a, b, bits))
        return found + memory_differences(writes, got.writes, memory, self.floats)


def memory_differences(wanted: Mapping[int, int], got: Mapping[int, int], memory: Mapping[int, int], floats: bool
                       ) -> list[Difference]:  # fmt: skip
    """Bytes that two runs leave different. wanted, got: what they wrote. memory: what differed from ``solver.memory`` before.
    floats: whether a NaN may have been stored, and stand for any other."""

    def final(writes: Mapping[int, int], address: int) -> int:
        return writes.get(address, memory.get(address, byte(address)))

    def around(writes: Mapping[int, int], address: int) -> int:
        return int.from_bytes(bytes(final(writes, address + k) for k in range(-7, 8)), "little")

    def nan(address: int) -> bool:
        a, b = around(wanted, address), around(got, address)
        return any(same_but_nan(a >> s & _WORD, b >> s & _WORD) for s in range(0, 64, 8))

    found = []
    for address in sorted({*wanted, *got}):
        a, b = final(wanted, address), final(got, address)
        if a != b and not (floats and nan(address)):
            found.append(Difference(f"byte [{address:#x}]", a, b, 8))
    return found


def machine_nops(isa: str, size: int) -> bytes:
    """Code of ``size`` bytes that does nothing."""
    nop = bytes.fromhex("1f2003d5" if isa == "aarch64" else "0100")  # C.NOP, so that a compressed instruction can be left out
    return nop * (size // len(nop))


def same_but_nan(a: int, b: int) -> bool:
    """Equal as a double or as two floats, where any NaN equals any other."""
    if a == b or (_nan(a, 52, 0x7FF) and _nan(b, 52, 0x7FF)):
        return True
    return all(a >> s & 0xFFFF_FFFF == b >> s & 0xFFFF_FFFF or (_nan(a >> s, 23, 0xFF) and _nan(b >> s, 23, 0xFF)) for s in (0, 32))


def _nan(bits: int, fraction: int, exponent: int) -> bool:
    return bits >> fraction & exponent == exponent and bits & (1 << fraction) - 1 != 0
