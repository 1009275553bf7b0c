"""A small linker for emulation: placeholders get addresses, and relocated fields of a block are filled in.

``place`` chooses the addresses; ``link_source`` and ``link_target`` give code that runs at ``solver.memory.CODE``.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from isa.machine import TAKEN, Instruction, Relocation
from isa.x86_64.decode import decode
from solver.memory import CODE, HIGH_SYMBOLS, LOW_SYMBOLS, SLOTS, THREAD

GUARD: Final = "guard"
GUARD_ADDRESS: Final = THREAD + 0x28


class SymbolLike(Protocol):
    """``guesssketch.problem.Symbol``."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Literal["local", "got", "tls"]: ...
    @property
    def align(self) -> int: ...
    @property
    def low(self) -> bool: ...


class Unlinkable(Exception):
    """The code cannot be run here; the text says why."""


@dataclass(frozen=True)
class Placement:
    """Value of each placeholder, address of its slot in the global offset table, and the bytes of all slots."""

    values: Mapping[str, int]
    slots: Mapping[str, int]

    @functools.cached_property
    def memory(self) -> Mapping[int, int]:
        """What memory holds besides ``solver.memory``: the slots, and the thread pointer at itself."""
        words = {self.slots[name]: value for name, value in self.values.items() if name in self.slots} | {THREAD: THREAD}
        return {a + k: b for a, word in words.items() for k, b in enumerate(word.to_bytes(8, "little"))}


def place(symbols: Sequence[SymbolLike], seed: int) -> Placement:
    """Addresses (thread-pointer offsets for ``tls``) as the symbols' natures allow, no more aligned than promised."""
    source = random.Random(seed)
    values, slots = {GUARD: GUARD_ADDRESS}, {}
    for number, symbol in enumerate(s for s in symbols if s.name != GUARD):
        odd = symbol.align * (2 * source.randrange(1, 400) + 1)
        if symbol.kind == "tls":
            values[symbol.name] = odd % 0x8000 // symbol.align * symbol.align
        else:
            base = LOW_SYMBOLS if symbol.low else HIGH_SYMBOLS
            values[symbol.name] = base + 0x10_0000 * number // symbol.align * symbol.align + odd
        slots[symbol.name] = SLOTS + 8 * number
    slots[GUARD] = SLOTS + 8 * len(symbols)
    return Placement(values, slots)


# Source.


def _fill_x86(code: bytes, address: int, relocation: Relocation, placement: Placement) -> bytes:
    value, size, kind = placement.values[relocation.symbol], 4, relocation.kind
    if kind in ("got", "gottpoff"):
        value = placement.slots[relocation.symbol] - address - len(code)
    elif kind == "pc":
        value -= address + len(code)
    elif kind == "abs64":
        size = 8
    elif kind not in ("abs32", "abs32s", "tpoff"):
        raise Unlinkable(f"relocation {kind}")
    at = relocation.offset
    return code[:at] + (value & (1 << 8 * size) - 1).to_bytes(size, "little") + code[at + size :]


def _link_x86(instruction: Instruction, offset: int, placement: Placement) -> bytes:
    code = instruction.code
    for relocation in instruction.relocations:
        code = _fill_x86(code, CODE + offset, relocation, placement)
    return code


@dataclass(frozen=True)
class SourceCode:
    """A source block made runnable. exits: offsets of ``fall`` and, if it branches, ``taken``.

    pushes_target: the indirect transfer became a ``push`` of its operand.
    """

    code: bytes
    fall: int
    taken: int | None = None
    pushes_target: bool = False


def link_source(instructions: Sequence[Instruction], exit: str, placement: Placement) -> SourceCode:
    """Raises ``Unlinkable`` for a last instruction that cannot be made to stop at its exits."""
    body = instructions if exit == "fall" else instructions[:-1]
    code = b""
    for instruction in body:
        code += _link_x86(instruction, len(code), placement)
    if exit == "fall":
        return SourceCode(code, len(code))
    last = instructions[-1]
    if exit == "indirect":
        return _push_target(code, last, placement)
    code += _branch_code(last, len(code))
    return SourceCode(code, len(code), TAKEN)


def _branch_code(last: Instruction, offset: int) -> bytes:
    """Code for a conditional jump, or one round of a ``rep`` instruction, that goes to ``TAKEN``."""
    code = last.code.lstrip(b"\x2e\x3e")
    if 0x70 <= code[0] <= 0x7F:
        near = bytes((0x0F, code[0] + 0x10))
    elif code[0] == 0x0F and code[1] & 0xF0 == 0x80:
        near = code[:2]
    elif 0xE0 <= code[0] <= 0xE3:  # loop, jrcxz: short ones only
        return bytes((code[0], 2, 0xEB, 5, 0xE9)) + (TAKEN - offset - 9).to_bytes(4, "little", signed=True)
    else:
        return _round(last, offset)
    return near + (TAKEN - offset - 6).to_bytes(4, "little", signed=True)


def _round(last: Instruction, offset: int) -> bytes:
    decoded = decode(last.code)
    if not decoded.prefix.startswith("rep"):
        raise Unlinkable(f"branch {last.text}")
    once = last.code.replace(b"\xf2" if decoded.prefix in ("repne", "repnz") else b"\xf3", b"", 1)
    once += b"\x48\x8d\x49\xff"  # lea rcx, [rcx - 1]
    leave = b""
    if decoded.mnemonic[:4] in ("cmps", "scas"):
        leave = (b"\x74" if decoded.prefix in ("repne", "repnz") else b"\x75") + b"\x05"  # over the final jump
    tail = b"\xe3" + bytes((len(leave) + 5,)) + leave
    code = b"\xe3" + bytes((len(once) + len(tail) + 5,)) + once + tail  # jrcxz past everything
    return code + b"\xe9" + (TAKEN - offset - len(code) - 5).to_bytes(4, "little", signed=True)


def _push_target(code: bytes, last: Instruction, placement: Placement) -> SourceCode:
    """``call``/``jmp`` through r/m64 (FF /2, FF /4) as ``push`` of the same operand (FF /6)."""
    at = last.code.find(b"\xff")
    if at < 0 or last.code[at + 1] >> 3 & 7 not in (2, 4):
        raise Unlinkable(f"indirect transfer {last.text}")
    push = last.code[: at + 1] + bytes((last.code[at + 1] & 0xC7 | 6 << 3,)) + last.code[at + 2 :]
    code += _link_x86(Instruction(last.offset, push, last.text, last.relocations), len(code), placement)
    return SourceCode(code, len(code), None, True)


# Targets.


def _adrp(word: int, value: int, pc: int) -> int:
    pages = (value >> 12) - (pc >> 12)
    return word & 0x9F00_001F | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5


def _low12(word: int, value: int, pc: int) -> int:
    if word >> 24 & 0x1F == 0x11:  # add
        return word & ~(0xFFF << 10) | (value & 0xFFF) << 10
    scale = 4 if word & 0xC480_0000 == 0x0480_0000 else word >> 30
    if value & ((1 << scale) - 1):
        raise Unlinkable("lo12 of a load or store whose symbol is not aligned")
    return word & ~(0xFFF << 10) | (value & 0xFFF) >> scale << 10


def _high12(word: int, value: int, pc: int) -> int:
    return word & ~(0xFFF << 10) | (value >> 12 & 0xFFF) << 10


def _upper20(word: int, value: int, pc: int) -> int:
    return word & 0xFFF | (value + 0x800 & 0xFFFF_F000)


def _relative20(word: int, value: int, pc: int) -> int:
    return _upper20(word, value - pc, pc)


def _immediate12(word: int, value: int, pc: int) -> int:
    low = value & 0xFFF
    if word & 0x7F in (0x03, 0x07, 0x13, 0x1B, 0x67):  # loads, addi, addiw, jalr
        return word & 0xF_FFFF | low << 20
    return word & 0x01FF_F07F | low >> 5 << 25 | (low & 31) << 7  # stores


def _relative12(word: int, value: int, pc: int) -> int:
    return _immediate12(word, value - pc, pc)


# Kind -> (how to fill the word from value and pc, whether the value is the slot's address).
_FIELDS: Final[dict[str, tuple[Callable[[int, int, int], int], bool]]] = {
    "page": (_adrp, False), "lo12": (_low12, False), "got_page": (_adrp, True), "got_lo12": (_low12, True),
    "tlsie_page": (_adrp, True), "tlsie_lo12": (_low12, True), "tprel_hi12": (_high12, False),
    "tprel_lo12": (_low12, False),
    "pcrel_hi": (_relative20, False), "got_pcrel_hi": (_relative20, True), "tlsie_pcrel_hi": (_relative20, True),
    "hi20": (_upper20, False), "lo12_i": (_immediate12, False), "tprel_hi": (_upper20, False),
    "tprel_lo": (_immediate12, False),
}  # fmt: skip


def link_target(instructions: Sequence[Instruction], placement: Placement) -> bytes:
    """The code with its relocations filled in. Raises ``Unlinkable`` for a kind that it does not know."""
    code = b""
    for instruction in instructions:
        bytes_ = instruction.code
        for relocation in instruction.relocations:
            bytes_ = _fill_target(instructions, instruction, bytes_, relocation, placement)
        code = code.ljust(instruction.offset, b"\0") + bytes_
    return code


def _fill_target(instructions: Sequence[Instruction], instruction: Instruction, code: bytes, relocation: Relocation,
                 placement: Placement) -> bytes:  # fmt: skip
    kind, pc, slot = relocation.kind, CODE + instruction.offset, False
    if kind == "tprel_add":
        return code
    if kind == "pcrel_lo":
        if relocation.pair is None:
            raise Unlinkable("pcrel_lo without its high part")
        high = instructions[relocation.pair]
        pc = CODE + high.offset
        slot = any(_FIELDS[r.kind][1] for r in high.relocations if r.kind in _FIELDS)
        fill: Callable[[int, int, int], int] = _relative12
    elif kind in _FIELDS:
        fill, slot = _FIELDS[kind]
    else:
        raise Unlinkable(f"relocation {kind}")
    known = placement.slots if slot else placement.values
    if relocation.symbol not in known:
        raise Unlinkable(f"unknown symbol {relocation.symbol}")
    return fill(int.from_bytes(code, "little"), known[relocation.symbol], pc).to_bytes(len(code), "little")
