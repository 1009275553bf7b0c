"""AArch64 Advanced SIMD that moves: copies, immediates, permutations, table look-up, shifts by a constant (C4.1.94)."""

from __future__ import annotations

from functools import reduce

from isa import terms as t
from isa.aarch64 import elements as e
from isa.aarch64.fp import expand_immediate
from isa.aarch64.state import A64, TABLE
from isa.aarch64.vector import narrowed, set_half
from isa.flow import require
from isa.terms import Term

row = TABLE.row


def element_place(imm5: int, limit: int = 3) -> tuple[int, int]:
    """The element width and index that imm5 encodes."""
    require(imm5 & 15)
    size = (imm5 & -imm5).bit_length() - 1
    require(size <= limit)
    return 8 << size, imm5 >> (size + 1)


@row("0 q:1 0 01110000 imm5:5 0 0000 1 rn:5 rd:5")
def dup_element(m: A64, q: int, imm5: int, rn: int, rd: int) -> None:
    width, index = element_place(imm5)
    require(q or width < 64)
    m.set_v(rd, t.vector([t.extract(m.v(rn), index * width, width)] * ((64 << q) // width)))


@row("01 0 11110000 imm5:5 0 0000 1 rn:5 rd:5")
def dup_scalar(m: A64, imm5: int, rn: int, rd: int) -> None:
    """MOV (scalar): one element into a scalar register."""
    width, index = element_place(imm5)
    m.set_v(rd, t.extract(m.v(rn), index * width, width))


@row("0 q:1 0 01110000 imm5:5 0 0001 1 rn:5 rd:5")
def dup_general(m: A64, q: int, imm5: int, rn: int, rd: int) -> None:
    width, _ = element_place(imm5)
    require(q or width < 64)
    m.set_v(rd, t.vector([m.x(rn, width)] * ((64 << q) // width)))


@row("0 q:1 0 01110000 imm5:5 0 0101 1 rn:5 rd:5", unsigned=0)
@row("0 q:1 0 01110000 imm5:5 0 0111 1 rn:5 rd:5", unsigned=1)
def move_to_general(m: A64, q: int, imm5: int, unsigned: int, rn: int, rd: int) -> None:
    """SMOV, UMOV."""
    width, index = element_place(imm5)
    target = 32 << q
    require(q == (width == 64) if unsigned else width < target)
    m.set_x(rd, e.extend(t.extract(m.v(rn), index * width, width), target, unsigned))


def insert(m: A64, rd: int, index: int, value: Term) -> None:
    parts = t.lanes(m.v(rd), value.width)
    parts[index] = value
    m.set_v(rd, t.vector(parts))


@row("01001110000 imm5:5 0 0011 1 rn:5 rd:5")
def insert_general(m: A64, imm5: int, rn: int, rd: int) -> None:
    width, index = element_place(imm5)
    insert(m, rd, index, m.x(rn, width))


@row("01101110000 imm5:5 0 imm4:4 1 rn:5 rd:5")
def insert_element(m: A64, imm5: int, imm4: int, rn: int, rd: int) -> None:
    width, index = element_place(imm5)
    source = imm4 >> (width.bit_length() - 4)
    insert(m, rd, index, t.extract(m.v(rn), source * width, width))


@row("0 q:1 op:1 0111100000 high:3 cmode:4 0 1 low:5 rd:5")
def immediate(m: A64, q: int, op: int, high: int, cmode: int, low: int, rd: int) -> None:
    """MOVI, MVNI, FMOV (vector, immediate), and ORR, BIC with one."""
    bits, imm = 64 << q, high << 5 | low
    if cmode == 15:
        require(not op or q)
        width = 64 if op else 32
        value = expand_immediate(imm, width)
    elif cmode == 14:
        width = 64 if op else 8
        value = sum(0xFF << 8 * i for i in range(8) if imm >> i & 1) if op else imm
    elif cmode >= 12:
        width, value = 32, imm << 16 | 0xFFFF if cmode & 1 else imm << 8 | 0xFF
    else:
        width = 16 if cmode & 8 else 32
        value = imm << (8 * (cmode >> 1 & (1 if cmode & 8 else 3)))
    constant = t.vector([t.const(value, width)] * (bits // width))
    if cmode < 12 and cmode & 1:
        old = m.v(rd, bits)
        m.set_v(rd, t.and_(old, t.not_(constant)) if op else t.or_(old, constant))
    else:
        m.set_v(rd, t.not_(constant) if op and cmode < 14 else constant)


@row("0 q:1 101110000 rm:5 0 index:4 0 rn:5 rd:5")
def extract(m: A64, q: int, rm: int, index: int, rn: int, rd: int) -> None:
    """EXT."""
    bits = 64 << q
    require(q or index < 8)
    m.set_v(rd, t.extract(t.concat(m.v(rm, bits), m.v(rn, bits)), 8 * index, bits))


@row("0 q:1 001110 size:2 0 rm:5 0 second:1 kind:2 10 rn:5 rd:5")
def permute(m: A64, q: int, size: int, rm: int, second: int, kind: int, rn: int, rd: int) -> None:
    """UZP1/2 (kind 1), TRN1/2 (2), ZIP1/2 (3)."""
    require(kind and (q or size < 3))
    a, b = t.lanes(m.v(rn, 64 << q), 8 << size), t.lanes(m.v(rm, 64 << q), 8 << size)
    if kind == 1:
        result = (a + b)[second::2]
    else:
        if kind == 2:
            chosen = range(second, len(a), 2)
        else:
            chosen = range(len(a) // 2 * second, len(a) // 2 * (second + 1))
        result = [part for i in chosen for part in (a[i], b[i])]
    m.set_v(rd, t.vector(result))


@row("0 q:1 001110000 rm:5 0 count:2 keeps:1 00 rn:5 rd:5")
def table_lookup(m: A64, q: int, rm: int, count: int, keeps: int, rn: int, rd: int) -> None:
    """TBL, TBX: bytes of one to four registers by index; beyond them 0, or the old byte."""
    table = t.concat(*(m.v((rn + i) % 32) for i in reversed(range(count + 1))))
    result = []
    for index, old in zip(t.lanes(m.v(rm, 64 << q), 8), t.lanes(m.v(rd, 64 << q), 8), strict=True):
        other = old if keeps else t.const(0, 8)
        if index.op == "const":
            place = 8 * index.attr
            result.append(t.extract(table, place, 8) if place < table.width else other)
            continue
        entries = enumerate(t.lanes(table, 8))
        result.append(reduce(lambda rest, e: t.ite(t.eq(index, t.const(e[0], 8)), e[1], rest), entries, other))
    m.set_v(rd, t.vector(result))


def shift_rows(prefix: str, op: int, wide: bool) -> list[str]:
    """The patterns of a shift by a constant: immh is not 0 (that is ``immediate``), its leading one tells the width."""
    heads = ("0001 place:3", "001 place:4", "01 place:5", "1 place:6")
    return [f"{prefix} {head} {op:05b} 1 rn:5 rd:5" for head in heads[: 4 if wide else 3]]


def shift_place(m: A64) -> tuple[int, int]:
    """The element width, and immh:immb, of a shift by a constant."""
    amount = m.word >> 16 & 127
    return 1 << (amount.bit_length() - 1), amount


def shifted_element(op: int, u: int, a: Term, old: Term, amount: int) -> Term:
    """The shifts that keep the width; ``amount`` is immh:immb."""
    width = a.width
    left, right = amount - width, 2 * width - amount
    if op in (0b00000, 0b00010):
        value = e.shift_right(a, right, u)
        return t.add(old, value) if op else value
    if op in (0b00100, 0b00110):
        value = e.shift_right_rounding(a, right, u)
        return t.add(old, value) if op == 0b00110 else value
    if op == 0b01010 and not u:
        return t.shl(a, t.const(left, width))
    if op == 0b01010:
        return t.concat(t.extract(a, 0, width - left), t.extract(old, 0, left)) if left else a
    require(op == 0b01000 and u)
    return t.concat(t.extract(old, width - right, right), t.extract(a, right, width - right)) if right < width else old


SHIFTS = (0b00000, 0b00010, 0b00100, 0b00110, 0b01000, 0b01010)


@row(*(pattern for op in SHIFTS for pattern in shift_rows("0 q:1 u:1 011110", op, wide=True)))
def shift_immediate(m: A64, q: int, u: int, place: int, rn: int, rd: int) -> None:
    """S/USHR, S/USRA, S/URSHR, S/URSRA, SHL, SLI, SRI."""
    width, amount = shift_place(m)
    require(q or width < 64)
    op, bits = m.word >> 11 & 31, 64 << q
    both = zip(t.lanes(m.v(rn, bits), width), t.lanes(m.v(rd, bits), width), strict=True)
    m.set_v(rd, t.vector([shifted_element(op, u, a, old, amount) for a, old in both]))


@row(*(f"01 u:1 111110 1 place:6 {op:05b} 1 rn:5 rd:5" for op in SHIFTS))
def shift_immediate_scalar(m: A64, u: int, place: int, rn: int, rd: int) -> None:
    m.set_v(rd, shifted_element(m.word >> 11 & 31, u, m.v(rn, 64), m.v(rd, 64), 64 | place))


@row(*(pattern for op in range(0b10000, 0b10100) for pattern in shift_rows("0 q:1 u:1 011110", op, wide=False)))
def shift_narrow(m: A64, q: int, u: int, place: int, rn: int, rd: int) -> None:
    """SHRN, RSHRN, SQSHRUN, SQRSHRUN (U), SQSHRN, SQRSHRN, UQSHRN, UQRSHRN; and their second halves."""
    width, amount = shift_place(m)
    op, by = m.word >> 11 & 31, 2 * width - amount
    saturating = op >> 1 & 1
    unsigned = u & saturating  # of the source: SHRN takes any, SQSHRUN a signed one
    result = []
    for a in t.lanes(m.v(rn), 2 * width):
        wide = e.extend(a, 2 * width + 1, unsigned)  # so that rounding loses no carry
        value = e.shift_right_rounding(wide, by, unsigned) if op & 1 else e.shift_right(wide, by, unsigned)
        result.append(narrowed(value, width, u, saturating))
    set_half(m, rd, q, t.vector(result))


@row(*shift_rows("0 q:1 u:1 011110", 0b10100, wide=False))
def shift_left_long(m: A64, q: int, u: int, place: int, rn: int, rd: int) -> None:
    """SSHLL, USHLL (SXTL, UXTL)."""
    width, amount = shift_place(m)
    parts = t.lanes(t.extract(m.v(rn), 64 * q, 64), width)
    by = t.const(amount - width, 2 * width)
    m.set_v(rd, t.vector([t.shl(e.extend(x, 2 * width, u), by) for x in parts]))
