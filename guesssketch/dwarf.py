"""Function signatures and source lines from the DWARF debugging information of an object.

The sections of a relocatable object are relocated here first: every code section gets an address of its own (its index
times 2**32), so that an address says which function is meant.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import error as struct_error
from typing import Any, Final

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

from guesssketch.classes import CLASSES, REFERENCES, by_reference, forget, is_cxx, stripped, subobjects, target, variants
from guesssketch.program import ObjectFile
from guesssketch.prototypes import IN_MEMORY, POINTER, VOID, Signature, Type, array, scalar, struct

SECTION_SHIFT: Final = 32
UNREADABLE: Final = (
    DWARFError, ELFError, ConstructError, struct_error, ValueError, LookupError, TypeError, AttributeError, AssertionError,
    ArithmeticError, MemoryError, RecursionError, NotImplementedError,
)  # fmt: skip
"""What pyelftools, and what reads its tree of types, raises on debugging information that is corrupt."""
_SIZES: Final = {1: 8, 10: 4, 11: 4, 24: 8}  # R_X86_64_64, _32, _32S, _PC64 in debug sections
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
                    add(die, result)
                elif die.tag == "DW_TAG_variable" and "DW_AT_external" in die.attributes:
                    result.variables.add(_name(die))
    except UNREADABLE:
        return Signatures()  # broken debugging information says nothing
    finally:
        forget()
        _type.cache_clear()
    return result


def add(die: Any, result: Signatures) -> None:
    low = die.attributes.get("DW_AT_low_pc")
    declared = "DW_AT_declaration" in die.attributes
    origin = origin_of(die)
    cxx = is_cxx(die)
    if cxx and low is None and "DW_AT_decl_file" not in origin.attributes and not _is_member(origin):
        return  # the compiler's own declaration (`operator new` without its header), which tells no types
    if cxx:
        _add_linkage(die, origin, result)
    if low is None and not declared:
        return
    if not cxx and "DW_AT_prototyped" not in origin.attributes and (declared or any(True for _ in _parameters(origin))):
        return  # an old-style declaration or definition: callers promote arguments
    signature = _signature(origin, list(_parameters(die)) if cxx and low is not None else None)
    name = origin.attributes.get("DW_AT_name")
    if low is not None:
        result.defined[_start(low)] = signature
    elif name is not None and "DW_AT_linkage_name" not in origin.attributes and not _is_member(origin):
        result.external[name.value.decode()] = signature


def _start(low: Any) -> tuple[int, int]:
    return int(low.value) >> SECTION_SHIFT, int(low.value) & (1 << SECTION_SHIFT) - 1


def _is_member(die: Any) -> bool:
    """Whether its plain name is no symbol's: clang gives constructors no other."""
    return die.get_parent().tag in CLASSES


def _add_linkage(die: Any, origin: Any, result: Signatures) -> None:
    """What is known of functions by their mangled names, whether declared, defined or only inlined."""
    name = die.attributes.get("DW_AT_linkage_name", origin.attributes.get("DW_AT_linkage_name"))
    if name is None or not name.value.startswith(b"_Z"):
        return  # g++ gives `__builtin_memcpy` the name `memcpy`, and no types
    symbol, parameters = name.value.decode(), list(_parameters(die)) or list(_parameters(origin))
    signature = _signature(origin, parameters)
    if not signature.is_known:
        return  # of a class that is only declared here; the C++ library's table may know it
    if "DW_AT_linkage_name" in die.attributes and not re.search("[CD]4", symbol):
        result.external[symbol] = signature
        return
    for variant, passed in variants(symbol, parameters):
        result.external.setdefault(variant, _signature(origin, passed))
    result.external.setdefault(symbol, _signature(origin))


def origin_of(die: Any) -> Any:
    """The declaration that carries name and type of a concrete instance."""
    for attribute in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if attribute in die.attributes:
            return origin_of(die.get_DIE_from_attribute(attribute))
    return die


def _parameters(die: Any) -> Iterator[Any]:
    return (child for child in die.iter_children() if child.tag == "DW_TAG_formal_parameter")


def _signature(die: Any, given: list[Any] | None = None) -> Signature:
    """``given``: the parameters of a concrete instance, where it has others than ``die``, its declaration."""
    children = list(_parameters(die)) if given is None else given
    parameters = tuple(_parameter(target(origin_of(child))) for child in children)
    variadic = any(child.tag == "DW_TAG_unspecified_parameters" for child in die.iter_children())
    result = target(die)
    return Signature(IN_MEMORY if _by_reference(result) else _type(result), parameters, variadic)


def _by_reference(die: Any) -> bool:
    die = stripped(die)
    return die is not None and die.tag in CLASSES and "DW_AT_byte_size" in die.attributes and by_reference(die)


def _parameter(die: Any) -> Type:
    """A parameter's type; x86-64's va_list is a pointer to ``struct __va_list_tag`` there."""
    plain = stripped(die)
    if _by_reference(plain):
        return POINTER
    if plain is not None and plain.tag in ("DW_TAG_pointer_type", "DW_TAG_array_type"):
        pointee = stripped(target(plain))
        if pointee is not None and _name(pointee).endswith("__va_list_tag"):  # g++ puts more before it
            return scalar("va_list")
        return POINTER if plain.tag == "DW_TAG_pointer_type" else _type(plain)
    return _type(die)


def _name(die: Any) -> str:
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode() if attribute else ""


@functools.cache  # what refers to one type many times, level after level, is not followed each time
def _type(die: Any) -> Type:
    """``other`` for what is not known how to pass: vectors, what is aligned by attribute, what is only declared."""
    die = stripped(die)
    if die is None:
        return VOID
    if "DW_AT_alignment" in die.attributes or "DW_AT_GNU_vector" in die.attributes:
        return scalar("other")
    if die.tag in ("DW_TAG_pointer_type", "DW_TAG_unspecified_type", *REFERENCES):
        return POINTER
    if die.tag == "DW_TAG_ptr_to_member_type" and stripped(target(die)).tag != "DW_TAG_subroutine_type":
        return POINTER  # an offset, and no integer either; a pointer to a member function is laid out otherwise on AArch64
    if die.tag == "DW_TAG_enumeration_type" and "DW_AT_type" in die.attributes:
        return _type(target(die))
    if die.tag == "DW_TAG_array_type":
        element = _type(target(die))
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
    if "DW_AT_byte_size" not in die.attributes:
        return scalar("other")
    size = int(die.attributes["DW_AT_byte_size"].value)
    if die.tag == "DW_TAG_enumeration_type":
        return scalar(f"u{8 * size}")
    if die.tag == "DW_TAG_base_type":
        plain = _name(die) == "char"  # signed on x86-64, unsigned on both targets
        return scalar("char") if plain else _base(int(die.attributes["DW_AT_encoding"].value), size)
    return _class(die, size) if die.tag in CLASSES and not by_reference(die) else scalar("other")


def _class(die: Any, size: int) -> Type:
    """A class that is passed by value."""
    parts = [(part, scalar("other") if "DW_AT_alignment" in part.attributes else _type(target(part))) for part in subobjects(die)]
    if any(kind.code == "struct" and not kind.members and part.tag == "DW_TAG_member" for part, kind in parts):
        return scalar("other")  # an empty class or array as a member takes part in AArch64's rules, and in no other's
    if not parts and not is_cxx(die):
        return scalar("other")
    return struct(size, [(_offset(part), kind) for part, kind in parts], union=die.tag == "DW_TAG_union_type")


def _offset(member: Any) -> int:
    for attribute in ("DW_AT_data_member_location", "DW_AT_data_bit_offset"):
        if attribute in member.attributes:
            value = int(member.attributes[attribute].value)
            if attribute.endswith("location"):
                return value
            size = max(_type(target(member)).size, 1)
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
    except UNREADABLE:
        return {}
    return result
