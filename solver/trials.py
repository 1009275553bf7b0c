"""One instruction's semantics against the emulator: the same random states through ``evaluate(lift(...))`` and Unicorn.

What the semantics leave undefined is not compared; a NaN may stand for another where the effect lists that as an
approximation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from isa import terms as t
from isa.aarch64 import lift as aarch64
from isa.evaluate import Program
from isa.floats import is_nan
from isa.flow import FAILS
from isa.machine import TAKEN, Effect, Instruction
from isa.riscv64 import lift as riscv64
from isa.terms import Term
from isa.x86_64 import lift as x86_64
from isa.x86_64.decode import decode
from solver import alone
from solver.emulate import same_but_nan
from solver.link import GUARD, Placement, SourceCode, Unlinkable, link_source, link_target, place
from solver.machine import Outcome, machine
from solver.memory import CODE, LIMIT, PAGE, THREAD, byte, pointer
from solver.states import half, integer

_THOROUGH: Final = 64  # states in which every cell is read back, not only those expected to change
_ONES: Final = (1 << 128) - 1


@dataclass(frozen=True)
class Symbol:
    """A placeholder for trials; see ``solver.link.SymbolLike``."""

    name: str
    kind: Literal["local", "got", "tls"] = "local"
    align: int = 16
    low: bool = True


@dataclass(frozen=True)
class Trials:
    """``states`` agreed; ``mismatch`` says where one did not, or why none could be tried. Empty: all is well."""

    states: int
    mismatch: str = ""


def exit_of(instruction: Instruction) -> Literal["fall", "branch", "indirect"]:
    """The exit with which one x86-64 instruction is lifted alone. Raises ``ValueError`` if it is not one."""
    decoded = decode(instruction.code)
    if decoded.prefix.startswith("rep") and decoded.mnemonic[:4] in ("movs", "stos", "lods", "cmps", "scas"):
        return "branch"
    if decoded.mnemonic in ("call", "jmp"):
        return "indirect"
    return "branch" if decoded.mnemonic.startswith(("j", "loop")) else "fall"


def lift(isa: str, code: Sequence[Instruction]) -> Effect:
    """The effect of an instruction alone; a target's branch comes with the instruction that it jumps over."""
    if isa == "x86_64":
        return x86_64.lift(code, exit_of(code[0]))
    size = sum(len(i.code) for i in code)
    return aarch64.lift(code, size) if isa == "aarch64" else riscv64.lift(code, size)


def run(isa: str, instruction: Instruction, states: int, seed: int = 0) -> Trials:
    """Try ``instruction`` on ``states`` random states (fewer if it keeps faulting)."""
    try:
        benches = [_Bench(isa, code, fails, seed) for code, fails in alone.settings(isa, instruction)]
    except (ValueError, Unlinkable) as error:
        return Trials(0, str(error))
    source = random.Random(seed)
    done = 0
    for _ in range(4 * states):
        try:
            outcome = benches[done % len(benches)].trial(source, thorough=done < _THOROUGH)
        except KeyError as error:
            return Trials(done, f"value of {error} unknown")
        if isinstance(outcome, str):
            return Trials(done, f"{instruction.text}: {outcome}")
        done += outcome
        if done == states:
            break
    return Trials(done, "" if done * 4 >= states else "too few states in which it does not fault")


class _Bench:
    """One instruction, lifted and linked; ``fails`` as in ``alone.settings``. Raises ValueError if it is opaque, and Unlinkable."""

    def __init__(self, isa: str, instructions: Sequence[Instruction], fails: int, seed: int) -> None:
        effect = lift(isa, instructions)
        if effect.opaque:
            raise ValueError(f"opaque: {effect.opaque[0]}")
        self.isa, self.instructions, self.fails = isa, instructions, fails
        instruction = instructions[0]
        self.machine = machine(isa)
        self.effect = effect
        tls = {r.symbol for r in instruction.relocations if r.kind in ("tpoff", "gottpoff") or r.kind.startswith("tpr")}
        names = dict.fromkeys(r.symbol for r in instruction.relocations)
        self.placement: Placement = place([Symbol(n, "tls" if n in tls else "local") for n in names if n != GUARD], seed)
        self.memory = self.placement.memory
        self.code = self._link()
        self.exits = [self.code.fall] + ([] if self.code.taken is None else [self.code.taken])
        self.accesses = [*effect.loads, *effect.stores]
        self.results: list[tuple[str, Term]] = list(effect.cells.items())
        if effect.condition is not None:
            self.results.append(("taken", effect.condition))
        if effect.target is not None:
            self.results.append(("target", effect.target))
        self.effect_program = Program([effect.memory, *(term for _, term in self.results)])
        self.early = Program([*effect.faults, *(x for a in self.accesses for x in (a.address, a.guard))])
        roots = [effect.memory, *(term for _, term in self.results), *effect.faults, *(a.address for a in self.accesses)]
        self.inputs = [n for n in t.variables(*roots) if n in self.machine.cells]
        self.bases = self._bases()
        threads = [v for a in self.accesses if {"fs_base", "tp"} & (v := t.variables(a.address)).keys()]
        self.offsets = [n for v in threads for n in v if n in self.machine.cells and n not in ("fs_base", "tp")]
        self.nan = bool(effect.approximations)
        # Unicorn's fmin and fmax follow an older manual for signaling NaNs; qemu-riscv64 7.2 is right.
        self.quiet = isa == "riscv64" and instruction.mnemonic.startswith(("fmin", "fmax"))
        # Unicorn clears the upper half of rax where a 32-bit compare succeeds; processors do not.
        decoded = decode(instruction.code) if isa == "x86_64" else None
        self.short = decoded is not None and decoded.mnemonic == "cmpxchg" and decoded.operands[0].size == 4
        # Unicorn has its own processor divide, which ends the process where the least dividend is divided by -1.
        self.divided = 8 * decoded.operands[0].size if decoded is not None and decoded.mnemonic == "idiv" else 0
        name = instruction.mnemonic if isa == "riscv64" else ""
        self.boxed = ".s" in name and not name.startswith("fcvt.s.d")  # what it takes is single
        self.single = (".s" in name and not name.startswith("fcvt.d.s")) or name == "fmv.w.x"  # what it gives

    def _link(self) -> SourceCode:
        if self.isa == "x86_64":
            return link_source(self.instructions, exit_of(self.instructions[0]), self.placement)
        code = link_target(self.instructions, self.placement)
        return SourceCode(code, len(code), TAKEN if self.effect.condition is not None else None)

    def _bases(self) -> list[str]:
        """Cells that hold a pointer: the first variable added in each address."""
        found = []
        for access in self.accesses:
            if {"fs_base", "tp"} & t.variables(access.address).keys():
                continue  # relative to the thread pointer
            stack = [access.address]
            while stack:
                term = stack.pop()
                if term.op == "var" and term.attr in self.machine.cells:
                    found.append(term.attr)
                    break
                if term.op in ("add", "sub"):
                    stack += [*(a for a in term.args if a.op != "var"), *(a for a in term.args if a.op == "var")]
        return found

    def state(self, source: random.Random, thorough: bool) -> dict[str, int]:
        cells = self.machine.cells
        state = {}
        for name in cells if thorough else dict.fromkeys([*self.inputs, *self.effect.cells]):
            if cells[name][2] == 1:
                state[name] = source.getrandbits(1)
            elif "." in name or (name.startswith("f") and name != "fs_base"):
                state[name] = half(source)
                if self.boxed:
                    state[name] |= 0xFFFF_FFFF << 32
                if self.quiet:
                    state[name] = _quieted(state[name], 32 if self.boxed else 64)
            else:
                state[name] = integer(source)
        wide = [n for n in self.inputs if n in state and cells[n][2] == 64]
        if len(wide) > 1 and source.random() < 0.2:
            a, b = source.sample(wide, 2)
            state[a] = state[b]
        if self.short:
            state["rax"] &= 0xFFFF_FFFF
        if self.divided in (16, 32):
            mask = (1 << self.divided) - 1
            if state["rdx"] & mask == 1 << self.divided - 1 and not state["rax"] & mask:
                state["rax"] += 1
        for name in self.offsets:
            state[name] = source.randrange(0x4000)
        for name in self.bases:
            if source.random() < 0.95:
                state[name] = pointer(source)
        for name in ("fs_base", "tp", *(["x4"] if self.isa == "riscv64" else [])):
            if name in cells:
                state[name] = THREAD
        if self.isa == "riscv64":
            state["x0"] = 0
        return state

    def trial(self, source: random.Random, thorough: bool) -> bool | str:
        """One state: whether it was compared, or what differs."""
        state = self.state(source, thorough)
        if self.code.pushes_target:
            state["rsp"] = pointer(source)
        env = {**self.placement.values, FAILS: self.fails, "tp": THREAD, "fs_base": THREAD, **state}
        memory = self._byte
        early = self.early.run(env, memory)
        faults, accesses = early[: len(self.effect.faults)], early[len(self.effect.faults) :]
        places = list(zip(self.accesses, accesses[::2], accesses[1::2], strict=True))
        if any(guard and CODE - 16 <= address < CODE + 2 * PAGE for _, address, guard in places):
            return False
        beyond = any(guard and address + access.size > LIMIT for access, address, guard in places)
        if beyond and self.fails:
            return False  # a store-exclusive that fails need not look
        read = [*(self.machine.cells if thorough else self.effect.cells), *(["rsp"] if self.code.pushes_target else [])]
        got = self.machine.run(self.code.code, state, read, self.memory, self.exits)
        if any(faults) or beyond:
            return False if got.exit is None else f"should fault on {_show(state, self.inputs)}"
        if got.exit is None:
            if any(address % access.size or address < 16 for access, address, _ in places):
                return False  # atomic operations want alignment; an operand of which the upper half is read may begin below 0
            return f"faults ({got.why}) on {_show(state, self.inputs)}"
        expected = [self.effect_program.run(env, memory, 0)]
        if self.effect_program.undefined:
            expected.append(self.effect_program.run(env, memory, _ONES))
        difference = self._difference(state, expected, got, read)
        return f"{difference} on {_show(state, self.inputs)}" if difference else True

    def _byte(self, address: int) -> int:
        found = self.memory.get(address)
        return byte(address) if found is None else found

    def _difference(self, state: Mapping[str, int], expected: Sequence[Sequence[Any]], got: Outcome, read: list[str]) -> str:
        """``expected``: memory and results with undefined bits 0 and, where there are any, 1."""
        actual: dict[str, int] = dict(got.state)
        writes = dict(got.writes)
        if self.code.taken is not None:
            actual["taken"] = int(got.exit == self.code.taken)
        if self.code.pushes_target:
            actual["target"] = sum(writes.pop(actual["rsp"] + k) << 8 * k for k in range(8))
            actual["rsp"] += 8
        names = [name for name, _ in self.results]
        for name, *values in zip(names, *(values[1:] for values in expected), strict=True):
            defined = ~(values[0] ^ values[-1])
            a, b = values[0] & defined, actual[name] & defined
            if a != b and not self._alike(name, a, b):
                return f"{name} is {values[0]:#x} by the semantics, {actual[name]:#x} by the emulator"
        known = set(names)
        for name in read:
            if name not in known and actual[name] != state[name]:
                return f"{name} changes to {actual[name]:#x}"
        return self._memory_difference(expected[0][0], writes)

    def _alike(self, name: str, a: int, b: int) -> bool:
        if self.single and name.startswith("f"):  # Unicorn does not box singles; a boxed one is a NaN as a double
            a, b = a & 0xFFFF_FFFF, b & 0xFFFF_FFFF
        return a == b or (self.nan and (name.startswith("f") or "." in name) and same_but_nan(a, b))

    def _memory_difference(self, wanted: Mapping[int, int], got: Mapping[int, int]) -> str:
        def final(writes: Mapping[int, int], address: int) -> int:
            found = writes.get(address)
            return self._byte(address) if found is None else found

        def word(writes: Mapping[int, int], address: int) -> int:
            return sum(final(writes, address + k) << 8 * k for k in range(8))

        for address in {*wanted, *got}:
            a, b = final(wanted, address), final(got, address)
            starts = range(address - 7, address + 1)
            if a != b and not (self.nan and any(same_but_nan(word(wanted, s), word(got, s)) for s in starts)):
                return f"byte [{address:#x}] is {a:#x} by the semantics, {b:#x} by the emulator"
        return ""


def _quieted(bits: int, width: int) -> int:
    """A float whose signaling NaNs are made quiet."""
    return bits | 1 << (22 if width == 32 else 51) if is_nan(bits & (1 << width) - 1, width) else bits


def _show(state: Mapping[str, int], names: Sequence[str]) -> str:
    return " ".join(f"{name}={state[name]:#x}" for name in names if name in state)
