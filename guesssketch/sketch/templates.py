"""Single instructions that may stand for a source instruction: the likely operations on the homes of what it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from guesssketch.sketch.making import in_turn
from isa.machine import Instruction

# Operands: {d}, {a}, {b} registers (any of those given), {n} a number. First those for the source's mnemonic, then the others.
_AARCH64: Final = {
    r"mov|lea|push|pop|xchg|cdqe|cwde|bswap": ("mov {d}, {a}", "mov {d}, #{n}", "movk {d}, #{n}, lsl #16", "rev {d}, {a}"),
    r"movs|cdq|cqo|cdqe|cwde": (
        "sxtb {d}, {a:w}", "sxth {d}, {a:w}", "sxtw {d:x}, {a:w}", "asr {d}, {a}, #31", "asr {d}, {a}, #63"),
    r"movz|movabs": ("uxtb {d:w}, {a:w}", "uxth {d:w}, {a:w}", "and {d}, {a}, #0xff", "and {d}, {a}, #0xffff"),
    r"add|lea|inc|adc|pop": ("add {d}, {a}, {b}", "add {d}, {a}, #{n}", "add {d}, {a}, {b}, lsl #{n}", "adds {d}, {a}, {b}"),
    r"sub|dec|push|cmp|sbb|neg": (
        "sub {d}, {a}, {b}", "sub {d}, {a}, #{n}", "subs {d}, {a}, {b}", "subs {d}, {a}, #{n}", "neg {d}, {a}"),
    r"and|test|bt": ("and {d}, {a}, {b}", "and {d}, {a}, #{n}", "ands {d}, {a}, {b}", "ubfx {d}, {a}, #{n}, #1"),
    r"or|xor|not": ("orr {d}, {a}, {b}", "orr {d}, {a}, #{n}", "eor {d}, {a}, {b}", "eor {d}, {a}, #{n}", "mvn {d}, {a}"),
    r"sh|sal|sar|ro|lea": ("lsl {d}, {a}, #{n}", "lsr {d}, {a}, #{n}", "asr {d}, {a}, #{n}", "ror {d}, {a}, #{n}",
                           "lsl {d}, {a}, {b}", "lsr {d}, {a}, {b}", "asr {d}, {a}, {b}"),
    r"i?mul|i?div": ("mul {d}, {a}, {b}", "sdiv {d}, {a}, {b}", "udiv {d}, {a}, {b}", "smulh {d:x}, {a:x}, {b:x}",
                     "umulh {d:x}, {a:x}, {b:x}", "smull {d:x}, {a:w}, {b:w}", "umull {d:x}, {a:w}, {b:w}"),
    r"cmp|test|sub|add|ucomi|comi": ("cmp {a}, {b}", "cmp {a}, #{n}", "tst {a}, {b}", "tst {a}, #{n}", "cmn {a}, #{n}"),
    r"set|cmp|test|j|sub|add|and|or|xor|neg": (
        "cset {d}, eq", "cset {d}, ne", "cset {d}, lt", "cset {d}, ge", "cset {d}, le", "cset {d}, gt",
        "cset {d}, lo", "cset {d}, hs", "cset {d}, ls", "cset {d}, hi", "cset {d}, mi", "cset {d}, pl"),
    r"cmov": ("csel {d}, {a}, {b}, eq", "csel {d}, {a}, {b}, ne", "csel {d}, {a}, {b}, lt", "csel {d}, {a}, {b}, ge"),
    r"mov|add|lea": ("bfxil {d}, {a}, #0, #8", "bfxil {d}, {a}, #0, #16", "bfi {d}, {a}, #8, #8"),
}  # fmt: skip
_AARCH64_MEMORY: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "byte": (("ldrb {d:w}", "ldrsb {d:w}", "ldrsb {d:x}"), ("strb {d:w}",)),
    "word": (("ldrh {d:w}", "ldrsh {d:w}", "ldrsh {d:x}"), ("strh {d:w}",)),
    "dword": (("ldr {d:w}", "ldrsw {d:x}"), ("str {d:w}",)),
    "qword": (("ldr {d:x}",), ("str {d:x}",)),
}
_AARCH64_PLACES: Final = ("[{a:x}, #{n}]", "[{a:x}]", "[{a:x}, {b:x}]", "[{a:x}, {b:x}, lsl #{n}]")
_RISCV64: Final = {
    r"mov|lea|push|pop|xchg": ("mv {d}, {a}", "li {d}, {n}", "lui {d}, {n}"),
    r"movs|cdq|cqo|cwd|cdqe": (
        "sext.w {d}, {a}", "slli {d}, {a}, 56", "srai {d}, {a}, 56", "slli {d}, {a}, 48", "srai {d}, {a}, 48",
        "sraiw {d}, {a}, 31", "srai {d}, {a}, 63"),
    r"movz|mov": ("andi {d}, {a}, 255", "slli {d}, {a}, 32", "srli {d}, {a}, 32", "slli {d}, {a}, 48", "srli {d}, {a}, 48"),
    r"add|lea|inc|adc|pop": ("add {d}, {a}, {b}", "addi {d}, {a}, {n}", "addw {d}, {a}, {b}", "addiw {d}, {a}, {n}"),
    r"sub|dec|push|cmp|sbb|neg": ("sub {d}, {a}, {b}", "subw {d}, {a}, {b}", "neg {d}, {a}", "negw {d}, {a}"),
    r"and|test|bt": ("and {d}, {a}, {b}", "andi {d}, {a}, {n}"),
    r"or|xor|not": ("or {d}, {a}, {b}", "ori {d}, {a}, {n}", "xor {d}, {a}, {b}", "xori {d}, {a}, {n}", "not {d}, {a}"),
    r"sh|sal|sar|ro|lea": (
        "slli {d}, {a}, {n}", "srli {d}, {a}, {n}", "srai {d}, {a}, {n}", "slliw {d}, {a}, {n}", "srliw {d}, {a}, {n}",
        "sraiw {d}, {a}, {n}", "sll {d}, {a}, {b}", "srl {d}, {a}, {b}", "sra {d}, {a}, {b}", "sllw {d}, {a}, {b}",
        "srlw {d}, {a}, {b}", "sraw {d}, {a}, {b}"),
    r"i?mul|i?div": (
        "mul {d}, {a}, {b}", "mulw {d}, {a}, {b}", "div {d}, {a}, {b}", "divw {d}, {a}, {b}", "divu {d}, {a}, {b}",
        "divuw {d}, {a}, {b}", "rem {d}, {a}, {b}", "remw {d}, {a}, {b}", "remu {d}, {a}, {b}", "remuw {d}, {a}, {b}",
        "mulh {d}, {a}, {b}", "mulhu {d}, {a}, {b}"),
    r"set|cmp|test|j|sub|add|and|or|xor|neg|cmov": (
        "seqz {d}, {a}", "snez {d}, {a}", "slt {d}, {a}, {b}", "sltu {d}, {a}, {b}", "slti {d}, {a}, {n}",
        "sltiu {d}, {a}, {n}", "sgtz {d}, {a}", "xori {d}, {a}, 1"),
}  # fmt: skip
_RISCV64_MEMORY: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "byte": (("lbu {d}", "lb {d}"), ("sb {d}",)),
    "word": (("lhu {d}", "lh {d}"), ("sh {d}",)),
    "dword": (("lw {d}", "lwu {d}"), ("sw {d}",)),
    "qword": (("ld {d}",), ("sd {d}",)),
}
_RISCV64_PLACES: Final = ("{n}({a})", "0({a})")
_AARCH64_BRANCHES: Final = (
    "cbz {a:x}, taken", "cbnz {a:x}, taken", "cbz {a:w}, taken", "cbnz {a:w}, taken", "tbz {a:w}, #{n}, taken",
    "tbnz {a:w}, #{n}, taken", "b.eq taken", "b.ne taken", "b.lt taken", "b.ge taken", "b.le taken", "b.gt taken", "b.lo taken",
    "b.hs taken", "b.ls taken", "b.hi taken", "b.mi taken", "b.pl taken", "b.vs taken", "b.vc taken",
)  # fmt: skip
_RISCV64_BRANCHES: Final = ("beqz {a}, taken", "bnez {a}, taken", "bltz {a}, taken", "bgez {a}, taken", "blez {a}, taken",
                            "bgtz {a}, taken", "beq {a}, {b}, taken", "bne {a}, {b}, taken", "blt {a}, {b}, taken",
                            "bge {a}, {b}, taken", "bltu {a}, {b}, taken", "bgeu {a}, {b}, taken")  # fmt: skip
_SIZE: Final = re.compile(r"\b(byte|word|dword|qword) ptr")
_READS_ONLY: Final = re.compile(r"cmp|test|ucomi|comi|push|call|jmp|bt$")
_FIELD: Final = re.compile(r"\{([dabn])(?::([xw]))?\}")


def templates(target: str, source: Instruction, registers: Sequence[str], numbers: Sequence[int]) -> Iterator[str]:
    """Instructions for ``target`` on ``registers`` and ``numbers``, those that are like ``source`` first."""
    general = [r for r in registers if r[0] in ("x" if target == "aarch64" else "ast")]
    families = _AARCH64 if target == "aarch64" else _RISCV64
    near, far = list(_memory(target, source)), list[str]()
    if source.mnemonic.startswith("j"):
        near += _AARCH64_BRANCHES if target == "aarch64" else _RISCV64_BRANCHES
    for pattern, forms in families.items():
        (near if re.match(pattern, source.mnemonic) else far).extend(forms)
    for family in (near, far):
        yield from in_turn([_filled(form, general, numbers, view, target) for form in family for view in _views(target, form)])


def _memory(target: str, source: Instruction) -> Iterator[str]:
    """Loads and stores as wide as the source's."""
    match = _SIZE.search(source.text)
    if match is None or source.mnemonic == "lea":
        return
    places: tuple[str, ...] = _AARCH64_PLACES if target == "aarch64" else _RISCV64_PLACES
    loads, stores = (_AARCH64_MEMORY if target == "aarch64" else _RISCV64_MEMORY)[match[1]]
    into = source.text.find("[") < source.text.find(",") or "," not in source.text
    into = into and not _READS_ONLY.match(source.mnemonic)
    wanted = stores if into and source.mnemonic.startswith(("mov", "set")) else (*loads, *stores) if into else loads
    yield from (f"{name}, {place}" for place in places for name in wanted)


def _views(target: str, form: str) -> tuple[str, ...]:
    return ("w", "x") if target == "aarch64" and re.search(r"\{[dab]\}", form) else ("x",)


def _filled(form: str, registers: Sequence[str], numbers: Sequence[int], view: str, target: str) -> Iterator[str]:
    fields = list(dict.fromkeys(m[1] for m in _FIELD.finditer(form)))
    for values in product(*(numbers if field == "n" else registers for field in fields)):
        chosen = {field: str(value) for field, value in zip(fields, values, strict=True)}

        def text(match: re.Match[str], chosen: dict[str, str] = chosen) -> str:
            value = chosen[match[1]]
            return value if match[1] == "n" or target == "riscv64" else (match[2] or view) + value[1:]

        yield _FIELD.sub(text, form)
