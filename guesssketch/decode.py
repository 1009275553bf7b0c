"""Decoding code sections: each instruction with its relocations, its part in control flow, whether it is translatable.

A linear sweep is right for the code of compilers, which put no data between functions' instructions; bytes that do not
decode become one-byte entries, which are an error only where control can reach them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, pairwise
from typing import Final, Literal, NamedTuple

import capstone

from guesssketch.program import RawRelocation, Section
from isa.forms import x86_form
from isa.machine import Instruction, RelocKind
from isa.x86_64.atomics import FENCES
from isa.x86_64.lift import lift

FlowKind = Literal["plain", "jump", "branch", "call", "return", "trap", "string", "atomic", "bad"]

# psABI table 4.10: relocations of instructions that have a meaning here, and the width of their field.
RELOCATIONS: Final[dict[int, tuple[RelocKind, int]]] = {
    1: ("abs64", 8), 2: ("pc", 4), 4: ("pc", 4), 9: ("got", 4), 10: ("abs32", 4), 11: ("abs32s", 4),
    22: ("gottpoff", 4), 23: ("tpoff", 4), 41: ("got", 4), 42: ("got", 4),
}  # fmt: skip
RELOCATION_NAMES: Final = {
    1: "64", 2: "PC32", 3: "GOT32", 4: "PLT32", 9: "GOTPCREL", 10: "32", 11: "32S", 12: "16", 13: "PC16", 14: "8",
    15: "PC8", 16: "DTPMOD64", 17: "DTPOFF64", 18: "TPOFF64", 19: "TLSGD", 20: "TLSLD", 21: "DTPOFF32", 22: "GOTTPOFF",
    23: "TPOFF32", 24: "PC64", 25: "GOTOFF64", 26: "GOTPC32", 27: "GOT64", 28: "GOTPCREL64", 29: "GOTPC64",
    31: "PLTOFF64", 32: "SIZE32", 33: "SIZE64", 34: "GOTPC32_TLSDESC", 35: "TLSDESC_CALL", 36: "TLSDESC",
    41: "GOTPCRELX", 42: "REX_GOTPCRELX",
}  # fmt: skip
ABSOLUTE: Final = (1, 10, 11)  # R_X86_64_64, 32, 32S
PC_RELATIVE: Final = ("pc", "got", "gottpoff")  # kinds that count from the instruction's end

_STRING: Final = re.compile(r"rep\w* (movs|stos|cmps|scas|lods)[bwdq]")
_SEGMENTS: Final = ("cs", "ds", "es", "fs", "gs", "ss")
_MMX: Final = re.compile(r"\bmm\d")
_SYSTEM: Final = {
    **dict.fromkeys(("syscall", "sysenter", "sysexit", "sysret", "int", "int1", "into", "iret", "iretd", "iretq"),
                    "enters the kernel by x86's own convention"),
    **dict.fromkeys(("retf", "retfq", "lcall", "ljmp"), "a far transfer"),
    **dict.fromkeys(("in", "out", "insb", "insw", "insd", "outsb", "outsw", "outsd", "cli", "sti", "rdmsr", "wrmsr",
                     "clts", "invd", "wbinvd", "lgdt", "lidt", "sgdt", "sidt", "lldt", "sldt", "ltr", "str", "lmsw",
                     "smsw", "swapgs", "monitor", "mwait", "verr", "verw", "lar", "lsl"), "a system instruction"),
    **dict.fromkeys(("cpuid", "rdtsc", "rdtscp", "rdpmc", "xgetbv", "xsetbv", "rdrand", "rdseed", "rdpid", "xbegin",
                     "xend", "xabort", "xtest", "rdfsbase", "rdgsbase", "wrfsbase", "wrgsbase"),
                    "speaks of the x86 processor itself"),
    **dict.fromkeys(("pushf", "pushfq", "popf", "popfq", "lahf", "sahf"), "flags as a word (AF is not modelled)"),
    **dict.fromkeys(("ldmxcsr", "stmxcsr", "fxsave", "fxsave64", "fxrstor", "fxrstor64", "xsave", "xsave64", "xsavec",
                     "xsavec64", "xsaves", "xsaves64", "xsaveopt", "xsaveopt64", "xrstor", "xrstor64"),
                    "floating-point control or state as a whole"),
    **dict.fromkeys(("emms", "femms"), "MMX"),
    "std": "sets the direction flag", "ud0": "undefined opcode", "ud1": "undefined opcode",
}  # fmt: skip


class Decoded(NamedTuple):
    """One instruction at ``offset`` of its section. ``target``: of a direct jump or call without relocation."""

    offset: int
    size: int
    mnemonic: str  # with prefixes: "notrack jmp"
    operands: str
    flow: FlowKind
    target: int | None
    relocations: tuple[RawRelocation, ...]

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def text(self) -> str:
        return f"{self.mnemonic} {self.operands}" if self.operands else self.mnemonic

    @property
    def is_indirect(self) -> bool:
        """A jump or call through a register or memory."""
        return self.flow in ("jump", "call") and not self.operands[0].isdigit()


@cache
def disassembler(detail: bool = False) -> capstone.Cs:
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.detail = detail
    engine.skipdata = not detail
    return engine


@cache
def _flow(mnemonic: str) -> FlowKind:
    operation = mnemonic.rsplit(None, 1)[-1]
    if operation == "jmp":
        return "jump"
    if operation.startswith(("j", "loop")):
        return "branch"
    if operation == "call":
        return "call"
    if operation == "ret":
        return "return"
    if operation in ("ud2", "hlt", "int3"):
        return "trap"
    if operation == ".byte":
        return "bad"
    if mnemonic.startswith("lock ") or operation in FENCES:
        return "atomic"
    return "string" if _STRING.match(mnemonic) else "plain"


def sweep(section: Section, cuts: Sequence[int]) -> Iterator[Decoded]:
    """Every instruction of ``section`` in order, decoding begun anew at each of ``cuts`` (ascending offsets)."""
    relocations = section.relocations
    at, count = 0, len(relocations)
    bounds = sorted({0, *cuts, len(section.data)})
    pieces = (disassembler().disasm_lite(section.data[a:b], a) for a, b in pairwise(bounds))
    for offset, size, mnemonic, operands in chain.from_iterable(pieces):
        end = offset + size
        own: tuple[RawRelocation, ...] = ()
        while at < count and relocations[at].offset < end:
            if relocations[at].type != 0:  # R_X86_64_NONE
                own += (relocations[at],)
            at += 1
        flow = _flow(mnemonic)
        if flow == "plain" and mnemonic.endswith("xchg") and "[" in operands:
            flow = "atomic"
        direct = flow in ("jump", "branch", "call") and operands[0].isdigit() and not own
        target = int(operands, 0) if direct else None
        yield Decoded(offset, size, mnemonic, operands, flow, target, own)


def refusal(instruction: Decoded, code: bytes) -> str | None:
    """Why ``instruction``, encoded as ``code``, has no translation; None if nothing speaks against it here."""
    mnemonic, operands = instruction.mnemonic, instruction.operands
    if instruction.flow == "bad":
        return "cannot be decoded (inline data?)"
    reason = _SYSTEM.get(mnemonic.rsplit(None, 1)[-1])
    if reason is not None:
        return reason
    opcode = code.lstrip(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")
    if opcode and opcode[0] & 0xF0 == 0x40:
        opcode = opcode[1:]
    if opcode and (0xD8 <= opcode[0] <= 0xDF or opcode[0] == 0x9B):
        return "x87 floating point"
    if opcode and opcode[0] in (0xC4, 0xC5, 0x62):
        return "VEX or EVEX encoding (AVX, BMI)"
    if "mm" in operands and _MMX.search(operands):
        return "MMX"
    if "gs:" in operands:
        return "memory through the gs segment"
    if mnemonic in ("mov", "push", "pop") and any(part in _SEGMENTS for part in operands.split(", ")):
        return "a segment register"
    if instruction.flow == "return" and operands:
        return "a return that pops its arguments"
    return None


def is_padding(data: bytes) -> bool:
    """Whether ``data`` consists of no-operations and ``int3`` only, as assemblers put between functions."""
    return all(
        mnemonic.rsplit(None, 1)[-1] in ("nop", "int3") or (mnemonic, operands) == ("xchg", "ax, ax")
        for _, _, mnemonic, operands in disassembler().disasm_lite(data, 0)
    )


_modelled: set[str] = set()


def unmodelled(instruction: Instruction) -> str | None:
    """Why ``instruction``, no transfer of control, has no semantics here; None if it has. Forms that have are remembered."""
    form = x86_form(instruction)
    if form not in _modelled:
        effect = lift([replace(instruction, offset=0)], "fall")
        if effect.opaque:
            why = effect.opaque[0].replace(instruction.text, "").strip(": ").removesuffix(" in")
            return f"nothing here knows what it does ({why})"
        _modelled.add(form)
    return None
