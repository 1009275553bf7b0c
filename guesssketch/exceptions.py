"""Landing pads: where a C++ exception (or a C cleanup) would enter a function. They have no translation.

Sources: Linux Standard Base 5.0 core, 10.6 (``.eh_frame``; augmentation ``L``); the language-specific data area as gcc's
``unwind-c++`` personality reads it (Itanium C++ ABI: Exception Handling, 7).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from elftools.dwarf.callframe import FDE, CallFrameInfo
from elftools.dwarf.structs import DWARFStructs

from guesssketch.dwarf import UNREADABLE
from guesssketch.program import ObjectFile, Section

TABLE: Final = ".gcc_except_table"
_OMITTED, _ULEB128 = 0xFF, 0x01  # DW_EH_PE_*
_FIXED: Final = {0x02: 2, 0x03: 4, 0x04: 8, 0x0A: 2, 0x0B: 4, 0x0C: 8}


class Unreadable(Exception):
    """Tables that cannot be read: nothing is known about landing pads."""


@dataclass(frozen=True)
class Pads:
    """Of the piece of code at ``offset`` of ``section``: offsets of its landing pads in that section, ascending."""

    section: int
    offset: int
    landing: tuple[int, ...]


def landing_pads(file: ObjectFile) -> list[Pads]:
    """One for each piece of code that has any. Raises Unreadable."""
    if not any(section.name.startswith(TABLE) for section in file.sections):
        return []
    found: list[Pads] = []
    for section in file.sections:
        if section.name == ".eh_frame" and section.data:
            found += _of_frames(file, section)
    return found


def _of_frames(file: ObjectFile, section: Section) -> list[Pads]:
    fields = {relocation.offset: relocation for relocation in section.relocations}
    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
    found: list[Pads] = []
    try:
        entries = CallFrameInfo(io.BytesIO(section.data), len(section.data), 0, structs, for_eh_frame=True).get_entries()
        for entry in entries:
            if not isinstance(entry, FDE) or "L" not in _augmentation(entry):
                continue
            start, table = fields.get(entry.offset + 8), fields.get(_pointer(entry))
            if start is None:
                raise Unreadable("a piece of code without a relocation")
            if table is None:
                continue  # a function of a unit with tables that has none
            code, data = file.symbols[start.symbol], file.symbols[table.symbol]
            if code.section is None or data.section is None:
                raise Unreadable("a table that is not in the object")
            home = file.sections[data.section]
            offset = code.value + start.addend
            landing = _landing(home.data, data.value + table.addend, {r.offset for r in home.relocations})
            if landing:
                found.append(Pads(code.section, offset, tuple(sorted({offset + pad for pad in landing}))))
    except UNREADABLE as error:
        raise Unreadable(f"{section.name} cannot be read ({error or type(error).__name__})") from error
    return found


def _augmentation(entry: FDE) -> str:
    text: bytes = entry.cie.header["augmentation"]
    return text.decode()


def _pointer(entry: FDE) -> int:
    """Where the relocated pointer to the table lies: behind id, code range and the length of the augmentation (one byte)."""
    augmentation = entry.cie.augmentation_dict
    sizes = {0x00: 8, **_FIXED}
    code, table = augmentation["FDE_encoding"] & 0x0F, augmentation["LSDA_encoding"] & 0x0F
    if code not in sizes or table not in sizes:
        raise Unreadable("a pointer of variable length")
    return int(entry.offset) + 8 + 2 * sizes[code] + 1


def _landing(data: bytes, at: int, relocated: set[int]) -> set[int]:
    """Offsets of the landing pads from the start of the piece of code that the table at ``at`` belongs to."""
    if data[at] != _OMITTED:
        raise Unreadable("a table with a base of its own")
    at += 1
    if data[at] != _OMITTED:
        _, at = _uleb128(data, at + 1)
    else:
        at += 1
    encoding = data[at]
    length, at = _uleb128(data, at + 1)
    end = at + length
    if end > len(data) or any(at <= place < end for place in relocated):
        raise Unreadable("a table of call sites with relocations")
    landing: set[int] = set()
    while at < end:
        for part in ("start", "length", "pad"):
            value, at = _value(data, at, encoding)
            if part == "pad" and value:
                landing.add(value)
        _, at = _uleb128(data, at)  # the action
    return landing


def _value(data: bytes, at: int, encoding: int) -> tuple[int, int]:
    if encoding == _ULEB128:
        return _uleb128(data, at)
    if encoding not in _FIXED:
        raise Unreadable(f"call sites in encoding {encoding:#x}")
    size = _FIXED[encoding]
    return int.from_bytes(data[at : at + size], "little"), at + size


def _uleb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if not byte & 0x80:
            return value, at
