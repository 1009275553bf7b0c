"""How a debugger or a profiler finds its way back: call-frame rules, read from x86-64's ``.eh_frame`` and written for the target.

Source: DWARF 5, 6.4; the registers' numbers are those of the processors' ABIs.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elftools.dwarf.callframe import FDE, CallFrameInfo
from elftools.dwarf.structs import DWARFStructs

from guesssketch.dwarf import UNREADABLE
from guesssketch.program import Block, Function, ObjectFile
from isa.statemap import MAPS

_X86_REGISTERS: Final = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))  # DWARF's order
_FARTHEST: Final = 1 << 31  # of a frame's offsets: more is no frame
_LINK: Final = {"aarch64": 30, "riscv64": 1}  # where the return address is


@dataclass(frozen=True)
class Rules:
    """cfa: (DWARF number of the x86-64 register, offset). saved: x86-64 register number -> offset from the CFA."""

    cfa: tuple[int, int]
    saved: tuple[tuple[int, int], ...]


def call_frames(file: ObjectFile) -> dict[tuple[int, int], list[tuple[int, Rules]]]:
    """(section, offset) of a piece of code -> rows of (offset from there, rules), ascending. Rows given by DWARF expressions
    are left out. Empty if the object has no ``.eh_frame`` that can be read."""
    result: dict[tuple[int, int], list[tuple[int, Rules]]] = {}
    for section in file.sections:
        if section.name != ".eh_frame" or not section.data:
            continue
        fields = {r.offset: r for r in section.relocations}
        structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
        try:
            entries = CallFrameInfo(io.BytesIO(section.data), len(section.data), 0, structs, for_eh_frame=True).get_entries()
            for entry in entries:
                relocation = fields.get(entry.offset + 8) if isinstance(entry, FDE) else None
                if relocation is None:
                    continue
                symbol = file.symbols[relocation.symbol]
                if symbol.section is not None:
                    start = entry.header["initial_location"]
                    rows = [(row["pc"] - start, rules) for row in entry.get_decoded().table if (rules := _rules(row))]
                    result[symbol.section, symbol.value + relocation.addend] = rows
        except UNREADABLE:
            continue  # unwinding information is a help, not a need
    return result


def _rules(row: dict[Any, Any]) -> Rules | None:
    cfa = row["cfa"]
    saved = [(n, rule.arg) for n, rule in row.items() if isinstance(n, int) and rule.type == "OFFSET"]
    if cfa.reg is None or any(abs(offset) >= _FARTHEST for offset in (cfa.offset, *(offset for _, offset in saved))):
        return None
    return Rules((cfa.reg, cfa.offset), tuple(sorted(saved)))


class Unwinding:
    """The directives of one function. ``rules``: those of its object."""

    def __init__(self, target: str, function: Function, rules: Mapping[tuple[int, int], Sequence[tuple[int, Rules]]]) -> None:
        self._function, self._rules, self._link = function, rules, _LINK[target]
        self._numbers = {n: int(MAPS[target].homes[r][1:]) for n, r in enumerate(_X86_REGISTERS)}
        self._state = Rules((7, 8), ((16, -8),))

    def start(self) -> list[str]:
        """Before the return address is pushed: rsp's home is the frame address, and what the caller's becomes."""
        stack = self._numbers[_X86_REGISTERS.index("rsp")]
        return [".cfi_startproc", f".cfi_def_cfa {stack}, 0", f".cfi_escape 0x14, {stack:#x}, 0"]

    def pushed(self) -> list[str]:
        """Behind that."""
        return [".cfi_def_cfa_offset 8", f".cfi_offset {self._link}, -8"]

    def at(self, block: Block, at: int) -> list[str]:
        """What makes the rules in force at ``at`` bytes into ``block`` hold from here."""
        section, offset = block.home
        rows = self._rows(section or self._function.section, offset + at)
        if rows is None or rows == self._state:
            return []
        register, displacement = rows.cfa
        lines = [f".cfi_def_cfa {self._numbers[register]}, {displacement}"] if rows.cfa != self._state.cfa else []
        old, new = dict(self._state.saved), dict(rows.saved)
        lines += [f".cfi_restore {self._numbers[n]}" for n in old if n not in new and n < 16]
        lines += [f".cfi_offset {self._numbers[n]}, {where}" for n, where in new.items() if old.get(n) != where and n < 16]
        self._state = rows
        return lines

    def _rows(self, section: int, offset: int) -> Rules | None:
        function = self._function
        for start_section, start, size in ((function.section, function.offset, function.size), *function.parts):
            if start_section == section and start <= offset < start + size:
                found = None
                for row, rules in self._rules.get((section, start), ()):
                    if start + row <= offset and rules.cfa[0] < 16:
                        found = rules
                return found
        return None

    def end(self) -> list[str]:
        return [".cfi_endproc"]
