"""Unicorn as three machines on which code runs from a given state.

Odd things of Unicorn 2.1.4 that are minded here: arm64's default processor lacks extensions; RISC-V's floats are off
until ``mstatus`` says otherwise; after faults a machine may report success, so a clean context is put back before
each run and the final program counter is checked; rewritten code stays in the translation cache until it is removed.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import unicorn
from unicorn import arm64_const, riscv_const, x86_const

from isa.statemap import GENERAL
from solver.interrupts import PutOff
from solver.memory import CODE, LIMIT, PAGE, page

_MAX_PAGES: Final = 64  # mapping one costs time for each that is mapped
_MAX_INSTRUCTIONS: Final = 20_000

# Cell -> (register, bit position, width).
_Place = tuple[int, int, int]


def _halves(prefix: str, registers: Iterable[int]) -> dict[str, _Place]:
    return {f"{prefix}{n}.{half}": (r, 64 * (half == "hi"), 64) for n, r in enumerate(registers) for half in ("lo", "hi")}


def _words(prefix: str, registers: Iterable[int]) -> dict[str, _Place]:
    return {f"{prefix}{n}": (r, 0, 64) for n, r in enumerate(registers)}


def _named(module: Any, pattern: str, count: int) -> list[int]:
    return [getattr(module, pattern.format(n)) for n in range(count)]


_X86: Final[dict[str, _Place]] = (
    {name: (getattr(x86_const, f"UC_X86_REG_{name.upper()}"), 0, 64) for name in GENERAL}
    | _halves("xmm", _named(x86_const, "UC_X86_REG_XMM{}", 16))
    | {n: (x86_const.UC_X86_REG_EFLAGS, bit, 1) for n, bit in (("cf", 0), ("pf", 2), ("zf", 6), ("sf", 7), ("of", 11))}
    | {"fs_base": (x86_const.UC_X86_REG_FS_BASE, 0, 64)}
)
_AARCH64: Final[dict[str, _Place]] = (
    _words("x", _named(arm64_const, "UC_ARM64_REG_X{}", 31))
    | {"sp": (arm64_const.UC_ARM64_REG_SP, 0, 64), "tp": (arm64_const.UC_ARM64_REG_TPIDR_EL0, 0, 64)}
    | _halves("v", _named(arm64_const, "UC_ARM64_REG_V{}", 32))
    | {name: (arm64_const.UC_ARM64_REG_NZCV, bit, 1) for name, bit in (("n", 31), ("z", 30), ("c", 29), ("v", 28))}
)
_RISCV64: Final[dict[str, _Place]] = (
    _words("x", _named(riscv_const, "UC_RISCV_REG_X{}", 32))
    | _words("f", _named(riscv_const, "UC_RISCV_REG_F{}", 32))
    | {"tp": (riscv_const.UC_RISCV_REG_X4, 0, 64)}
)
PLACES: Final = {"x86_64": _X86, "aarch64": _AARCH64, "riscv64": _RISCV64}
# The register of flags and its bits that are always set.
_ALWAYS: Final = {"x86_64": {x86_const.UC_X86_REG_EFLAGS: 2}, "aarch64": {}, "riscv64": {}}
PROGRAM_COUNTER: Final = {
    "x86_64": x86_const.UC_X86_REG_RIP,
    "aarch64": arm64_const.UC_ARM64_REG_PC,
    "riscv64": riscv_const.UC_RISCV_REG_PC,
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``exit``: offset of the final program counter from the code's start, None after a fault.

    state: the cells asked for. writes: final byte at each address written. why: what kind of fault.
    """

    exit: int | None
    state: dict[str, int] = field(default_factory=dict)
    writes: dict[int, int] = field(default_factory=dict)
    why: str = ""


class Machine:
    """One emulated processor. ``isa``: ``x86_64``, ``aarch64`` or ``riscv64``. Not for use by two threads."""

    def __init__(self, isa: str) -> None:
        self.isa = isa
        self.cells = PLACES[isa]
        self._granule = 1024 if isa == "aarch64" else PAGE  # of the translation buffer
        self._engine = new_engine(isa)
        self._registers = Registers(isa, self._engine)
        self._pages: set[int] = set()
        self._memory: Mapping[int, int] = {}  # what is in memory besides the pages' own content
        self._log: list[tuple[int, int]] = []
        self._code = b""
        self._exits: tuple[int, ...] = ()
        self._engine.mem_map(CODE, 2 * PAGE)
        self._engine.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        self._engine.hook_add(unicorn.UC_HOOK_TLB_FILL, self._translate)
        self._engine.hook_add(unicorn.UC_HOOK_MEM_READ_UNMAPPED | unicorn.UC_HOOK_MEM_WRITE_UNMAPPED, self._map)
        self._engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._write)
        self._engine.ctl_exits_enabled(True)
        self._clean = self._engine.context_save()

    def run(self, code: bytes, state: Mapping[str, int], read: Sequence[str], memory: Mapping[int, int] | None = None,
            exits: Sequence[int] = ()) -> Outcome:  # fmt: skip
        """Run ``code`` (at most one page) at ``CODE`` until an exit, by default its end.

        state: initial value of cells; the rest are 0. read: cells wanted afterwards. memory: bytes that differ from
        ``solver.memory``. exits: offsets at which to stop.
        """
        with PutOff():  # all of it, so that what was written is put back
            self._load(code, tuple(exits) or (len(code),))
            self._install({} if memory is None else memory)
            self._engine.context_restore(self._clean)
            self._registers.write(state)
            self._log = []
            outcome = self._start(read)
            for address, size in self._log:
                self._reset(address, size)
        return outcome

    def _start(self, read: Sequence[str]) -> Outcome:
        engine = self._engine
        try:
            engine.emu_start(CODE, 0, 0, _MAX_INSTRUCTIONS)
        except unicorn.UcError as error:
            return Outcome(None, why=str(error))
        values = self._registers.read(read)
        final = self._registers.program_counter() - CODE
        if final not in self._exits:
            return Outcome(None, why=f"stopped at {final:#x}")
        written = {}
        for address, size in self._log:
            for k, value in enumerate(engine.mem_read(address, size)):
                written[address + k] = value
        return Outcome(final, values, written)

    def _load(self, code: bytes, exits: tuple[int, ...]) -> None:
        if exits == self._exits and code == self._code:
            return
        if exits != self._exits:
            self._engine.ctl_set_exits([CODE + offset for offset in exits])
            self._exits = exits
        self._engine.ctl_remove_cache(CODE, CODE + 2 * PAGE)
        if code != self._code:
            self._engine.mem_write(CODE, code)
            self._code = code

    def _install(self, memory: Mapping[int, int]) -> None:
        """Make memory the pages' content and ``memory``, which is not to be changed afterwards."""
        before = self._memory
        if len(self._pages) > _MAX_PAGES:
            for number in self._pages:
                self._engine.mem_unmap(number * PAGE, PAGE)
            self._pages.clear()
            before = {}
        elif memory is before:
            return
        self._memory = memory
        for address in {a & -8 for a in (*before, *memory)}:
            if self._touch(address):
                self._reset(address, 8)

    def _reset(self, address: int, size: int) -> None:
        """Put back what memory held before a run in ``size`` bytes at ``address``, as far as it is mapped."""
        content, whole = self._memory, page(address)
        offset = address % PAGE
        if offset + size <= PAGE and address // PAGE in self._pages:
            old = whole[offset : offset + size]
            if content and any(address + k in content for k in range(size)):
                old = bytes(content.get(address + k, old[k]) for k in range(size))
            self._engine.mem_write(address, old)
        elif offset + size > PAGE:
            for k in range(size):
                self._reset(address + k, 1)

    def _touch(self, address: int) -> bool:
        number = address // PAGE
        if not 0 <= address < LIMIT or CODE <= address < CODE + 2 * PAGE:
            return False
        if number not in self._pages:
            self._engine.mem_map(number * PAGE, PAGE)
            self._engine.mem_write(number * PAGE, page(address))
            self._pages.add(number)
        return True

    def _translate(self, engine: Any, address: int, access: int, entry: Any, data: object) -> bool:
        """Virtual to physical: the same, up to ``LIMIT``. (Without this, Unicorn drops the upper bits.) Code is not data: it is
        another on each side, so who reads or writes it faults."""
        code = CODE <= address < CODE + 2 * PAGE
        entry.paddr, entry.perms = address & -self._granule, unicorn.UC_PROT_EXEC if code else unicorn.UC_PROT_ALL
        return address < LIMIT and (not code or access == unicorn.UC_MEM_FETCH)

    def _map(self, engine: Any, access: int, address: int, size: int, value: int, data: object) -> bool:
        return self._touch(address) and self._touch(address + size - 1)

    def _write(self, engine: Any, access: int, address: int, size: int, value: int, data: object) -> None:
        self._log.append((address, size))


class Registers:
    """All registers of a machine, written and read together in one call: calls are what a run costs.

    The values stand in an array of 64-bit words, two for a vector register; a cell is some bits of one word.
    """

    def __init__(self, isa: str, engine: Any) -> None:
        self._engine = engine
        places = PLACES[isa]
        wide = {register for register, bit, _ in places.values() if bit == 64}
        order = [*dict.fromkeys(register for register, _, _ in places.values()), PROGRAM_COUNTER[isa]]
        first: dict[int, int] = {}
        size = 0
        for register in order:
            first[register] = size
            size += 2 if register in wide else 1
        self._cells = {name: (first[r] + bit // 64, bit % 64, (1 << width) - 1) for name, (r, bit, width) in places.items()}
        self._empty = [0] * (size - 1)
        for register, value in _ALWAYS[isa].items():
            self._empty[first[register]] = value
        self._words: Any = (ctypes.c_uint64 * size)()
        start = ctypes.addressof(self._words)
        self._names = (ctypes.c_int * len(order))(*order)
        self._places = (ctypes.c_void_p * len(order))(*(start + 8 * first[r] for r in order))

    def write(self, state: Mapping[str, int]) -> None:
        """Set the cells in ``state``, all others to 0; the program counter stays as it is."""
        words = list(self._empty)
        for name, value in state.items():
            word, bit, _ = self._cells[name]
            words[word] |= value << bit
        self._words[: len(words)] = words
        self._check(self._engine._do_reg_write_batch(self._names, self._places, len(self._names) - 1))

    def read(self, cells: Iterable[str]) -> dict[str, int]:
        self._check(self._engine._do_reg_read_batch(self._names, self._places, len(self._names)))
        words, found = self._words, {}
        for name in cells:
            word, bit, mask = self._cells[name]
            found[name] = words[word] >> bit & mask
        return found

    def program_counter(self) -> int:
        """Its value at the last ``read``."""
        return int(self._words[-1])

    def _check(self, status: int) -> None:
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)


def new_engine(isa: str) -> Any:
    if isa == "x86_64":
        return unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    if isa == "aarch64":
        engine = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        engine.ctl_set_cpu_model(arm64_const.UC_CPU_ARM64_MAX)
        return engine
    engine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    engine.reg_write(riscv_const.UC_RISCV_REG_MSTATUS, engine.reg_read(riscv_const.UC_RISCV_REG_MSTATUS) | 0x6000)
    return engine


@functools.cache
def machine(isa: str) -> Machine:
    """The process's machine of an instruction set."""
    return Machine(isa)
