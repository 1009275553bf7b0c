"""RISC-V's constants, said as one ``li`` in canonical style: the assembler gives back what LLVM had made of it."""

from __future__ import annotations

import pytest

from guesssketch.assembler import Assembled, assemble
from guesssketch.lowering.text import candidate_lines


@pytest.mark.parametrize(("lines", "folded"), [
    ("lui a1, 1048568", "li a1, -32768"),
    ("lui a0, 524288", "li a0, -2147483648"),
    ("lui a0, 524287; addi a0, a0, 2047", "li a0, 2147481599"),
    ("lui a0, 524288; addi a0, a0, -1", "li a0, -2147483649"),
    ("lui a0, 524288; addiw a0, a0, -1", "li a0, 2147483647"),
    ("lui a0, 16; addi a0, a0, -1", "li a0, 65535"),
    ("li a0, -1; srli a0, a0, 32", "li a0, 4294967295"),
    ("li a0, -1; slli a0, a0, 63", "li a0, -9223372036854775808"),
    ("lui a0, 9321; addi a0, a0, -1329; slli a0, a0, 16; addi a0, a0, -5", "li a0, 2501999788027"),
])  # fmt: skip
def test_a_constant_is_one_line(lines: str, folded: str) -> None:
    before = lines.split("; ")
    assert candidate_lines("f0", before, "riscv64", (), "canonical") == (folded,)
    assert candidate_lines("f0", before, "riscv64", (), "best") == tuple(before)
    first, second = assemble("riscv64", [before, [folded]])
    assert isinstance(first, Assembled) and first == second


@pytest.mark.parametrize("lines", [
    "li a0, 5; addi a1, a0, 3",
    "li a0, 5; mv a2, a0; addi a0, a0, 3",
    "addi a0, a0, 3",
    "li a0, 5; add a0, a0, a1",
    "li a0, 5; sd a0, 8(a1); slli a0, a0, 1",
])  # fmt: skip
def test_anything_else_stays(lines: str) -> None:
    assert candidate_lines("f0", lines.split("; "), "riscv64", (), "canonical") == tuple(lines.split("; "))
