"""The state map: where each piece of x86-64 state lives on a target at every block boundary (docs/design.md).

Memory is at the same addresses, and the guest stack is the native stack. A dead piece of state has no home: its register
is free, so the tables may be generous. Flags have homes as general registers that hold 0 or 1 in all 64 bits. Besides
the raw flags there are three *conditions*, so that a compare in one block and its ``jl`` in the next cost one
instruction each: ``l`` (sf != of), ``le`` (zf or l), ``be`` (cf or zf).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from isa import terms as t
from isa.terms import Term

GENERAL: Final = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")  # fmt: skip
VECTORS: Final = tuple(f"xmm{n}.{half}" for n in range(16) for half in ("lo", "hi"))
FLAGS: Final = ("cf", "pf", "zf", "sf", "of")
CONDITIONS: Final = ("l", "le", "be")
CALLEE_SAVED: Final = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp")

@cache
def _cells() -> dict[str, Term]:
    cells = {name: t.var(name, 64) for name in (*GENERAL, *VECTORS)}
    flags = {name: t.var(name, 1) for name in FLAGS}
    less = t.xor(flags["sf"], flags["of"])
    return cells | flags | {"l": less, "le": t.or_(flags["zf"], less), "be": t.or_(flags["cf"], flags["zf"])}


def cell_term(name: str) -> Term:
    """What cell or condition ``name`` is, as a term over x86-64's own cells (width 64, or 1 for flags)."""
    return _cells()[name]


@dataclass(frozen=True)
class StateMap:
    """One target's map.

    target: ``aarch64`` or ``riscv64``. homes: x86-64 cell or condition -> target cell (64 bits wide each).
    branch_target: the target cell that holds the address of an indirect branch at the end of its block.
    scratch: general registers free for any block, besides the homes of what is dead. reserved: never touched by a block.
    """

    target: str
    homes: dict[str, str]
    branch_target: str
    scratch: tuple[str, ...]
    reserved: tuple[str, ...]


AARCH64: Final = StateMap(
    target="aarch64",
    homes={
        "rdi": "x0", "rsi": "x1", "rdx": "x2", "rcx": "x3", "r8": "x4", "r9": "x5", "rax": "x8", "r10": "x9", "r11": "x10",
        "rbx": "x19", "rbp": "x24", "rsp": "x28", "r12": "x20", "r13": "x21", "r14": "x22", "r15": "x23",
        "zf": "x25", "l": "x26", "cf": "x27", "le": "x15", "be": "x14", "sf": "x13", "of": "x12", "pf": "x11",
    } | {f"xmm{n}.{half}": f"v{n if n < 8 else n + 8}.{half}" for n in range(16) for half in ("lo", "hi")},
    branch_target="x16",
    scratch=("x6", "x7", "x16", "x17"),
    reserved=("x18", "x29", "x30", "sp", *(f"v{n}.lo" for n in range(8, 16))),
)  # fmt: skip

# fs0-fs11 (f8, f9, f18-f27) and ft8-ft11 (f28-f31) hold the high halves; fa0-fa7 (f10-f17) and ft0-ft7 (f0-f7) the low.
_HIGH = (8, 9, *range(18, 32))

RISCV64: Final = StateMap(
    target="riscv64",
    homes={
        "rdi": "x10", "rsi": "x11", "rdx": "x12", "rcx": "x13", "r8": "x14", "r9": "x15", "rax": "x16", "r10": "x17", "r11": "x28",
        "rbx": "x9", "rbp": "x8", "rsp": "x22", "r12": "x18", "r13": "x19", "r14": "x20", "r15": "x21",
        "zf": "x23", "l": "x24", "cf": "x25", "le": "x26", "be": "x27", "sf": "x29", "of": "x30", "pf": "x31",
    } | {f"xmm{n}.lo": f"f{n + 10 if n < 8 else n - 8}" for n in range(16)}
      | {f"xmm{n}.hi": f"f{_HIGH[n]}" for n in range(16)},
    branch_target="x6",
    scratch=("x5", "x6", "x7"),
    reserved=("x1", "x2", "x3", "x4"),
)  # fmt: skip

MAPS: Final = {"aarch64": AARCH64, "riscv64": RISCV64}
