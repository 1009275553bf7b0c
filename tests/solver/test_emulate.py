"""The filter finds wrong translations and passes right ones; Unicorn's traps are minded; the gate keeps its word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from guesssketch.assembler import Assembled, assemble
from guesssketch.problem import Exit, Problem, Symbol
from isa.machine import Instruction, Relocation
from solver import gate, trials
from solver.emulate import Agreement, compare
from solver.machine import machine
from solver.memory import ARENA, CODE, PAGE


@dataclass(frozen=True)
class Pair:
    target: str
    source: str | bytes
    code: str
    live_in: str
    live_out: str
    exit: Exit = "fall"
    relocations: tuple[Relocation, ...] = ()
    symbols: tuple[Symbol, ...] = ()


def _live(text: str) -> tuple[tuple[str, int], ...]:
    words = (word.partition(":") for word in text.split())
    return tuple((name, int(bits or 64)) for name, _, bits in words)


def _assemble(target: str, text: str) -> Assembled:
    (found,) = assemble(target, [text.split("; ")])
    assert isinstance(found, Assembled), found
    return found


def _run(pair: Pair, states: int = 60) -> Agreement:
    instructions: Sequence[Instruction]
    if isinstance(pair.source, bytes):
        instructions = (Instruction(0, pair.source, pair.source.hex(), pair.relocations),)
    else:
        instructions = _assemble("x86_64", pair.source).instructions
    problem = Problem(pair.target, tuple(instructions), pair.exit, _live(pair.live_in), _live(pair.live_out), pair.symbols)
    return compare(problem, _assemble(pair.target, pair.code), states)


LOAD = bytes.fromhex("488b0500000000")
GOT, PC = Relocation(3, "got", "S0"), Relocation(3, "pc", "S0")
TLS = Relocation(4, "tpoff", "S0")
RIGHT = [
    Pair("aarch64", "add rax, rbx; test eax, eax; js taken", "add x8, x8, x19; tbnz w8, #31, taken", "rax rbx", "rax", "branch"),
    Pair("riscv64", "add rax, rbx; test eax, eax; js taken", "add a6, a6, s1; sext.w t0, a6; bltz t0, taken", "rax rbx", "rax",
         "branch"),
    Pair("aarch64", "push rbx; mov [rdi+8], esi", "str x19, [x28, #-8]!; str w1, [x0, #8]", "rbx rdi rsi:32 rsp", "rsp"),
    Pair("aarch64", "cmp rax, rcx", "cmp x8, x3; cset x26, lt", "rax rcx", "l"),
    Pair("aarch64", "rep movsb", "cbz x3, 1f; ldrb w6, [x1], #1; strb w6, [x0], #1; sub x3, x3, #1; cbnz x3, taken; 1:",
         "rcx rsi rdi", "rcx rsi rdi", "branch"),
    Pair("aarch64", "jmp qword ptr [rax+8]", "ldr x16, [x8, #8]", "rax", "", "indirect"),
    Pair("riscv64", "addsd xmm0, xmm1", "fadd.d fa0, fa0, fa1", "xmm0.lo xmm1.lo", "xmm0.lo"),
    Pair("aarch64", LOAD, "adrp x8, :got:S0; ldr x8, [x8, :got_lo12:S0]", "", "rax", "fall", (GOT,), (Symbol("S0", "got"),)),
    Pair("aarch64", LOAD, "adrp x8, S0; ldr x8, [x8, :lo12:S0]", "", "rax", "fall", (PC,), (Symbol("S0", "local", 8),)),
    Pair("riscv64", LOAD, "lla a6, S0; ld a6, 0(a6)", "", "rax", "fall", (PC,), (Symbol("S0", "local"),)),
    Pair("riscv64", bytes.fromhex("f20f110500000000"), "1:; auipc t0, %pcrel_hi(S0); fsd fa0, %pcrel_lo(1b)(t0)", "xmm0.lo", "", "fall",
         (Relocation(4, "pc", "S0"),), (Symbol("S0", "local"),)),
    Pair("riscv64", bytes.fromhex("648b042500000000"), "lui a6, %tprel_hi(S0); add a6, a6, tp, %tprel_add(S0); "
         "lwu a6, %tprel_lo(S0)(a6)", "", "rax", "fall", (TLS,), (Symbol("S0", "tls"),)),
]  # fmt: skip
WRONG = [
    Pair("aarch64", "pcmpeqd xmm0, xmm0", "mov x6, #-2; fmov d0, x6", "xmm0.lo", "xmm0.lo"),
    Pair("aarch64", "mov qword ptr [rdi], -2", "mov x6, #-1; str x6, [x0]", "rdi", ""),  # both are NaNs, if they were doubles
    Pair("aarch64", "add rax, rbx", "sub x8, x8, x19", "rax rbx", "rax"),
    Pair("aarch64", "add eax, ebx", "add x8, x8, x19", "rax rbx", "rax"),
    Pair("aarch64", "test eax, eax; js taken", "tbz w8, #31, taken", "rax", "", "branch"),
    Pair("aarch64", "mov [rdi], eax", "str x8, [x0]", "rax rdi", ""),
    Pair("aarch64", "mov [rdi], eax", "nop", "rax rdi", ""),
    Pair("aarch64", "cmp rax, rcx", "cmp x8, x3; csetm x26, lt", "rax rcx", "l"),
    Pair("riscv64", "mov eax, eax", "sext.w a6, a6", "rax", "rax"),
    Pair("riscv64", "mov eax, eax", "nop", "rax:32", "rax"),
    Pair("aarch64", "jmp qword ptr [rax+8]", "ldr x16, [x8]", "rax", "", "indirect"),
    Pair("aarch64", "nop", "1:; b 1b", "", "rax"),
]


@pytest.mark.parametrize("pair", RIGHT, ids=lambda p: str(p.source))
def test_right_translations_agree(pair: Pair) -> None:
    assert _run(pair) == Agreement(60)


@pytest.mark.parametrize("pair", WRONG, ids=lambda p: str(p.source))
def test_wrong_translations_are_found(pair: Pair) -> None:
    assert _run(pair).difference is not None


def test_states_in_which_the_source_faults_do_not_count() -> None:
    agreement = _run(Pair("aarch64", "ud2", "nop", "", ""), 3)
    assert agreement.states == 0
    assert agreement.why


def test_equal_states_for_equal_seeds() -> None:
    assert _run(WRONG[0]) == _run(WRONG[0])


def test_faults_do_not_wear_out_a_machine() -> None:
    divide = bytes.fromhex("48f7f9")
    for _ in range(4):
        assert machine("x86_64").run(divide, {"rcx": 0}, []).exit is None
    assert machine("x86_64").run(divide, {"rcx": 2, "rax": 9}, ["rax"]).state == {"rax": 4}


def test_memory_is_as_before_after_a_run() -> None:
    store, load = bytes.fromhex("488907"), bytes.fromhex("488b07")
    before = machine("x86_64").run(load, {"rdi": ARENA}, ["rax"]).state["rax"]
    assert machine("x86_64").run(store, {"rdi": ARENA, "rax": ~before & 0xFF}, []).writes[ARENA] == ~before & 0xFF
    assert machine("x86_64").run(load, {"rdi": ARENA}, ["rax"]).state["rax"] == before


@pytest.mark.parametrize("isa", ["x86_64", "aarch64", "riscv64"])
def test_an_address_that_is_not_canonical_faults(isa: str) -> None:
    load = {"x86_64": "mov rax, [rdi]", "aarch64": "ldr x8, [x0]", "riscv64": "ld x16, 0(x10)"}[isa]
    home = {"x86_64": "rdi", "aarch64": "x0", "riscv64": "x10"}[isa]
    code = _assemble(isa, load).instructions[0].code
    assert machine(isa).run(code, {home: 0x8000_0000_0000_0010}, []).exit is None


@pytest.mark.parametrize(("isa", "text"), [("x86_64", "adc eax, [rdi+rsi*4+8]"), ("aarch64", "ldp x0, x1, [x2], #16"),
                                           ("aarch64", "cbz x0, taken"), ("riscv64", "blt x10, x11, taken"),
                                           ("riscv64", "fcvt.w.d x10, f10, rtz")])  # fmt: skip
def test_trials_pass_right_semantics(isa: str, text: str) -> None:
    assert trials.run(isa, _assemble(isa, text).instructions[0], 100) == trials.Trials(100)


def test_trials_find_wrong_semantics(monkeypatch: pytest.MonkeyPatch) -> None:
    right = trials.lift
    wrong = _assemble("x86_64", "sub eax, ebx").instructions
    monkeypatch.setattr(trials, "lift", lambda isa, code: right(isa, wrong))
    assert "by the emulator" in trials.run("x86_64", _assemble("x86_64", "add eax, ebx").instructions[0], 50).mismatch


@pytest.mark.parametrize(("isa", "text", "cell"), [("x86_64", "mov rax, [rbx]", "rbx"), ("x86_64", "mov [rbx], rax", "rbx"),
                                                   ("aarch64", "ldr x0, [x1]", "x1"), ("aarch64", "str x0, [x1]", "x1"),
                                                   ("riscv64", "ld a0, 0(a1)", "x11"), ("riscv64", "sd a0, 0(a1)", "x11")])  # fmt: skip
def test_code_is_no_data_as_each_side_has_its_own(isa: str, text: str, cell: str) -> None:
    code = _assemble(isa, text).instructions[0].code
    exits = [machine(isa).run(code, {cell: CODE + at}, []).exit for at in (-7, 0, PAGE, 2 * PAGE - 1, 2 * PAGE)]
    assert exits == [None] * 4 + [len(code)]


def test_the_gate_remembers_on_disk_and_forgets_with_the_semantics(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    gate.write_table(path, "x86_64", {"add r32,r32": 7})
    assert gate.read_table(path, "x86_64") == {"add r32,r32": 7}
    path.write_text(json.dumps({"version": "of other semantics", "forms": {"add r32,r32": 7}}))
    assert gate.read_table(path, "x86_64") == {}
    path.write_text("{")
    assert gate.read_table(path, "x86_64") == {}


def test_the_gate_names_what_it_keeps_out() -> None:
    found = gate.unvalidated("x86_64", _assemble("x86_64", "rcpps xmm0, xmm1").instructions)
    assert len(found) == 1
    assert "opaque" in found[0]
