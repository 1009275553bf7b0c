"""The form of an instruction: mnemonic and operand kinds with widths (``add r32,m32``), the unit in which semantics
are validated.

Register numbers, addresses and immediates are left out, as p-code's and the overrides' treatment of them is common to
all; what changes the semantics (shift by ``cl``, high byte registers, conditions, lanes, rounding modes) stays in.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from isa.machine import Instruction
from isa.x86_64.decode import Operand, decode

_SHIFTS: Final = ("shl", "shr", "sar", "rol", "ror", "rcl", "rcr", "shld", "shrd")
_ROUND: Final = ("roundss", "roundsd", "roundps", "roundpd")


def form(isa: str, instruction: Instruction) -> str:
    """The form key of ``instruction`` of ``isa`` (``x86_64``, ``aarch64``, ``riscv64``)."""
    if isa == "x86_64":
        return x86_form(instruction)
    return aarch64_form(instruction.text) if isa == "aarch64" else riscv64_form(instruction.text)


def x86_form(instruction: Instruction) -> str:
    return _x86_form(instruction.code)


@functools.lru_cache(maxsize=1 << 16)
def _x86_form(code: bytes) -> str:
    try:
        decoded = decode(code)
    except ValueError:
        return f"undecodable {code.hex()}"
    name = f"{decoded.prefix} {decoded.mnemonic}".strip()
    if decoded.address_size != 8 and any(operand.kind == "mem" for operand in decoded.operands):
        name = f"addr32 {name}"
    kinds = [_x86_operand(operand) for operand in decoded.operands]
    if decoded.mnemonic in _SHIFTS and decoded.operands[-1].register == "cl":
        kinds[-1] = "cl"
    if decoded.mnemonic in _ROUND:
        kinds[-1] = str(decoded.operands[-1].value & 7)  # the rounding mode
    return f"{name} {','.join(kinds)}".strip()


def _x86_operand(operand: Operand) -> str:
    bits = 8 * operand.size
    if operand.kind == "imm":
        return "i"
    if operand.kind == "mem":
        return f"m{bits}" + (f":{operand.segment}" if operand.segment in ("fs", "gs") else "")
    if operand.register in ("ah", "bh", "ch", "dh"):
        return "h8"
    return operand.register.rstrip("0123456789") if operand.register[:3] in ("xmm", "ymm", "mm0", "st(") else f"r{bits}"


_NUMBER = re.compile(r"#?-?\b(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)\b")
_AARCH64_REGISTER = re.compile(r"\b(?:([xwbhsdq])\d+|v\d+(\.\w+)?)\b")
_RISCV64_REGISTER = re.compile(r"\b(?:(f[sta]\d+)|[sat]\d+|ra|gp|tp)\b")


@functools.lru_cache(maxsize=1 << 16)
def aarch64_form(text: str) -> str:
    """From capstone's text: ``ldr x,[x,i]!``, ``fmla v.2d,v.2d,v.2d``; sp, xzr, wzr, conditions and extensions stay."""
    mnemonic, _, operands = text.lower().partition(" ")
    registers = _AARCH64_REGISTER.sub(lambda m: m[1] or f"v{m[2] or ''}", operands.replace(" ", ""))
    return f"{mnemonic} {_NUMBER.sub('i', registers)}".strip()


@functools.lru_cache(maxsize=1 << 16)
def riscv64_form(text: str) -> str:
    """From capstone's text: ``addw x,x,x``, ``fld f,i(x)``; sp, zero and rounding modes stay."""
    mnemonic, _, operands = text.lower().partition(" ")
    registers = _RISCV64_REGISTER.sub(lambda m: "f" if m[1] else "x", operands.replace(" ", ""))
    return f"{mnemonic} {_NUMBER.sub('i', registers)}".strip()
