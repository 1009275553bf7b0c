"""Floats to integers as x86-64 converts them, and rounding to integral floats, in the fewest instructions of each target.

AArch64 and RISC-V saturate where x86-64 gives 1 followed by zeros; a NaN
gives 0 on AArch64 and the greatest integer on RISC-V.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from isa import ieee
from isa.terms import Term

_LETTERS: Final = {32: ("w", "s"), 64: ("l", "d")}  # RISC-V's suffixes for integers and floats
_MODES: Final = {"rne": "rne", "rtz": "rtz", "rtp": "rup", "rtn": "rdn", "rna": "rmm"}
ROUND: Final = {"rne": "roundeven", "rtz": "trunc", "rtp": "ceil", "rtn": "floor", "rna": "round"}  # LLVM's names
TYPES: Final = {32: "float", 64: "double"}


class Conversions:
    """emit: appends an IR instruction and gives its name. operand: a term as a float. in_range: whether what is
    converted fits."""

    def __init__(self, emit: Callable[[str], str], operand: Callable[[Term], str], in_range: bool) -> None:
        self._emit, self._operand, self._in_range = emit, operand, in_range

    def aarch64(self, value: Term, width: int) -> str:
        """``value`` as an integer of ``width`` bits."""
        emit, kind, source = self._emit, f"i{width}", TYPES[value.width]
        number = self._operand(value)
        wide = max(width, value.width)
        converted = emit(f"call i{wide} @llvm.fptosi.sat.i{wide}.f{value.width}({source} {number})")
        if self._in_range:
            return emit(f"trunc i{wide} {converted} to {kind}") if wide > width else converted
        if wide > width:
            narrow = emit(f"trunc i{wide} {converted} to {kind}")
            same = emit(f"icmp eq i{wide} {emit(f'sext {kind} {narrow} to i{wide}')}, {converted}")
            fits, converted = emit(f"and i1 {same}, {emit(f'fcmp ord {source} {number}, {number}')}"), narrow
        else:
            limit = self._operand(ieee.number(2.0 ** (width - 1), value.width))
            fits = emit(f"fcmp olt {source} {number}, {limit}")
        return emit(f"select i1 {fits}, {kind} {converted}, {kind} {-1 << (width - 1)}")

    def riscv64(self, value: Term, width: int) -> str:
        """``value`` as an integer of ``width`` bits."""
        emit = self._emit
        rounding = "rtz"
        if value.op == "fround" and value.args[0].width == value.width:
            value, rounding = value.args[0], value.attr
        if self._in_range:
            plain = self._integer(value, max(width, value.width), rounding)
            return plain if width == 64 else emit(f"trunc i64 {plain} to i32")
        if value.width > width:
            wide = self._integer(value, 64, rounding)
            narrow = emit(f"trunc i64 {wide} to i32")
            same = emit(f"icmp eq i64 {emit(f'sext i32 {narrow} to i64')}, {wide}")
            return emit(f"select i1 {same}, i32 {narrow}, i32 {-1 << 31}")
        integer, suffix = self._integer(value, width, rounding), "w" if width == 32 else ""
        text = f"addi{suffix} $1, $2, 1\\0Aslt $1, $1, $2\\0Aadd{suffix} $0, $2, $1"  # the greatest and 1 is the least
        pair = emit(f'call {{ i64, i64 }} asm "{text}", "=r,=&r,r"(i64 {integer})')
        result = emit(f"extractvalue {{ i64, i64 }} {pair}, 0")
        return result if width == 64 else emit(f"trunc i64 {result} to i32")

    def _integer(self, value: Term, width: int, rounding: str) -> str:
        """What RISC-V gives, sign-extended."""
        text = f"fcvt.{_LETTERS[width][0]}.{_LETTERS[value.width][1]} $0, $1, {_MODES[rounding]}"
        return self._emit(f'call i64 asm "{text}", "=r,f"({TYPES[value.width]} {self._operand(value)})')

    def rounded(self, value: Term, rounding: str) -> str:
        """An integral float on RISC-V: through an integer, unless the number is too great to have a fraction."""
        emit, kind, width = self._emit, TYPES[value.width], value.width
        number = self._operand(value)
        whole = emit(f"sitofp i64 {self._integer(value, 64, rounding)} to {kind}")
        signed = emit(f"call {kind} @llvm.copysign.f{width}({kind} {whole}, {kind} {number})")
        magnitude = emit(f"call {kind} @llvm.fabs.f{width}({kind} {number})")
        limit = self._operand(ieee.number(2.0 ** ieee.MANTISSA[width], width))
        small = emit(f"fcmp olt {kind} {magnitude}, {limit}")
        return emit(f"select i1 {small}, {kind} {signed}, {kind} {number}")
