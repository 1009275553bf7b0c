"""Immediates solved for by Z3, state after state, and what cannot be."""

from __future__ import annotations

import pytest

from guesssketch import pairs
from guesssketch.sketch.holes import parse
from guesssketch.sketch.immediates import solved
from solver.arena import Arena


@pytest.mark.parametrize(("target", "source", "code", "number"), [
    ("aarch64", "lea rax, [rdi + rsi*4 + 3877]", "add x8, x0, x1, lsl #2; add x8, x8, #?immediate", "3877"),
    ("aarch64", "lea rax, [rdi - 3877]", "sub x8, x0, #?immediate", "3877"),
    ("aarch64", "mov eax, dword ptr [rdi + rsi*4 + 72]", "add x8, x0, x1, lsl #2; ldr w8, [x8, #?immediate]", "72"),
    ("aarch64", "mov dword ptr [rdi + 72], esi", "str w1, [x0, #?immediate]", "72"),
    ("aarch64", "mov dword ptr [rdi + 72], 777", "mov w8, #?immediate; str w8, [x0, #72]", "777"),
    ("aarch64", "and edi, 0x7f0", "and w0, w0, #?immediate", "2032"),
    ("aarch64", "shl edi, 13", "lsl w0, w0, #?immediate", "13"),
    ("aarch64", "sar rdi, 13", "asr x0, x0, #?immediate", "13"),
    ("aarch64", "movabs rax, 0x7865746e69616c70", "mov x8, #27760; movk x8, #26977, lsl #16; movk x8, #?immediate, lsl #32; movk x8, #30821, lsl #48", "29806"),
    ("riscv64", "lea rax, [rdi + rsi*4 + 1877]", "slli a6, a1, ?immediate; add a6, a6, a0; addi a6, a6, 1877", "2"),
    ("riscv64", "shr rdi, 45", "srli a0, a0, ?immediate", "45"),
    ("riscv64", "cmp rdi, 77; jl taken", "slti t0, a0, ?immediate; bnez t0, taken", "77"),
    ("riscv64", "lea rax, [rdi + 5]", "slli a6, a0, ?immediate", None),
    ("aarch64", "lea rax, [rdi + 5]", "add x8, x1, #?immediate", None),
    ("aarch64", "lea rax, [rdi + 5]", "fadd d0, d0, #?immediate", None),
])  # fmt: skip
def test_the_number_is_solved_for(target: str, source: str, code: str, number: str | None) -> None:
    problem = pairs.problem(pairs.parse(f"target: {target}\nsource:\n{source.replace('; ', chr(10))}\ncode:\n nop", "p"))
    assert solved(parse(problem, code.replace("; ", "\n")), Arena(problem)) == number
