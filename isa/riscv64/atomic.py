"""RV64 A and FENCE (ISA manual 20191213, chapters 2.7, 8, 14): what other threads see in order.

A misaligned atomic access traps. Whether a store-conditional fails is unknown each time.
"""

from __future__ import annotations

from isa import terms as t
from isa.flow import require
from isa.riscv64.state import RV64, TABLE
from isa.terms import Term

row = TABLE.row


@row("0000 before:4 after:4 00000 000 00000 0001111")
def fence(m: RV64, before: int, after: int) -> None:
    """FENCE; bit 1 of a set is reads, bit 0 writes. (FENCE.TSO is another instruction.)"""
    kinds = ((2, "r"), (1, "w"))
    m.fence(frozenset(a + b for bit, a in kinds for other, b in kinds if before & bit and after & other))


@row("00010 aq:1 rl:1 00000 rs1:5 01 double:1 rd:5 0101111")
def load_reserved(m: RV64, aq: int, rl: int, rs1: int, double: int, rd: int) -> None:
    """LR."""
    require(aq or not rl)
    m.set_x(rd, m.exclusive_load(m.x(rs1), 4 << double, acquire=bool(aq)))


@row("00011 aq:1 rl:1 rs2:5 rs1:5 01 double:1 rd:5 0101111")
def store_conditional(m: RV64, aq: int, rl: int, rs2: int, rs1: int, double: int, rd: int) -> None:
    """SC. A failure gives any number but 0 (8.2)."""
    fails = m.exclusive_store(m.x(rs1), m.x(rs2, 32 << double), release=bool(rl), acquire=bool(aq))
    code, none, one = t.undef("code of a failed SC", 64), t.const(0, 64), t.const(1, 64)
    m.set_x(rd, t.ite(fails, t.ite(t.eq(code, none), one, code), none))


AMO = {0b00000: "add", 0b00001: "swap", 0b00100: "xor", 0b01000: "or", 0b01100: "and",
       0b10000: "slt", 0b10100: "slt", 0b11000: "ult", 0b11100: "ult"}  # fmt: skip


@row(*(f"{op:05b} aq:1 rl:1 rs2:5 rs1:5 01 double:1 rd:5 0101111" for op in AMO))
def atomic(m: RV64, aq: int, rl: int, rs2: int, rs1: int, double: int, rd: int) -> None:
    """AMOSWAP, AMOADD, AMOXOR, AMOAND, AMOOR, AMOMIN, AMOMAX, AMOMINU, AMOMAXU."""
    operand, number = m.x(rs2, 32 << double), m.expanded >> 27
    operation = AMO[number]

    def new(old: Term) -> Term:
        if operation in ("slt", "ult"):
            below = t.compare(operation, old, operand)
            return t.ite(below, operand, old) if number >> 2 & 1 else t.ite(below, old, operand)
        return operand if operation == "swap" else t.binary(operation, old, operand)

    old = m.exchange(m.x(rs1), 4 << double, new, acquire=bool(aq), release=bool(rl), store_acquire=bool(aq))
    m.set_x(rd, old)
