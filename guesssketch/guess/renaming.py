"""Registers renamed on both sides of a translation: the same computation, said with other registers.

A permutation of registers leaves alone the stack pointer and every register that an instruction names implicitly
(``cdq``, shifts by ``cl``, ``rep movs``, ``ah`` and its like, ``pblendvb``). The target's text follows through the state
map: homes are permuted as the registers are, scratch registers stay. A renamed pair is as right as the pair was.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import capstone
import keystone

from isa.machine import Instruction
from isa.statemap import GENERAL, MAPS

XMM: Final = tuple(f"xmm{n}" for n in range(16))
_LEGACY: Final = {"rax": "a", "rcx": "c", "rdx": "d", "rbx": "b"}
_STRINGS: Final = re.compile(r"\b(movs|stos|cmps|scas|lods)[bwdq]\b")
_STRING_REGISTERS: Final = ("rax", "rcx", "rsi", "rdi")
_ABI: Final = ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{n}" for n in range(8)),
               *(f"s{n}" for n in range(2, 12)), *(f"t{n}" for n in range(3, 7)))  # fmt: skip
_FLOAT_ABI: Final = (*(f"ft{n}" for n in range(8)), "fs0", "fs1", *(f"fa{n}" for n in range(8)),
                     *(f"fs{n}" for n in range(2, 12)), *(f"ft{n}" for n in range(8, 12)))  # fmt: skip
RISCV: Final = {f"x{n}": name for n, name in enumerate(_ABI)} | {f"f{n}": name for n, name in enumerate(_FLOAT_ABI)}


def _names(register: str) -> tuple[str, str, str, str]:
    """Of 64, 32, 16 and 8 low bits."""
    if register in _LEGACY:
        letter = _LEGACY[register]
        return register, f"e{letter}x", f"{letter}x", f"{letter}l"
    if register[1].isdigit():
        return register, f"{register}d", f"{register}w", f"{register}b"
    return register, f"e{register[1:]}", register[1:], f"{register[1:]}l"


_WORDS: Final = {name: (register, column) for register in GENERAL for column, name in enumerate(_names(register))}
_HIGH: Final = {"ah": "rax", "ch": "rcx", "dh": "rdx", "bh": "rbx"}
_WORD: Final = re.compile(r"\b(?:" + "|".join(sorted((*_WORDS, *_HIGH, *XMM), key=len, reverse=True)) + r")\b")


def registers(text: str) -> list[str]:
    """General and xmm registers named in an instruction's text, whole, in order, as often as they are named."""
    return [_HIGH.get(word) or (_WORDS[word][0] if word in _WORDS else word) for word in _WORD.findall(text)]


def rename_cell(cell: str, permutation: Mapping[str, str]) -> str:
    """``rax``, ``xmm0.lo`` or a flag under the permutation."""
    register, dot, half = cell.partition(".")
    return permutation.get(register, register) + dot + half


def rename_text(text: str, permutation: Mapping[str, str]) -> str:
    """An x86-64 instruction's text under the permutation; ``ah`` and its like stay."""

    def other(match: re.Match[str]) -> str:
        if match[0] in _HIGH:
            return match[0]
        if match[0] not in _WORDS:
            return permutation.get(match[0], match[0])
        register, column = _WORDS[match[0]]
        return _names(permutation.get(register, register))[column]

    return _WORD.sub(other, text)


def rename_lines(lines: Sequence[str], target: str, permutation: Mapping[str, str]) -> tuple[str, ...]:
    """Target text with homes permuted as the source's registers are."""
    homes = MAPS[target].homes
    changed: dict[str, str] = {}
    for a, b in permutation.items():
        if a.startswith("xmm"):
            for half in (".lo", ".hi"):
                old, new = (homes[name + half].partition(".")[0] for name in (a, b))
                if target == "aarch64":
                    changed |= {f"{view}{old[1:]}": f"{view}{new[1:]}" for view in "vqdshb"}
                else:
                    changed[RISCV[old]] = RISCV[new]
            continue
        old, new = homes[a], homes[b]
        if target == "aarch64":
            changed |= {old: new, f"w{old[1:]}": f"w{new[1:]}"}
        else:
            changed[RISCV[old]] = RISCV[new]
            if old == "x8":
                changed["fp"] = RISCV[new]
    return tuple(re.sub(r"\b[a-z]+\d*\b", lambda m: changed.get(m[0], m[0]), line) for line in lines)


def implicit(instruction: Instruction) -> set[str]:
    """Registers that the instruction uses without a choice (of those named in its text: ``cl`` of a shift, ``ah``)."""
    text = instruction.text
    words = _WORD.findall(text)
    found = {_HIGH[word] for word in words if word in _HIGH}
    if re.match(r"(sh|sa|ro|rc)\w+ ", text) and text.endswith(", cl"):
        found.add("rcx")
    if _STRINGS.search(text) and "xmm" not in text:
        found.update(_STRING_REGISTERS)
    if found and any(word in _HIGH for word in words):  # no REX prefix beside them: the others must stay low
        found.update(_WORDS[word][0] for word in words if word in _WORDS)
    if re.match(r"p?blendv", text):
        found.add("xmm0")
    return found | _unnamed(instruction.code)


@functools.lru_cache(maxsize=1 << 16)
def _unnamed(code: bytes) -> frozenset[str]:
    """What the manual lists as read or written beside the operands."""
    decoded = next(_disassembler(True).disasm(code, 0), None)
    if decoded is None:
        return frozenset()
    names = [decoded.reg_name(r) for r in (*decoded.regs_read, *decoded.regs_write)]
    return frozenset(_WORDS[name][0] for name in names if name in _WORDS)


def rename_instruction(instruction: Instruction, permutation: Mapping[str, str]) -> Instruction | None:
    """Renamed, encoded anew and read back; None if that does not give the text that was wanted."""
    wanted = rename_text(instruction.text, permutation)
    if wanted == instruction.text:
        return instruction
    try:
        encoded, _ = _assembler().asm(wanted, 0, True)
    except keystone.KsError:
        return None
    code = bytes(encoded or b"")
    back = [f"{m} {o}".strip() for _, _, m, o in _disassembler(False).disasm_lite(code, 0)]
    if back != [wanted]:
        return None
    # A relocated field keeps its distance from the end where only prefixes come and go; anything else shortened an operand.
    grown = len(code) - len(instruction.code)
    relocations = tuple(replace(r, offset=r.offset + grown) for r in instruction.relocations)
    if relocations and (abs(grown) > 1 or any(code[r.offset : r.offset + 4] != bytes(4) for r in relocations)):
        return None
    return Instruction(instruction.offset, code, wanted, relocations)


@functools.cache
def _disassembler(detail: bool) -> capstone.Cs:
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.detail = detail
    return engine


@functools.cache
def _assembler() -> keystone.Ks:
    return keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64)
