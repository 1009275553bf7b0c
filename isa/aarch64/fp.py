"""AArch64 scalar floating point, single and double (Arm ARM C4.1.95 to C4.1.96). Half precision is opaque."""

from __future__ import annotations

from isa import ieee
from isa import terms as t
from isa.aarch64.integer import choose_flags
from isa.aarch64.state import A64, TABLE
from isa.flow import require
from isa.terms import Term

row = TABLE.row

ROUNDINGS = ("rne", "rtp", "rtn", "rtz")  # the rmode field of a conversion
ROUND_TO_INTEGRAL = {8: "rne", 9: "rtp", 10: "rtn", 11: "rtz", 12: "rna", 14: "rne", 15: "rne"}


def format_width(ftype: int) -> int:
    require(ftype in (0, 1), "half precision")
    return 32 << ftype


def arithmetic(m: A64, op: str, *args: Term) -> Term:
    """An operation whose NaN result has an unmodelled payload."""
    m.approximate(f"NaN payload of {op}")
    return t.float_op(op, args[0].width, *args)


def round_to_integral(m: A64, a: Term, rounding: str) -> Term:
    m.approximate("NaN payload of fround")
    return t.float_op("fround", a.width, a, rounding=rounding)


def change_format(m: A64, a: Term, width: int) -> Term:
    m.approximate("NaN payload of f2f")
    return t.float_op("f2f", width, a)


def fused(m: A64, addend: Term, a: Term, b: Term) -> Term:
    """addend + a*b with one rounding."""
    return arithmetic(m, "fma", a, b, addend)


def choose_number(a: Term, b: Term, op: int) -> Term:
    """FMAX, FMIN, FMAXNM, FMINNM by ``op`` 0 to 3, with FPProcessNaNs exactly (Arm ARM J1.1.3)."""
    result = (ieee.smaller if op & 1 else ieee.larger)(a, b)
    nan_a, nan_b = ieee.is_nan(a), ieee.is_nan(b)
    if op >= 2:  # a quiet NaN loses to a number
        quiet_a = t.and_(nan_a, t.not_(ieee.is_signaling(a)))
        quiet_b = t.and_(nan_b, t.not_(ieee.is_signaling(b)))
        lone_a, lone_b = t.and_(quiet_a, t.not_(nan_b)), t.and_(quiet_b, t.not_(nan_a))
    signaling_b = t.and_(ieee.is_signaling(b), t.not_(ieee.is_signaling(a)))
    first = t.ite(t.or_(signaling_b, t.not_(nan_a)), ieee.quieted(b), ieee.quieted(a))
    result = t.ite(t.or_(nan_a, nan_b), first, result)
    return t.ite(lone_a, b, t.ite(lone_b, a, result)) if op >= 2 else result


def expand_immediate(imm: int, width: int) -> int:
    """VFPExpandImm: the eight bits of a floating immediate as a number of ``width`` bits."""
    exponent, mantissa = (8, 23) if width == 32 else (11, 52)
    b = imm >> 6 & 1
    high = (1 - b) << (exponent - 1) | (((1 << (exponent - 3)) - 1) * b) << 2 | imm >> 4 & 3
    return (imm >> 7) << (width - 1) | high << mantissa | (imm & 15) << (mantissa - 4)


@row("00011110 ftype:2 1 imm:8 10000000 rd:5")
def move_immediate(m: A64, ftype: int, imm: int, rd: int) -> None:
    width = format_width(ftype)
    m.set_v(rd, t.const(expand_immediate(imm, width), width))


@row("00011110 ftype:2 1 op:6 10000 rn:5 rd:5")
def one_source(m: A64, ftype: int, op: int, rn: int, rd: int) -> None:
    """FMOV, FABS, FNEG, FSQRT, FCVT, FRINT*."""
    width = format_width(ftype)
    a = m.v(rn, width)
    if op == 0:
        m.set_v(rd, a)
    elif op == 1:
        m.set_v(rd, ieee.magnitude(a))
    elif op == 2:
        m.set_v(rd, ieee.negate(a))
    elif op == 3:
        m.set_v(rd, arithmetic(m, "fsqrt", a))
    elif op in (4, 5):
        require(op & 1 != ftype)
        m.set_v(rd, change_format(m, a, 32 << (op & 1)))
    else:
        require(op in ROUND_TO_INTEGRAL, "half precision or reserved")
        m.set_v(rd, round_to_integral(m, a, ROUND_TO_INTEGRAL[op]))


@row("00011110 ftype:2 1 rm:5 op:4 10 rn:5 rd:5")
def two_source(m: A64, ftype: int, rm: int, op: int, rn: int, rd: int) -> None:
    """FMUL, FDIV, FADD, FSUB, FMAX, FMIN, FMAXNM, FMINNM, FNMUL."""
    width = format_width(ftype)
    require(op <= 8)
    a, b = m.v(rn, width), m.v(rm, width)
    if 4 <= op < 8:
        m.set_v(rd, choose_number(a, b, op - 4))
    elif op == 8:
        m.set_v(rd, ieee.negate(arithmetic(m, "fmul", a, b)))
    else:
        m.set_v(rd, arithmetic(m, ("fmul", "fdiv", "fadd", "fsub")[op], a, b))


@row("00011111 ftype:2 o1:1 rm:5 o0:1 ra:5 rn:5 rd:5")
def three_source(m: A64, ftype: int, o1: int, rm: int, o0: int, ra: int, rn: int, rd: int) -> None:
    """FMADD, FMSUB, FNMADD, FNMSUB: (-1)**o1 * ra + (-1)**(o0 ^ o1) * rn*rm, with one rounding."""
    width = format_width(ftype)
    addend, a, b = m.v(ra, width), m.v(rn, width), m.v(rm, width)
    m.set_v(rd, fused(m, ieee.negate(addend) if o1 else addend, ieee.negate(a) if o0 ^ o1 else a, b))


def compare_flags(m: A64, a: Term, b: Term) -> None:
    """NZCV of FCMP: less 1000, equal 0110, greater 0010, unordered 0011."""
    below = ieee.less(a, b)
    m.set_flags(below, ieee.equal(a, b), t.not_(below), t.or_(ieee.is_nan(a), ieee.is_nan(b)))


@row("00011110 ftype:2 1 rm:5 001000 rn:5 signals:1 with_zero:1 000")
def compare(m: A64, ftype: int, rm: int, rn: int, signals: int, with_zero: int) -> None:
    """FCMP, FCMPE: they differ in exception flags alone."""
    width = format_width(ftype)
    compare_flags(m, m.v(rn, width), t.const(0, width) if with_zero else m.v(rm, width))


@row("00011110 ftype:2 1 rm:5 cond:4 01 rn:5 signals:1 nzcv:4")
def conditional_compare(m: A64, ftype: int, rm: int, cond: int, rn: int, signals: int, nzcv: int) -> None:
    width = format_width(ftype)
    holds = m.holds(cond)
    compare_flags(m, m.v(rn, width), m.v(rm, width))
    choose_flags(m, holds, nzcv)


@row("00011110 ftype:2 1 rm:5 cond:4 11 rn:5 rd:5")
def conditional_select(m: A64, ftype: int, rm: int, cond: int, rn: int, rd: int) -> None:
    width = format_width(ftype)
    m.set_v(rd, t.ite(m.holds(cond), m.v(rn, width), m.v(rm, width)))


@row("sf:1 0011110 ftype:2 1 rmode:2 op:3 000000 rn:5 rd:5")
def with_integer(m: A64, sf: int, ftype: int, rmode: int, op: int, rn: int, rd: int) -> None:
    """FCVT{N,P,M,Z,A}{S,U}, SCVTF, UCVTF, FMOV between a general and a vector register."""
    width = 32 << sf
    if op >= 6:
        if rmode == 1:
            require(sf and ftype == 2)
            if op == 7:
                m.set_v(rd, t.concat(m.x(rn), m.v(rd, 64)))
            else:
                m.set_x(rd, m.read(f"v{rn}.hi"))
            return
        require(rmode == 0 and ftype == sf)
        if op == 7:
            m.set_v(rd, m.x(rn, width))
        else:
            m.set_x(rd, m.v(rn, width))
        return
    size = format_width(ftype)
    if op in (2, 3):
        require(rmode == 0)
        m.set_v(rd, t.float_op("s2f" if op == 2 else "u2f", size, m.x(rn, width)))
        return
    require(op < 2 or rmode == 0)
    rounding = ROUNDINGS[rmode] if op < 2 else "rna"
    m.set_x(rd, ieee.to_integer(m.v(rn, size), width, not op & 1, rounding, nan=0))


def fixed_to_float(a: Term, width: int, fraction: int, unsigned: int) -> Term:
    """``a`` / 2**fraction: the integer is rounded once, and scaling it by up to 2**-64 is exact."""
    rounded = t.float_op("u2f" if unsigned else "s2f", width, a)
    return t.float_op("fmul", width, rounded, ieee.number(2.0**-fraction, width))


def float_to_fixed(a: Term, width: int, fraction: int, unsigned: int) -> Term:
    """``a`` * 2**fraction towards zero, saturating: scaling up is exact, or overflows to what saturates alike."""
    scaled = t.float_op("fmul", a.width, a, ieee.number(2.0**fraction, a.width))
    return ieee.to_integer(scaled, width, not unsigned, "rtz", nan=0)


@row("sf:1 0011110 ftype:2 0 11 00 unsigned:1 scale:6 rn:5 rd:5", to_fixed=1)
@row("sf:1 0011110 ftype:2 0 00 01 unsigned:1 scale:6 rn:5 rd:5", to_fixed=0)
def with_fixed(m: A64, sf: int, ftype: int, unsigned: int, scale: int, rn: int, rd: int, to_fixed: int) -> None:
    """FCVTZS, FCVTZU, SCVTF, UCVTF with a fixed-point number in a general register."""
    size, width = format_width(ftype), 32 << sf
    require(sf or scale >= 32)
    if to_fixed:
        m.set_x(rd, float_to_fixed(m.v(rn, size), width, 64 - scale, unsigned))
    else:
        m.set_v(rd, fixed_to_float(m.x(rn, width), size, 64 - scale, unsigned))
