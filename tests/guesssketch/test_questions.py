from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from guesssketch import research
from guesssketch.assembler import assemble_x86
from guesssketch.liveness import Live, before, body, exit_of
from guesssketch.problem import Problem
from guesssketch.program import Block, Branch, Call, Jump, Return
from guesssketch.questions import cut
from isa.x86_64.lift import lift


def live_before(text: str, live_out: Live) -> Live:
    return before(lift(assemble_x86(text), "fall"), live_out)


def test_a_32_bit_move_reads_half_of_its_source() -> None:
    assert live_before("mov eax, edi", {"rax": 64}) == {"rdi": 32}


def test_a_store_keeps_its_operands_live() -> None:
    assert live_before("mov word ptr [rdi + 8], si", {}) == {"rdi": 64, "rsi": 16}


def test_a_dead_result_reads_nothing() -> None:
    assert live_before("add eax, ecx", {"rdx": 32}) == {"rdx": 32}


def test_the_high_byte_lies_in_the_low_16_bits() -> None:
    assert live_before("mov al, ch", {"rax": 8}) == {"rcx": 16}


def test_writing_a_part_keeps_the_rest_live() -> None:
    assert live_before("mov al, cl", {"rax": 32}) == {"rax": 32, "rcx": 8}


def test_a_compare_defines_the_condition() -> None:
    assert live_before("cmp edi, esi", {"l": 1}) == {"rdi": 32, "rsi": 32}


def test_inc_leaves_the_carry_of_below_or_equal() -> None:
    assert live_before("inc eax", {"be": 1}) == {"rax": 32, "cf": 1}


def test_a_set_reads_flags_as_one_condition() -> None:
    assert live_before("setg al", {"rax": 8}) == {"le": 1}
    assert live_before("seta al", {"rax": 8}) == {"be": 1}
    assert live_before("setl al", {"rax": 8}) == {"l": 1}


def test_what_cannot_be_lifted_reads_everything() -> None:
    live = live_before("fld dword ptr [rdi]", {"rax": 8})
    assert {"rax", "rbx", "xmm15.hi", "cf"} <= live.keys()


def block(text: str, terminator: Branch | Call | Jump | Return) -> Block:
    return Block(0, tuple(assemble_x86(text)), terminator)


def test_direct_transfers_are_left_to_stitching() -> None:
    assert len(body(block("mov eax, 1\nret", Return()))) == 1
    assert len(body(block("mov eax, 1\njmp taken", Jump(64)))) == 1


def test_a_conditional_jump_stays_without_its_displacement() -> None:
    long, short = body(block("jne taken", Branch(64, 2)))[-1], body(block("jne taken", Branch(0x4000, 2)))[-1]
    assert long.code == short.code and long.text == "jne taken"


def test_an_indirect_call_becomes_the_jump_with_the_same_operand() -> None:
    for operand in ("rax", "r13", "qword ptr [rdi + 8]", "qword ptr [r12 + rcx*8 + 0x100]"):
        (jump,) = body(block(f"call {operand}", Call(None, 8)))
        assert jump.text == f"jmp {operand}" and jump.code == assemble_x86(f"jmp {operand}")[0].code


def problem(text: str, live_out: Live) -> Problem:
    code = tuple(assemble_x86(text))
    live_in = before(lift(code, "fall"), live_out)
    return Problem("aarch64", code, "fall", tuple(live_in.items()), tuple(live_out.items()), ())


def test_a_cut_meets_in_the_middle() -> None:
    first, second = cut(problem("mov eax, edi\nadd eax, esi\nmov ecx, eax\nadd ecx, edx", {"rcx": 32}))
    assert first.live_out == second.live_in == (("rax", 32), ("rdx", 32))
    assert second.instructions[0].offset == 0


def test_a_cut_avoids_live_flags() -> None:
    first, second = cut(problem("mov eax, edi\ncmp esi, edx\nadc eax, 0", {"rax": 32}))
    assert len(first.instructions) == 1 and not {"cf", "l"} & dict(second.live_in).keys()


def test_exits_follow_terminators() -> None:
    assert exit_of(block("jne taken", Branch(64, 2))) == "branch"
    assert exit_of(block("call rax", Call(None, 8))) == "indirect"
    assert exit_of(block("ret", Return())) == "fall"


def test_a_cut_keeps_a_division_with_its_extension() -> None:
    first, _ = cut(problem("mov rax, rdi\nmov rbx, rsi\ncqo\nidiv rcx\nmov rsi, rax", {"rsi": 64, "rbx": 64}))
    assert len(first.instructions) in (1, 2, 4)


def test_a_cut_asks_for_no_bit_that_the_block_lacks() -> None:
    text = "mov edx, eax\nshr edx, 14\nand edx, 0x3fc\nshr rax, 22\nand eax, 0x3fc\nadd eax, edx\nmov ecx, eax"
    whole = problem(text, {"rcx": 32})
    assert dict(whole.live_in) == {"rax": 32}
    for _ in range(2):
        first, _second = cut(whole)
        needed = before(lift(first.instructions, "fall"), dict(first.live_out), exact=True)
        assert needed["rax"] <= 32
        whole = first


DATA = """
.data; .p2align 4; .zero 4; four: .long 1; .zero 24
.section .rodata.str1.16, "aMS", @progbits, 1; .p2align 4; merged: .string "merged"
.section .tdata, "awT", @progbits; .p2align 4; own: .long 1
"""


def test_no_more_is_assumed_of_a_symbol_than_the_linker_keeps(make_object: Callable[..., Path]) -> None:
    code = """mov eax, dword ptr [rip + four]\nadd eax, dword ptr [rip + four + 4]\nadd eax, dword ptr [rip + four + 12]
    lea rdx, [rip + merged]\nlea rcx, [rip + f]\nmov rsi, qword ptr [rip + other@GOTPCREL]\nadd eax, dword ptr fs:[own@TPOFF]
    mov edi, offset four + 20\nret"""
    (asked,) = research.problems(research.read(make_object("in.o", DATA.replace("; ", "\n"), f=code)), "aarch64")
    found = {s.name: (s.kind, s.align, s.low) for s in asked.problem.symbols}
    wanted = [("local", 4, False), ("local", 8, False), ("local", 16, False), ("local", 1, False), ("local", 1, False),
              ("got", 1, False), ("tls", 1, False), ("local", 8, True)]  # fmt: skip
    assert [found[r.symbol] for i in asked.problem.instructions for r in i.relocations] == wanted
