"""Normal forms: equal for problems that differ in names, and a translation of the form is one of the problem."""

from __future__ import annotations

import pytest

from guesssketch.assembler import AssemblyError, assemble, assemble_x86
from guesssketch.guess.form import encoded, normalise
from guesssketch.guess.renaming import implicit, rename_lines, rename_text
from guesssketch.judge import verify
from guesssketch.lowering import Lowering
from guesssketch.problem import Exit, Problem, Symbol
from solver.verdict import Proved


def problem(text: str, live_out: str, exit: Exit = "fall", symbols: tuple[Symbol, ...] = (), target: str = "aarch64") -> Problem:
    live = tuple(sorted((name, int(bits or 64)) for name, _, bits in (word.partition(":") for word in live_out.split())))
    everything = ("rax", "rbx", "rcx", "rdi", "rdx", "rsi", "rsp", *(f"xmm{n}.{h}" for n in range(6) for h in ("hi", "lo")))
    return Problem(target, tuple(assemble_x86(text)), exit, tuple((n, 64) for n in everything), live, symbols)


def test_names_are_given_in_order_of_first_use() -> None:
    form = normalise(problem("mov rdi, qword ptr [rsi + 8]\nadd edi, ebx\npush rdi", "rdi:32 rsp"))
    assert form is not None
    assert form.source == ("mov rax, qword ptr [rcx + 8]", "add eax, edx", "push rax")
    assert form.live_out == (("rax", 32), ("rsp", 64))
    assert [form.registers[name] for name in ("rax", "rcx", "rdx")] == ["rdi", "rsi", "rbx"]


@pytest.mark.parametrize(
    ("text", "fixed"),
    [("cdq", {"rax", "rdx"}), ("shl rdi, cl", {"rcx"}), ("mul rsi", {"rax", "rdx"}), ("rep movsb", {"rcx", "rsi", "rdi"}),
     ("mov ah, bl", {"rax", "rbx"}), ("push rbp", {"rsp"}), ("pblendvb xmm3, xmm4, xmm0", {"xmm0"}), ("add rdi, rsi", set())],
)  # fmt: skip
def test_implicit_registers_keep_their_names(text: str, fixed: set[str]) -> None:
    assert fixed <= implicit(assemble_x86(text)[0])
    if not fixed:
        assert implicit(assemble_x86(text)[0]) == set()


def test_a_permutation_reaches_every_view_of_a_register() -> None:
    swap = {"rax": "rsi", "rsi": "rax", "xmm1": "xmm9", "xmm9": "xmm1"}
    assert rename_text("movzx eax, sil", swap) == "movzx esi, al"
    assert rename_text("paddd xmm1, xmmword ptr [rsi]", swap) == "paddd xmm9, xmmword ptr [rax]"
    assert rename_lines(["add w8, w1, w2", "add v1.4s, v17.4s, v2.4s"], "aarch64", swap) == (
        "add w1, w8, w2", "add v17.4s, v1.4s, v2.4s")  # fmt: skip
    assert rename_lines(["add a6, a1, a2", "fadd.d fa1, ft1, fs1"], "riscv64", swap) == (
        "add a1, a6, a2", "fadd.d ft1, fa1, fs9")  # fmt: skip


CASES = (
    ("mov rbx, qword ptr [rsi + 8]\nadd rbx, rdi\nmov qword ptr [rsi], rbx", "rbx", "fall"),
    ("sub esi, edi\nmov ecx, 3\nshl edx, cl\ncmp edx, esi", "rdx:32 l:1 zf:1", "fall"),
    ("mov rax, rdi\ncqo\nidiv rsi", "rdx", "fall"),
    ("movzx eax, byte ptr [rdi]\nmov ah, bl", "rax:16", "fall"),
    ("movapd xmm5, xmm3\naddpd xmm5, xmm4\nmulsd xmm3, xmm5", "xmm3.lo xmm5.hi", "fall"),
    ("pop rbx\ntest ebx, ebx", "rsp rbx:8 zf:1", "fall"),
)


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_a_translation_of_the_form_is_one_of_the_problem(target: str) -> None:
    problems = [problem(text, live_out, exit, target=target) for text, live_out, exit in CASES]  # type: ignore[arg-type]
    forms = [normalise(p) for p in problems]
    wholes = [f and encoded(p, f) for p, f in zip(problems, forms, strict=True)]
    assert all(wholes)
    lowered = [next(iter(c)).lines for c in Lowering(target, "canonical").propose([w for w in wholes if w])]
    back = [form.lines(lines, target) for form, lines in zip(forms, lowered, strict=True) if form]
    for one, code in zip(problems, assemble(target, back), strict=True):
        assert not isinstance(code, AssemblyError)
        assert isinstance(verify(one, code), Proved), one.instructions[0].text


def test_placeholders_are_numbered_anew_and_come_back() -> None:
    (load,) = assemble_x86("mov rdi, qword ptr [rip + S7]")
    one = Problem("aarch64", (load,), "fall", (), (("rdi", 64),), (Symbol("S7", "local", 8),))
    form = normalise(one)
    assert form is not None and form.source == ("mov rax, qword ptr [rip] @ pc S0",)
    assert form.symbols == (Symbol("S0", "local", 8),)
    assert form.lines(("adrp x8, S0", "ldr x8, [x8, :lo12:S0]"), "aarch64") == ("adrp x0, S7", "ldr x0, [x0, :lo12:S7]")
