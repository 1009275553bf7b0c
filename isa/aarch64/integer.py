"""AArch64 integer data processing and branches (Arm ARM C4.1.86 to C4.1.89, C6)."""

from __future__ import annotations

from isa import terms as t
from isa.aarch64.state import A64, TABLE, add_with_flags, logic_flags, sign, sub_with_flags, zero
from isa.flow import require
from isa.terms import Term, signed

row = TABLE.row


def bit_masks(n: int, imms: int, immr: int, width: int) -> tuple[int, int]:
    """DecodeBitMasks (Arm ARM J1.1.3): wmask and tmask of ``width`` bits, for bit fields and logical immediates."""
    length = (n << 6 | ~imms & 0x3F).bit_length() - 1
    require(length >= 1 and 1 << length <= width)
    size = 1 << length
    s, r = imms & (size - 1), immr & (size - 1)
    difference = (s - r) & (size - 1)
    ones = (1 << (s + 1)) - 1
    element = (ones >> r | ones << (size - r)) & ((1 << size) - 1)
    top = (1 << (difference + 1)) - 1
    copies = sum(1 << i for i in range(0, width, size))
    return element * copies, top * copies


def shifted(value: Term, kind: int, amount: int) -> Term:
    """LSL, LSR, ASR or ROR of ``value`` by a constant below its width."""
    by = t.const(amount, value.width)
    if kind == 3:
        if not amount:
            return value
        return t.concat(t.extract(value, 0, amount), t.extract(value, amount, value.width - amount))
    return t.binary(("shl", "lshr", "ashr")[kind], value, by)


def extended(m: A64, rm: int, option: int, shift: int, width: int) -> Term:
    """ExtendReg: register ``rm`` extended by ``option`` (UXTB .. SXTX) to ``width`` bits, then shifted left."""
    part = m.x(rm, min(8 << (option & 3), width))
    return t.shl(t.sext(part, width) if option & 4 else t.zext(part, width), t.const(shift, width))


@row("0 lo:2 10000 hi:19 rd:5", page=0)
@row("1 lo:2 10000 hi:19 rd:5", page=1)
def adr(m: A64, page: int, lo: int, hi: int, rd: int) -> None:
    del lo, hi
    relocation = m.relocation("page", "got_page", "tlsie_page") if page else None
    require(relocation, "address of code")
    assert relocation
    if relocation.kind == "page":
        m.set_x(rd, t.and_(t.var(relocation.symbol, 64), t.const(-0x1000, 64)))
    else:  # the page of a slot of the global offset table, which only the matching load may use
        m.set_x(rd, t.var(f"{'got' if relocation.kind == 'got_page' else 'tlsie'}:{relocation.symbol}", 64))


def add_low(base: Term, symbol: str) -> Term:
    """base + (S & 0xfff); just S if ``base`` is S's page, and a sum with S if it is one with S's high part."""
    s = t.var(symbol, 64)
    if base is t.and_(s, t.const(-0x1000, 64)):
        return s
    high = t.and_(s, t.const(0xFFF000, 64))
    if base.op == "add" and high in base.args:  # thread-local: the linker checks that S < 2**24
        return t.add(base.args[1] if base.args[0] is high else base.args[0], s)
    return t.add(base, t.and_(s, t.const(0xFFF, 64)))


@row("sf:1 op:1 s:1 100010 sh:1 imm:12 rn:5 rd:5")
def add_immediate(m: A64, sf: int, op: int, s: int, sh: int, imm: int, rn: int, rd: int) -> None:
    width = 32 << sf
    a = m.x(rn, width, sp=True)
    relocation = m.relocation("lo12", "tprel_lo12", "tprel_hi12")
    if relocation:
        require(sf and not op and not s and not imm and sh == (relocation.kind == "tprel_hi12"))
        if relocation.kind == "tprel_hi12":
            m.set_x(rd, t.add(a, t.and_(t.var(relocation.symbol, 64), t.const(0xFFF000, 64))), sp=True)
        else:
            m.set_x(rd, add_low(a, relocation.symbol), sp=True)
        return
    b = t.const(imm << 12 * sh, width)
    if s:
        m.set_x(rd, (sub_with_flags if op else add_with_flags)(m, a, b))
    else:
        m.set_x(rd, t.sub(a, b) if op else t.add(a, b), sp=True)


@row("sf:1 op:1 s:1 01011 shift:2 0 rm:5 amount:6 rn:5 rd:5")
def add_shifted(m: A64, sf: int, op: int, s: int, shift: int, rm: int, amount: int, rn: int, rd: int) -> None:
    width = 32 << sf
    require(shift != 3 and amount < width)
    a, b = m.x(rn, width), shifted(m.x(rm, width), shift, amount)
    if s:
        m.set_x(rd, (sub_with_flags if op else add_with_flags)(m, a, b))
    else:
        m.set_x(rd, t.sub(a, b) if op else t.add(a, b))


@row("sf:1 op:1 s:1 01011 001 rm:5 option:3 amount:3 rn:5 rd:5")
def add_extended(m: A64, sf: int, op: int, s: int, rm: int, option: int, amount: int, rn: int, rd: int) -> None:
    width = 32 << sf
    require(amount <= 4)
    a, b = m.x(rn, width, sp=True), extended(m, rm, option, amount, width)
    if s:
        m.set_x(rd, (sub_with_flags if op else add_with_flags)(m, a, b))
    else:
        m.set_x(rd, t.sub(a, b) if op else t.add(a, b), sp=True)


@row("sf:1 op:1 s:1 11010000 rm:5 000000 rn:5 rd:5")
def add_carry(m: A64, sf: int, op: int, s: int, rm: int, rn: int, rd: int) -> None:
    width = 32 << sf
    a, b, carry = m.x(rn, width), m.x(rm, width), m.read("c")
    if op:
        b = t.not_(b)
    wide = t.add(t.add(t.zext(a, width + 1), t.zext(b, width + 1)), t.zext(carry, width + 1))
    result = t.extract(wide, 0, width)
    if s:
        overflow = t.and_(t.not_(t.xor(a, b)), t.xor(a, result))
        m.set_flags(sign(result), zero(result), t.extract(wide, width, 1), t.extract(overflow, width - 1, 1))
    m.set_x(rd, result)


def logic(m: A64, opc: int, a: Term, b: Term, rd: int, sp: bool) -> None:
    """AND, ORR, EOR, ANDS by ``opc``."""
    result = t.binary(("and", "or", "xor", "and")[opc], a, b)
    if opc == 3:
        logic_flags(m, result)
    m.set_x(rd, result, sp=sp and opc != 3)


@row("sf:1 opc:2 100100 n:1 immr:6 imms:6 rn:5 rd:5")
def logic_immediate(m: A64, sf: int, opc: int, n: int, immr: int, imms: int, rn: int, rd: int) -> None:
    width = 32 << sf
    size = 1 << ((n << 6 | ~imms & 0x3F).bit_length() - 1) if n << 6 | ~imms & 0x3F else 0
    require(size and imms & (size - 1) != size - 1)
    mask, _ = bit_masks(n, imms, immr, width)
    logic(m, opc, m.x(rn, width), t.const(mask, width), rd, sp=True)


@row("sf:1 opc:2 01010 shift:2 invert:1 rm:5 amount:6 rn:5 rd:5")
def logic_shifted(m: A64, sf: int, opc: int, shift: int, invert: int, rm: int, amount: int, rn: int, rd: int) -> None:
    width = 32 << sf
    require(amount < width)
    b = shifted(m.x(rm, width), shift, amount)
    logic(m, opc, m.x(rn, width), t.not_(b) if invert else b, rd, sp=False)


@row("sf:1 opc:2 100101 hw:2 imm:16 rd:5")
def move_wide(m: A64, sf: int, opc: int, hw: int, imm: int, rd: int) -> None:
    width, low = 32 << sf, 16 * hw
    require(opc != 1 and low < width)
    value = t.const(imm << low, width)
    if opc == 3:
        value = t.or_(t.and_(m.x(rd, width), t.const(~(0xFFFF << low), width)), value)
    m.set_x(rd, value if opc else t.not_(value))


@row("sf:1 opc:2 100110 n:1 immr:6 imms:6 rn:5 rd:5")
def bit_field(m: A64, sf: int, opc: int, n: int, immr: int, imms: int, rn: int, rd: int) -> None:
    """SBFM, BFM, UBFM: bits immr..imms to the bottom, or the low bits up to position width-immr."""
    width = 32 << sf
    require(opc != 3 and n == sf and immr < width and imms < width)
    source = m.x(rn, width)
    if imms >= immr:
        low, field = 0, t.extract(source, immr, imms - immr + 1)
    else:
        low, field = width - immr, t.extract(source, 0, imms + 1)
    top = width - low - field.width
    below = [t.const(0, low)] if low else []
    if opc == 1:
        old = m.x(rd, width)
        above = [t.extract(old, width - top, top)] if top else []
        below = [t.extract(old, 0, low)] if low else []
        m.set_x(rd, t.concat(*above, field, *below))
    elif opc == 2:
        m.set_x(rd, t.shl(t.zext(field, width), t.const(low, width)))
    else:
        m.set_x(rd, t.concat(t.sext(field, width - low), *below))


@row("sf:1 00 100111 n:1 0 rm:5 imms:6 rn:5 rd:5")
def extract(m: A64, sf: int, n: int, rm: int, imms: int, rn: int, rd: int) -> None:
    width = 32 << sf
    require(n == sf and imms < width)
    m.set_x(rd, t.extract(t.concat(m.x(rn, width), m.x(rm, width)), imms, width))


@row("sf:1 op:1 1 11010010 operand:5 cond:4 kind:1 0 rn:5 0 nzcv:4")
def conditional_compare(m: A64, sf: int, op: int, operand: int, cond: int, kind: int, rn: int, nzcv: int) -> None:
    width = 32 << sf
    holds = m.holds(cond)
    b = t.const(operand, width) if kind else m.x(operand, width)
    (sub_with_flags if op else add_with_flags)(m, m.x(rn, width), b)
    choose_flags(m, holds, nzcv)


def choose_flags(m: A64, holds: Term, nzcv: int) -> None:
    """Keep the flags just computed if ``holds``, else set them to the constant ``nzcv``."""
    for position, flag in enumerate("vczn"):
        m.write(flag, t.ite(holds, m.read(flag), t.const(nzcv >> position, 1)))


@row("sf:1 op:1 0 11010100 rm:5 cond:4 0 op2:1 rn:5 rd:5")
def conditional_select(m: A64, sf: int, op: int, rm: int, cond: int, op2: int, rn: int, rd: int) -> None:
    width = 32 << sf
    other = m.x(rm, width)
    if op:
        other = t.not_(other) if not op2 else t.neg(other)
    elif op2:
        other = t.add(other, t.const(1, width))
    m.set_x(rd, t.ite(m.holds(cond), m.x(rn, width), other))


@row("sf:1 00 11011 op31:3 rm:5 o0:1 ra:5 rn:5 rd:5")
def multiply(m: A64, sf: int, op31: int, rm: int, o0: int, ra: int, rn: int, rd: int) -> None:
    """MADD, MSUB, SMADDL, SMSUBL, UMADDL, UMSUBL, SMULH, UMULH."""
    width = 32 << sf
    require(op31 == 0 or sf)
    if op31 in (2, 6):
        require(not o0)
        widen = t.sext if op31 == 2 else t.zext
        m.set_x(rd, t.extract(t.mul(widen(m.x(rn), 128), widen(m.x(rm), 128)), 64, 64))
        return
    require(op31 in (0, 1, 5))
    if op31:
        widen = t.sext if op31 == 1 else t.zext
        product = t.mul(widen(m.x(rn, 32), 64), widen(m.x(rm, 32), 64))
    else:
        product = t.mul(m.x(rn, width), m.x(rm, width))
    addend = m.x(ra, product.width)
    if o0:
        m.set_x(rd, t.neg(product) if ra == 31 else t.sub(addend, product))
    else:
        m.set_x(rd, t.add(addend, product))


@row("sf:1 0011010110 rm:5 0000 op:2 rn:5 rd:5")
def divide(m: A64, sf: int, rm: int, op: int, rn: int, rd: int) -> None:
    """UDIV, SDIV: division by zero gives 0, the overflow gives the dividend, as SMT-LIB's bvsdiv does."""
    width = 32 << sf
    require(op >= 2)
    a, b = m.x(rn, width), m.x(rm, width)
    m.set_x(rd, t.ite(zero(b), t.const(0, width), t.binary("sdiv" if op == 3 else "udiv", a, b)))


@row("sf:1 0011010110 rm:5 0010 kind:2 rn:5 rd:5")
def shift_variable(m: A64, sf: int, rm: int, kind: int, rn: int, rd: int) -> None:
    width = 32 << sf
    a, by = m.x(rn, width), t.and_(m.x(rm, width), t.const(width - 1, width))
    if kind == 3:
        back = t.and_(t.neg(by), t.const(width - 1, width))
        m.set_x(rd, t.or_(t.lshr(a, by), t.shl(a, back)))
    else:
        m.set_x(rd, t.binary(("shl", "lshr", "ashr")[kind], a, by))


def reverse_bytes(value: Term, group: int) -> Term:
    """The bytes of each ``group`` bits of ``value`` in the other order."""
    return t.vector([t.concat(*t.lanes(part, 8)) for part in t.lanes(value, group)])


def count_leading_signs(value: Term) -> Term:
    one = t.const(1, value.width)
    return t.sub(t.clz(t.xor(value, t.ashr(value, one))), one)


@row("sf:1 101101011000000 000 op:3 rn:5 rd:5")
def one_source(m: A64, sf: int, op: int, rn: int, rd: int) -> None:
    """RBIT, REV16, REV32 or REV (32), REV (64), CLZ, CLS."""
    a = m.x(rn, 32 << sf)
    require(op < 6 and (op != 3 or sf))
    if op == 0:
        m.set_x(rd, t.concat(*t.lanes(a, 1)))
    elif op <= 3:
        m.set_x(rd, reverse_bytes(a, 8 << op))
    else:
        m.set_x(rd, t.clz(a) if op == 4 else count_leading_signs(a))


@row("000101 imm:26")
def branch(m: A64, imm: int) -> None:
    m.branch(4 * signed(imm, 26))


@row("01010100 imm:19 0 cond:4")
def branch_conditional(m: A64, imm: int, cond: int) -> None:
    m.branch(4 * signed(imm, 19), m.holds(cond))


@row("sf:1 011010 op:1 imm:19 rt:5")
def compare_and_branch(m: A64, sf: int, op: int, imm: int, rt: int) -> None:
    condition = zero(m.x(rt, 32 << sf))
    m.branch(4 * signed(imm, 19), t.not_(condition) if op else condition)


@row("b5:1 011011 op:1 b40:5 imm:14 rt:5")
def test_and_branch(m: A64, b5: int, op: int, b40: int, imm: int, rt: int) -> None:
    bit = t.extract(m.x(rt), b5 << 5 | b40, 1)
    m.branch(4 * signed(imm, 14), bit if op else t.not_(bit))


@row("11010101000000110010000000011111")
def nop(m: A64) -> None:
    pass


@row("110101010011101111010000010 rt:5")
def read_thread_pointer(m: A64, rt: int) -> None:
    """MRS from TPIDR_EL0."""
    m.set_x(rt, t.var("tp", 64))
