"""x86-64 cells, and where p-code (Ghidra's ``x86:LE:64:default``) keeps them.

The direction flag is 0, as the ABI has it at every call. ``fs_base`` is the thread pointer; nothing writes it.
Upper halves of ymm registers are no cells: an instruction that reads one has no semantics here.
"""

from __future__ import annotations

from typing import Final

from isa.pcode import Layout
from isa.statemap import FLAGS, GENERAL, VECTORS

CELLS: Final[dict[str, int]] = dict.fromkeys((*GENERAL, *VECTORS, "fs_base"), 64) | dict.fromkeys(FLAGS, 1)

_WORDS: Final = (
    {8 * n: name for n, name in enumerate(("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"))}
    | {0x80 + 8 * n: f"r{8 + n}" for n in range(8)}
    | {0x1200 + 0x40 * n + 8 * half: f"xmm{n}.{'hi' if half else 'lo'}" for n in range(16) for half in range(2)}
    | {0x110: "fs_base"}
)
OFFSETS: Final = {name: offset for offset, name in _WORDS.items()}

LAYOUT: Final = Layout(
    words=_WORDS,
    flags={0x200: "cf", 0x202: "pf", 0x206: "zf", 0x207: "sf", 0x20B: "of"},
    constants={0x208: 0},  # trap, interrupt and direction flag
)
