"""Unicorn as a process: whole functions run in a virtual memory whose pages come into being when they are touched.

Pages lie in one pool that the emulator sees as physical memory; the translation of addresses is a hook, so a page costs
something only when it is first touched, and first written. Odd things of Unicorn 2.1.4 that are minded here: AArch64's
translation buffer counts in granules of 1 KiB; after a fault a machine keeps part of it, so all registers are put back
by value; hooks on accesses are told physical addresses; a hook on loads slows every load, so tracing has a machine of its own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from solver.interrupts import PutOff
from solver.machine import PLACES, PROGRAM_COUNTER, Registers, new_engine
from solver.memory import PAGE

_POOL: Final = 0x1000_0000  # physical address of the first page
_PAGES: Final = 4096  # in the pool: 16 MiB
_BLOCK_HOOK: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
_NOWHERE: Final = -1  # stands for the page number of what is run where no code is: instructions that trap
_TRAPS: Final = {"x86_64": b"\xcc", "aarch64": b"\0", "riscv64": b"\0"}
_FLUSH_TLB: Final = 11  # UC_CTL_TLB_FLUSH, which the Python binding has no method for

Content = Callable[[int], bytes | None]
"""What a page (by its number) holds when it is first touched; None: an access to it faults."""


@dataclass(frozen=True)
class Stop:
    """Why a run stopped at ``pc``.

    kind: ``exit`` (one of the addresses given to ``load``), ``fetch`` (a jump to where no code is), ``fault`` (an access
    to memory that faults), ``trap`` (an instruction that is none, or one that stops the program), ``steps`` (the limit),
    ``memory`` (the pool is used up). page: the number of the page whose access faulted.
    """

    kind: Literal["exit", "fetch", "fault", "trap", "steps", "memory"]
    pc: int
    page: int = 0


@dataclass(frozen=True)
class Reached:
    """A watched address, and all cells when control came there."""

    address: int
    state: Mapping[str, int]


@dataclass(frozen=True)
class Stored:
    """What was stored where; ``outside``: by ``Process.write``."""

    address: int
    data: bytes
    outside: bool = False


class Process:
    """One emulated process of ``isa``. ``listed``: keep ``blocks``. ``traced``: keep ``accesses``. ``watched``: addresses of
    instructions, to keep ``history``. Not for use by two threads."""

    def __init__(self, isa: str, listed: bool = True, traced: bool = False, watched: Collection[int] = ()) -> None:
        self.isa = isa
        self._engine = new_engine(isa)
        self._registers = Registers(isa, self._engine)
        self._buffer = (ctypes.c_char * ((_PAGES + 1) * PAGE))()
        start = ctypes.addressof(self._buffer)
        skip = -start % PAGE
        self._pool = memoryview(self._buffer).cast("B")[skip : skip + _PAGES * PAGE]
        self._engine.mem_map_ptr(_POOL, _PAGES * PAGE, unicorn.UC_PROT_ALL, start + skip)
        self._engine.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        self._engine.hook_add(unicorn.UC_HOOK_TLB_FILL, self._translate)
        self._engine.ctl_exits_enabled(True)
        self._clean = self._engine.context_save()
        self._code: dict[int, int] = {}  # page number -> place in the pool
        self._where: dict[int, int] = {}
        self._numbers: list[int] = []  # of the page at each place of the pool
        self._refused_at = 0
        self._exits: frozenset[int] = frozenset()
        self._doors: frozenset[int] = frozenset()  # pages that control may enter
        self._content: Content = lambda number: None
        self._refused: Literal["fetch", "fault", "memory", ""] = ""
        self.dirty: set[int] = set()
        self.blocks: list[tuple[int, int]] = []
        """Address and size of every piece of code that was run, in order: up to a branch, or less."""
        self.accesses: list[tuple[int, int, bool]] = []
        """Of a traced process: address, size, and whether it was a store, of every access in order but one that faulted."""
        self._watched = watched
        self.history: list[Reached | Stored] = []
        """Of a watched process, in order."""
        if listed:
            self._list_blocks()
        if traced:
            self._engine.hook_add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, self._accessed)

        if watched:
            self._engine.hook_add(unicorn.UC_HOOK_CODE, self._reached)
            self._engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._stored)

    def _list_blocks(self) -> None:
        """Keep ``blocks``. Most of a run's time goes here, so the hook is set without the binding's layers."""
        note = self.blocks.append
        self._callback = _BLOCK_HOOK(lambda engine, address, size, data: note((address, size)))
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(self._engine._uch, ctypes.byref(handle), unicorn.UC_HOOK_BLOCK, self._callback, None,
                                   ctypes.c_uint64(1), ctypes.c_uint64(0))  # fmt: skip
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)

    def _reached(self, engine: Any, address: int, size: int, data: object) -> None:
        if address in self._watched:
            self.history.append(Reached(address, self._registers.read(PLACES[self.isa])))

    def _accessed(self, engine: Any, access: int, address: int, size: int, value: int, data: object) -> None:
        self.accesses.append((self._virtual(address), size, access == unicorn.UC_MEM_WRITE))

    def _virtual(self, physical: int) -> int:
        """Hooks on accesses are told the physical address."""
        return self._numbers[(physical - _POOL) // PAGE] * PAGE + physical % PAGE

    def _stored(self, engine: Any, access: int, address: int, size: int, value: int, data: object) -> None:
        self.history.append(Stored(self._virtual(address), (value & (1 << 8 * size) - 1).to_bytes(size, "little")))

    def load(self, code: Mapping[int, bytes], exits: Iterable[int], readable: bool = True) -> None:
        """Put in the pages of code (page number -> bytes), never to be written, and the addresses at which runs stop.

        readable: whether code may be loaded from as data.
        """
        self._readable = readable
        self._exits = frozenset(exits)
        doors = {address // PAGE for address in self._exits} | set(code)
        self._doors = frozenset(doors | {number - 1 for number in doors})  # where it stops, Unicorn looks at the page before
        for place, (number, data) in enumerate(code.items()):
            self._code[number] = place
            self._pool[place * PAGE : place * PAGE + len(data)] = data
        self._code[_NOWHERE] = place = len(code)
        self._pool[place * PAGE : (place + 1) * PAGE] = _TRAPS[self.isa] * PAGE
        self._engine.ctl_set_exits(sorted(self._exits))

    def reset(self, content: Content, state: Mapping[str, int]) -> None:
        """Forget all but the code. ``content``: of pages that are touched; ``state``: cells, the others are 0."""
        self._where = dict(self._code)
        self._numbers = list(self._code)
        self._content = content
        self.dirty.clear()
        self.blocks.clear()
        self.accesses.clear()
        self.history.clear()
        self._engine.ctl(_FLUSH_TLB, unicorn.UC_CTL_IO_WRITE)
        self._engine.context_restore(self._clean)
        self._registers.write(state)

    def run(self, pc: int, steps: int) -> Stop:
        """Run from ``pc`` for at most ``steps`` instructions."""
        self._refused = ""
        try:
            with PutOff(self._engine.emu_stop):
                self._engine.emu_start(pc, 0, 0, steps)
        except unicorn.UcError:
            return self._failed()
        at = int(self._engine.reg_read(PROGRAM_COUNTER[self.isa]))
        return Stop("exit" if at in self._exits else "steps", at)

    def _failed(self) -> Stop:
        state = self._registers.read(PLACES[self.isa])
        at = self._registers.program_counter()
        self._engine.context_restore(self._clean)
        self._registers.write(state)
        return Stop(self._refused or ("trap" if at // PAGE in self._code else "fetch"), at, self._refused_at // PAGE)

    def get(self, cell: str) -> int:
        register, bit, width = PLACES[self.isa][cell]
        return int(self._engine.reg_read(register)) >> bit & (1 << width) - 1

    def set(self, cell: str, value: int) -> None:
        register, bit, width = PLACES[self.isa][cell]
        mask = (1 << width) - 1 << bit
        kept = int(self._engine.reg_read(register)) & ~mask if bit or cell.endswith(".lo") else 0
        self._engine.reg_write(register, kept | value << bit & mask)

    def state(self, cells: Iterable[str] | None = None) -> dict[str, int]:
        """The values of ``cells``, or of all."""
        return self._registers.read(PLACES[self.isa] if cells is None else cells)

    def restore(self, state: Mapping[str, int]) -> None:
        """Put back what ``state`` gave."""
        self._registers.write(state)

    def page(self, number: int) -> memoryview | None:
        """A page's bytes as they are now; None where none can be."""
        place = self._place(number)
        return None if place is None else self._pool[place * PAGE : (place + 1) * PAGE]

    def read(self, address: int, size: int) -> bytes:
        """Raises MemoryError where memory faults."""
        found = b""
        while len(found) < size:
            at = address + len(found)
            page = self.page(at // PAGE)
            if page is None:
                raise MemoryError(hex(at))
            found += bytes(page[at % PAGE : min(PAGE, at % PAGE + size - len(found))])
        return found

    def write(self, address: int, data: bytes) -> None:
        """Raises MemoryError where memory faults."""
        if self._watched:
            self.history.append(Stored(address, data, outside=True))
        done = 0
        while done < len(data):
            at = address + done
            page = self.page(at // PAGE)
            if page is None or at // PAGE in self._code:
                raise MemoryError(hex(at))
            count = min(PAGE - at % PAGE, len(data) - done)
            page[at % PAGE : at % PAGE + count] = data[done : done + count]
            self.dirty.add(at // PAGE)
            done += count

    def _place(self, number: int) -> int | None:
        """Where in the pool a page is, put there if it was not."""
        place = self._where.get(number)
        if place is None:
            content = self._content(number)
            place = len(self._where)
            if content is None or place >= _PAGES:
                return None
            self._pool[place * PAGE : (place + 1) * PAGE] = content
            self._where[number] = place
            self._numbers.append(number)
        return place

    def _refuse(self, why: Literal["fetch", "fault", "memory"], address: int) -> bool:
        """Where a run ends, Unicorn asks for more pages, so only the first refusal counts."""
        if not self._refused:
            self._refused, self._refused_at = why, address
        return False

    def _translate(self, engine: Any, address: int, access: int, entry: Any, data: object) -> bool:
        number = address // PAGE
        if access == unicorn.UC_MEM_FETCH and number not in self._doors:
            return self._refuse("fetch", address)
        if access == unicorn.UC_MEM_FETCH and number not in self._code:  # an exit, or beside one; data that is there is not run
            entry.paddr = _POOL + self._code[_NOWHERE] * PAGE + address % PAGE
            entry.perms = unicorn.UC_PROT_EXEC
            return True
        place = self._place(number)
        if place is None:
            return self._refuse("memory" if len(self._where) >= _PAGES else "fault", address)
        entry.paddr = _POOL + place * PAGE + address % PAGE
        entry.perms = unicorn.UC_PROT_EXEC if number in self._code else 0
        entry.perms |= unicorn.UC_PROT_READ if number not in self._code or self._readable else 0
        if number in self._code and (access == unicorn.UC_MEM_WRITE or (access == unicorn.UC_MEM_READ and not self._readable)):
            return self._refuse("fault", address)
        if access == unicorn.UC_MEM_WRITE:
            self.dirty.add(number)
            entry.perms |= unicorn.UC_PROT_WRITE
        return True
