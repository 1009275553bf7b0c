"""Function signatures and source lines from the DWARF debugging information of an object.

The sections of a relocatable object are relocated here first: every code section gets an address of its own (its index
times 2**32), so that an address says which function is meant.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from elftools.common.exceptions import DWARFError, ELFError
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

from guesssketch.program import ObjectFile
from guesssketch.prototypes import POINTER, VOID, Signature, Type, array, scalar, struct

SECTION_SHIFT: Final = 32
_SIZES: Final = {1: 8, 10: 4, 11: 4, 24: 8}  # R_X86_64_64, _32, _32S, _PC64 in debug sections
_STRUCTS: Final = ("DW_TAG_structure_type", "DW_TAG_class_type", "DW_TAG_union_type")
_PASS_BY_REFERENCE: Final = 4
IN_MEMORY: Final = struct(24, [(offset, scalar("i64")) for offset in (0, 8, 16)])  # a result that is in memory everywhere
_PARTS: Final = frozenset(["info", "aranges", "abbrev", "str", "loc", "ranges", "line", "addr",
                           "str_offsets", "line_str", "loclists", "rnglists", "types"])  # fmt: skip


@dataclass
class Signatures:
    """defined: by (section, offset) of the function. external: of functions declared and called, by name.
    variables: names of those that have external linkage."""

    defined: dict[tuple[int, int], Signature] = field(default_factory=dict)
    external: dict[str, Signature] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Line:
    file: str
    directory: str
    line: int
    column: int


def _relocated(file: ObjectFile, index: int) -> bytes:
    section = file.sections[index]
    data = bytearray(section.data)
    for relocation in section.relocations:
        symbol = file.symbols[relocation.symbol]
        size = _SIZES.get(relocation.type)
        if size is None or relocation.offset + size > len(data):
            continue
        home = symbol.section
        base = home << SECTION_SHIFT if home is not None and file.sections[home].is_code else 0
        value = base + symbol.value + relocation.addend
        data[relocation.offset : relocation.offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
    return bytes(data)


def _information(file: ObjectFile) -> DWARFInfo | None:
    parts: dict[str, DebugSectionDescriptor] = {}
    for section in file.sections:
        if section.name.startswith(".debug_") and section.name[7:] in _PARTS:
            data = _relocated(file, section.index)
            parts[section.name[7:]] = DebugSectionDescriptor(io.BytesIO(data), section.name, 0, len(data), 0)
    if "info" not in parts or "abbrev" not in parts:
        return None
    code = DWARFInfo.__init__.__code__
    given = {f"debug_{name}_sec": part for name, part in parts.items()}
    arguments: dict[str, Any] = {name: given.get(name) for name in code.co_varnames[: code.co_argcount] if name.endswith("_sec")}
    config = DwarfConfig(little_endian=True, machine_arch="x64", default_address_size=8)
    return DWARFInfo(config=config, **arguments)


# --- signatures -------------------------------------------------------------------------------------------------------


def signatures(file: ObjectFile) -> Signatures:
    """Empty if there is no debugging information, or none that can be read."""
    result = Signatures()
    try:
        information = _information(file)
        if information is None:
            return result
        for unit in information.iter_CUs():
            for die in unit.iter_DIEs():
                if die.tag == "DW_TAG_subprogram":
                    _add(die, result)
                elif die.tag == "DW_TAG_variable" and "DW_AT_external" in die.attributes:
                    result.variables.add(_name(die))
    except (DWARFError, ELFError, KeyError, AssertionError, ValueError):
        return Signatures()  # broken debugging information says nothing
    return result


def _add(die: Any, result: Signatures) -> None:
    low = die.attributes.get("DW_AT_low_pc")
    declared = "DW_AT_declaration" in die.attributes
    if low is None and not declared:
        return
    origin = _origin(die)
    if "DW_AT_prototyped" not in origin.attributes and not declared and any(True for _ in _parameters(origin)):
        return  # an old-style definition: callers promote arguments
    if declared and "DW_AT_prototyped" not in origin.attributes:
        return
    signature = _signature(origin)
    name = origin.attributes.get("DW_AT_name")
    if low is not None:
        name_value = int(low.value)
        result.defined[name_value >> SECTION_SHIFT, name_value & (1 << SECTION_SHIFT) - 1] = signature
    elif name is not None:
        linkage = origin.attributes.get("DW_AT_linkage_name", name)
        result.external[linkage.value.decode()] = signature


def _origin(die: Any) -> Any:
    """The declaration that carries name and type of a concrete instance."""
    for attribute in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if attribute in die.attributes:
            return _origin(die.get_DIE_from_attribute(attribute))
    return die


def _parameters(die: Any) -> Iterator[Any]:
    return (child for child in die.iter_children() if child.tag == "DW_TAG_formal_parameter")


def _signature(die: Any) -> Signature:
    parameters = tuple(_parameter(_target(child)) for child in _parameters(die))
    variadic = any(child.tag == "DW_TAG_unspecified_parameters" for child in die.iter_children())
    return Signature(_result(_target(die)), parameters, variadic)


def _target(die: Any) -> Any:
    return die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None


def _stripped(die: Any) -> Any:
    while die is not None and die.tag in ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type",
                                          "DW_TAG_restrict_type", "DW_TAG_atomic_type"):  # fmt: skip
        die = _target(die)
    return die


def _is_static(member: Any) -> bool:
    return "DW_AT_external" in member.attributes or "DW_AT_declaration" in member.attributes


def _by_reference(die: Any) -> bool:
    """Whether it is a C++ class that is passed by reference wherever it goes (DWARF 5, table 7.20)."""
    attribute = die.attributes.get("DW_AT_calling_convention") if die is not None and die.tag in _STRUCTS else None
    return attribute is not None and attribute.value == _PASS_BY_REFERENCE


def _result(die: Any) -> Type:
    return IN_MEMORY if _by_reference(_stripped(die)) else _type(die)


def _parameter(die: Any) -> Type:
    """A parameter's type; x86-64's va_list is a pointer to ``struct __va_list_tag`` there."""
    stripped = _stripped(die)
    if _by_reference(stripped):
        return POINTER
    if stripped is not None and stripped.tag in ("DW_TAG_pointer_type", "DW_TAG_array_type"):
        pointee = _stripped(_target(stripped))
        if pointee is not None and _name(pointee) == "__va_list_tag":
            return scalar("va_list")
        return POINTER if stripped.tag == "DW_TAG_pointer_type" else _type(stripped)
    return _type(die)


def _name(die: Any) -> str:
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode() if attribute else ""


def _size(die: Any) -> int:
    """0 where it is not told: of an incomplete type, of which there are pointers only."""
    return int(die.attributes["DW_AT_byte_size"].value) if "DW_AT_byte_size" in die.attributes else 0


def _type(die: Any) -> Type:
    die = _stripped(die)
    if die is None:
        return VOID
    if "DW_AT_alignment" in die.attributes or "DW_AT_GNU_vector" in die.attributes:
        return scalar("other")
    if die.tag in ("DW_TAG_pointer_type", "DW_TAG_reference_type", "DW_TAG_rvalue_reference_type", "DW_TAG_unspecified_type"):
        return POINTER
    if die.tag == "DW_TAG_ptr_to_member_type":
        return array(2 if _target(die).tag == "DW_TAG_subroutine_type" else 1, scalar("i64"))
    if die.tag == "DW_TAG_enumeration_type":
        return scalar(f"u{8 * _size(die)}")
    if die.tag == "DW_TAG_base_type":
        return _base(int(die.attributes["DW_AT_encoding"].value), _size(die))
    if die.tag in _STRUCTS:
        members = [m for m in die.iter_children() if m.tag in ("DW_TAG_member", "DW_TAG_inheritance") and not _is_static(m)]
        types = [(_offset(m), scalar("other") if "DW_AT_alignment" in m.attributes else _type(_target(m))) for m in members]
        return struct(_size(die), types, union=die.tag == "DW_TAG_union_type")
    if die.tag == "DW_TAG_array_type":
        element = _type(_target(die))
        ranges = [c for c in die.iter_children() if c.tag == "DW_TAG_subrange_type"]
        count = 1
        for bound in ranges:
            if "DW_AT_count" in bound.attributes:
                count *= int(bound.attributes["DW_AT_count"].value)
            elif "DW_AT_upper_bound" in bound.attributes:
                count *= int(bound.attributes["DW_AT_upper_bound"].value) + 1
            else:
                count = 0
        return array(count, element)
    return scalar("other")


def _offset(member: Any) -> int:
    for attribute in ("DW_AT_data_member_location", "DW_AT_data_bit_offset"):
        if attribute in member.attributes:
            value = int(member.attributes[attribute].value)
            if attribute.endswith("location"):
                return value
            size = max(_type(_target(member)).size, 1)
            return value // 8 // size * size
    return 0


def _base(encoding: int, size: int) -> Type:
    """DW_ATE_*: 2 boolean, 3 complex, 4 float, 5 and 6 signed, 7, 8 and 0x10 unsigned (DWARF 5, table 7.11)."""
    if encoding == 3:
        part = _base(4, size // 2)
        return struct(size, [(0, part), (size // 2, part)])
    if encoding == 4:
        return scalar({4: "f32", 8: "f64"}.get(size, "f80"))
    if size == 16:
        return scalar("i128")
    if encoding in (2, 7, 8, 0x10):
        return scalar(f"u{8 * size}")
    if encoding in (5, 6):
        return scalar(f"i{8 * size}")
    return scalar("other")


# --- lines ------------------------------------------------------------------------------------------------------------


def lines(file: ObjectFile) -> dict[tuple[int, int], Line]:
    """(section, offset) -> source line, for each row of the line table. Empty if there is none that can be read."""
    result: dict[tuple[int, int], Line] = {}
    try:
        information = _information(file)
        if information is None:
            return result
        for unit in information.iter_CUs():
            program = information.line_program_for_CU(unit)
            if program is None:
                continue
            header = program.header
            files, folders = header["file_entry"], header["include_directory"]
            base = 0 if header["version"] >= 5 else 1
            directory = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
            root = directory.value.decode() if directory else "."
            for entry in program.get_entries():
                state = entry.state
                if state is None or state.end_sequence or not state.line:
                    continue
                if not 0 <= state.file - base < len(files):
                    continue
                chosen = files[state.file - base]
                folder = root
                if chosen.dir_index - base >= 0 and chosen.dir_index - base < len(folders):
                    folder = folders[chosen.dir_index - base].decode()
                address = int(state.address)
                key = address >> SECTION_SHIFT, address & (1 << SECTION_SHIFT) - 1
                result[key] = Line(chosen.name.decode(), folder, state.line, state.column)
    except (DWARFError, ELFError, KeyError, AssertionError, ValueError):
        return {}
    return result
