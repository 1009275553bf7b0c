"""Positions: which source instructions each line of the lowering's code does the work of."""

from __future__ import annotations

from pathlib import Path

import pytest

from guesssketch import cfg, objfile, wall
from guesssketch.assembler import assemble_x86
from guesssketch.liveness import analyse
from guesssketch.lowering import Lowering
from guesssketch.lowering.debuglines import without_lines
from guesssketch.lowering.positions import positions
from guesssketch.problem import Problem, Symbol
from guesssketch.questions import ask
from guesssketch.resolve import BlockId, Resolver
from isa.statemap import GENERAL

OBJECT = Path(__file__).resolve().parents[2] / "examples" / "objects" / "structs.O2.o"
SYMBOLS = (Symbol("S0", "local", 8), Symbol("S1", "local"))

BLOCKS = [  # each with what is dead at its end; then the lines of one target, each behind its source instructions
    ("aarch64", "mov eax, [rbp - 4]; add eax, esi; mov [rbp - 4], eax", "", [
        ("ldur w8, [x24, #-4]", {0}), ("add w8, w8, w1", {1}), ("stur w8, [x24, #-4]", {2})]),
    ("aarch64", "cmp rdi, rsi; jl taken", "", [("cmp x0, x1", {0}), ("b.lt taken", {1})]),
    ("riscv64", "cmp rdi, rsi; jl taken", "", [("blt a0, a1, taken", {0, 1})]),
    ("aarch64", "test rax, rax; jne taken", "", [("cbnz x8, taken", {0, 1})]),
    ("riscv64", "cmp eax, 1000000; je taken", "", [  # the constant is the compare's
        ("sext.w t0, a6", {0}), ("li t1, 1000000", {0}), ("beq t0, t1, taken", {0, 1})]),
    ("aarch64", "cmp rdi, rsi; cmovg rax, rdx", "", [("cmp x0, x1", {0}), ("csel x8, x8, x2, le", {1})]),
    ("riscv64", "cmp edi, esi; setl al", "", [
        ("sext.w t0, a0", {0}), ("sext.w t1, a1", {0}), ("slt t0, t0, t1", {0}),
        ("andi a6, a6, -256", {1}), ("or a6, t0, a6", {1})]),
    ("aarch64", "lea rcx, [rax - 0x650]; add rcx, 0x20; mov [rdi], rcx", "", [  # nothing is folded
        ("sub x11, x8, #1616", {0}), ("add x3, x11, #32", {1}), ("str x3, [x0]", {2})]),
    ("aarch64", "shl rcx, 3; mov rax, [rdi + rcx]", "rcx", [("lsl x8, x3, #3", {0}), ("ldr x8, [x8, x0]", {1})]),
    ("riscv64", "shl rcx, 3; mov rax, [rdi + rcx]", "rcx", [
        ("slli a3, a3, 3", {0}), ("add a3, a3, a0", {1}), ("ld a6, 0(a3)", {1})]),
    ("riscv64", "mov rcx, rdi; shr rcx, 14; mov rdx, rdi", "", [  # a copy of its own, and one that is read
        ("srli a3, a0, 14", {0, 1}), ("mv a2, a0", {2})]),
    ("aarch64", "mov al, [rdi]; movzx eax, al; mov [rsi], al", "", [("ldrb w8, [x0]", {0, 1}), ("strb w8, [x1]", {2})]),
    ("aarch64", "push rbx; push r12; sub rsp, 24", "", [("stp x20, x19, [x28, #-16]", {0, 1}), ("sub x28, x28, #40", {2})]),
    ("riscv64", "mov rax, [rip + S0]; inc rax; mov [rip + S1], rax", "", [
        ("1:", set()), ("auipc a6, %pcrel_hi(S0)", {0}), ("ld a6, %pcrel_lo(1b)(a6)", {0}), ("addi a6, a6, 1", {1}),
        ("2:", set()), ("auipc t0, %pcrel_hi(S1)", {2}), ("sd a6, %pcrel_lo(2b)(t0)", {2})]),
]  # fmt: skip


def question(target: str, text: str, dead: str) -> Problem:
    live = tuple((name, 64) for name in sorted(GENERAL))
    out = tuple((name, bits) for name, bits in live if name not in dead.split())
    return Problem(target, tuple(assemble_x86(text)), "branch" if "taken" in text else "fall", live, out, SYMBOLS)


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_blocks_checked_by_hand(target: str) -> None:
    blocks = [(text, dead, lines) for which, text, dead, lines in BLOCKS if which == target]
    found = positions([question(target, text, dead) for text, dead, _ in blocks], target)
    for (text, _, lines), placed in zip(blocks, found, strict=True):
        assert placed is not None, text
        assert [(line, set(where)) for line, where in zip(*placed, strict=True)] == lines, text


def test_a_block_without_a_lowering_has_no_positions() -> None:
    assert positions([question("aarch64", "maskmovdqu xmm0, xmm1", "")], "aarch64") == [None]


def _problems(target: str) -> list[Problem]:
    program = cfg.recover(objfile.read(OBJECT))
    resolver = Resolver(program)
    live = analyse(program, resolver, wall.Boundary(program, resolver, target))
    found = []
    for at in live.live_in:
        block = program.functions[at.object][at.function].blocks[at.offset]
        found += ask(program, resolver, BlockId(*at), block, live.live_in[at], live.live_out[at], target)
    return found


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_lines_are_those_of_the_lowering(target: str) -> None:
    problems = _problems(target)
    proposed = [c[0].lines if c else None for c in Lowering(target, "canonical").propose(problems)]
    placed = positions(problems, target)
    assert [None if x is None else x[0] for x in placed] == proposed
    lines = [(line, where) for x in placed if x for line, where in zip(*x, strict=True) if not line.endswith(":")]
    assert sum(bool(where) for _, where in lines) >= 0.97 * len(lines) > 50


def test_line_numbers_come_off_again() -> None:
    text = "define void @f0() nounwind !dbg !3 {\nret void, !dbg !DILocation(line: 1, scope: !3)\n}"
    assert without_lines(text) == "define void @f0() nounwind {\nret void\n}"
