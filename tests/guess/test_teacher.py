"""What a model is taught: instruction by instruction, equal atoms alike, the whole proved, and where each line comes from."""

from __future__ import annotations

from itertools import pairwise

import pytest

from guesssketch.assembler import AssemblyError, assemble, assemble_x86
from guesssketch.guess.teacher import split, taught
from guesssketch.judge import verify
from guesssketch.problem import Exit, Problem
from guesssketch.questions import atoms
from solver.verdict import Proved

REGISTERS = ("rax", "rbx", "rcx", "rdi", "rdx", "rsi", "rsp", *(f"xmm{n}.{h}" for n in range(6) for h in ("hi", "lo")))


def problem(text: str, live_out: str, exit: Exit = "fall", target: str = "aarch64", live_in: tuple[str, ...] = REGISTERS) -> Problem:
    live = tuple(sorted((name, int(bits or 64)) for name, _, bits in (word.partition(":") for word in live_out.split())))
    return Problem(target, tuple(assemble_x86(text)), exit, tuple((name, 64) for name in live_in), live, ())


@pytest.mark.parametrize(("text", "live_out", "exit", "sizes"), [
    ("mov eax, edi\nadd eax, 3\npush rax", "rsp", "fall", [1, 1, 1]),
    ("add rdi, 1\nmov rax, rdi\ncmp rax, rsi\njne taken", "rax rdi", "branch", [1, 1, 2]),
    ("sub edi, 1\nmov eax, edi\nmov rcx, rdx\njne taken", "rax rcx", "branch", [4]),  # the flags wait for the jump
    ("mov rax, rdi\ncqo\nidiv rsi\nmov rcx, rax", "rcx rdx", "fall", [1, 2, 1]),
    ("cmp edi, esi\nmov eax, 1", "rax cf:1", "fall", [2]),  # or the compare's flag would cross the cut
])  # fmt: skip
def test_cut_wherever_no_flag_is_live(text: str, live_out: str, exit: Exit, sizes: list[int]) -> None:
    found = atoms(problem(text, live_out, exit))
    assert [len(piece.instructions) for piece in found] == sizes
    assert [piece.exit for piece in found] == ["fall"] * (len(found) - 1) + [exit]
    for one, two in pairwise(found):
        assert one.live_out == two.live_in


def test_what_the_block_does_not_have_is_not_asked_for() -> None:
    one = problem("xor eax, ebx\nxor eax, ebx\nmov ecx, eax", "rcx", live_in=("rax", "rdi", "rsp"))  # rbx cancels out
    assert atoms(one) == [one]


BLOCKS: list[tuple[str, str, Exit]] = [
    ("mov rbx, qword ptr [rsi + 8]\nadd rbx, rdi\nmov qword ptr [rsi], rbx\npop rdi", "rbx rdi rsp", "fall"),
    ("movzx eax, byte ptr [rdi]\nmov ah, bl\ncmp rdi, rsi\ncmovb rdx, rcx\nlea rcx, [rdx + rdi*4 - 5]", "rax:16 rcx rdx", "fall"),
    ("movapd xmm5, xmm3\naddpd xmm5, xmm4\nimul rax, rdi, 56\ntest eax, eax\njle taken", "xmm5.hi xmm5.lo rax", "branch"),
]


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_what_is_taught_is_right_and_tells_its_origin(target: str) -> None:
    problems = [problem(*block, target=target) for block in BLOCKS]
    lessons = [lesson for lesson in taught(problems, target) if lesson]
    assert len(lessons) == len(problems)
    for one, lesson, code in zip(problems, lessons, assemble(target, [x.lines for x in lessons]), strict=True):
        assert not isinstance(code, AssemblyError)
        assert isinstance(verify(one, code), Proved), lesson.lines
        assert len(lesson.atoms) == len(one.instructions) and list(lesson.atoms) == sorted(lesson.atoms)
        origins = [number for number in lesson.origins if number is not None]
        assert len(lesson.origins) == len(lesson.lines) and origins == sorted(origins) and set(origins) <= set(lesson.atoms)
    if target == "aarch64":
        assert lessons[0].lines == ("ldr x19, [x1, #8]", "add x19, x19, x0", "str x19, [x1]", "ldr x0, [x28], #8")
        assert lessons[0].origins == (0, 1, 2, 3)


def test_equal_atoms_have_one_question() -> None:
    (load, add) = split(problem("mov rbx, qword ptr [rsi + 8]\nadd rcx, rbx", "rbx rcx"))
    (other,) = split(problem("mov rdi, qword ptr [rdx + 8]", "rdi"))
    assert load.key == other.key != add.key
    assert load.form.lines(("ldr x8, [x3, #8]",), "aarch64") == ("ldr x19, [x1, #8]",)
    assert other.form.lines(("ldr x8, [x3, #8]",), "aarch64") == ("ldr x0, [x2, #8]",)
