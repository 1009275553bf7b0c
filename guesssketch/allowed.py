"""What the assembler may be given: an allow-list of lines, so that what a model or a file says is an instruction or nothing.

A line is a numeric label, or a mnemonic and operands of known shapes: registers, numbers, placeholders (``S0``, ...,
``guard``) under the target's operators, references to labels (``1f``), ``taken`` and ``fall``. There is no way to write a
directive, a name of one's own, a comment, an expression, a second statement or a line's continuation.

An instruction must also mean the same wherever its text stands: a branch goes to a label, never by a number of bytes. In a
proof ``b #0xf00`` may happen to be the way to ``taken``; in the object it would lead anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from guesssketch.problem import Symbol
from isa.machine import TAKEN, Instruction

LABEL: Final = re.compile(r"([0-9]{1,6}):")
PLACEHOLDER: Final = re.compile(r"S[0-9]{1,4}|guard")
REFERENCE: Final = re.compile(r"(?<![\w.])([0-9]{1,6})([bf])(?!\w)")
LONGEST: Final = 200  # characters of a line: several times what an instruction needs
MOST: Final = TAKEN  # lines of a block, whose code is never longer than this in bytes

_NUMBER: Final = r"-?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,2})?)"
_PLACE: Final = r"S[0-9]{1,4}"  # ``guard`` has the shape of a word
_GOAL: Final = r"[0-9]{1,6}[bf]"
_MNEMONIC: Final = r"[a-z][a-z0-9.]{0,15}"


def _several(operand: str) -> str:
    return rf"{operand}(?:[ \t]*,[ \t]*{operand})*"


def _aarch64() -> str:
    word = r"[a-z][a-z0-9_]*(?:\.[0-9]{0,2}[bhsdq])?(?:\[[0-9]{1,2}\])?"
    plain = rf"(?:{word}(?:[ \t]+#?{_NUMBER})?|#?{_NUMBER}|#?(?::[a-z][a-z0-9_]*:)?(?:{_PLACE}|guard)|{_GOAL})"
    memory = rf"\[[ \t]*{_several(plain)}[ \t]*\]!?"
    registers = rf"\{{[ \t]*{word}(?:[ \t]*[,-][ \t]*{word})*[ \t]*\}}(?:\[[0-9]{{1,2}}\])?"
    return _several(rf"(?:{plain}|{memory}|{registers})")


def _riscv64() -> str:
    word = r"[a-z][a-z0-9]*"
    plain = rf"(?:{word}|{_NUMBER}|{_PLACE}|{_GOAL}|%[a-z_]+\((?:{_PLACE}|guard|{_GOAL})\))"
    return _several(rf"(?:{plain}|{plain}?[ \t]*\({word}\))")


def _x86_64() -> str:
    word = r"[a-z][a-z0-9]*"
    place = rf"(?:{_PLACE}|guard)(?:@[A-Z]+)?"
    term = rf"(?:{place}|{word}(?:[ \t]*\*[ \t]*[1248])?|(?:[1248][ \t]*\*[ \t]*)?{word}|{_NUMBER})"
    memory = rf"(?:[c-gs]s:)?[ \t]*\[[ \t]*-?{term}(?:[ \t]*[+-][ \t]*{term})*[ \t]*\]"
    return _several(rf"(?:{word}[ \t]+){{0,4}}(?:{memory}|{place}|{word}|{_NUMBER})")


_LINE: Final = {
    isa: re.compile(rf"({_MNEMONIC})(?:[ \t]+({operands}))?")
    for isa, operands in (("aarch64", _aarch64()), ("riscv64", _riscv64()), ("x86_64", _x86_64()))
}
_CONDITIONS: Final = "eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al|nv"
# What leaves the straight line, by the instruction sets' manuals; calls and returns among them have no meaning in a block.
_BRANCH: Final = {
    "aarch64": re.compile(rf"bl?|b\.?(?:{_CONDITIONS})|cbn?z|tbn?z"),
    "riscv64": re.compile(r"(?:c\.)?(?:j|jal|b(?:eq|ne|lt|ge|gt|le)(?:u|z)?)"),
}
_TO_LABEL: Final = re.compile(rf"(?:.*[ \t,])?(?:taken|fall|{_GOAL})")
_NAMES_LABEL: Final = re.compile(rf"(?<!%pcrel_lo\()(?<![\w.])(?:taken|fall|{_GOAL})(?![\w.])")
_LITERAL: Final = re.compile(rf"(?:ldr\w*|prfm|adrp?)[ \t]+\w+[ \t]*,[ \t]*#?{_NUMBER}")  # relative to the instruction's address
_NAME: Final = re.compile(r"(?<![\w.])(?:S[0-9]{1,4}|guard)(?!\w)")
_X86_OPERATORS: Final = frozenset({"GOTPCREL", "GOTTPOFF", "TPOFF"})


def refused(target: str, lines: Sequence[str]) -> tuple[str, int | None] | None:
    """Why the lines may not be assembled for ``target`` (or for ``x86_64``) and the index of the first that may not, or None."""
    if len(lines) > MOST:
        return f"{len(lines)} lines, more than {MOST}", None
    for number, line in enumerate(lines):
        if why := _refused(target, line):
            return why, number
    return None


def _refused(target: str, line: str) -> str:
    if len(line) > LONGEST:
        return f"{len(line)} characters, more than {LONGEST}"
    if LABEL.fullmatch(line):
        return ""
    match = _LINE[target].fullmatch(line)
    if not match:
        return "neither a label nor an instruction"
    mnemonic, operands = match[1], match[2] or ""
    if target == "x86_64":
        unknown = set(re.findall(r"@(\w+)", operands)) - _X86_OPERATORS
        return f"name {min(unknown)!r} is not allowed" if unknown else ""
    if _BRANCH[target].fullmatch(mnemonic):
        return "" if _TO_LABEL.fullmatch(operands) else "a branch goes to a label"
    if _NAMES_LABEL.search(operands) and mnemonic != "adr":  # which has no semantics with a label
        return "only a branch goes to a label"
    return "an address of code is not allowed" if target == "aarch64" and _LITERAL.match(line) else ""


def strangers(lines: Sequence[str], symbols: Sequence[Symbol], source: Sequence[Instruction]) -> str:
    """Placeholders in ``lines`` that neither ``symbols`` nor the source's instructions know, separated by commas."""
    known = {s.name for s in symbols} | {r.symbol for i in source for r in i.relocations}
    return ", ".join(sorted({name for line in lines for name in _NAME.findall(line)} - known))
