"""AArch64 loads and stores (Arm ARM C4.1.91). A pair is two accesses, a Q register is one of 16 bytes."""

from __future__ import annotations

from isa import terms as t
from isa.aarch64.integer import add_low, extended
from isa.aarch64.state import A64, TABLE
from isa.flow import require
from isa.machine import Relocation
from isa.terms import Term, signed

row = TABLE.row

POST, OFFSET, PRE = 1, 2, 3


def transfer(m: A64, vector: int, size: int, opc: int, rt: int, address: Term) -> None:
    """One load or store of register ``rt``; size and opc as the encoding has them."""
    if vector:
        scale = size | (opc & 2) << 1
        require(scale <= 4)
        if opc & 1:
            m.set_v(rt, m.load(address, 1 << scale))
        else:
            m.store(address, m.v(rt, 8 << scale))
        return
    require(not ((opc >= 2 and size == 3) or (opc == 3 and size == 2)))  # PRFM, or unallocated
    if opc == 0:
        m.store(address, m.x(rt, 8 << size))
    else:
        value = m.load(address, 1 << size)
        m.set_x(rt, value if opc == 1 else t.sext(value, 64 if opc == 2 else 32))


def indexed(m: A64, rn: int, offset: int, mode: int) -> tuple[Term, Term]:
    """The address of an access, and the base register's new value."""
    base = m.x(rn, sp=True)
    moved = t.add(base, t.const(offset, 64))
    return (base if mode == POST else moved), moved


@row("size:2 111 vector:1 01 opc:2 imm:12 rn:5 rt:5")
def unsigned_offset(m: A64, size: int, vector: int, opc: int, imm: int, rn: int, rt: int) -> None:
    scale = size | (opc & 2) << 1 if vector else size
    base = m.x(rn, sp=True)
    relocation = m.relocation("lo12", "got_lo12", "tlsie_lo12", "tprel_lo12")
    if not relocation:
        transfer(m, vector, size, opc, rt, t.add(base, t.const(imm << scale, 64)))
        return
    require(not imm)
    if relocation.kind in ("got_lo12", "tlsie_lo12"):
        slot_load(m, base, rt, relocation, word=not vector and size == 3 and opc == 1)
    else:
        transfer(m, vector, size, opc, rt, add_low(base, relocation.symbol))


def slot_load(m: A64, base: Term, rt: int, relocation: Relocation, word: bool) -> None:
    """The load from a slot of the global offset table, whose content is the symbol's value by definition."""
    kind = "got" if relocation.kind == "got_lo12" else "tlsie"
    require(word and base is t.var(f"{kind}:{relocation.symbol}", 64), "use of the global offset table")
    m.set_x(rt, t.var(relocation.symbol, 64))


@row("size:2 111 vector:1 00 opc:2 0 imm:9 mode:2 rn:5 rt:5")
def unscaled_offset(m: A64, size: int, vector: int, opc: int, imm: int, mode: int, rn: int, rt: int) -> None:
    """LDUR, STUR (mode 0), and the post- and pre-indexed forms."""
    require(mode != 2)  # LDTR, STTR
    if mode:
        require(vector or rn != rt or rn == 31, "written base is the transferred register")
        require(vector or not (size == 3 and opc >= 2))
    address, moved = indexed(m, rn, signed(imm, 9), mode or OFFSET)
    transfer(m, vector, size, opc, rt, address)
    if mode:
        m.set_x(rn, moved, sp=True)


@row("size:2 111 vector:1 00 opc:2 1 rm:5 option:3 scaled:1 10 rn:5 rt:5")
def register_offset(m: A64, size: int, vector: int, opc: int, rm: int, option: int, scaled: int, rn: int, rt: int) -> None:
    require(option & 2)
    scale = size | (opc & 2) << 1 if vector else size
    address = t.add(m.x(rn, sp=True), extended(m, rm, option, scale * scaled, 64))
    transfer(m, vector, size, opc, rt, address)


@row("opc:2 101 vector:1 0 mode:2 is_load:1 imm:7 rt2:5 rn:5 rt:5")
def pair(m: A64, opc: int, vector: int, mode: int, is_load: int, imm: int, rt2: int, rn: int, rt: int) -> None:
    require(opc != 3 and (vector or opc != 1 or (is_load and mode)))
    size = 4 << opc if vector else 4 if opc < 2 else 8
    writes_base = mode in (POST, PRE)
    require(not (is_load and rt == rt2), "both registers of the pair are one")
    require(not writes_base or vector or rn == 31 or rn not in (rt, rt2), "written base is a transferred register")
    address, moved = indexed(m, rn, signed(imm, 7) * size, mode or OFFSET)
    second = t.add(address, t.const(size, 64))
    if not is_load:
        values = [m.v(r, 8 * size) if vector else m.x(r, 8 * size) for r in (rt, rt2)]
        m.store(address, values[0])
        m.store(second, values[1])
    else:
        loaded = m.load(address, size), m.load(second, size)
        for register, value in zip((rt, rt2), loaded, strict=True):
            if vector:
                m.set_v(register, value)
            else:
                m.set_x(register, t.sext(value, 64) if opc == 1 else value)
    if writes_base:
        m.set_x(rn, moved, sp=True)


REGISTERS = {0b0111: 1, 0b1010: 2, 0b0110: 3, 0b0010: 4}


def structures(m: A64, q: int, is_load: int, opcode: int, rn: int, rt: int) -> int:
    """LD1, ST1 of one to four whole registers; gives the bytes moved."""
    require(opcode in REGISTERS)
    size = 8 << q
    base = m.x(rn, sp=True)
    for i in range(REGISTERS[opcode]):
        address = t.add(base, t.const(i * size, 64))
        if is_load:
            m.set_v((rt + i) % 32, m.load(address, size))
        else:
            m.store(address, m.v((rt + i) % 32, 8 * size))
    return REGISTERS[opcode] * size


def advance(m: A64, rn: int, rm: int, size: int) -> None:
    """The post-index of a structure access: by register ``rm``, or by the size if that is 31."""
    m.set_x(rn, t.add(m.x(rn, sp=True), t.const(size, 64) if rm == 31 else m.x(rm)), sp=True)


@row("0 q:1 0011000 is_load:1 000000 opcode:4 size:2 rn:5 rt:5")
def multiple_structures(m: A64, q: int, is_load: int, opcode: int, size: int, rn: int, rt: int) -> None:
    structures(m, q, is_load, opcode, rn, rt)


@row("0 q:1 0011001 is_load:1 0 rm:5 opcode:4 size:2 rn:5 rt:5")
def multiple_structures_post(m: A64, q: int, is_load: int, rm: int, opcode: int, size: int, rn: int, rt: int) -> None:
    advance(m, rn, rm, structures(m, q, is_load, opcode, rn, rt))


def one_structure(m: A64, q: int, is_load: int, opcode: int, s: int, size: int, rn: int, rt: int) -> int:
    """LD1, ST1 of one lane, and LD1R; gives the bytes moved."""
    base = m.x(rn, sp=True)
    if opcode == 6:
        require(is_load and not s)
        element = m.load(base, 1 << size)
        m.set_v(rt, t.vector([element] * ((64 << q) // element.width)))
        return 1 << size
    place = q << 3 | s << 2 | size
    require(opcode in (0, 2, 4))
    if opcode == 0:
        log, lane = 0, place
    elif opcode == 2:
        require(not size & 1)
        log, lane = 1, place >> 1
    else:
        require(size == 0 or (size == 1 and not s))
        log, lane = (2, place >> 2) if size == 0 else (3, q)
    elements = t.lanes(m.v(rt), 8 << log)
    if is_load:
        elements[lane] = m.load(base, 1 << log)
        m.set_v(rt, t.vector(elements))
    else:
        m.store(base, elements[lane])
    return 1 << log


@row("0 q:1 0011010 is_load:1 0 00000 opcode:3 s:1 size:2 rn:5 rt:5")
def single_structure(m: A64, q: int, is_load: int, opcode: int, s: int, size: int, rn: int, rt: int) -> None:
    one_structure(m, q, is_load, opcode, s, size, rn, rt)


@row("0 q:1 0011011 is_load:1 0 rm:5 opcode:3 s:1 size:2 rn:5 rt:5")
def single_structure_post(m: A64, q: int, is_load: int, rm: int, opcode: int, s: int, size: int, rn: int, rt: int) -> None:
    advance(m, rn, rm, one_structure(m, q, is_load, opcode, s, size, rn, rt))
