"""Blocks whose accesses other threads may notice: what the lowering makes of them is proved, and a warning names threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import guesssketch
from guesssketch import cfg, objfile
from guesssketch.assembler import assemble_x86
from guesssketch.errors import GuessSketchWarning
from guesssketch.judge import judge
from guesssketch.lowering import Lowering
from guesssketch.problem import Candidate, Problem
from isa.statemap import GENERAL
from solver import verdict
from solver.verdict import Proved, Refuted, Unknown

MakeObject = Callable[..., Path]
CELLS = tuple(sorted([*((name, 64) for name in GENERAL), ("xmm0.hi", 64), ("xmm0.lo", 64)]))
SIZES = {"byte": "cl", "word": "cx", "dword": "ecx", "qword": "rcx"}
LOCKED = [
    *(f"lock {op} {size} ptr [rdi + 8], {r}" for op in ("add", "xadd", "cmpxchg") for size, r in SIZES.items()),
    *(f"xchg {size} ptr [rdi], {r}" for size, r in SIZES.items()),
    *(f"lock {op} {size} ptr [rdi], 5" for op in ("and", "or", "sub") for size in ("byte", "dword")),
    "lock inc word ptr [rdi]", "lock dec qword ptr [rdi]", "lock not dword ptr [rdi]", "lock xor dword ptr [rdi], edx",
    "lock bts dword ptr [rdi], 3", "lock btr qword ptr [rdi], 63", "lock btc word ptr [rdi], 1", "lock bts dword ptr [rdi], eax",
    "lock cmpxchg8b qword ptr [rdi]", "lock or qword ptr [rsp], 0", "mfence", "lfence", "sfence",
]  # fmt: skip
FLAGS = {"add": "zf", "sub": "zf", "and": "sf", "inc": "zf", "cmpxchg": "zf", "xadd": "of", "bts": "cf", "btr": "cf", "btc": "cf"}
PLAIN = [
    "mov eax, [rdi]; mov [rsi], eax", "movups xmm0, [rdi]; movups [rsi], xmm0", "addsd xmm0, [rdi]; movsd [rsi], xmm0",
    "add [rdi], eax; inc byte ptr [rsi]", "push rbx; mov rbx, [rsp]; pop rcx", "mov dword ptr [rdi], 1; mov dword ptr [rdi], 1",
    "paddd xmm0, [rdi]; movaps [rsi], xmm0", "test eax, [rdi]", "movzx eax, word ptr [rdi + 2]; xor eax, [rsi]",
]  # fmt: skip


def question(target: str, text: str, order: str = "relaxed") -> Problem:
    flag = next((FLAGS[word] for word in text.split() if word in FLAGS and "lock" in text), None)
    live_out = CELLS if flag is None else tuple(sorted([*CELLS, (flag, 1)]))
    return Problem(target, tuple(assemble_x86(text)), "fall", CELLS, live_out, (), order)  # type: ignore[arg-type]


def verdicts(problems: list[Problem]) -> dict[str, object]:
    candidates = [found[0] for found in Lowering(problems[0].target).propose(problems)]
    found = judge(problems, candidates)
    return {f"{p.instructions[0].text}: {'; '.join(c.lines)}": j.verdict for p, c, j in zip(problems, candidates, found, strict=True)}


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_what_is_made_of_atomic_instructions_is_proved(target: str) -> None:
    found = verdicts([question(target, text) for text in LOCKED])
    assert not [(text, str(v)) for text, v in found.items() if not isinstance(v, Proved)]


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_what_is_made_of_plain_accesses_under_tso_is_proved(target: str) -> None:
    problems = [question(target, text, "tso") for text in PLAIN]
    string = replace(question(target, "rep movsb", "tso"), exit="branch")
    found = verdicts([*problems, string])
    assert not [(text, str(v)) for text, v in found.items() if not isinstance(v, Proved)]


def test_relaxed_code_is_no_answer_under_tso() -> None:
    relaxed = [question("aarch64", text) for text in PLAIN]
    candidates = [found[0] for found in Lowering("aarch64").propose(relaxed)]
    found = judge([question("aarch64", text, "tso") for text in PLAIN], candidates)
    assert all(isinstance(j.verdict, Refuted) for j in found)


def test_16_bytes_are_exchanged_on_aarch64_only() -> None:
    text = "lock cmpxchg16b xmmword ptr [rdi]"
    assert all(isinstance(v, Proved) for v in verdicts([question("aarch64", text)]).values())
    assert list(Lowering("riscv64").propose([question("riscv64", text)])) == [()]


def test_an_atomic_instruction_is_never_merely_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = question("riscv64", "lock not qword ptr [rdi]")
    monkeypatch.setattr("guesssketch.judge.prove", lambda *_: Unknown("given up"))
    (judgement,) = judge([problem], [Candidate(("li t0, -1", "amoxor.d.aqrl zero, t0, (a0)"), "user")], final=True)
    assert isinstance(judgement.verdict, Unknown)


def test_code_whose_order_nobody_checked_is_not_tested_under_tso(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, candidate = question("aarch64", "mov eax, [rdi]", "tso"), Candidate(("ldr w8, [x0]",), "user")
    for reason, expected in ((Unknown("not validated"), Unknown), (Unknown("given up", ordered=True), verdict.Tested)):
        monkeypatch.setattr("guesssketch.judge.prove", lambda *_, reason=reason: reason)
        (judgement,) = judge([problem], [candidate], final=True)
        assert isinstance(judgement.verdict, expected)


def test_an_atomic_instruction_is_a_block_of_its_own(make_object: MakeObject) -> None:
    source = make_object("in.o", f="mov eax, 1\nlock xadd dword ptr [rdi], eax\nxchg dword ptr [rsi], eax\nmfence\nadd eax, 1\nret")
    ((function,),) = cfg.recover(objfile.read(source)).functions
    texts = [[i.mnemonic for i in block.instructions] for block in function.blocks.values()]
    assert texts == [["mov"], ["lock"], ["xchg"], ["mfence"], ["add", "ret"]]


def test_threads_under_relaxed_order_are_warned_of(make_object: MakeObject) -> None:
    source = make_object("in.o", f="lock inc dword ptr [rdi]\nret", g="jmp pthread_create@PLT")
    with pytest.warns(GuessSketchWarning, match=r"calls pthread_create and has atomic instructions \(1\)"):
        relaxed = guesssketch.translate(source, "aarch64")
    assert relaxed.report.to_dict()["warnings"] and relaxed.report.to_dict()["options"] == {"memory_order": "relaxed"}
    tso = guesssketch.translate(source, "aarch64", memory_order="tso")  # a warning would be an error
    assert not tso.report.warnings and "dmb" in "".join(tso.assembly)


@pytest.mark.parametrize(("target", "loads", "stores", "call"), [("aarch64", "dmb ishld", "dmb ishst", "bl"),
                                                                ("riscv64", "fence r, rw", "fence w, w", "call")])  # fmt: skip
def test_barriers_stand_where_native_code_begins_and_ends(
    make_object: MakeObject, target: str, loads: str, stores: str, call: str
) -> None:
    source = make_object("in.o", f="sub rsp, 8\ncall getpid@PLT\nadd rsp, 8\nret")
    text = "".join(guesssketch.translate(source, target, memory_order="tso").assembly)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    out = lines.index(f"{call} getpid")
    assert lines[out - 1] == stores and loads in lines[out + 1 : out + 3]
    entry = lines.index(f"{call} f.x86")
    assert lines[entry - 1] == loads and lines[entry + 1] == stores


def test_the_order_is_part_of_a_problem() -> None:
    assert question("aarch64", "mov eax, [rdi]").key != question("aarch64", "mov eax, [rdi]", "tso").key
