"""AArch64 ordered and atomic accesses and barriers (Arm ARM B2.3, B2.9, C4.1.91): what other threads see in order.

A misaligned access traps (without FEAT_LSE2). A pair of exclusives is one access. Whether a store-exclusive fails is
unknown each time.
"""

from __future__ import annotations

from isa import terms as t
from isa.aarch64.state import A64, TABLE
from isa.flow import require
from isa.machine import EVERY_ORDER
from isa.terms import Term

row = TABLE.row

# By the type of access in the low bits of a barrier's option; its domain must be the inner shareable one or all.
ORDERS = {1: frozenset({"rr", "rw"}), 2: frozenset({"ww"}), 3: EVERY_ORDER}


@row("11010101000000110011 option:4 10111111")
def data_memory_barrier(m: A64, option: int) -> None:
    """DMB."""
    require(option >> 2 in (2, 3) and option & 3, "barrier in a narrow domain")
    m.fence(ORDERS[option & 3])


@row("size:2 001000 1 is_load:1 0 11111 1 11111 rn:5 rt:5")
def ordered(m: A64, size: int, is_load: int, rn: int, rt: int) -> None:
    """LDAR, STLR and their narrow forms."""
    address = m.x(rn, sp=True)
    m.aligned(address, 1 << size)
    if is_load:
        m.set_x(rt, m.load(address, 1 << size, acquire=True))
    else:
        m.store(address, m.x(rt, 8 << size), release=True)


@row("size:2 111000 1 0 1 11111 1 100 00 rn:5 rt:5")
def load_acquire_pc(m: A64, size: int, rn: int, rt: int) -> None:
    """LDAPR."""
    address = m.x(rn, sp=True)
    m.aligned(address, 1 << size)
    m.set_x(rt, m.load(address, 1 << size, acquire=True))


@row("size:2 001000 010 11111 acquire:1 11111 rn:5 rt:5")
def load_exclusive(m: A64, size: int, acquire: int, rn: int, rt: int) -> None:
    """LDXR, LDAXR and their narrow forms."""
    m.set_x(rt, m.exclusive_load(m.x(rn, sp=True), 1 << size, acquire=bool(acquire)))


@row("size:2 001000 000 rs:5 release:1 11111 rn:5 rt:5")
def store_exclusive(m: A64, size: int, rs: int, release: int, rn: int, rt: int) -> None:
    """STXR, STLXR and their narrow forms."""
    require(rs != rt and (rs != rn or rn == 31), "status in a register of the access")
    fails = m.exclusive_store(m.x(rn, sp=True), m.x(rt, 8 << size), release=bool(release))
    m.set_x(rs, t.zext(fails, 32))


@row("1 double:1 001000 011 11111 acquire:1 rt2:5 rn:5 rt:5")
def load_exclusive_pair(m: A64, double: int, acquire: int, rt2: int, rn: int, rt: int) -> None:
    """LDXP, LDAXP."""
    require(rt != rt2, "both registers of the pair are one")
    width = 32 << double
    value = m.exclusive_load(m.x(rn, sp=True), width // 4, acquire=bool(acquire))
    m.set_x(rt, t.extract(value, 0, width))
    m.set_x(rt2, t.extract(value, width, width))


@row("1 double:1 001000 001 rs:5 release:1 rt2:5 rn:5 rt:5")
def store_exclusive_pair(m: A64, double: int, rs: int, release: int, rt2: int, rn: int, rt: int) -> None:
    """STXP, STLXP."""
    require(rs not in (rt, rt2) and (rs != rn or rn == 31), "status in a register of the access")
    width = 32 << double
    value = t.concat(m.x(rt2, width), m.x(rt, width))
    fails = m.exclusive_store(m.x(rn, sp=True), value, release=bool(release))
    m.set_x(rs, t.zext(fails, 32))


@row("size:2 111000 acquire:1 release:1 1 rs:5 0 op:3 00 rn:5 rt:5")
@row("size:2 111000 acquire:1 release:1 1 rs:5 1 000 00 rn:5 rt:5", swap=1)
def atomic(m: A64, size: int, acquire: int, release: int, rs: int, rn: int, rt: int, op: int = 0, swap: int = 0) -> None:
    """LDADD, LDCLR, LDEOR, LDSET, LDSMAX, LDSMIN, LDUMAX, LDUMIN, SWP (LSE). Into the zero register they do not acquire."""
    operand = m.x(rs, 8 << size)

    def new(old: Term) -> Term:
        if swap:
            return operand
        if op < 4:
            return (t.add(old, operand), t.and_(old, t.not_(operand)), t.xor(old, operand), t.or_(old, operand))[op]
        less = t.compare("slt" if op < 6 else "ult", old, operand)
        return t.ite(less, old, operand) if op & 1 else t.ite(less, operand, old)

    acquires = bool(acquire) and rt != 31
    m.set_x(rt, m.exchange(m.x(rn, sp=True), 1 << size, new, acquire=acquires, release=bool(release)))


@row("size:2 0010001 acquire:1 1 rs:5 release:1 11111 rn:5 rt:5")
def compare_and_swap(m: A64, size: int, acquire: int, rs: int, release: int, rn: int, rt: int) -> None:
    """CAS (LSE). Where the compare fails the old value is stored back, which one thread cannot tell from no store; that it
    releases then is not taken for granted, nor that it acquires at all."""
    expected, desired = m.x(rs, 8 << size), m.x(rt, 8 << size)

    def new(old: Term) -> Term:
        return t.ite(t.eq(old, expected), desired, old)

    m.set_x(rs, m.exchange(m.x(rn, sp=True), 1 << size, new, acquire=False, release=False))
