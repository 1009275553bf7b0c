"""RV64C: each 16-bit instruction is the expansion that the manual gives it (ISA manual 20191213, chapter 16)."""

from __future__ import annotations

from isa.flow import Unmodelled
from isa.terms import signed

OP_IMM, OP_IMM_32, OP, OP_32, LUI, LOAD, STORE = 0x13, 0x1B, 0x33, 0x3B, 0x37, 0x03, 0x23
LOAD_FP, STORE_FP, BRANCH, JAL, JALR = 0x07, 0x27, 0x63, 0x6F, 0x67
SP = 2


def i_type(opcode: int, funct3: int, rd: int, rs1: int, imm: int) -> int:
    return (imm & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def s_type(opcode: int, funct3: int, rs1: int, rs2: int, imm: int) -> int:
    return (imm >> 5 & 0x7F) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 31) << 7 | opcode


def r_type(opcode: int, funct3: int, funct7: int, rd: int, rs1: int, rs2: int) -> int:
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def b_type(funct3: int, rs1: int, rs2: int, imm: int) -> int:
    fields = (imm >> 12 & 1) << 31 | (imm >> 5 & 63) << 25 | (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7
    return fields | rs2 << 20 | rs1 << 15 | funct3 << 12 | BRANCH


def jump(imm: int) -> int:
    """JAL x0, imm."""
    return (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3FF) << 21 | (imm >> 11 & 1) << 20 | (imm >> 12 & 0xFF) << 12 | JAL


def gather(word: int, *places: tuple[int, int, int]) -> int:
    """The sum of (low bit in the word, bits, position in the result)."""
    return sum((word >> low & ((1 << bits) - 1)) << to for low, bits, to in places)


def expand(word: int) -> int:
    """The 32-bit encoding of compressed instruction ``word``. Raises Unmodelled for reserved ones and c.ebreak."""
    quadrant, funct3 = word & 3, word >> 13
    if quadrant == 0:
        return _quadrant_0(word, funct3)
    if quadrant == 1:
        return _quadrant_1(word, funct3)
    return _quadrant_2(word, funct3)


def _need(allowed: object) -> None:
    if not allowed:
        raise Unmodelled("reserved compressed encoding")


def _quadrant_0(word: int, funct3: int) -> int:
    low, base = (word >> 2 & 7) + 8, (word >> 7 & 7) + 8
    if funct3 == 0:  # c.addi4spn
        imm = gather(word, (11, 2, 4), (7, 4, 6), (6, 1, 2), (5, 1, 3))
        _need(imm)
        return i_type(OP_IMM, 0, low, SP, imm)
    _need(funct3 != 4)
    if funct3 in (2, 6):
        width, offset = 2, gather(word, (10, 3, 3), (6, 1, 2), (5, 1, 6))
    else:
        width, offset = 3, gather(word, (10, 3, 3), (5, 2, 6))
    is_float = funct3 in (1, 5)
    if funct3 < 4:
        return i_type(LOAD_FP if is_float else LOAD, width, low, base, offset)
    return s_type(STORE_FP if is_float else STORE, width, base, low, offset)


def _quadrant_1(word: int, funct3: int) -> int:
    rd, imm = word >> 7 & 31, signed(gather(word, (12, 1, 5), (2, 5, 0)), 6)
    if funct3 == 0:
        return i_type(OP_IMM, 0, rd, rd, imm)
    if funct3 == 1:  # c.addiw
        _need(rd)
        return i_type(OP_IMM_32, 0, rd, rd, imm)
    if funct3 == 2:  # c.li
        return i_type(OP_IMM, 0, rd, 0, imm)
    if funct3 == 3:
        if rd == SP:  # c.addi16sp
            imm = signed(gather(word, (12, 1, 9), (6, 1, 4), (5, 1, 6), (3, 2, 7), (2, 1, 5)), 10)
            _need(imm)
            return i_type(OP_IMM, 0, SP, SP, imm)
        _need(imm)
        return (imm & 0xFFFFF) << 12 | rd << 7 | LUI
    if funct3 == 4:
        return _arithmetic(word, imm)
    if funct3 == 5:
        places = ((12, 1, 11), (11, 1, 4), (9, 2, 8), (8, 1, 10), (7, 1, 6), (6, 1, 7), (3, 3, 1), (2, 1, 5))
        return jump(signed(gather(word, *places), 12))
    offset = signed(gather(word, (12, 1, 8), (10, 2, 3), (5, 2, 6), (3, 2, 1), (2, 1, 5)), 9)
    return b_type(funct3 & 1, (word >> 7 & 7) + 8, 0, offset)


def _arithmetic(word: int, imm: int) -> int:
    rd, rs2, kind = (word >> 7 & 7) + 8, (word >> 2 & 7) + 8, word >> 10 & 3
    if kind < 2:  # c.srli, c.srai
        return i_type(OP_IMM, 5, rd, rd, imm & 63 | kind << 10)
    if kind == 2:
        return i_type(OP_IMM, 7, rd, rd, imm)
    which = word >> 5 & 3
    if word >> 12 & 1:
        _need(which < 2)
        return r_type(OP_32, 0, 0 if which else 0x20, rd, rd, rs2)
    return r_type(OP, (0, 4, 6, 7)[which], 0 if which else 0x20, rd, rd, rs2)


def _quadrant_2(word: int, funct3: int) -> int:
    rd, rs2 = word >> 7 & 31, word >> 2 & 31
    if funct3 == 0:
        return i_type(OP_IMM, 1, rd, rd, gather(word, (12, 1, 5), (2, 5, 0)))
    if funct3 == 4:
        if not rs2:
            _need(rd)
            return i_type(JALR, 0, word >> 12 & 1, rd, 0)
        return r_type(OP, 0, 0, rd, rd if word >> 12 & 1 else 0, rs2)
    if funct3 in (1, 3):
        opcode = LOAD_FP if funct3 == 1 else LOAD
        _need(opcode == LOAD_FP or rd)
        return i_type(opcode, 3, rd, SP, gather(word, (12, 1, 5), (5, 2, 3), (2, 3, 6)))
    if funct3 == 2:
        _need(rd)
        return i_type(LOAD, 2, rd, SP, gather(word, (12, 1, 5), (4, 3, 2), (2, 2, 6)))
    if funct3 == 6:
        return s_type(STORE, 2, SP, rs2, gather(word, (9, 4, 2), (7, 2, 6)))
    return s_type(STORE_FP if funct3 == 5 else STORE, 3, SP, rs2, gather(word, (10, 3, 3), (7, 3, 6)))
