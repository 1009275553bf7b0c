"""Faults planted in right translations: what the repair and the verifier are measured with."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Final

from guesssketch.problem import Problem
from guesssketch.sketch.choices import MODIFIER, NUMBER, REGISTER, opcodes
from guesssketch.sketch.holes import LABEL

_CONDITIONS: Final = {"b.eq": "b.ne", "b.lt": "b.ge", "b.gt": "b.le", "b.lo": "b.hs", "b.hi": "b.ls", "beqz": "bnez", "beq": "bne",
                      "blt": "bge", "bltu": "bgeu", "cbz": "cbnz", "tbz": "tbnz", "eq": "ne", "lt": "ge", "gt": "le", "lo": "hs",
                      "hi": "ls", "mi": "pl", "vs": "vc", "seqz": "snez", "slt": "sltu", "slti": "sltiu"}  # fmt: skip
_INVERSE: Final = _CONDITIONS | {b: a for a, b in _CONDITIONS.items()}
_SHIFTS: Final = re.compile(r"(?:\b(?:lsl|lsr|asr|ror) #|^(?:sll|srl|sra)iw? \w+, \w+, |^(?:lsl|lsr|asr|ror) \w+, \w+, #)(\d+)")
_WIDTHS: Final = {"ldr": "ldrb", "ldrb": "ldrh", "ldrh": "ldrb", "strb": "strh", "strh": "strb", "ldrsw": "ldrsh",
                  "lw": "lwu", "lwu": "lw", "ld": "lw", "sd": "sw", "sw": "sh", "sb": "sh", "lbu": "lb", "lb": "lbu", "lh": "lhu",
                  "lhu": "lh", "addw": "add", "add": "addw", "addiw": "addi", "subw": "sub", "sub": "subw", "slliw": "slli",
                  "srliw": "srli", "sraiw": "srai", "mulw": "mul", "sext.w": "mv"}  # fmt: skip
_VIEWS: Final = re.compile(r"\b([wx])(\d+)\b")

Fault = Callable[[list[str], int, Problem, random.Random], list[str] | None]


def _immediate(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    found = [m for m in NUMBER.finditer(lines[at]) if m.start() > len(lines[at].partition(" ")[0])]
    if not found:
        return None
    match = pick.choice(found)
    old = int(match[0], 0)
    new = pick.choice([old + 1, old - 1, old + 4, old + 8, old - 8, old + 16, 2 * old, -old, old ^ 0x40, pick.randrange(256)])
    return _replaced(lines, at, match, str(new))


def _register(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    found = list(REGISTER[problem.target].finditer(lines[at]))
    if not found:
        return None
    match = pick.choice(found)
    kind = (lambda r: r[0] == "f") if problem.target == "riscv64" else (lambda r: r[0] in "wx")
    pool = [r for line in lines for r in REGISTER[problem.target].findall(line) if kind(r) == kind(match[0])]
    if problem.target == "aarch64":
        pool = [match[0][0] + r[1:] for r in pool]
    return _replaced(lines, at, match, pick.choice(pool))


def _opcode(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    mnemonic = lines[at].partition(" ")[0]
    others = [o for o in opcodes(problem.target, lines[at], mnemonic) if o != mnemonic]
    return [*lines[:at], pick.choice(others) + lines[at][len(mnemonic) :], *lines[at + 1 :]] if others else None


def _shift(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    match = _SHIFTS.search(lines[at])
    if match is None:
        return None
    new = str(pick.choice([n for n in range(1, 32) if n != int(match[1])]))
    return [*lines[:at], lines[at][: match.start(1)] + new + lines[at][match.end(1) :], *lines[at + 1 :]]


def _width(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    mnemonic = lines[at].partition(" ")[0]
    if problem.target == "aarch64" and (mnemonic not in _WIDTHS or pick.random() < 0.5):
        new = _VIEWS.sub(lambda m: ("x" if m[1] == "w" else "w") + m[2], lines[at])
    elif mnemonic in _WIDTHS:
        new = _WIDTHS[mnemonic] + lines[at][len(mnemonic) :]
    else:
        return None
    return [*lines[:at], new, *lines[at + 1 :]]


def _condition(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    words = [m for m in re.finditer(r"[a-z][\w.]*", lines[at]) if m[0] in _INVERSE]
    if not words:
        return None
    match = pick.choice(words)
    others = [o for o in opcodes(problem.target, lines[at], match[0])[:13] if MODIFIER.fullmatch(match[0])]
    return _replaced(lines, at, match, pick.choice([_INVERSE[match[0]], *others]))


def _dropped(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    return lines[:at] + lines[at + 1 :]


def _added(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    copy = _register([pick.choice(lines), *lines], 0, problem, pick)
    return None if copy is None else [*lines[:at], copy[0], *lines[at:]]


def _swapped(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    return None if at + 1 >= len(lines) else [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


def _replaced(lines: list[str], at: int, match: re.Match[str], text: str) -> list[str]:
    return [*lines[:at], lines[at][: match.start()] + text + lines[at][match.end() :], *lines[at + 1 :]]


FAULTS: Final[dict[str, Fault]] = {
    "immediate": _immediate, "register": _register, "opcode": _opcode, "shift": _shift, "width": _width, "condition": _condition,
    "dropped": _dropped, "added": _added, "swapped": _swapped,
}  # fmt: skip


def plant(problem: Problem, lines: Sequence[str], fault: Fault, pick: random.Random) -> list[str] | None:
    """``lines`` with one ``fault``, at a place of chance; None if there is no place for it."""
    places = [n for n, line in enumerate(lines) if not LABEL.fullmatch(line)]
    pick.shuffle(places)
    for at in places:
        found = fault(list(lines), at, problem, pick)
        if found is not None and found != list(lines):
            return found
    return None
