"""Code that tries one instruction by itself: what it needs beside it to be run, and what it lacks.

A branch comes with the instruction that it jumps over. A store-exclusive is run behind the load-exclusive that lets it
succeed, and alone, where it must fail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from isa.machine import Instruction, Relocation, RelocKind
from isa.x86_64.decode import decode

# Relocations through a table slot, or that need a partner: tried as a plain one that one instruction can have, or as
# none.
_ALONE: Final[dict[str, RelocKind | None]] = {
    "got_page": "page", "tlsie_page": "page", "got_lo12": None, "tlsie_lo12": None,
    "got_pcrel_hi": None, "tlsie_pcrel_hi": None, "pcrel_hi": None, "pcrel_lo": None, "hi20": None, "tprel_hi": None,
}  # fmt: skip
_SKIPPED: Final = {"aarch64": (0x91000529, "add x9, x9, #1"), "riscv64": (0x001E0E13, "addi t3, t3, 1")}
_STORE, _LOAD = 0b00011, 0b00010  # SC, LR: bits 31..27 on RISC-V


def settings(isa: str, instruction: Instruction) -> list[tuple[list[Instruction], int]]:
    """The code that is run, and whether a store-exclusive in it fails."""
    alone = _alone(isa, instruction)
    load = _load_for(isa, instruction)
    return [(alone, 0)] if load is None else [([load, replace(instruction, offset=4)], 0), (alone, 1)]


def _alone(isa: str, instruction: Instruction) -> list[Instruction]:
    """``instruction`` made fit to be run alone: relocations that it needs but lacks, a branch's target."""
    code, text = instruction.code, instruction.text
    if isa == "x86_64":
        decoded = decode(code)
        kept = instruction.relocations
        if not kept and any(o.base == "rip" for o in decoded.operands):
            kept = (Relocation(decoded.displacement_offset, "pc", "S0"),)
        elif not kept and any(o.segment == "fs" and not o.base and not o.index for o in decoded.operands):
            kept = (Relocation(decoded.displacement_offset, "tpoff", "S0"),)
        return [Instruction(0, code, text, kept)]
    kinds = [(r, _ALONE.get(r.kind, r.kind)) for r in instruction.relocations]
    kept = tuple(Relocation(r.offset, kind, "S0") for r, kind in kinds if kind is not None)
    if instruction.mnemonic == "adrp" and not kept:
        kept = (Relocation(0, "page", "S0"),)
    if instruction.mnemonic == "auipc":
        register = code[0] >> 7 | (code[1] & 15) << 1
        low = (0x13 | register << 7 | register << 15).to_bytes(4, "little")
        return [Instruction(0, code, text, (Relocation(0, "pcrel_hi", "S0"),)),
                Instruction(4, low, "addi", (Relocation(0, "pcrel_lo", "S0", 0),))]  # fmt: skip
    over = _branch_over(isa, code)
    if over is None:
        return [Instruction(0, code, text, kept)]
    word, skipped = _SKIPPED[isa]
    return [Instruction(0, over, text), Instruction(len(over), word.to_bytes(4, "little"), skipped)]


def _branch_over(isa: str, code: bytes) -> bytes | None:
    """A direct branch of a target retargeted past a four-byte instruction behind it; None if ``code`` is not one."""
    word = int.from_bytes(code, "little")
    if isa == "aarch64":
        if word >> 24 in (0x54, 0x34, 0x35, 0xB4, 0xB5):  # b.cond, cbz, cbnz
            word = word & 0xFF00_001F | 2 << 5
        elif word >> 24 & 0x7F in (0x36, 0x37):  # tbz, tbnz
            word = word & 0xFFF8_001F | 2 << 5
        elif word >> 26 == 0x05:  # b
            word = 0x1400_0002
        else:
            return None
    elif len(code) == 2 and word & 3 == 1 and word >> 13 in (5, 6, 7):  # c.j, c.beqz, c.bnez
        word = word & (0xE003 if word >> 13 == 5 else 0xE383) | 3 << 3
    elif len(code) == 4 and word & 0x7F == 0x63:
        word = word & 0x01FF_F07F | 4 << 8
    elif len(code) == 4 and word & 0xFFF == 0x6F:
        word = 0x0080_006F
    else:
        return None
    return word.to_bytes(len(code), "little")


def _load_for(isa: str, store: Instruction) -> Instruction | None:
    """The load-exclusive that pairs with ``store``, into registers that it does not use; None if ``store`` is not one."""
    word = int.from_bytes(store.code, "little")
    if isa == "aarch64" and word >> 24 & 0x3F == 0b001000 and not word >> 22 & 3:
        pair = word >> 21 & 1
        used = {word & 31, word >> 5 & 31, word >> 16 & 31, word >> 10 & 31}
        first, second = [n for n in range(8) if n not in used][:2]
        word = word & ~(31 | 31 << 16 | 31 << 10) | 1 << 22 | 31 << 16 | first | (second if pair else 31) << 10
    elif isa == "riscv64" and word & 0x7F == 0b0101111 and word >> 27 == _STORE:
        used = {0, word >> 7 & 31, word >> 15 & 31, word >> 20 & 31}
        into = next(n for n in range(5, 32) if n not in used)
        word = word & ~(127 << 25 | 31 << 20 | 31 << 7) | _LOAD << 27 | into << 7
    else:
        return None
    return Instruction(0, word.to_bytes(4, "little"), "load-exclusive")
