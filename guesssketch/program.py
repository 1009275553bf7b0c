"""The program as read: objects, sections, symbols, functions, basic blocks.

Offsets are byte offsets inside a section of one object. Nothing here knows a target.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from isa.machine import Instruction

Binding = Literal["local", "global", "weak"]
Visibility = Literal["default", "hidden", "protected", "internal"]
SymbolType = Literal["notype", "object", "function", "section", "file", "common", "tls", "unique"]


@dataclass(frozen=True)
class RawRelocation:
    """An ELF RELA entry: ``type`` is the R_X86_64_* number, ``symbol`` an index into ``ObjectFile.symbols``."""

    offset: int
    type: int
    symbol: int
    addend: int


@dataclass
class Section:
    """An ELF section. ``data`` is empty for SHT_NOBITS (length: ``size``). ``group``: signature of its COMDAT group."""

    index: int
    name: str
    type: int
    flags: int
    align: int
    entsize: int
    size: int
    data: bytes
    relocations: list[RawRelocation] = field(default_factory=list)
    group: str | None = None
    link: int = 0
    info: int = 0

    @property
    def is_code(self) -> bool:
        return bool(self.flags & 0x4)

    @property
    def is_allocated(self) -> bool:
        return bool(self.flags & 0x2)


@dataclass(frozen=True)
class ElfSymbol:
    """An ELF symbol. ``section``: index of its section, None when undefined, common or absolute (``absolute``). ``type`` unique:
    an object that is one in the whole process (STB_GNU_UNIQUE); weak besides."""

    index: int
    name: str
    type: SymbolType
    binding: Binding
    visibility: Visibility
    section: int | None
    value: int
    size: int
    absolute: bool = False

    @property
    def is_defined(self) -> bool:
        return self.section is not None or self.absolute or self.type == "common"


@dataclass
class ObjectFile:
    """One x86-64 ET_REL file. ``name``: path, or ``archive.a(member.o)``. ``pic``: no 32-bit absolute relocation."""

    name: str
    sections: list[Section]
    symbols: list[ElfSymbol]
    pic: bool = True


@dataclass(frozen=True)
class Place:
    """An address: symbol (index into the object's symbols) plus addend (of a section symbol: the offset)."""

    symbol: int
    addend: int


@dataclass(frozen=True)
class Fall:
    """To the block that starts at ``next``, with no instruction for it."""

    next: int


@dataclass(frozen=True)
class Jump:
    target: int


@dataclass(frozen=True)
class Branch:
    """A conditional jump; a ``rep`` string instruction is one to itself (taken: one more round)."""

    taken: int
    fall: int


@dataclass(frozen=True)
class Call:
    """``callee`` is None for an indirect call. ``next`` is None if the callee does not return."""

    callee: Place | None
    next: int | None


@dataclass(frozen=True)
class TailCall:
    """A jump out of the function; ``callee`` is None for an indirect one."""

    callee: Place | None


@dataclass(frozen=True)
class IndirectJump:
    """Through a jump table or a computed goto: every block it may reach, in table order without repeats."""

    targets: tuple[int, ...]


@dataclass(frozen=True)
class Return:
    pass


@dataclass(frozen=True)
class Trap:
    """``ud2``, ``hlt`` or ``int3``: stops the program. Also where control must not come (after a no-return call)."""


MADE_UP: Final = 1 << 62
"""Block offsets from here up belong to blocks without code."""

Terminator = Fall | Jump | Branch | Call | TailCall | IndirectJump | Return | Trap


def successors(terminator: Terminator) -> tuple[int, ...]:
    """Offsets of the blocks that control may go to next, inside the function."""
    match terminator:
        case Fall(next=target) | Jump(target=target):
            return (target,)
        case Branch(taken=taken, fall=fall):
            return (taken, fall)
        case Call(next=after):
            return () if after is None else (after,)
        case IndirectJump(targets=targets):
            return targets
    return ()


@dataclass
class Block:
    """A basic block.

    offset: names the block inside its function. It is the section offset of its first byte; for a block of a cold part
    in another section (gcc's ``f.cold``), section index << 32 is added (``home`` takes it apart); blocks made up for
    conditional tail calls and for control that runs off the end are numbered from MADE_UP, have no instructions and a
    TailCall or a Trap. instructions: all of them, terminator included, with offsets from the block's start; the symbols
    of their relocations are placeholders ``S0``, ``S1``, ... in order of first use. places: placeholder -> address.
    """

    offset: int
    instructions: tuple[Instruction, ...]
    terminator: Terminator
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def home(self) -> tuple[int | None, int]:
        """(section, offset in it) of the first byte; section None: the function's own."""
        return self.offset >> 32 or None, self.offset & 0xFFFFFFFF

    @property
    def successors(self) -> tuple[int, ...]:
        return successors(self.terminator)


@dataclass(frozen=True)
class JumpTable:
    """A table of code offsets in data: ``width`` bytes for each target, from ``offset`` in section ``section``.

    relative: entry is target minus table start (4 bytes), else an absolute address (8 bytes).
    """

    section: int
    offset: int
    width: int
    relative: bool
    targets: tuple[int, ...]


@dataclass
class Function:
    """A function. ``names``: all symbols at its start (indices), aliases included. ``blocks``: by offset, ascending.

    size: bytes of its main part. parts: (section, offset, size) of the cold parts that belong to it besides.
    tables: jump tables found in data; a target is a block's offset, one for each entry, repeats included.
    """

    name: str
    section: int
    offset: int
    size: int
    names: tuple[int, ...]
    blocks: dict[int, Block]
    tables: tuple[JumpTable, ...] = ()
    parts: tuple[tuple[int, int, int], ...] = ()

    @property
    def entry(self) -> Block:
        return self.blocks[self.offset]


@dataclass
class Program:
    """Objects translated together, and the functions of each, in the order of the input."""

    objects: list[ObjectFile]
    functions: list[list[Function]]
