"""AArch64 Advanced SIMD on integers: three registers, two registers, widening, across lanes (Arm ARM C4.1.94).

The scalar forms (``cmeq d0, d1, d2``) are the same rows with one lane.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from isa import terms as t
from isa.aarch64 import elements as e
from isa.aarch64.integer import count_leading_signs
from isa.aarch64.state import A64, TABLE, zero
from isa.flow import require
from isa.terms import Term

row = TABLE.row

Operation = Callable[[Term, Term, int], Term]  # (a, b, unsigned)

# opcode -> operation, for both values of the U bit
SAME_BOTH: dict[int, Operation] = {
    0b00000: e.halving,
    0b00001: e.add_saturating,
    0b00010: lambda a, b, u: e.halving(a, b, u, round_up=1),
    0b00100: lambda a, b, u: e.halving(a, b, u, subtract=1),
    0b00101: e.sub_saturating,
    0b00110: lambda a, b, u: e.ones_if(e.less(b, a, u), a.width),
    0b00111: lambda a, b, u: e.ones_if(t.not_(e.less(a, b, u)), a.width),
    0b01000: e.shift_by_register,
    0b01100: e.maximum,
    0b01101: e.minimum,
    0b01110: e.difference,
    0b10000: lambda a, b, u: t.sub(a, b) if u else t.add(a, b),
    0b10001: lambda a, b, u: e.ones_if(t.eq(a, b) if u else e.test(a, b), a.width),
}
NO_DOUBLEWORD = {0b00000, 0b00010, 0b00100, 0b01100, 0b01101, 0b01110}
SCALAR_SAME = {0b00001, 0b00101, 0b00110, 0b00111, 0b01000, 0b10000, 0b10001}
PAIRWISE: dict[int, Operation] = {0b10100: e.maximum, 0b10101: e.minimum, 0b10111: lambda a, b, u: t.add(a, b)}


def by_lane(operation: e.Binary, a: Term, b: Term, width: int) -> Term:
    return t.vector([operation(x, y) for x, y in zip(t.lanes(a, width), t.lanes(b, width), strict=True)])


def pairs(a: Term, width: int) -> list[tuple[Term, Term]]:
    parts = t.lanes(a, width)
    return list(zip(parts[::2], parts[1::2], strict=True))


@row(*(f"0 q:1 u:1 01110 size:2 1 rm:5 {op:05b} 1 rn:5 rd:5" for op in range(0b11000) if op != 0b00011))
def three_same(m: A64, q: int, u: int, size: int, rm: int, rn: int, rd: int) -> None:
    op = m.word >> 11 & 31
    bits, width = 64 << q, 8 << size
    require(q or size < 3)
    a, b = m.v(rn, bits), m.v(rm, bits)
    if op in SAME_BOTH:
        require(size < 3 or op not in NO_DOUBLEWORD)
        operation = SAME_BOTH[op]
        m.set_v(rd, by_lane(lambda x, y: operation(x, y, u), a, b, width))
    elif op in PAIRWISE:
        require(size < 3 or op == 0b10111)
        require(not u or op != 0b10111)
        combine = PAIRWISE[op]
        m.set_v(rd, t.vector([combine(x, y, u) for x, y in pairs(t.concat(b, a), width)]))
    elif op == 0b01111:
        require(size < 3)
        change = by_lane(lambda x, y: e.difference(x, y, u), a, b, width)
        m.set_v(rd, by_lane(t.add, m.v(rd, bits), change, width))
    elif op == 0b10010:
        require(size < 3)
        m.set_v(rd, by_lane(t.sub if u else t.add, m.v(rd, bits), by_lane(t.mul, a, b, width), width))
    else:
        require(op == 0b10011 and not u and size < 3)
        m.set_v(rd, by_lane(t.mul, a, b, width))


@row("0 q:1 u:1 01110 op:2 1 rm:5 000111 rn:5 rd:5")
def logic(m: A64, q: int, u: int, op: int, rm: int, rn: int, rd: int) -> None:
    """AND, BIC, ORR, ORN; EOR, BSL, BIT, BIF."""
    bits = 64 << q
    a, b, old = m.v(rn, bits), m.v(rm, bits), m.v(rd, bits)
    if not u:
        b = t.not_(b) if op & 1 else b
        m.set_v(rd, t.or_(a, b) if op & 2 else t.and_(a, b))
    elif op == 0:
        m.set_v(rd, t.xor(a, b))
    elif op == 1:
        m.set_v(rd, t.or_(t.and_(a, old), t.and_(b, t.not_(old))))
    else:
        chosen, kept = (b, t.not_(b)) if op == 2 else (t.not_(b), b)
        m.set_v(rd, t.or_(t.and_(a, chosen), t.and_(old, kept)))


@row(*(f"01 u:1 11110 size:2 1 rm:5 {op:05b} 1 rn:5 rd:5" for op in sorted(SCALAR_SAME)))
def three_same_scalar(m: A64, u: int, size: int, rm: int, rn: int, rd: int) -> None:
    op = m.word >> 11 & 31
    require(size == 3 or op in (0b00001, 0b00101))
    width = 8 << size
    m.set_v(rd, SAME_BOTH[op](m.v(rn, width), m.v(rm, width), u))


@row("0 q:1 u:1 01110 size:2 1 rm:5 op:4 00 rn:5 rd:5")
def three_different(m: A64, q: int, u: int, size: int, rm: int, op: int, rn: int, rd: int) -> None:
    """S/U ADDL ADDW SUBL SUBW ABAL ABDL MLAL MLSL MULL and ADDHN SUBHN; Q picks the upper half (or fills it)."""
    require(size < 3)
    width = 8 << size
    half = 64 * q
    if op in (0b0100, 0b0110):  # the high halves of sums and differences; U: rounded
        sums = []
        for x, y in zip(t.lanes(m.v(rn), 2 * width), t.lanes(m.v(rm), 2 * width), strict=True):
            total = t.add(x, y) if op == 0b0100 else t.sub(x, y)
            sums.append(t.extract(t.add(total, t.const(u << (width - 1), 2 * width)), width, width))
        set_half(m, rd, q, t.vector(sums))
        return
    b = [e.extend(x, 2 * width, u) for x in t.lanes(t.extract(m.v(rm), half, 64), width)]
    if op in (0b0001, 0b0011):
        a = t.lanes(m.v(rn), 2 * width)
    else:
        a = [e.extend(x, 2 * width, u) for x in t.lanes(t.extract(m.v(rn), half, 64), width)]
    old = t.lanes(m.v(rd), 2 * width)
    result = []
    for x, y, z in zip(a, b, old, strict=True):
        if op in (0b0000, 0b0001):
            result.append(t.add(x, y))
        elif op in (0b0010, 0b0011):
            result.append(t.sub(x, y))
        elif op in (0b0101, 0b0111):
            distance = e.difference(x, y, 0)
            result.append(t.add(z, distance) if op == 0b0101 else distance)
        else:
            require(op in (0b1000, 0b1010, 0b1100), "polynomial or doubling multiply")
            result.append((t.add(z, t.mul(x, y)), t.sub(z, t.mul(x, y)), t.mul(x, y))[(op - 0b1000) >> 1])
    m.set_v(rd, t.vector(result))


def set_half(m: A64, rd: int, upper: int, value: Term) -> None:
    """A narrowing result: the low half with the high one cleared, or the high half with the low one kept."""
    m.set_v(rd, t.concat(value, m.v(rd, 64)) if upper else value)


@row(*(f"0 q:1 u:1 01110 size:2 10000 {op:05b} 10 rn:5 rd:5" for op in (0, 1, 2, 4, 5, 6, 8, 9, 10, 11)))
def two_misc(m: A64, q: int, u: int, size: int, rn: int, rd: int) -> None:
    """REV*, S/UADDLP, CLS, CLZ, CNT, NOT, RBIT, S/UADALP, comparisons with zero, ABS, NEG."""
    op = m.word >> 12 & 31
    bits, width = 64 << q, 8 << size
    a = m.v(rn, bits)
    if op <= 1:
        group = (64, 16, 32)[op + 2 * u] if op + 2 * u < 3 else 0
        require(group > width)
        m.set_v(rd, t.vector([t.concat(*t.lanes(part, width)) for part in t.lanes(a, group)]))
    elif op in (2, 6):
        require(size < 3)
        sums = [t.add(e.extend(x, 2 * width, u), e.extend(y, 2 * width, u)) for x, y in pairs(a, width)]
        m.set_v(rd, by_lane(t.add, m.v(rd, bits), t.vector(sums), 2 * width) if op == 6 else t.vector(sums))
    elif op == 4:
        require(size < 3)
        m.set_v(rd, t.vector([t.clz(x) if u else count_leading_signs(x) for x in t.lanes(a, width)]))
    elif op == 5:
        require(size == 0 or (u and size == 1))
        if not u:
            m.set_v(rd, t.vector([t.popcount(x) for x in t.lanes(a, 8)]))
        else:
            m.set_v(rd, t.vector([t.concat(*t.lanes(x, 1)) for x in t.lanes(a, 8)]) if size else t.not_(a))
    else:
        require(q or size < 3)
        m.set_v(rd, t.vector([against_zero(x, op, u) for x in t.lanes(a, width)]))


def against_zero(a: Term, op: int, u: int) -> Term:
    """CMGT, CMEQ, CMLT, CMGE, CMLE with zero; ABS, NEG."""
    require(not (op == 10 and u))
    nought = t.const(0, a.width)
    if op == 11:
        return t.neg(a) if u else e.absolute(a)
    negative = t.slt(a, nought)
    if op == 8:
        condition = t.not_(negative) if u else t.slt(nought, a)
    elif op == 9:
        condition = t.not_(t.slt(nought, a)) if u else zero(a)
    else:
        condition = negative
    return e.ones_if(condition, a.width)


@row(*(f"01 u:1 11110 11 10000 {op:05b} 10 rn:5 rd:5" for op in (8, 9, 10, 11)))
def two_misc_scalar(m: A64, u: int, rn: int, rd: int) -> None:
    m.set_v(rd, against_zero(m.v(rn, 64), m.word >> 12 & 31, u))


@row("0 q:1 u:1 01110 size:2 10000 10010 10 rn:5 rd:5", saturating=0)
@row("0 q:1 u:1 01110 size:2 10000 10100 10 rn:5 rd:5", saturating=1)
def narrow(m: A64, q: int, u: int, size: int, saturating: int, rn: int, rd: int) -> None:
    """XTN, SQXTUN; SQXTN, UQXTN; and their second halves."""
    require(size < 3)
    set_half(m, rd, q, t.vector([narrowed(x, 8 << size, u, saturating) for x in t.lanes(m.v(rn), 16 << size)]))


def narrowed(a: Term, width: int, u: int, saturating: int) -> Term:
    if saturating:
        return e.narrow_unsigned(a, width) if u else e.saturate(a, width, 0)
    return e.saturate(a, width, 1) if u else t.extract(a, 0, width)


@row("0 q:1 1 01110 size:2 10000 10011 10 rn:5 rd:5")
def shift_left_long(m: A64, q: int, size: int, rn: int, rd: int) -> None:
    """SHLL: each element moved to the upper half of one of twice the width."""
    require(size < 3)
    width = 8 << size
    parts = t.lanes(t.extract(m.v(rn), 64 * q, 64), width)
    m.set_v(rd, t.vector([t.concat(x, t.const(0, width)) for x in parts]))


@row(*(f"0 q:1 u:1 01110 size:2 11000 {op:05b} 10 rn:5 rd:5" for op in (0b00011, 0b01010, 0b11010, 0b11011)))
def across(m: A64, q: int, u: int, size: int, rn: int, rd: int) -> None:
    """S/UADDLV, S/UMAXV, S/UMINV, ADDV."""
    op = m.word >> 12 & 31
    require(size < 2 or (size == 2 and q))
    width = 8 << size
    parts = t.lanes(m.v(rn, 64 << q), width)
    if op == 0b00011:
        m.set_v(rd, reduce(t.add, [e.extend(x, 2 * width, u) for x in parts]))
    elif op == 0b11011:
        require(not u)
        m.set_v(rd, reduce(t.add, parts))
    else:
        choose = e.maximum if op == 0b01010 else e.minimum
        m.set_v(rd, reduce(lambda x, y: choose(x, y, u), parts))


@row("01 0 11110 11 11000 11011 10 rn:5 rd:5")
def add_pair_scalar(m: A64, rn: int, rd: int) -> None:
    """ADDP Dd, Vn.2D."""
    m.set_v(rd, t.add(m.v(rn, 64), m.read(f"v{rn}.hi")))


@row(*(f"0 q:1 u:1 01111 size:2 l:1 mm:1 rm:4 {op:04b} h:1 0 rn:5 rd:5" for op in (0, 2, 4, 6, 8, 10)))
def by_element(m: A64, q: int, u: int, size: int, l: int, mm: int, rm: int, h: int, rn: int, rd: int) -> None:  # noqa: E741
    """MUL, MLA, MLS and S/U MULL, MLAL, MLSL by one element."""
    require(size in (1, 2))
    op = m.word >> 12 & 15
    width = 8 << size
    index, register = (h << 2 | l << 1 | mm, rm) if size == 1 else (h << 1 | l, mm << 4 | rm)
    y = t.extract(m.v(register), index * width, width)
    if op in (0, 4, 8):
        require(u == (op != 8))
        parts, old = t.lanes(m.v(rn, 64 << q), width), t.lanes(m.v(rd, 64 << q), width)
    else:
        parts = [e.extend(x, 2 * width, u) for x in t.lanes(t.extract(m.v(rn), 64 * q, 64), width)]
        y, old = e.extend(y, 2 * width, u), t.lanes(m.v(rd), 2 * width)
    products = [t.mul(x, y) for x in parts]
    if op in (0, 2):
        products = [t.add(z, p) for z, p in zip(old, products, strict=True)]
    elif op in (4, 6):
        products = [t.sub(z, p) for z, p in zip(old, products, strict=True)]
    m.set_v(rd, t.vector(products))
