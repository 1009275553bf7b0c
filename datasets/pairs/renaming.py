"""Registers renamed, as augmentation: the same computation, said with other registers on both sides.

A permutation of general registers leaves alone the stack pointer and every register that an instruction of the block names
implicitly (``cdq``, shifts by ``cl``, ``rep movs``, ``ah`` and its like). The target's text follows through the state
map: homes are permuted as the registers are, scratch registers stay. A renamed pair is as right as the pair was; only its
choice of free registers may differ from what the lowering would choose.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import capstone
import keystone

from guesssketch.problem import Problem
from isa.machine import Instruction
from isa.statemap import GENERAL, MAPS

_LEGACY: Final = {"rax": "a", "rcx": "c", "rdx": "d", "rbx": "b"}
_FIXED: Final = frozenset({"rsp"})
_STRINGS: Final = re.compile(r"\b(movs|stos|cmps|scas|lods)[bwdq]\b")
_STRING_REGISTERS: Final = ("rax", "rcx", "rsi", "rdi")
_ABI: Final = ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{n}" for n in range(8)),
               *(f"s{n}" for n in range(2, 12)), *(f"t{n}" for n in range(3, 7)))  # fmt: skip
_RISCV: Final = {f"x{n}": name for n, name in enumerate(_ABI)}


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
_WORD: Final = re.compile(r"\b(?:" + "|".join(sorted((*_WORDS, *_HIGH), key=len, reverse=True)) + r")\b")


@dataclass(frozen=True)
class Renaming:
    """``problem`` after the renaming, and the permutation: register -> register, general registers that change only."""

    problem: Problem
    permutation: Mapping[str, str]

    def lines(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Target lines of the original as lines for ``problem``."""
        return rename_lines(lines, self.problem.target, self.permutation)


def rename(problem: Problem, seed: int) -> Renaming | None:
    """A renaming chosen by ``seed`` among all of the registers that may change; None if the block cannot be said so."""
    fixed = _FIXED.union(*(implicit(i) for i in problem.instructions))
    free = [r for r in GENERAL if r not in fixed]
    shuffled = list(free)
    random.Random(f"{seed}").shuffle(shuffled)
    permutation = {a: b for a, b in zip(free, shuffled, strict=True) if a != b}
    instructions: list[Instruction] = []
    offset = 0
    for instruction in problem.instructions:
        renamed = _instruction(instruction, permutation)
        if renamed is None:
            return None
        instructions.append(replace(renamed, offset=offset))
        offset += len(renamed.code)
    live_in, live_out = (tuple(sorted((permutation.get(n, n), b) for n, b in live)) for live in (problem.live_in, problem.live_out))
    return Renaming(replace(problem, instructions=tuple(instructions), live_in=live_in, live_out=live_out), permutation)


def implicit(instruction: Instruction) -> set[str]:
    """General registers that the instruction uses without a choice (of those named in its text: ``cl`` of a shift, ``ah``)."""
    text = instruction.text
    found = {_HIGH[word] for word in _WORD.findall(text) if word in _HIGH}
    if re.match(r"(sh|sa|ro|rc)\w+ ", text) and text.endswith(", cl"):
        found.add("rcx")
    if _STRINGS.search(text) and "xmm" not in text:
        found.update(_STRING_REGISTERS)
    if found and any(word in _HIGH for word in _WORD.findall(text)):  # no REX prefix beside them: the others must stay low
        found.update(_WORDS[word][0] for word in _WORD.findall(text) if word in _WORDS)
    decoded = next(_disassembler(True).disasm(instruction.code, 0), None)
    if decoded is not None:
        names = [decoded.reg_name(r) for r in (*decoded.regs_read, *decoded.regs_write)]
        found.update(_WORDS[name][0] for name in names if name in _WORDS)
    return found


def rename_lines(lines: Sequence[str], target: str, permutation: Mapping[str, str]) -> tuple[str, ...]:
    """Target text with homes permuted as the source's registers are."""
    homes = MAPS[target].homes
    changed: dict[str, str] = {}
    for a, b in permutation.items():
        old, new = homes[a], homes[b]
        changed[old] = new
        if target == "aarch64":
            changed[f"w{old[1:]}"] = f"w{new[1:]}"
        else:
            changed[_RISCV[old]] = _RISCV[new]
            if old == "x8":
                changed["fp"] = _RISCV[new]
    return tuple(re.sub(r"\b[a-z]+\d*\b", lambda m: changed.get(m[0], m[0]), line) for line in lines)


def _instruction(instruction: Instruction, permutation: Mapping[str, str]) -> Instruction | None:
    """Renamed, encoded anew and read back; None if that does not give the text that was wanted."""

    def other(match: re.Match[str]) -> str:
        if match[0] in _HIGH:
            return match[0]
        register, column = _WORDS[match[0]]
        return _names(permutation.get(register, register))[column]

    wanted = _WORD.sub(other, instruction.text)
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
