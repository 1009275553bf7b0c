"""Machine state as cells, the effect of a piece of code on it, and the code itself.

A *cell* is the smallest piece of machine state that a proof speaks of: a 64-bit general register, one 64-bit half of a
vector register (``xmm3.lo``, ``xmm3.hi``, ``v3.lo``, ``f10``), a flag of one bit (``cf``). Cells are named by strings; each
instruction set has a table ``CELLS: dict[str, int]`` of their widths. Memory is one more component, shared by both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from isa.terms import Term, var

TAKEN: Final = 0xF00  # offset of the label `taken` from the start of a block's target code, which is never longer

RelocKind = Literal[
    "pc", "abs32", "abs32s", "abs64", "got", "tpoff", "gottpoff",  # x86-64 (source)
    "page", "lo12", "got_page", "got_lo12", "tlsie_page", "tlsie_lo12", "tprel_hi12", "tprel_lo12",  # AArch64
    "pcrel_hi", "pcrel_lo", "got_pcrel_hi", "tlsie_pcrel_hi", "hi20", "lo12_i", "tprel_hi", "tprel_lo", "tprel_add",  # RISC-V
]  # fmt: skip


@dataclass(frozen=True)
class Relocation:
    """One relocated field of one instruction.

    offset: byte offset of the field inside the instruction. kind: how the linker fills it. symbol: the placeholder
    (``S0``, ``S1``, ...) of the address *symbol plus addend* that the field speaks of; for a pc-relative x86 field the
    addend is already corrected for the distance to the end of the instruction, so the operand's value is the placeholder.
    pair: for RISC-V's ``pcrel_lo``, the index of the instruction that holds the high part, else None.
    """

    offset: int
    kind: RelocKind
    symbol: str
    pair: int | None = None


@dataclass(frozen=True)
class Instruction:
    """One instruction of either side: offset from the start of its block (bytes), encoding, disassembly, relocations."""

    offset: int
    code: bytes
    text: str
    relocations: tuple[Relocation, ...] = ()

    @property
    def mnemonic(self) -> str:
        return self.text.split(None, 1)[0]


@dataclass(frozen=True)
class Access:
    """One access to memory: ``size`` bytes at ``address``, made if ``guard`` (width 1) holds."""

    address: Term
    size: int
    guard: Term


EventKind = Literal["load", "store", "atomic", "fence"]
EVERY_ORDER: Final = frozenset({"rr", "rw", "wr", "ww"})


@dataclass(frozen=True)
class Event:
    """Something that other threads may notice, or that orders what they notice.

    kind: ``atomic`` is one indivisible read-modify-write. address, size (bytes), guard: as in ``Access``; of a fence only the
    guard counts. value: what was loaded, or is stored. stored: what an atomic writes.
    part: the second half of an access of 16 bytes, which is two of 8 in no order.
    exclusive: a load-exclusive (load-reserved) or store-exclusive (store-conditional). acquire: it comes before all that is
    later; release: after all that is earlier. On an atomic, ``acquire`` is its load's and ``store_acquire`` its store's.
    orders: of a fence, pairs such as ``rw``: reads before it come before writes behind it.
    """

    kind: EventKind
    guard: Term
    address: Term | None = None
    size: int = 0
    value: Term | None = None
    stored: Term | None = None
    part: bool = False
    exclusive: bool = False
    acquire: bool = False
    release: bool = False
    store_acquire: bool = False
    orders: frozenset[str] = frozenset()

    @property
    def terms(self) -> list[Term]:
        return [x for x in (self.guard, self.address, self.value, self.stored) if x is not None]

    def mapped(self, change: Callable[[Term], Term]) -> Event:
        """The event with ``change`` of each of ``terms``, in their order."""
        guard = change(self.guard)
        rest = (None if x is None else change(x) for x in (self.address, self.value, self.stored))
        address, value, stored = rest
        return replace(self, guard=guard, address=address, value=value, stored=stored)


def seen(events: Sequence[Event], size: int) -> Term:
    """What the next load after ``events`` finds in memory that other threads write to, ``size`` bytes."""
    return var(f"seen:{sum(e.kind in ('load', 'atomic') for e in events)}", 8 * size)


@dataclass(frozen=True)
class Retry:
    """A branch back to the start of the code: under ``condition`` (width 1), with ``cells`` changed so far."""

    condition: Term
    cells: dict[str, Term]


@dataclass
class Effect:
    """What a piece of code does, as terms over its initial state (``var(cell)`` for each cell, ``memory()``).

    cells: final value of each cell that the code may change. memory: final memory. loads, stores: every access in order.
    condition: width 1, whether it leaves to ``taken`` rather than falling through; None if it only falls through.
    target: width 64, where an indirect branch or call goes; None if there is none.
    faults: width 1 each, conditions under which the code faults (division); outside any proof, stated as an assumption.
    assumed: width 1 each, conditions that the user has asked to take for granted (``solver.assume``).
    approximations: what is not modelled exactly, e.g. ``NaN payload of fadd``.
    opaque: why parts of it have no semantics, e.g. ``CALLOTHER pshufb``; not empty means never provable.
    events: accesses and fences in order, as other threads may see them; of a slot of the global offset table there is none.
    traps: width 1 each, conditions under which the processor stops the program (a misaligned atomic access).
    retry: the round that a store-exclusive makes when it fails, None if there is none; ``cells`` then speak of the other paths.
    shared: whether each load gives an unknown of its own, ``seen:N``, since other threads may store.
    """

    cells: dict[str, Term]
    memory: Term
    loads: list[Access] = field(default_factory=list)
    stores: list[Access] = field(default_factory=list)
    condition: Term | None = None
    target: Term | None = None
    faults: list[Term] = field(default_factory=list)
    approximations: set[str] = field(default_factory=set)
    opaque: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    traps: list[Term] = field(default_factory=list)
    retry: Retry | None = None
    shared: bool = False
    assumed: list[Term] = field(default_factory=list)
