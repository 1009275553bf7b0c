"""``X86Lifter``: the p-code walker with x86-64 operands, relocated fields and thread-local storage.

Relocated fields. The value of the operand is the placeholder ``var(Sn)``: p-code is lifted from bytes in which the
field holds a magic number, and the number, or it and something (the upper half of an operand), is put out for the placeholder.
Two magic numbers are tried, so that no constant depends on a field in another way. A load from a slot of the global offset
table (``got``, ``gottpoff``) is the placeholder itself, without an access to memory.

Thread-local storage. ``fs:0`` holds the thread pointer itself (ELF TLS ABI for x86-64), so loading it gives
``var("fs_base")``. ``fs:0x28``, the stack protector's word, is the 8 bytes at ``var("guard")``: stitching gives the
address of ``__stack_chk_guard`` for it. Any other constant offset from fs that is not relocated is opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pypcode

from isa import terms as t
from isa.machine import Instruction, Relocation
from isa.pcode import ADDRESS, Exit, Isa, Lifter, Op, Place, translate
from isa.terms import Term
from isa.x86_64.decode import Decoded, Operand, decode
from isa.x86_64.registers import OFFSETS

X86Override = Callable[["X86Lifter", Instruction], bool]

GUARD: Final = "guard"  # placeholder for the address of the stack protector's word
_TRANSFERS: Final = ("j", "call", "ret", "loop")
_GUARD_OFFSET: Final = 0x28
_SLOT: Final = "slot of "
_MAGIC: Final = 0x41C3_A5D0

_LOW = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
REGISTERS: Final[dict[str, tuple[str, int, int]]] = (
    {f"r{n}": (f"r{n}", 0, 64) for n in _LOW}
    | {f"e{n}": (f"r{n}", 0, 32) for n in _LOW}
    | {n: (f"r{n}", 0, 16) for n in _LOW}
    | {f"{n[0]}l": (f"r{n}", 0, 8) for n in _LOW[:4]}
    | {f"{n[0]}h": (f"r{n}", 8, 8) for n in _LOW[:4]}
    | {f"{n}l": (f"r{n}", 0, 8) for n in _LOW[4:]}
    | {f"r{n}{s}": (f"r{n}", 0, w) for n in range(8, 16) for s, w in (("", 64), ("d", 32), ("w", 16), ("b", 8))}
)
"""Register name -> (cell, lowest bit, width in bits)."""


def short_address(decoded: Decoded) -> bool:
    """Whether memory is addressed by 32 bits (prefix 67h; Intel SDM vol. 1, 3.6.1)."""
    return decoded.address_size != 8 and (bool(decoded.prefix) or any(o.kind == "mem" for o in decoded.operands))


class X86Lifter(Lifter):
    """See the module docstring. ``overrides``: mnemonic (capstone's, without prefix) -> semantics."""

    def __init__(self, isa: Isa, overrides: Mapping[str, X86Override], prefixes: Mapping[str, X86Override],
                 shared: bool = False) -> None:  # fmt: skip
        super().__init__(isa, shared)
        self._overrides, self._prefixes = overrides, prefixes
        self.condition: Term | None = None

    def step(self, instruction: Instruction) -> list[Exit]:
        self.begin(instruction)
        try:
            decoded = decode(instruction.code)
        except ValueError as error:
            self.refuse(str(error))
            return []
        if decoded.mnemonic.startswith(_TRANSFERS):
            self.refuse(f"control leaves: {instruction.text}")
            return []
        if short_address(decoded) and decoded.mnemonic != "lea":
            self.refuse(f"32-bit address: {instruction.text}")  # p-code extends it by its sign, x86-64 by zeros
            return []
        prefix = self._prefixes.get(decoded.prefix)
        if prefix is not None and prefix(self, instruction):
            return []
        override = self._overrides.get(decoded.mnemonic)
        if override is not None and override(self, instruction):
            return []
        return self.pcode(instruction)

    def pcode(self, instruction: Instruction, code: bytes | None = None) -> list[Exit]:
        code = code or instruction.code
        if not instruction.relocations:
            if any(o.base in ("rip", "eip") for o in decode(code).operands):
                self.refuse(f"unrelocated address relative to rip: {instruction.text}")
            return super().pcode(instruction, code)
        shift = len(instruction.code) - len(code)  # a prefix left out
        magics: dict[int, Term] = {}
        other, moves = code, []
        for number, relocation in enumerate(instruction.relocations):
            magic = _MAGIC + 0x10_1000 * number
            moves.append((magic, 0x2_0340 * (number + 1)))
            code = _fill(code, relocation.offset - shift, relocation, magic)
            other = _fill(other, relocation.offset - shift, relocation, sum(moves[-1]))
            magics[magic] = _placeholder(relocation)
        found = _fields(self.isa.language, code, other, moves)
        if found is None:
            self.refuse(f"{instruction.text}: computes with a relocated field")
            return []
        near = {value: t.add(magics[magic], t.const(value - magic, 64)) for value, magic in found.items()}
        return self.patched(instruction, code, {**magics, **near})

    def load(self, address: Term, size: int) -> Term:
        if address.op == "var" and address.attr.startswith(_SLOT) and size == 8:
            return t.var(address.attr[len(_SLOT) :], 64)
        offset = _fs_offset(address)
        if offset == 0 and size == 8:
            return t.var("fs_base", 64)
        if offset == _GUARD_OFFSET and size == 8:
            address = t.var(GUARD, 64)
        elif offset is not None:
            self.refuse(f"load from fs:{offset:#x}")
        return super().load(address, size)

    def store(self, address: Term, value: Term) -> None:
        if _fs_offset(address) is not None:
            self.refuse("store to the thread control block")
        super().store(address, value)

    # Operands, for overrides.

    def general(self, name: str) -> Term:
        """The value of a general register by its name (``eax``, ``r9b``, ``ch``)."""
        cell, low, width = REGISTERS[name]
        return t.extract(self.cell(cell), low, width)

    def set_general(self, name: str, value: Term) -> None:
        """Write a general register; 32-bit ones zero the upper half, narrower ones leave the rest."""
        cell, low, width = REGISTERS[name]
        if width == 32:
            self.set_cell(cell, t.zext(value, 64))
        else:
            self.write(OFFSETS[cell] + low // 8, value)

    def address(self, instruction: Instruction, operand: Operand) -> Term:
        """The address of a memory operand."""
        decoded = decode(instruction.code)
        value = t.const(operand.displacement, 64)
        relocation = _at(instruction, decoded.displacement_offset)
        if relocation is not None:
            value = _placeholder(relocation)
        elif operand.base in ("rip", "eip"):
            self.refuse(f"unrelocated address relative to rip: {instruction.text}")
        if decoded.address_size != 8 or operand.segment == "gs":
            self.refuse(f"addressing mode of {instruction.text}")
        if operand.index is not None:
            value = t.add(t.mul(self.cell(operand.index), t.const(operand.scale, 64)), value)
        if operand.base is not None and operand.base != "rip":
            value = t.add(self.cell(operand.base), value)
        return t.add(t.var("fs_base", 64), value) if operand.segment == "fs" else value

    def get(self, instruction: Instruction, operand: Operand, width: int = 0) -> Term:
        """The low ``width`` bits (default: its size) of an operand; an immediate is sign-extended as decoded."""
        width = width or 8 * operand.size
        if operand.kind == "imm":
            relocation = _at(instruction, decode(instruction.code).immediate_offset)
            return t.const(operand.value, width) if relocation is None else t.extract(_placeholder(relocation), 0, width)
        if operand.kind == "mem":
            return self.load(self.address(instruction, operand), width // 8)
        if operand.register.startswith("xmm"):
            return t.extract(self.vector(operand.register), 0, width)
        if operand.register not in REGISTERS:
            self.refuse(f"operand {operand.register} of {instruction.text}")
            return self.undef(operand.register, width)
        return t.extract(self.general(operand.register), 0, width)

    def put(self, instruction: Instruction, operand: Operand, value: Term) -> None:
        """Write a general register or memory operand."""
        if operand.kind == "mem":
            self.store(self.address(instruction, operand), value)
        else:
            self.set_general(operand.register, value)

    def vector(self, name: str) -> Term:
        """All 128 bits of an xmm register."""
        return t.concat(self.cell(f"{name}.hi"), self.cell(f"{name}.lo"))

    def set_vector(self, name: str, value: Term) -> None:
        """Write the low 64 or all 128 bits of an xmm register, or 32 bits with the rest kept."""
        if value.width == 32:
            value = t.concat(t.extract(self.cell(f"{name}.lo"), 32, 32), value)
        self.set_cell(f"{name}.lo", t.extract(value, 0, 64))
        if value.width == 128:
            self.set_cell(f"{name}.hi", t.extract(value, 64, 64))

    def decoded(self, instruction: Instruction) -> Decoded:
        return decode(instruction.code)


def escaped_slots(roots: list[Term]) -> list[str]:
    """Placeholders of table slots that did not vanish in a load (their address was taken)."""
    return [str(v) for v in t.variables(*roots) if str(v).startswith(_SLOT)]


def _at(instruction: Instruction, offset: int) -> Relocation | None:
    return next((r for r in instruction.relocations if offset and r.offset == offset), None)


def _placeholder(relocation: Relocation) -> Term:
    if relocation.kind in ("got", "gottpoff"):
        return t.var(_SLOT + relocation.symbol, 64)
    return t.var(relocation.symbol, 64)


def _fill(code: bytes, offset: int, relocation: Relocation, magic: int) -> bytes:
    size = 8 if relocation.kind == "abs64" else 4
    relative = relocation.kind in ("pc", "got", "gottpoff")
    value = magic - (ADDRESS + len(code)) if relative else magic
    return code[:offset] + value.to_bytes(size, "little") + code[offset + size :]


def _fields(language: str, code: bytes, other: bytes, moves: Sequence[tuple[int, int]]) -> dict[int, int] | None:
    """The constants in the p-code of ``code`` that are a relocated field and something (SLEIGH adds 8 for an upper half), each with
    the field's magic value.

    moves: by field, the magic value that it has in ``code``, and by how much it is more in ``other``. None if a constant depends
    on a field in another way, or could be mistaken for one.
    """
    try:
        ops, others = translate(language, code), translate(language, other)
    except (pypcode.LowlevelError, ValueError):
        return {}  # lifting meets the same and says so
    found: dict[int, int] = {}
    fixed: set[int] = set()
    if [op[0] for op in ops] != [op[0] for op in others]:
        return None
    for place, moved in zip(_places(ops), _places(others), strict=True):
        by = moved[1] - place[1]
        magic = next((magic for magic, move in moves if move == by), None)
        if place[::2] != moved[::2] or (by and (magic is None or place[0] not in ("const", "ram"))):
            return None
        if magic is not None:
            found[place[1]] = magic
        elif place[0] in ("const", "ram"):
            fixed.add(place[1])
    return None if fixed & found.keys() else found


def _places(ops: Sequence[Op]) -> list[Place]:
    return [place for _, output, inputs in ops for place in (output, *inputs) if place is not None]


def _fs_offset(address: Term) -> int | None:
    """The constant distance from the thread pointer, None if ``address`` is none such."""
    if address.op == "var" and address.attr == "fs_base":
        return 0
    if address.op == "add" and address.args[0].op == "var" and address.args[0].attr == "fs_base":
        return int(address.args[1].attr) if address.args[1].op == "const" else None
    return None
