"""Where each section goes, so that the same pointer means the same thing on both sides.

A data section that both sides have alike (name, size, bytes, symbols) has one address. Any other has one on each side, and
the named objects in it are matched: a pointer into one is put out for the pointer into the other when values are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from guesssketch.errors import InputError, NotAnObject
from guesssketch.program import ObjectFile
from guesssketch.testing import layout

MACHINES: Final = {"aarch64": "EM_AARCH64", "riscv64": "EM_RISCV"}
GUARD: Final = "__stack_chk_guard"
ALLOC: Final = 0x2
EXEC: Final = 0x4
TLS: Final = 0x400
_SKEW: Final = 0x5C0
_GUARD_VALUE: Final = 0x5CA1_AB1E_0DDB_A100


@dataclass(frozen=True)
class TargetSection:
    name: str
    size: int
    align: int
    flags: int
    data: bytes


@dataclass(frozen=True)
class TargetSymbol:
    name: str
    section: str | None
    value: int
    size: int
    type: str
    weak: bool
    undefined: bool


@dataclass(frozen=True)
class TargetObject:
    """As much of a relocatable object for a target as the plan asks for."""

    name: str
    content: bytes
    sections: tuple[TargetSection, ...]
    symbols: tuple[TargetSymbol, ...]

    @property
    def undefined(self) -> list[str]:
        return sorted({s.name for s in self.symbols if s.undefined and s.name and not s.weak})


@dataclass
class Plan:
    """source: address of each allocated data section of the original, by index. target: of sections by name.
    externals: address of each undefined symbol. thread: the thread pointers meet at this address."""

    source: dict[int, int] = field(default_factory=dict)
    target: dict[str, int] = field(default_factory=dict)
    externals: dict[str, int] = field(default_factory=dict)
    thread: int = layout.THREAD_DATA

    def thread_words(self) -> list[tuple[int, bytes]]:
        """What lies at x86-64's thread pointer: itself, and the stack protector's guard."""
        return [(self.thread, self.thread.to_bytes(8, "little")), (self.thread + 0x28, _GUARD_VALUE.to_bytes(8, "little"))]


def read_target(content: bytes, name: str, target: str) -> TargetObject:
    """Raises NotAnObject unless this is a relocatable object for ``target``."""
    try:
        elf = ELFFile(BytesIO(content))
        if elf["e_type"] != "ET_REL" or elf["e_machine"] != MACHINES[target]:
            raise NotAnObject(f"{name}: not a relocatable object for {target}")
        headers = list(elf.iter_sections())
        sections = tuple(TargetSection(h.name, h["sh_size"], max(h["sh_addralign"], 1), h["sh_flags"],
                                       b"" if h["sh_type"] == "SHT_NOBITS" else h.data())
                         for h in headers if h["sh_flags"] & ALLOC and h.name != ".eh_frame")  # fmt: skip
        table: Any = elf.get_section_by_name(".symtab")
        symbols = tuple(_symbol(s, headers) for s in (table.iter_symbols() if table else ()))
    except (ELFError, ValueError, KeyError, IndexError) as error:
        raise NotAnObject(f"{name}: not an ELF object: {error}") from error
    return TargetObject(name, content, sections, symbols)


def _symbol(symbol: Any, headers: list[Any]) -> TargetSymbol:
    home = symbol["st_shndx"]
    section = headers[home].name if isinstance(home, int) else None
    return TargetSymbol(symbol.name, section, symbol["st_value"], symbol["st_size"], symbol["st_info"]["type"],
                        symbol["st_info"]["bind"] == "STB_WEAK", home == "SHN_UNDEF")  # fmt: skip


def _named(symbols: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    return sorted(s for s in symbols if s[2])


def make(file: ObjectFile, target: TargetObject) -> Plan:
    """Raises InputError for what cannot be laid out."""
    plan = Plan()
    ours = {s.index: s for s in file.sections if s.is_allocated and not s.is_code and s.size and s.name != ".eh_frame"}
    theirs = {s.name: s for s in target.sections if not s.flags & EXEC and s.size}
    names = [s.name for s in ours.values()]
    shared, source, apart = layout.DATA, layout.SOURCE_DATA, layout.TARGET_DATA
    for index, section in ours.items():
        if section.flags & TLS:
            continue
        other = theirs.get(section.name)
        alike = other is not None and names.count(section.name) == 1 and (other.size, other.data) == (section.size, section.data)
        if alike:
            a = _named([(s.name, s.value, s.size) for s in file.symbols if s.section == index and s.type == "object"])
            b = _named([(s.name, s.value, s.size) for s in target.symbols if s.section == section.name and s.type == "STT_OBJECT"])
            alike = a == b
        if alike:
            plan.source[index] = plan.target[section.name] = _start(shared, section.align)
            shared = _after(plan.source[index], section.size)
        else:
            plan.source[index] = _start(source, section.align)
            source = _after(plan.source[index], section.size)
    for name, other in theirs.items():
        if name not in plan.target and not other.flags & TLS:
            plan.target[name] = _start(apart, other.align)
            apart = _after(plan.target[name], other.size)
    _thread_data(plan, file, target)
    undefined = {s.name for s in file.symbols if s.name and not s.is_defined and s.binding != "weak"} | set(target.undefined)
    for number, name in enumerate(sorted(undefined - {GUARD})):
        plan.externals[name] = layout.EXTERNALS + number * layout.PAGE
    if plan.externals and max(plan.externals.values()) >= layout.EXTERNALS_END:
        raise InputError(f"{file.name}: {len(plan.externals)} undefined symbols are too many for a test")
    plan.externals[GUARD] = plan.thread + 0x28
    return plan


def _start(page: int, align: int) -> int:
    """Where on ``page`` a section starts: not at its beginning, where an address lacks nothing without its low bits."""
    return page + _SKEW // max(align, 1) * max(align, 1)


def _after(address: int, size: int) -> int:
    """The next section's page: one is left between, so that what runs past one does not meet another."""
    return -(-(address + size) // layout.PAGE) * layout.PAGE + layout.PAGE


def _thread_data(plan: Plan, file: ObjectFile, target: TargetObject) -> None:
    """Thread-local sections follow each other, the same on both sides; x86-64's thread pointer is behind them."""
    at = layout.THREAD_DATA
    for section in file.sections:
        if section.is_allocated and section.flags & TLS:
            at = -(-at // max(section.align, 1)) * max(section.align, 1)
            plan.source[section.index] = at
            if any(s.name == section.name and s.size == section.size for s in target.sections):
                plan.target[section.name] = at
            at += section.size
    plan.thread = -(-at // 64) * 64
    for other in target.sections:
        if other.flags & TLS and other.name not in plan.target:
            raise InputError(f"{target.name}: section {other.name} is unlike the original's, which tests cannot lay out")
