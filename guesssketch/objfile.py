"""Reading ELF64 x86-64 relocatable objects, and archives of them. Everything is checked before it is believed.

Source of the layouts: System V gABI chapter 4, and the x86-64 psABI for the relocation numbers.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.descriptions import describe_e_machine
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section as ElfSection

from guesssketch import archive, threadlocal
from guesssketch.errors import InputError, NotAnObject
from guesssketch.program import Binding, ElfSymbol, ObjectFile, RawRelocation, Section, SymbolType, Visibility

R_X86_64_32: Final = 10
R_X86_64_32S: Final = 11

_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL, _SHT_GROUP, _SHT_SYMTAB_SHNDX = 2, 4, 8, 9, 17, 18
_SHF_ALLOC, _SHF_COMPRESSED = 0x2, 0x800
_SHN_LORESERVE, _SHN_ABS, _SHN_COMMON, _SHN_XINDEX = 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF
_TYPES: Final[dict[int, SymbolType]] = {0: "notype", 1: "object", 2: "function", 3: "section", 4: "file", 5: "common", 6: "tls"}
_STB_GNU_UNIQUE: Final = 10
_BINDINGS: Final[dict[int, Binding]] = {0: "local", 1: "global", 2: "weak", _STB_GNU_UNIQUE: "weak"}
_VISIBILITIES: Final[tuple[Visibility, ...]] = ("default", "internal", "hidden", "protected")
_NOT_OBJECTS: Final = {"ET_EXEC": "an executable", "ET_DYN": "a shared object or executable", "ET_CORE": "a core dump"}
# What pyelftools lets through on corrupt input, besides its own errors.
_PARSE_ERRORS: Final = (
    ELFError, ConstructError, struct.error, zlib.error, ValueError, LookupError, TypeError, AttributeError, AssertionError,
    OverflowError, MemoryError, RecursionError, NotImplementedError,
)  # fmt: skip


def read(path: str | Path) -> list[ObjectFile]:
    """The object in the file at ``path``, or one for each member if it is an archive.

    Raises NotAnObject or InputError, which name the file (and member) and say what is wrong.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if not data.startswith((archive.MAGIC, archive.THIN_MAGIC)):
        return [parse(data, str(path))]
    members = archive.read(data, str(path))
    if not members:
        raise InputError(f"{path}: an archive without members")
    return [parse(content, f"{path}({name})") for name, content in members]


def parse(data: bytes, name: str) -> ObjectFile:
    """The object whose bytes are ``data``; ``name`` is for messages."""
    _check_header(data, name)
    try:
        return _parse(data, name)
    except InputError:
        raise
    except _PARSE_ERRORS as error:
        raise InputError(f"{name}: corrupt ELF file: {error or type(error).__name__}") from error


def _check_header(data: bytes, name: str) -> None:
    """Raise NotAnObject unless this starts as an ELF64 little-endian x86-64 relocatable object."""
    if data.startswith(b"BC\xc0\xde"):
        raise NotAnObject(f"{name}: LLVM bitcode; compile it to machine code (without -flto)")
    if not data.startswith(b"\x7fELF"):
        raise NotAnObject(f"{name}: not an ELF file")
    if len(data) < 64:
        raise NotAnObject(f"{name}: truncated: {len(data)} bytes are no ELF header")
    if data[5] == 2:
        raise NotAnObject(f"{name}: a big-endian ELF file, not x86-64")
    machine, kind = _header_words(data)
    if machine != "EM_X86_64":
        raise NotAnObject(f"{name}: made for {describe_e_machine(machine)}, not for x86-64")
    if data[4] != 2:
        raise NotAnObject(f"{name}: a 32-bit ELF file (x32); only 64-bit x86-64 is supported")
    if kind != "ET_REL":
        what = _NOT_OBJECTS.get(kind, f"an ELF file of type {kind}")
        raise NotAnObject(f"{name}: {what}; guesssketch needs an object file (.o, from gcc -c) or an archive of them")


def _header_words(data: bytes) -> tuple[str, str]:
    from elftools.elf.enums import ENUM_E_MACHINE, ENUM_E_TYPE

    kind, machine = struct.unpack_from("<HH", data, 16)
    machines = {value: key for key, value in ENUM_E_MACHINE.items()}
    kinds = {value: key for key, value in ENUM_E_TYPE.items()}
    return machines.get(machine, f"machine number {machine}"), kinds.get(kind, str(kind))


def _parse(data: bytes, name: str) -> ObjectFile:
    file = ELFFile(BytesIO(data))
    headers = list(file.iter_sections())
    if not headers:
        raise InputError(f"{name}: no section headers: truncated or stripped of them")
    _check_extents(headers, len(data), name)
    sections = [_section(header, index) for index, header in enumerate(headers)]
    tables = [index for index, section in enumerate(sections) if section.type == _SHT_SYMTAB]
    if len(tables) > 1:
        raise InputError(f"{name}: {len(tables)} symbol tables")
    symbols = _symbols(sections, tables[0], name) if tables else []
    if any(symbol.name == "__gnu_lto_slim" for symbol in symbols):
        raise NotAnObject(f"{name}: holds gcc's intermediate code only (-flto); compile without -flto")
    for section in sections:
        if section.type == _SHT_REL:
            raise InputError(f"{name}: section {section.name} has REL relocations; x86-64 uses RELA")
        if section.type == _SHT_RELA:
            if not tables or section.link != tables[0]:
                raise InputError(f"{name}: section {section.name} does not refer to the symbol table")
            _attach_relocations(sections, section, len(symbols), name)
        if section.type == _SHT_GROUP:
            _attach_group(sections, section, symbols, name)
    threadlocal.merge(sections, symbols)
    absolute = any(
        relocation.type in (R_X86_64_32, R_X86_64_32S)
        for section in sections
        if section.is_allocated
        for relocation in section.relocations
    )
    return ObjectFile(name, sections, symbols, pic=not absolute)


def _check_extents(headers: list[ElfSection], size: int, name: str) -> None:
    for header in headers:
        if header["sh_type"] in ("SHT_NOBITS", "SHT_NULL"):
            continue
        end = header["sh_offset"] + header["sh_size"]
        if end > size:
            raise InputError(f"{name}: truncated: section {header.name} ends at {end:#x}, the file at {size:#x}")


def _section(header: ElfSection, index: int) -> Section:
    from elftools.elf.enums import ENUM_SH_TYPE_AMD64

    kind = header["sh_type"]
    number = kind if isinstance(kind, int) else ENUM_SH_TYPE_AMD64[kind]
    empty = number in (0, _SHT_NOBITS)
    data = b"" if empty else header.data()  # decompressed, if it was compressed
    return Section(
        index=index,
        name=header.name,
        type=number,
        flags=header["sh_flags"] & ~_SHF_COMPRESSED,
        align=header.data_alignment,
        entsize=header["sh_entsize"],
        size=header["sh_size"] if number == _SHT_NOBITS else len(data),
        data=data,
        link=header["sh_link"],
        info=header["sh_info"],
    )


def _symbols(sections: list[Section], table: int, name: str) -> list[ElfSymbol]:
    section = sections[table]
    strings = sections[section.link].data
    extended = next((s.data for s in sections if s.type == _SHT_SYMTAB_SHNDX and s.link == table), b"")
    symbols: list[ElfSymbol] = []
    for index, entry in enumerate(struct.iter_unpack("<IBBHQQ", section.data)):
        name_at, info, other, where, value, size = entry
        if where == _SHN_XINDEX:
            (where,) = struct.unpack_from("<I", extended, 4 * index)
        elif where >= _SHN_LORESERVE and where not in (_SHN_ABS, _SHN_COMMON):
            raise InputError(f"{name}: symbol {index} has the unknown section number {where:#x}")
        label = _string(strings, name_at)
        common = entry[3] == _SHN_COMMON
        absolute = entry[3] == _SHN_ABS
        if info & 15 == 10:
            raise InputError(f"{name}: symbol {label} is an IFUNC (chosen at load time), which has no translation")
        if info & 15 not in _TYPES or info >> 4 not in _BINDINGS:
            raise InputError(f"{name}: symbol {label} has an unsupported type or binding ({info:#x})")
        home = None if common or absolute or where == 0 else where
        kind = "common" if common else "unique" if info >> 4 == _STB_GNU_UNIQUE and info & 15 == 1 else _TYPES[info & 15]
        if home is not None:
            if home >= len(sections):
                raise InputError(f"{name}: symbol {label} is in section {home}, of {len(sections)}")
            if value > sections[home].size:
                raise InputError(f"{name}: symbol {label} lies outside its section {sections[home].name}")
            label = label or (sections[home].name if kind == "section" else "")
        symbols.append(ElfSymbol(index, label, kind, _BINDINGS[info >> 4], _VISIBILITIES[other & 3], home, value, size, absolute))
    return symbols


def _string(table: bytes, at: int) -> str:
    end = table.find(b"\0", at)
    if at > len(table) or end < 0:
        raise ValueError(f"no string at {at:#x} of the string table")
    return table[at:end].decode()


def _attach_relocations(sections: list[Section], table: Section, symbols: int, name: str) -> None:
    if not 0 < table.info < len(sections):
        raise InputError(f"{name}: section {table.name} relocates section {table.info}, which does not exist")
    target = sections[table.info]
    for offset, info, addend in struct.iter_unpack("<QQq", table.data):
        symbol, kind = info >> 32, info & 0xFFFFFFFF
        if symbol >= symbols or offset >= target.size:
            raise InputError(f"{name}: section {table.name}: a relocation at {offset:#x} is out of range")
        target.relocations.append(RawRelocation(offset, kind, symbol, addend))
    target.relocations.sort(key=lambda relocation: relocation.offset)


def _attach_group(sections: list[Section], group: Section, symbols: list[ElfSymbol], name: str) -> None:
    """Mark the members of a COMDAT group with its signature; a group without GRP_COMDAT only ties sections together."""
    words = [word for (word,) in struct.iter_unpack("<I", group.data)]
    signature = symbols[group.info].name
    for member in words[1:]:
        if not 0 < member < len(sections):
            raise InputError(f"{name}: section group {signature} names section {member}, which does not exist")
        if words[0] & 1:
            sections[member].group = signature
