"""Reading ELF64 x86-64 relocatable objects, and archives of them. Everything is checked before it is believed.

Source of the layouts: System V gABI chapter 4, and the x86-64 psABI for the relocation numbers.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from elftools.elf.descriptions import describe_e_machine

from guesssketch import archive, threadlocal
from guesssketch.errors import InputError, NotAnObject
from guesssketch.program import Binding, ElfSymbol, ObjectFile, RawRelocation, Section, SymbolType, Visibility

R_X86_64_32: Final = 10
R_X86_64_32S: Final = 11

_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL, _SHT_GROUP, _SHT_SYMTAB_SHNDX = 2, 4, 8, 9, 17, 18
_SHF_COMPRESSED, _ELFCOMPRESS_ZLIB, _STT_FILE = 0x800, 1, 4
_SHN_LORESERVE, _SHN_ABS, _SHN_COMMON, _SHN_XINDEX = 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF
_TYPES: Final[dict[int, SymbolType]] = {0: "notype", 1: "object", 2: "function", 3: "section", 4: "file", 5: "common", 6: "tls"}
_STB_GNU_UNIQUE: Final = 10
_SHDR: Final = struct.Struct("<IIQQQQIIQQ")
_LARGEST_ALIGN: Final = 1 << 32
# What a file may make of its bytes: what is compressed in it may grow to _INFLATED and _RATIO times the file, names to
# _SHARED times their table (ends of names are shared).
_INFLATED, _RATIO, _SHARED = 1 << 26, 64, 16
_BINDINGS: Final[dict[int, Binding]] = {0: "local", 1: "global", 2: "weak", _STB_GNU_UNIQUE: "weak"}
_VISIBILITIES: Final[tuple[Visibility, ...]] = ("default", "internal", "hidden", "protected")
_NOT_OBJECTS: Final = {"ET_EXEC": "an executable", "ET_DYN": "a shared object or executable", "ET_CORE": "a core dump"}


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
    except (struct.error, zlib.error, ValueError, LookupError, OverflowError, MemoryError) as error:
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


class _Header(NamedTuple):
    """An Elf64_Shdr; ``name``: offset into the table of section names."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int


def _parse(data: bytes, name: str) -> ObjectFile:
    headers, names_in = _headers(data, name)
    strings = _contents(data, headers[names_in]) if 0 < names_in < len(headers) else b"\0"
    names = _Strings(strings, name)
    _check_extents(headers, data, names, name)
    room = _INFLATED + _RATIO * len(data)
    sections: list[Section] = []
    for index, header in enumerate(headers):
        sections.append(_section(data, header, index, names.at(header.name), room, name))
        room -= len(sections[-1].data) if header.flags & _SHF_COMPRESSED else 0
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
    threadlocal.merge(sections, symbols, _INFLATED + _RATIO * len(data))
    absolute = any(
        relocation.type in (R_X86_64_32, R_X86_64_32S)
        for section in sections
        if section.is_allocated
        for relocation in section.relocations
    )
    return ObjectFile(name, sections, symbols, pic=not absolute)


def _headers(data: bytes, name: str) -> tuple[list[_Header], int]:
    """All section headers, and which section has their names (gABI, "ELF Header": what is too large stands in section 0)."""
    (start,) = struct.unpack_from("<Q", data, 40)
    entry, count, names = struct.unpack_from("<HHH", data, 58)
    if not start:
        raise InputError(f"{name}: no section headers: truncated or stripped of them")
    if entry != _SHDR.size:
        raise InputError(f"{name}: corrupt ELF file: section headers of {entry} bytes")
    if start + _SHDR.size > len(data):
        raise InputError(f"{name}: truncated: the section headers begin at {start:#x}, the file ends at {len(data):#x}")
    first = _Header(*_SHDR.unpack_from(data, start))
    count, names = count or first.size, first.link if names == _SHN_XINDEX else names
    if start + count * _SHDR.size > len(data):
        raise InputError(f"{name}: truncated: {count} section headers at {start:#x}, the file ends at {len(data):#x}")
    return [_Header(*_SHDR.unpack_from(data, start + n * _SHDR.size)) for n in range(count)], names


def _check_extents(headers: list[_Header], data: bytes, names: _Strings, name: str) -> None:
    total = 0
    for header in headers:
        if header.align & (header.align - 1) or header.align > _LARGEST_ALIGN:
            raise InputError(f"{name}: section {names.at(header.name)} has the alignment {header.align:#x}")
        if header.type in (0, _SHT_NOBITS):
            continue
        end = header.offset + header.size
        if end > len(data):
            raise InputError(f"{name}: truncated: section {names.at(header.name)} ends at {end:#x}, the file at {len(data):#x}")
        total += header.size
    if total > 2 * len(data):  # some tools let two string tables share their bytes
        raise InputError(f"{name}: corrupt ELF file: its sections overlap")


def _contents(data: bytes, header: _Header) -> bytes:
    return b"" if header.type in (0, _SHT_NOBITS) else data[header.offset : header.offset + header.size]


def _section(data: bytes, header: _Header, index: int, label: str, room: int, name: str) -> Section:
    """``room``: how many bytes it may have when it is decompressed."""
    content, align = _contents(data, header), header.align
    if header.flags & _SHF_COMPRESSED and content:
        kind, _, size, align = struct.unpack_from("<IIQQ", content)  # Elf64_Chdr
        if kind != _ELFCOMPRESS_ZLIB:
            raise InputError(f"{name}: section {label} is compressed by method {kind}; only zlib (1) is supported")
        if size > room:
            raise InputError(f"{name}: section {label} is said to have {size:#x} bytes when decompressed, which is too much")
        content = zlib.decompressobj().decompress(content[24:], size + 1)
        if len(content) != size:
            raise InputError(f"{name}: section {label} does not have {size:#x} bytes when decompressed")
    return Section(
        index=index,
        name=_checked(label, f"section {index}", name),
        type=header.type,
        flags=header.flags & ~_SHF_COMPRESSED,
        align=align,
        entsize=header.entsize,
        size=header.size if header.type == _SHT_NOBITS else len(content),
        data=content,
        link=header.link,
        info=header.info,
    )


class _Strings:
    """A string table. Strings may share their ends, but no more is made of them than ``_SHARED`` times the table."""

    def __init__(self, table: bytes, name: str) -> None:
        self._table, self._name = table, name
        self._known: dict[int, str] = {}
        self._room = _SHARED * len(table)

    def at(self, offset: int) -> str:
        """Raises InputError."""
        if offset in self._known:
            return self._known[offset]
        end = self._table.find(b"\0", offset)
        if offset > len(self._table) or end < 0:
            raise InputError(f"{self._name}: corrupt ELF file: no string at {offset:#x} of the string table")
        self._room -= end - offset
        if self._room < 0:
            raise InputError(f"{self._name}: corrupt ELF file: its names overlap")
        self._known[offset] = found = self._table[offset:end].decode()
        return found


def _checked(label: str, what: str, name: str) -> str:
    """``label``, which no assembler could take for anything but a name. Raises InputError."""
    if not label.isprintable() or label == "." or any(c in label for c in '"\\'):
        raise InputError(f"{name}: {what} has a name that cannot be written in assembly: {label[:80]!r}")
    return label


def _symbols(sections: list[Section], table: int, name: str) -> list[ElfSymbol]:
    section = sections[table]
    strings = _Strings(sections[section.link].data, name)
    extended = next((s.data for s in sections if s.type == _SHT_SYMTAB_SHNDX and s.link == table), b"")
    symbols: list[ElfSymbol] = []
    for index, entry in enumerate(struct.iter_unpack("<IBBHQQ", section.data)):
        name_at, info, other, where, value, size = entry
        if where == _SHN_XINDEX:
            (where,) = struct.unpack_from("<I", extended, 4 * index)
        elif where >= _SHN_LORESERVE and where not in (_SHN_ABS, _SHN_COMMON):
            raise InputError(f"{name}: symbol {index} has the unknown section number {where:#x}")
        label = strings.at(name_at)
        if info & 15 != _STT_FILE:
            _checked(label, f"symbol {index}", name)
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
