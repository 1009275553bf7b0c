"""How deep a function's own frame gets, so that the native stack pointer can be kept below it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from guesssketch.program import Call, Function
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
