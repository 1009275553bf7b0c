"""States for many candidates: which come first, what no run shows, and counterexamples of the prover put where memory is."""

from __future__ import annotations

import pytest

from guesssketch import pairs
from guesssketch.assembler import Assembled, assemble
from guesssketch.judge import verify
from guesssketch.problem import Problem
from solver.arena import Arena
from solver.verdict import Refuted


def asked(source: str, code: str, target: str = "aarch64") -> tuple[Problem, Assembled]:
    text = f"target: {target}\nsymbols: S0 local align 4\nsource:\n{source.replace('; ', chr(10))}\ncode:\n nop"
    (found,) = assemble(target, [code.split("; ")])
    assert isinstance(found, Assembled)
    return pairs.problem(pairs.parse(text, "p")), found


@pytest.mark.parametrize(("code", "strays"), [("ldr w8, [x0, #8]", False), ("ldr x8, [x0, #8]", True), ("ldr w8, [x0, #12]", True)])
def test_a_load_where_the_source_has_none_is_no_difference_but_strays(code: str, strays: bool) -> None:
    problem, found = asked("mov eax, dword ptr [rdi + 8]", code)
    assert Arena(problem).strays(found) is strays


def test_the_second_state_shows_the_other_fault_alone() -> None:
    problem, code = asked("add rax, rdi; cmovs rcx, rdx", "add x8, x8, x0; tbnz x8, #62, 1f; mov x3, x2; 1:")
    arena = Arena(problem)
    first = {d.what for d in arena.focus(code)}
    assert first and arena.on(arena.numbers[0], code) and (len(arena.everywhere(code)) == 1 or arena.on(arena.numbers[1], code))


@pytest.mark.parametrize(("source", "code"), [
    ("mov eax, dword ptr [rip + S0]; cmp eax, 77; je taken", "adrp x8, S0; ldr w8, [x8, :lo12:S0]; cmp w8, #78; b.eq taken"),
    ("mov rax, qword ptr [rdi]; mov rax, qword ptr [rax - 0x28]; cmp byte ptr [rax + 8], 77; jne taken",
     "ldr x8, [x0]; ldur x8, [x8, #-40]; ldrb w11, [x8, #8]; cmp w11, #78; b.ne taken"),
], ids=["at a symbol", "behind pointers"])  # fmt: skip
def test_counterexamples_become_states(source: str, code: str) -> None:
    problem, found = asked(source, code)
    arena = Arena(problem)
    verdict = verify(problem, found, explain=True)
    assert isinstance(verdict, Refuted)
    before = len(arena.everywhere(found))
    arena.add(verdict.counterexample, found)
    assert len(arena.everywhere(found)) == before + 1
