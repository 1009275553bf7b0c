"""RV64 I and M (ISA manual 20191213, chapters 2, 5, 7): registers, memory, branches, relocations.

A symbol's address arrives in two halves. The high one is the term ``S - low`` and the low one adds ``low``; where an
instruction adds it to exactly that high half the sum is S. For pc-relative pairs ``low`` is an unknown (``lo:INDEX`` of
the auipc), since it depends on where the linker puts the code; for absolute and thread-local ones it is S's low 12 bits
(the linker refuses a symbol beyond 32 bits). A slot of the global offset table is only good for the load it is for.
"""

from __future__ import annotations

from isa import terms as t
from isa.flow import require
from isa.riscv64.state import RV64, TABLE
from isa.terms import Term, signed

row = TABLE.row


def absolute_low(symbol: str) -> Term:
    return t.sext(t.extract(t.var(symbol, 64), 0, 12), 64)


def pc_low(index: int) -> Term:
    return t.sext(t.var(f"lo:{index}", 12), 64)


def add_low(base: Term, high: Term, low: Term, whole: Term) -> Term:
    """base + low; ``whole`` in place of high + low, with the thread pointer added or not."""
    if base is high:
        return whole
    if base.op == "add" and high in base.args:
        return t.add(base.args[1] if base.args[0] is high else base.args[0], whole)
    return t.add(base, low)


SLOTS = {"got_pcrel_hi": "got", "tlsie_pcrel_hi": "tlsie"}


def sum_of(m: RV64, rs1: int, imm: int) -> Term:
    """Base register and 12-bit offset, which a relocation may fill."""
    base = m.x(rs1)
    relocation = m.relocation("pcrel_lo", "lo12_i", "tprel_lo")
    if not relocation:
        return t.add(base, t.const(signed(imm, 12), 64))
    require(imm == 0)
    if relocation.kind != "pcrel_lo":
        s, low = t.var(relocation.symbol, 64), absolute_low(relocation.symbol)
        return add_low(base, t.sub(s, low), low, s)
    require(relocation.pair is not None and relocation.pair < m.index, "low half without its high half")
    assert relocation.pair is not None
    for upper in m.code[relocation.pair].relocations:
        if upper.kind == "pcrel_hi":
            s, low = t.var(upper.symbol, 64), pc_low(relocation.pair)
            return add_low(base, t.sub(s, low), low, s)
        if upper.kind in SLOTS:
            slot, low = t.var(f"{SLOTS[upper.kind]}:{upper.symbol}", 64), pc_low(relocation.pair)
            return add_low(base, t.sub(slot, low), low, slot)
    require(False, "low half of something else")
    raise AssertionError


@row("imm:20 rd:5 0110111")
def lui(m: RV64, imm: int, rd: int) -> None:
    relocation = m.relocation("hi20", "tprel_hi")
    if relocation:
        require(not imm)
        m.set_x(rd, t.sub(t.var(relocation.symbol, 64), absolute_low(relocation.symbol)))
    else:
        m.set_x(rd, t.const(imm << 12, 32))


@row("imm:20 rd:5 0010111")
def auipc(m: RV64, imm: int, rd: int) -> None:
    relocation = m.relocation("pcrel_hi", "got_pcrel_hi", "tlsie_pcrel_hi")
    require(relocation and not imm, "address of code")
    assert relocation
    prefix = f"{SLOTS[relocation.kind]}:" if relocation.kind in SLOTS else ""
    m.set_x(rd, t.sub(t.var(prefix + relocation.symbol, 64), pc_low(m.index)))


def operate(funct3: int, alternative: int, a: Term, b: Term) -> Term:
    """ADD SLL SLT SLTU XOR SRL OR AND by funct3; SUB, SRA by the alternative bit. Shifts take the low bits of ``b``."""
    if funct3 == 0:
        return t.sub(a, b) if alternative else t.add(a, b)
    if funct3 in (2, 3):
        return t.zext(t.compare("slt" if funct3 == 2 else "ult", a, b), a.width)
    if funct3 in (1, 5):
        by = t.and_(b, t.const(a.width - 1, a.width))
        return t.binary("shl" if funct3 == 1 else "ashr" if alternative else "lshr", a, by)
    return t.binary({4: "xor", 6: "or", 7: "and"}[funct3], a, b)


@row("imm:12 rs1:5 000 rd:5 0010011")
def addi(m: RV64, imm: int, rs1: int, rd: int) -> None:
    m.set_x(rd, sum_of(m, rs1, imm))


@row(*(f"imm:12 rs1:5 {funct3} rd:5 0010011" for funct3 in ("010", "011", "100", "110", "111")))
def operate_immediate(m: RV64, imm: int, rs1: int, rd: int) -> None:
    m.set_x(rd, operate(m.expanded >> 12 & 7, 0, m.x(rs1), t.const(signed(imm, 12), 64)))


@row("000000 by:6 rs1:5 001 rd:5 0010011", "0 alternative:1 0000 by:6 rs1:5 101 rd:5 0010011")
def shift_immediate(m: RV64, by: int, rs1: int, rd: int, alternative: int = 0) -> None:
    m.set_x(rd, operate(m.expanded >> 12 & 7, alternative, m.x(rs1), t.const(by, 64)))


@row("imm:12 rs1:5 000 rd:5 0011011")
def addiw(m: RV64, imm: int, rs1: int, rd: int) -> None:
    m.set_x(rd, t.add(m.x(rs1, 32), t.const(signed(imm, 12), 32)))


@row("0000000 by:5 rs1:5 001 rd:5 0011011", "0 alternative:1 00000 by:5 rs1:5 101 rd:5 0011011")
def shift_immediate_word(m: RV64, by: int, rs1: int, rd: int, alternative: int = 0) -> None:
    m.set_x(rd, operate(m.expanded >> 12 & 7, alternative, m.x(rs1, 32), t.const(by, 32)))


@row("0000000 rs2:5 rs1:5 funct3:3 rd:5 0110011")
@row("0100000 rs2:5 rs1:5 000 rd:5 0110011", "0100000 rs2:5 rs1:5 101 rd:5 0110011", alternative=1)
def operate_registers(m: RV64, rs2: int, rs1: int, rd: int, funct3: int = 0, alternative: int = 0) -> None:
    m.relocation("tprel_add")  # marks an addition of tp for the linker, nothing more
    m.set_x(rd, operate(m.expanded >> 12 & 7, alternative, m.x(rs1), m.x(rs2)))


WORDS = [f"0000000 rs2:5 rs1:5 {funct3} rd:5 0111011" for funct3 in ("000", "001", "101")]


@row(*WORDS)
@row("0100000 rs2:5 rs1:5 000 rd:5 0111011", "0100000 rs2:5 rs1:5 101 rd:5 0111011", alternative=1)
def operate_words(m: RV64, rs2: int, rs1: int, rd: int, alternative: int = 0) -> None:
    m.set_x(rd, operate(m.expanded >> 12 & 7, alternative, m.x(rs1, 32), m.x(rs2, 32)))


@row("0000001 rs2:5 rs1:5 funct3:3 rd:5 0110011")
def multiply_divide(m: RV64, rs2: int, rs1: int, funct3: int, rd: int) -> None:
    """MUL MULH MULHSU MULHU DIV DIVU REM REMU."""
    a, b = m.x(rs1), m.x(rs2)
    if funct3 == 0:
        m.set_x(rd, t.mul(a, b))
    elif funct3 < 4:
        wide_a = t.zext(a, 128) if funct3 == 3 else t.sext(a, 128)
        wide_b = t.sext(b, 128) if funct3 == 1 else t.zext(b, 128)
        m.set_x(rd, t.extract(t.mul(wide_a, wide_b), 64, 64))
    else:
        m.set_x(rd, quotient(funct3, a, b))


@row("0000001 rs2:5 rs1:5 000 rd:5 0111011", *(f"0000001 rs2:5 rs1:5 {n:03b} rd:5 0111011" for n in range(4, 8)))
def multiply_divide_word(m: RV64, rs2: int, rs1: int, rd: int) -> None:
    funct3, a, b = m.expanded >> 12 & 7, m.x(rs1, 32), m.x(rs2, 32)
    m.set_x(rd, quotient(funct3, a, b) if funct3 else t.mul(a, b))


def quotient(funct3: int, a: Term, b: Term) -> Term:
    """DIV, DIVU, REM, REMU: by zero -1 and the dividend; the overflow gives the dividend and 0, as SMT-LIB's do."""
    by_zero = a if funct3 & 2 else t.const(-1, a.width)
    result = t.binary(("sdiv", "udiv", "srem", "urem")[funct3 - 4], a, b)
    return t.ite(t.eq(b, t.const(0, b.width)), by_zero, result)


@row("imm:12 rs1:5 funct3:3 rd:5 0000011")
def load(m: RV64, imm: int, rs1: int, funct3: int, rd: int) -> None:
    """LB LH LW LD LBU LHU LWU."""
    require(funct3 != 7)
    address = sum_of(m, rs1, imm)
    if address.op == "var" and address.attr.startswith(("got:", "tlsie:")):
        require(funct3 == 3, "use of the global offset table")
        m.set_x(rd, t.var(address.attr.partition(":")[2], 64))
        return
    value = m.load(address, 1 << (funct3 & 3))
    m.set_x(rd, t.zext(value, 64) if funct3 & 4 else value)


@row("high:7 rs2:5 rs1:5 0 size:2 low:5 0100011")
def store(m: RV64, high: int, rs2: int, rs1: int, size: int, low: int) -> None:
    m.store(sum_of(m, rs1, high << 5 | low), m.x(rs2, 8 << size))


@row(*(f"b12:1 b10:6 rs2:5 rs1:5 {funct3} b4:4 b11:1 1100011" for funct3 in ("000", "001", "100", "101", "110", "111")))
def branch(m: RV64, b12: int, b10: int, rs2: int, rs1: int, b4: int, b11: int) -> None:
    funct3, a, b = m.expanded >> 12 & 7, m.x(rs1), m.x(rs2)
    condition = t.compare(("eq", "", "slt", "ult")[funct3 >> 1], a, b)
    m.branch(signed(b12 << 12 | b11 << 11 | b10 << 5 | b4 << 1, 13), t.not_(condition) if funct3 & 1 else condition)


@row("b20:1 b10:10 b11:1 b19:8 00000 1101111")
def jump(m: RV64, b20: int, b10: int, b11: int, b19: int) -> None:
    m.branch(signed(b20 << 20 | b19 << 12 | b11 << 11 | b10 << 1, 21))
