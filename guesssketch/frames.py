"""How deep a function's own frame gets, so that the native stack pointer can be kept below it, and its call-frame rules."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, Final

from elftools.common.exceptions import DWARFError, ELFError
from elftools.dwarf.callframe import FDE, CallFrameInfo
from elftools.dwarf.structs import DWARFStructs

from guesssketch.program import Call, Function, ObjectFile
from isa.terms import mask, signed

_IMMEDIATE: Final = re.compile(r"(sub|add) rsp, (-?0x[0-9a-f]+|-?\d+)$")
_LEA: Final = re.compile(r"lea rsp, \[rsp ([+-]) (0x[0-9a-f]+|\d+)\]$")
_WRITES: Final = re.compile(r"(?!cmp|test|push|call|jmp)\w+ (?:qword ptr )?r?e?sp(,|$)|xchg .*\brsp$|enter\b")
_RAISES: Final = re.compile(r"leave$|mov rsp, rbp$|lea rsp, \[rbp( -.*)?\]$")


@dataclass(frozen=True)
class Frame:
    """depth: bytes that rsp goes below its value behind the pushed return address, by constant steps. dynamic: blocks that
    lower rsp by an amount that is not constant, or constantly in a loop. calls: whether anything is called (tail calls aside)."""

    depth: int
    dynamic: frozenset[int]
    calls: bool


def _steps(text: str) -> int | None:
    """Change of rsp by one instruction; None if it is not constant. Raises ValueError where rsp is only raised again."""
    if text.startswith("push"):
        return -8
    if text.startswith("pop") and not text.startswith("popcnt"):
        return None if text == "pop rsp" else 8
    if match := _IMMEDIATE.match(text):
        value = signed(int(match[2], 0) & mask(64), 64)
        return -value if match[1] == "sub" else value
    if match := _LEA.match(text):
        return int(match[2], 0) * (1 if match[1] == "+" else -1)
    if _RAISES.match(text):
        raise ValueError(text)
    return None if _WRITES.match(text) else 0


def frame(function: Function) -> Frame:
    """Forward dataflow over the depth at block entries; a block met at two depths counts as unknown from there on."""
    known: dict[int, int | None] = {function.offset: 0}
    pending = [function.offset]
    deepest, dynamic = 0, set()
    while pending:
        offset = pending.pop()
        block = function.blocks[offset]
        start = known[offset]
        here, low, fixed = start or 0, start or 0, start is not None
        for instruction in block.instructions:
            try:
                step = _steps(instruction.text)
            except ValueError:
                fixed = False
                continue
            if step is None:
                dynamic.add(offset)
                fixed = False
                continue
            here -= step
            low = max(low, here)
        if start is None and here > 0:
            dynamic.add(offset)
        deepest = max(deepest, low)
        after = here if fixed else None
        for target in block.successors:
            if target not in known:
                known[target] = after
            elif known[target] is not None and known[target] != after:
                known[target] = None
            else:
                continue
            pending.append(target)
    calls = any(isinstance(block.terminator, Call) for block in function.blocks.values())
    return Frame(deepest, frozenset(dynamic), calls)


# --- call-frame rules -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """cfa: (DWARF number of the x86-64 register, offset). saved: x86-64 register number -> offset from the CFA."""

    cfa: tuple[int, int]
    saved: tuple[tuple[int, int], ...]


def unwinding(file: ObjectFile) -> dict[tuple[int, int], list[tuple[int, Rules]]]:
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
        except (DWARFError, ELFError, KeyError, AssertionError, ValueError):
            continue  # unwinding information is a help, not a need
    return result


def _rules(row: dict[Any, Any]) -> Rules | None:
    cfa = row["cfa"]
    if cfa.expr is not None:
        return None
    saved = [(n, rule.arg) for n, rule in row.items() if isinstance(n, int) and rule.type == "OFFSET"]
    return Rules((cfa.reg, cfa.offset), tuple(sorted(saved)))
