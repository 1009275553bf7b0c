"""x86-64 operands, for the overrides: capstone's decoding of an instruction, kept by bytes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final, Literal

import capstone

_CAPSTONE: Final = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
_CAPSTONE.detail = True


@dataclass(frozen=True)
class Operand:
    """One operand of ``size`` bytes. kind: ``reg`` (register: its name), ``imm`` (value), ``mem`` (the rest).

    base, index, segment: register names or ``None``; base may be ``rip``. displacement: signed.
    """

    kind: Literal["reg", "imm", "mem"]
    size: int
    register: str = ""
    value: int = 0
    base: str | None = None
    index: str | None = None
    scale: int = 1
    displacement: int = 0
    segment: str | None = None


@dataclass(frozen=True)
class Decoded:
    """An instruction's mnemonic without prefixes, the prefix word (``rep``, ``repne``, ``lock`` or empty) and its
    operands.

    displacement_offset, immediate_offset: byte offsets of those fields in the encoding, 0 if absent.
    """

    mnemonic: str
    prefix: str
    operands: tuple[Operand, ...]
    displacement_offset: int
    immediate_offset: int
    address_size: int


@functools.lru_cache(maxsize=1 << 16)
def decode(code: bytes) -> Decoded:
    """Raises ``ValueError`` if ``code`` is not exactly one instruction."""
    found = list(_CAPSTONE.disasm(code, 0x1000, 1))
    if not found or found[0].size != len(code):
        raise ValueError(f"not one x86-64 instruction: {code.hex()}")
    instruction = found[0]
    words = instruction.mnemonic.split()
    prefix, mnemonic = (words[0], words[1]) if len(words) > 1 else ("", words[0])
    operands = tuple(_operand(instruction, operand) for operand in instruction.operands)
    return Decoded(mnemonic, prefix, operands, instruction.disp_offset, instruction.imm_offset, instruction.addr_size)


def _operand(instruction: Any, operand: Any) -> Operand:
    if operand.type == capstone.x86.X86_OP_REG:
        return Operand("reg", operand.size, register=instruction.reg_name(operand.reg))
    if operand.type == capstone.x86.X86_OP_IMM:
        return Operand("imm", operand.size, value=operand.imm)
    memory = operand.mem
    base, index, segment = (instruction.reg_name(r) if r else None for r in (memory.base, memory.index, memory.segment))
    if index in ("riz", "eiz"):
        index = None
    return Operand("mem", operand.size, base=base, index=index, scale=memory.scale, displacement=memory.disp, segment=segment)
