"""Thread-local variables in the dynamic models, which code for shared objects uses (ELF Handling For Thread-Local Storage, 4.1.1).

General dynamic: ``lea x@tlsgd(%rip), %rdi; call __tls_get_addr`` is taken for one call of the variable, which gives its address.

Local dynamic: ``lea x@tlsld(%rip), %rdi; call __tls_get_addr`` gives the start of the module's thread-local data, to which
``y@dtpoff`` is added. RISC-V has no such model, and nothing but these offsets depends on where that start is. So here it is
the start of the object's own thread-local data: its sections are put together, the offsets are numbers, and the call is one
of that place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from guesssketch.program import ElfSymbol, Place, RawRelocation, Section

TLSGD: Final = 19
TLSLD: Final = 20
DTPOFF32: Final = 21
TLS: Final = 0x400  # SHF_TLS
_NOBITS: Final = 8


def merge(sections: list[Section], symbols: list[ElfSymbol], most: int) -> None:
    """One section of thread-local data where code uses the local dynamic model, and numbers for its offsets. Variables of
    other objects or of COMDAT groups have no such offset: their relocations stay. Raises ValueError if it had more than ``most``
    bytes."""
    code = [s for s in sections if s.is_allocated and s.is_code]
    pieces = [s for s in sections if s.flags & TLS and s.group is None]
    if not pieces or not any(r.type in (TLSLD, DTPOFF32) for s in code for r in s.relocations):
        return
    pieces.sort(key=lambda s: s.type == _NOBITS)
    home, starts = pieces[0], {}
    data, relocations, size = bytearray(), [], 0
    for piece in pieces:
        starts[piece.index] = size = -(-size // max(piece.align, 1)) * max(piece.align, 1)
        if size + piece.size > most:
            raise ValueError(f"{size + piece.size:#x} bytes of thread-local data")
        data += bytes(size - len(data)) + piece.data
        relocations += [replace(r, offset=r.offset + size) for r in piece.relocations]
        size += piece.size
    home.align = max(s.align for s in pieces)
    for piece in pieces:
        piece.data, piece.size, piece.relocations = b"", 0, []
    home.data, home.size, home.relocations = bytes(data.ljust(size, b"\0")) if home.type != _NOBITS else b"", size, relocations
    for index, symbol in enumerate(symbols):
        if symbol.section in starts:
            symbols[index] = replace(symbol, section=home.index, value=symbol.value + starts[symbol.section])
    for section in code:
        _fill_in(section, symbols, home.index)


def _fill_in(section: Section, symbols: Sequence[ElfSymbol], home: int) -> None:
    data, kept = bytearray(section.data), []
    for relocation in section.relocations:
        symbol = symbols[relocation.symbol]
        if relocation.type == DTPOFF32 and symbol.section == home:
            data[relocation.offset : relocation.offset + 4] = (symbol.value + relocation.addend).to_bytes(4, "little", signed=True)
        else:
            kept.append(relocation)
    section.data, section.relocations = bytes(data), kept


def variable(relocation: RawRelocation, sections: Sequence[Section], symbols: Sequence[ElfSymbol]) -> Place | None:
    """What ``__tls_get_addr`` gives the address of, asked by ``lea`` with this relocation; None if that is not known."""
    symbol = symbols[relocation.symbol]
    if relocation.type == TLSGD and relocation.addend == -4 and symbol.type == "tls":
        return Place(symbol.index, 0)
    if relocation.type == TLSLD and symbol.section is not None and sections[symbol.section].group is None:
        return Place(symbol.index, -symbol.value)
    return None
