"""Machine state as cells, the effect of a piece of code on it, and the code itself.

A *cell* is the smallest piece of machine state that a proof speaks of: a 64-bit general register, one 64-bit half of a
vector register (``xmm3.lo``, ``xmm3.hi``, ``v3.lo``, ``f10``), a flag of one bit (``cf``). Cells are named by strings; each
instruction set has a table ``CELLS: dict[str, int]`` of their widths. Memory is one more component, shared by both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from isa.terms import Term

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
    forms: the instruction forms used (``isa.forms``), which the gate looks up.
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
    forms: set[str] = field(default_factory=set)
    assumed: list[Term] = field(default_factory=list)
