"""AArch64 Advanced SIMD on single and double floating-point numbers (Arm ARM C4.1.94), vector and scalar forms."""

from __future__ import annotations

from functools import reduce

from isa import ieee
from isa import terms as t
from isa.aarch64 import elements as e
from isa.aarch64.fp import arithmetic, change_format, choose_number, fixed_to_float, float_to_fixed, fused, round_to_integral
from isa.aarch64.state import A64, TABLE
from isa.aarch64.vector import pairs, set_half
from isa.aarch64.vector_move import shift_place
from isa.flow import require
from isa.terms import Term

row = TABLE.row


def compared(u: int, high: int, op: int, a: Term, b: Term) -> Term:
    """FCMEQ, FCMGE, FCMGT, FACGE, FACGT."""
    if op == 0b11101:
        require(u)
        a, b = ieee.magnitude(a), ieee.magnitude(b)
    if op == 0b11100 and not u:
        require(not high)
        return e.ones_if(ieee.equal(a, b), a.width)
    require(u)
    return e.ones_if(ieee.less(b, a) if high else ieee.less_equal(b, a), a.width)


def lane_result(m: A64, u: int, high: int, op: int, a: Term, b: Term, old: Term) -> Term:
    """One lane of a three-register operation; ``high`` is bit 23, which picks the second of two."""
    if op in (0b11100, 0b11101):
        return compared(u, high, op, a, b)
    if op in (0b11000, 0b11110) and not u:
        return choose_number(a, b, high + (2 if op == 0b11000 else 0))
    if op == 0b11001 and not u:
        return fused(m, old, ieee.negate(a) if high else a, b)
    if op == 0b11010 and not u:
        return arithmetic(m, "fsub" if high else "fadd", a, b)
    if op == 0b11010:
        require(high)
        return ieee.magnitude(arithmetic(m, "fsub", a, b))
    require(u and not high and op in (0b11011, 0b11111), "FMULX or reciprocal step")
    return arithmetic(m, "fmul" if op == 0b11011 else "fdiv", a, b)


@row("0 q:1 u:1 01110 high:1 double:1 1 rm:5 11 op:3 1 rn:5 rd:5")
def three_same(m: A64, q: int, u: int, high: int, double: int, rm: int, op: int, rn: int, rd: int) -> None:
    bits, width = 64 << q, 32 << double
    op |= 0b11000
    require(q or not double)
    a, b = m.v(rn, bits), m.v(rm, bits)
    if u and ((op == 0b11010 and not high) or op in (0b11000, 0b11110)):
        m.set_v(rd, t.vector([pair_result(m, op, high, x, y) for x, y in pairs(t.concat(b, a), width)]))
        return
    together = zip(t.lanes(a, width), t.lanes(b, width), t.lanes(m.v(rd, bits), width), strict=True)
    m.set_v(rd, t.vector([lane_result(m, u, high, op, x, y, z) for x, y, z in together]))


def pair_result(m: A64, op: int, high: int, a: Term, b: Term) -> Term:
    """FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP."""
    if op == 0b11010:
        return arithmetic(m, "fadd", a, b)
    return choose_number(a, b, high + (2 if op == 0b11000 else 0))


@row("01 u:1 11110 high:1 double:1 1 rm:5 11 op:3 1 rn:5 rd:5")
def three_same_scalar(m: A64, u: int, high: int, double: int, rm: int, op: int, rn: int, rd: int) -> None:
    """FCMEQ, FCMGE, FCMGT, FACGE, FACGT, FABD on scalars."""
    op |= 0b11000
    require(op in (0b11100, 0b11101) or (op == 0b11010 and u and high))
    width = 32 << double
    m.set_v(rd, lane_result(m, u, high, op, m.v(rn, width), m.v(rm, width), m.v(rd, width)))


@row("01 1 11110 high:1 double:1 11000 op:5 10 rn:5 rd:5")
def pair_scalar(m: A64, high: int, double: int, op: int, rn: int, rd: int) -> None:
    """FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP of a vector's two elements."""
    require(op in (0b01100, 0b01101, 0b01111) and not (op == 0b01101 and high))
    width = 32 << double
    a, b = m.v(rn, width), t.extract(m.v(rn), width, width)
    m.set_v(rd, pair_result(m, {0b01100: 0b11000, 0b01101: 0b11010, 0b01111: 0b11110}[op], high, a, b))


@row("0 1 1 01110 high:1 0 11000 01100 10 rn:5 rd:5", numbers=1)
@row("0 1 1 01110 high:1 0 11000 01111 10 rn:5 rd:5", numbers=0)
def across(m: A64, high: int, numbers: int, rn: int, rd: int) -> None:
    """FMAXV, FMINV, FMAXNMV, FMINNMV of four singles, by pairs."""
    kind = high + 2 * numbers
    parts = t.lanes(m.v(rn), 32)
    halves = [choose_number(parts[i], parts[i + 1], kind) for i in (0, 2)]
    m.set_v(rd, reduce(lambda a, b: choose_number(a, b, kind), halves))


CONVERT = {(0, 0b11010): "rne", (1, 0b11010): "rtp", (0, 0b11011): "rtn", (1, 0b11011): "rtz", (0, 0b11100): "rna"}
INTEGRAL = {(0, 0, 0b11000): "rne", (0, 1, 0b11000): "rna", (1, 0, 0b11000): "rtp", (0, 0, 0b11001): "rtn",
            (0, 1, 0b11001): "rne", (1, 0, 0b11001): "rtz", (1, 1, 0b11001): "rne"}  # fmt: skip


def converted(u: int, high: int, op: int, a: Term, m: A64) -> Term:
    """One lane of the two-register operations that scalars have too: comparisons with zero and conversions."""
    nought = t.const(0, a.width)
    if (high, op) in CONVERT:
        return ieee.to_integer(a, a.width, not u, CONVERT[high, op], nan=0)
    if (high, op) == (0, 0b11101):
        return t.float_op("u2f" if u else "s2f", a.width, a)
    require(high and op in (0b01100, 0b01101, 0b01110))
    require(not (op == 0b01110 and u))
    if op == 0b01100:
        condition = ieee.less_equal(nought, a) if u else ieee.less(nought, a)
    elif op == 0b01101:
        condition = ieee.less_equal(a, nought) if u else ieee.equal(a, nought)
    else:
        condition = ieee.less(a, nought)
    return e.ones_if(condition, a.width)


def two_result(m: A64, u: int, high: int, op: int, a: Term) -> Term:
    if (high, op) == (1, 0b01111):
        return ieee.negate(a) if u else ieee.magnitude(a)
    if (high, u, op) in INTEGRAL:
        return round_to_integral(m, a, INTEGRAL[high, u, op])
    if (high, u, op) == (1, 1, 0b11111):
        return arithmetic(m, "fsqrt", a)
    return converted(u, high, op, a, m)


TWO = (0b01100, 0b01101, 0b01110, 0b01111, *range(0b11000, 0b100000))


@row(*(f"0 q:1 u:1 01110 high:1 double:1 10000 {op:05b} 10 rn:5 rd:5" for op in TWO))
def two_misc(m: A64, q: int, u: int, high: int, double: int, rn: int, rd: int) -> None:
    require(q or not double)
    op = m.word >> 12 & 31
    m.set_v(rd, t.vector([two_result(m, u, high, op, a) for a in t.lanes(m.v(rn, 64 << q), 32 << double)]))


@row(*(f"01 u:1 11110 high:1 double:1 10000 {op:05b} 10 rn:5 rd:5" for op in TWO))
def two_misc_scalar(m: A64, u: int, high: int, double: int, rn: int, rd: int) -> None:
    m.set_v(rd, converted(u, high, m.word >> 12 & 31, m.v(rn, 32 << double), m))


@row("0 q:1 0 01110 01 10000 10110 10 rn:5 rd:5")
def narrow(m: A64, q: int, rn: int, rd: int) -> None:
    """FCVTN, FCVTN2: two doubles to singles."""
    set_half(m, rd, q, t.vector([change_format(m, a, 32) for a in t.lanes(m.v(rn), 64)]))


@row("0 q:1 0 01110 01 10000 10111 10 rn:5 rd:5")
def widen(m: A64, q: int, rn: int, rd: int) -> None:
    """FCVTL, FCVTL2: two singles to doubles."""
    m.set_v(rd, t.vector([change_format(m, a, 64) for a in t.lanes(t.extract(m.v(rn), 64 * q, 64), 32)]))


@row(*(f"0 q:1 0 01111 1 double:1 l:1 mm:1 rm:4 {op:04b} h:1 0 rn:5 rd:5" for op in (1, 5, 9)))
def by_element(m: A64, q: int, double: int, l: int, mm: int, rm: int, h: int, rn: int, rd: int) -> None:  # noqa: E741
    """FMLA, FMLS, FMUL by one element."""
    require(not double or (q and not l))
    op, bits, width = m.word >> 12 & 15, 64 << q, 32 << double
    index = h if double else h << 1 | l
    y = t.extract(m.v(mm << 4 | rm), index * width, width)
    together = zip(t.lanes(m.v(rn, bits), width), t.lanes(m.v(rd, bits), width), strict=True)
    m.set_v(rd, t.vector([element_result(m, op, x, y, z) for x, z in together]))


@row(*(f"01 0 11111 1 double:1 l:1 mm:1 rm:4 {op:04b} h:1 0 rn:5 rd:5" for op in (1, 5, 9)))
def by_element_scalar(m: A64, double: int, l: int, mm: int, rm: int, h: int, rn: int, rd: int) -> None:  # noqa: E741
    require(not double or not l)
    width = 32 << double
    index = h if double else h << 1 | l
    y = t.extract(m.v(mm << 4 | rm), index * width, width)
    m.set_v(rd, element_result(m, m.word >> 12 & 15, m.v(rn, width), y, m.v(rd, width)))


def element_result(m: A64, op: int, a: Term, b: Term, old: Term) -> Term:
    if op == 9:
        return arithmetic(m, "fmul", a, b)
    return fused(m, old, ieee.negate(a) if op == 5 else a, b)


FIXED = [f"{head} {op} 1 rn:5 rd:5" for op in ("11100", "11111") for head in ("01 place:5", "1 place:6")]


def fixed_result(m: A64, u: int, a: Term) -> Term:
    """SCVTF, UCVTF, FCVTZS, FCVTZU of one fixed-point element; immh:immb gives the fraction bits."""
    fraction = 2 * a.width - (m.word >> 16 & 127)
    convert = float_to_fixed if m.word >> 11 & 3 == 3 else fixed_to_float
    return convert(a, a.width, fraction, u)


@row(*(f"0 q:1 u:1 011110 {tail}" for tail in FIXED))
def fixed(m: A64, q: int, u: int, place: int, rn: int, rd: int) -> None:
    width, _ = shift_place(m)
    require(q or width < 64)
    m.set_v(rd, t.vector([fixed_result(m, u, a) for a in t.lanes(m.v(rn, 64 << q), width)]))


@row(*(f"01 u:1 111110 {tail}" for tail in FIXED))
def fixed_scalar(m: A64, u: int, place: int, rn: int, rd: int) -> None:
    width, _ = shift_place(m)
    m.set_v(rd, fixed_result(m, u, m.v(rn, width)))
