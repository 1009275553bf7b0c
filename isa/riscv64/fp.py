"""RV64 F and D (ISA manual 20191213, chapters 11 and 12). A NaN that arithmetic makes is canonical."""

from __future__ import annotations

from isa import ieee
from isa import terms as t
from isa.flow import require
from isa.riscv64.integer import sum_of
from isa.riscv64.state import CANONICAL_NAN, RV64, TABLE
from isa.terms import Term

row = TABLE.row

ROUNDINGS = {0: "rne", 1: "rtz", 2: "rtn", 3: "rtp", 4: "rna", 7: "rne"}  # 7: dyn


def arithmetic(m: RV64, rm: int, op: str, *args: Term) -> Term:
    require(rm in (0, 7), "rounding mode")
    m.approximate(f"NaN payload of {op}")
    return t.float_op(op, args[0].width, *args)


@row("imm:12 rs1:5 010 rd:5 0000111", size=4)
@row("imm:12 rs1:5 011 rd:5 0000111", size=8)
def load(m: RV64, imm: int, rs1: int, rd: int, size: int) -> None:
    address = sum_of(m, rs1, imm)
    require(not (address.op == "var" and address.attr.startswith(("got:", "tlsie:"))), "use of the global offset table")
    m.set_f(rd, m.load(address, size))


@row("high:7 rs2:5 rs1:5 010 low:5 0100111", size=4)
@row("high:7 rs2:5 rs1:5 011 low:5 0100111", size=8)
def store(m: RV64, high: int, rs2: int, rs1: int, low: int, size: int) -> None:
    m.store(sum_of(m, rs1, high << 5 | low), t.extract(m.read(f"f{rs2}"), 0, 8 * size))


@row("rs3:5 0 double:1 rs2:5 rs1:5 rm:3 rd:5 100 negate:1 subtract:1 11")
def fused(m: RV64, rs3: int, double: int, rs2: int, rs1: int, rm: int, rd: int, negate: int, subtract: int) -> None:
    """FMADD a*b+c, FMSUB a*b-c, FNMSUB -a*b+c, FNMADD -a*b-c."""
    width = 32 << double
    a, b, c = m.f(rs1, width), m.f(rs2, width), m.f(rs3, width)
    product, addend = ieee.negate(a) if negate else a, ieee.negate(c) if subtract else c
    m.set_f(rd, arithmetic(m, rm, "fma", product, b, addend))


@row("000 op:2 0 double:1 rs2:5 rs1:5 rm:3 rd:5 1010011")
def two_source(m: RV64, op: int, double: int, rs2: int, rs1: int, rm: int, rd: int) -> None:
    """FADD, FSUB, FMUL, FDIV."""
    width = 32 << double
    m.set_f(rd, arithmetic(m, rm, ("fadd", "fsub", "fmul", "fdiv")[op], m.f(rs1, width), m.f(rs2, width)))


@row("01011 0 double:1 00000 rs1:5 rm:3 rd:5 1010011")
def square_root(m: RV64, double: int, rs1: int, rm: int, rd: int) -> None:
    m.set_f(rd, arithmetic(m, rm, "fsqrt", m.f(rs1, 32 << double)))


@row("00100 0 double:1 rs2:5 rs1:5 kind:3 rd:5 1010011")
def sign_inject(m: RV64, double: int, rs2: int, rs1: int, kind: int, rd: int) -> None:
    """FSGNJ, FSGNJN, FSGNJX (FMV, FNEG, FABS)."""
    require(kind < 3)
    width = 32 << double
    a, b = m.f(rs1, width), m.f(rs2, width)
    if a is b:
        m.set_f(rd, (a, ieee.negate(a), ieee.magnitude(a))[kind])
        return
    sign = t.and_((b, t.not_(b), t.xor(a, b))[kind], ieee.sign_bit(width))
    m.set_f(rd, t.or_(ieee.magnitude(a), sign))


@row("00101 0 double:1 rs2:5 rs1:5 00 larger:1 rd:5 1010011")
def choose(m: RV64, double: int, rs2: int, rs1: int, larger: int, rd: int) -> None:
    """FMIN, FMAX: a NaN loses to a number, signaling or not; two of them give the canonical one."""
    width = 32 << double
    a, b = m.f(rs1, width), m.f(rs2, width)
    result = (ieee.larger if larger else ieee.smaller)(a, b)
    lone = t.ite(ieee.is_nan(b), t.const(CANONICAL_NAN[width], width), b)
    m.set_f(rd, t.ite(ieee.is_nan(a), lone, t.ite(ieee.is_nan(b), a, result)))


@row("01000 00 00001 rs1:5 rm:3 rd:5 1010011", double=0)
@row("01000 01 00000 rs1:5 rm:3 rd:5 1010011", double=1)
def change_format(m: RV64, rs1: int, rm: int, rd: int, double: int) -> None:
    """FCVT.S.D, FCVT.D.S."""
    require(rm in (0, 7) or (double and rm in ROUNDINGS), "rounding mode")
    m.approximate("NaN payload of f2f")
    m.set_f(rd, t.float_op("f2f", 32 << double, m.f(rs1, 64 >> double)))


@row("10100 0 double:1 rs2:5 rs1:5 kind:3 rd:5 1010011")
def compare(m: RV64, double: int, rs2: int, rs1: int, kind: int, rd: int) -> None:
    """FLE, FLT, FEQ."""
    require(kind < 3)
    a, b = m.f(rs1, 32 << double), m.f(rs2, 32 << double)
    m.set_x(rd, t.zext((ieee.less_equal, ieee.less, ieee.equal)[kind](a, b), 64))


@row("11000 0 double:1 000 long:1 unsigned:1 rs1:5 rm:3 rd:5 1010011")
def to_integer(m: RV64, double: int, long: int, unsigned: int, rs1: int, rm: int, rd: int) -> None:
    """FCVT.{W,WU,L,LU}.{S,D}: saturating, a NaN as the greatest value; words are sign-extended, unsigned ones too."""
    require(rm in ROUNDINGS)
    width = 32 << long
    greatest = (1 << (width if unsigned else width - 1)) - 1
    m.set_x(rd, ieee.to_integer(m.f(rs1, 32 << double), width, not unsigned, ROUNDINGS[rm], nan=greatest))


@row("11010 0 double:1 000 long:1 unsigned:1 rs1:5 rm:3 rd:5 1010011")
def from_integer(m: RV64, double: int, long: int, unsigned: int, rs1: int, rm: int, rd: int) -> None:
    """FCVT.{S,D}.{W,WU,L,LU}."""
    exact = double and not long
    require(rm in (0, 7) or (exact and rm in ROUNDINGS), "rounding mode")
    m.set_f(rd, t.float_op("u2f" if unsigned else "s2f", 32 << double, m.x(rs1, 32 << long)))


@row("11100 0 double:1 00000 rs1:5 000 rd:5 1010011")
def move_to_integer(m: RV64, double: int, rs1: int, rd: int) -> None:
    """FMV.X.W, FMV.X.D: the bits as they are, boxed or not."""
    m.set_x(rd, t.extract(m.read(f"f{rs1}"), 0, 32 << double))


@row("11110 0 double:1 00000 rs1:5 000 rd:5 1010011")
def move_from_integer(m: RV64, double: int, rs1: int, rd: int) -> None:
    """FMV.W.X, FMV.D.X."""
    m.set_f(rd, m.x(rs1, 32 << double))


@row("11100 0 double:1 00000 rs1:5 001 rd:5 1010011")
def classify(m: RV64, double: int, rs1: int, rd: int) -> None:
    """FCLASS: bits 0-9 are -infinity, -normal, -subnormal, -0, +0, +subnormal, +normal, +infinity, signaling, quiet."""
    width = 32 << double
    a = m.f(rs1, width)
    stored = ieee.MANTISSA[width]
    exponent = t.extract(a, stored, width - 1 - stored)
    empty = t.eq(t.extract(a, 0, stored), t.const(0, stored))
    negative = t.extract(a, width - 1, 1)

    def side(if_negative: int, if_positive: int) -> Term:
        return t.ite(negative, t.const(1 << if_negative, 64), t.const(1 << if_positive, 64))

    small = t.ite(empty, side(3, 4), side(2, 5))
    nan = t.ite(ieee.is_signaling(a), t.const(1 << 8, 64), t.const(1 << 9, 64))
    large = t.ite(empty, side(0, 7), nan)
    normal = t.ite(t.eq(exponent, t.const(-1, exponent.width)), large, side(1, 6))
    m.set_x(rd, t.ite(t.eq(exponent, t.const(0, exponent.width)), small, normal))
