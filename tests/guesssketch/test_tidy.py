"""Idle lines: what a block does not need goes, and nothing that it needs does."""

from __future__ import annotations

import pytest

from guesssketch.assembler import AssemblyError, assemble, assemble_x86
from guesssketch.judge import verify
from guesssketch.lowering.tidy import tidy
from guesssketch.problem import Exit, Problem
from solver.verdict import Proved

LIVE = tuple((name, 64) for name in ("rax", "rcx", "rdi", "rdx", "rsi", "rsp"))

CASES = (
    # computed twice, and a move to where the value already is
    ("aarch64", "sub rdi, 1\ncmp rdi, 2\njne taken", "branch", ("rdi",),
     ("mov x11, x0", "sub x12, x0, #1", "sub x0, x0, #1", "mov x0, x12", "cmp x11, #3", "b.ne taken"),
     ("mov x11, x0", "sub x0, x0, #1", "cmp x11, #3", "b.ne taken")),
    # an extension of what a load has extended
    ("aarch64", "movzx eax, word ptr [rdi]", "fall", ("rax",), ("ldrh w8, [x0]", "mov w8, w8"), ("ldrh w8, [x0]",)),
    # a load whose value nobody reads
    ("riscv64", "mov eax, edi", "fall", ("rax",), ("lw t0, 0(a1)", "slli a6, a0, 32", "srli a6, a6, 32"),
     ("slli a6, a0, 32", "srli a6, a6, 32")),
    # the same on both ways out
    ("aarch64", "mov eax, edi\ncmp ecx, 13\njg taken", "branch", ("rax",),
     ("cmp w3, #13", "b.gt 1f", "mov w8, w0", "b fall", "1:", "mov w8, w0", "b taken"), ("cmp w3, #13", "mov w8, w0", "b.gt taken")),
    # not so where the branch looks at what is moved
    ("riscv64", "mov rax, rdi\ncmp rcx, rdx\njb taken", "branch", ("rax",),
     ("mv a6, a2", "bltu a3, a6, 1f", "mv a6, a0", "j fall", "1:", "mv a6, a0", "j taken"), None),
    # nor where two branches go to one of them
    ("aarch64", "mov eax, edi\ncmp ecx, 13\njge taken", "branch", ("rax",),
     ("cmp w3, #13", "b.gt 1f", "b.eq 1f", "mov w8, w0", "b fall", "1:", "mov w8, w0", "b taken"), None),
    # needed, all of it: stores, a constant of two instructions, both halves of a symbol-free sum
    ("riscv64", "mov dword ptr [rdi], 0x12345\nlea rax, [rsi + rdx]", "fall", ("rax",),
     ("li a6, 74565", "sw a6, 0(a0)", "add a6, a1, a2"), None),
)  # fmt: skip


@pytest.mark.parametrize(("target", "source", "exit", "live_out", "lines", "wanted"), CASES)
def test_idle_lines_go(target: str, source: str, exit: Exit, live_out: tuple[str, ...], lines: tuple[str, ...],
                       wanted: tuple[str, ...] | None) -> None:  # fmt: skip
    problem = Problem(target, tuple(assemble_x86(source)), exit, LIVE, tuple((name, 64) for name in live_out), ())
    (left,) = tidy(target, [problem], [lines])
    assert left == (lines if wanted is None else wanted)
    (code,) = assemble(target, [left])
    assert not isinstance(code, AssemblyError)
    assert isinstance(verify(problem, code), Proved)


def test_a_live_register_is_never_lost() -> None:
    problem = Problem("aarch64", tuple(assemble_x86("mov rax, rdi")), "fall", LIVE, (("rax", 64), ("rdi", 64)), ())
    assert tidy("aarch64", [problem], [("mov x8, x0", "mov x0, x8")]) == [("mov x8, x0",)]
    assert tidy("aarch64", [problem], [("mov x0, x8",)]) == [("mov x0, x8",)]


def test_text_that_does_not_assemble_stays_as_it_is() -> None:
    problem = Problem("aarch64", tuple(assemble_x86("mov rax, rdi")), "fall", LIVE, (("rax", 64),), ())
    assert tidy("aarch64", [problem], [("mov x8, nothing",)]) == [("mov x8, nothing",)]
