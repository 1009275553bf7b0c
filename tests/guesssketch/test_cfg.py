"""Functions and blocks recovered from small hand-written objects, one shape of control flow each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guesssketch import cfg, listing, objfile
from guesssketch.errors import Untranslatable
from guesssketch.program import MADE_UP, Branch, Call, Fall, Function, IndirectJump, Jump, Place, Program, Return, TailCall, Trap


def function(name: str, body: str, section: str = ".text", binding: str = ".globl") -> str:
    return f'\n.section {section},"ax"\n{binding} {name}\n.type {name},@function\n{name}:\n{body}\n.size {name},.-{name}\n'


def recover(folder: Path, *texts: str) -> Program:
    files = []
    for number, text in enumerate(texts):
        source, output = folder / f"u{number}.s", folder / f"u{number}.o"
        source.write_text(text)
        command = ["cc", "-target", "x86_64-linux-gnu", "-c", str(source), "-o", str(output)]
        subprocess.run([sys.executable, "-m", "ziglang", *command], check=True, capture_output=True)
        files += objfile.read(output)
    return cfg.recover(files)


def functions(program: Program) -> dict[str, Function]:
    return {found.name: found for row in program.functions for found in row}


def place(program: Program, where: Place, number: int = 0) -> tuple[str, int]:
    return program.objects[number].symbols[where.symbol].name, where.addend


def problems(folder: Path, *texts: str) -> str:
    with pytest.raises(Untranslatable) as caught:
        recover(folder, *texts)
    return str(caught.value)


def test_blocks_are_cut_at_branches_targets_and_calls(tmp_path: Path) -> None:
    body = "test %edi,%edi\n je 1f\n call outside@PLT\n1: lea 1(%rax),%eax\n cmp $9,%eax\n jl 1b\n ret"
    program = recover(tmp_path, function("f", body))
    f = functions(program)["f"]
    assert [type(block.terminator) for block in f.blocks.values()] == [Branch, Call, Branch, Return]
    assert f.blocks[0].terminator == Branch(9, 4)
    call = f.blocks[4].terminator
    assert isinstance(call, Call) and call.callee is not None
    assert place(program, call.callee) == ("outside", 0) and call.next == 9
    assert f.blocks[9].terminator == Branch(9, 17)


def test_operands_become_places(tmp_path: Path) -> None:
    body = """
    cmpl $5, v+8(%rip)
    mov v@GOTPCREL(%rip), %rax
    movl $w+4, %edx
    movl w(,%rdx,4), %ecx
    movl %fs:t@TPOFF, %ecx
    mov t@GOTTPOFF(%rip), %rcx
    movabsq $v, %rax
    lea v+8(%rip), %rax
    ret"""
    program = recover(tmp_path, function("f", body))
    (block,) = functions(program)["f"].blocks.values()
    seen = [(r.kind, r.symbol, *place(program, block.places[r.symbol])) for i in block.instructions for r in i.relocations]
    assert seen == [
        ("pc", "S0", "v", 8), ("got", "S1", "v", 0), ("abs32", "S2", "w", 4), ("abs32s", "S3", "w", 0),
        ("tpoff", "S4", "t", 0), ("gottpoff", "S5", "t", 0), ("abs64", "S6", "v", 0), ("pc", "S0", "v", 8),
    ]  # fmt: skip


def test_tail_calls_direct_conditional_and_to_a_local_function(tmp_path: Path) -> None:
    text = function("f", "test %edi,%edi\n je outside\n jg g\n jmp *%rax") + function("g", "ret", binding=".local")
    program = recover(tmp_path, text)
    f = functions(program)["f"]
    made_up = [block for block in f.blocks.values() if block.offset >= MADE_UP]
    callees = [block.terminator.callee for block in made_up if isinstance(block.terminator, TailCall)]
    assert [place(program, callee) for callee in callees if callee] == [("outside", 0), ("g", 0)]
    assert f.blocks[0].terminator == Branch(made_up[0].offset, 8)
    assert TailCall(None) in [block.terminator for block in f.blocks.values()]


def test_call_through_the_got_is_direct(tmp_path: Path) -> None:
    program = recover(tmp_path, function("f", "call *outside@GOTPCREL(%rip)\n jmp *outside@GOTPCREL(%rip)"))
    f = functions(program)["f"]
    call, jump = (block.terminator for block in f.blocks.values())
    assert isinstance(call, Call) and call.callee is not None and place(program, call.callee) == ("outside", 0)
    assert isinstance(jump, TailCall) and jump.callee is not None and place(program, jump.callee) == ("outside", 0)


def test_repeated_string_instruction_is_a_loop_of_its_own(tmp_path: Path) -> None:
    f = functions(recover(tmp_path, function("f", "xor %eax,%eax\n rep stosq\n repne scasb\n rep ret")))["f"]
    assert [b.terminator for b in f.blocks.values()] == [Fall(2), Branch(2, 5), Branch(5, 7), Return()]


def test_traps_and_running_off_the_end(tmp_path: Path) -> None:
    text = function("f", "test %edi,%edi\n je 1f\n ud2\n1: nop") + function("g", "nop")
    program = recover(tmp_path, text)
    found = functions(program)
    assert Trap() in [block.terminator for block in found["f"].blocks.values()]
    (off_f,) = [block.terminator for block in found["f"].blocks.values() if block.offset >= MADE_UP]
    assert isinstance(off_f, TailCall) and off_f.callee is not None and place(program, off_f.callee) == ("g", 0)
    assert [block.terminator for block in found["g"].blocks.values()] == [Fall(MADE_UP), Trap()]


def test_no_return_by_name_by_position_and_across_objects(tmp_path: Path) -> None:
    first = function("f", "test %edi,%edi\n je 1f\n call die\n1: call stop\n nop\n nop")
    second = function("die", "call log\n call abort") + function("loop", "1: jmp 1b\n") + function("log", "ret")
    program = recover(tmp_path, first, second)
    found = functions(program)
    assert [b.terminator.next for b in found["f"].blocks.values() if isinstance(b.terminator, Call)] == [None, None]
    returns = [b.terminator.next is not None for b in found["die"].blocks.values() if isinstance(b.terminator, Call)]
    assert returns == [True, False]


def test_a_weak_function_may_return(tmp_path: Path) -> None:
    text = function("f", "call die\n ret") + function("die", "ud2", binding=".weak")
    f = functions(recover(tmp_path, text))["f"]
    assert Return() in [block.terminator for block in f.blocks.values()]


def test_cold_part_belongs_to_its_function(tmp_path: Path) -> None:
    cold = "call log\n jmp back"
    text = function("f", "test %edi,%edi\n je f.cold\nback: ret")
    text += function("f.cold", cold, ".text.unlikely", ".local") + function("log", "ret")
    program = recover(tmp_path, text)
    found = functions(program)
    assert sorted(found) == ["f", "log"]
    f = found["f"]
    ((section, offset, _),) = f.parts
    cold_blocks = [block for block in f.blocks.values() if block.home == (section, offset)]
    assert len(cold_blocks) == 1 and f.blocks[0].terminator == Branch(cold_blocks[0].offset, 8)
    assert Jump(8) in [block.terminator for block in f.blocks.values()]


CASES = "".join(f"c{n}: mov ${n},%eax\n ret\n" for n in range(3))
RELATIVE = """
    lea next(%rip),%rcx
    cmp $2,%edi
    ja c0
    lea table(%rip),%rdx
    movslq (%rdx,%rdi,4),%rax
    add %rdx,%rax
    {notrack}jmp *%rax
"""


@pytest.mark.parametrize("notrack", ["", "notrack "])
def test_relative_jump_table(tmp_path: Path, notrack: str) -> None:
    table = ".section .rodata\n.long 0\ntable: .long c2-table, c0-table, c2-table, c1-table\nnext: .long c1-next\n"
    f = functions(recover(tmp_path, function("f", RELATIVE.format(notrack=notrack) + CASES) + table))["f"]
    (jump,) = [block.terminator for block in f.blocks.values() if isinstance(block.terminator, IndirectJump)]
    found = next(table for table in f.tables if len(table.targets) > 1)
    assert (found.offset, found.width, found.relative) == (4, 4, True)
    c0, c1, c2 = sorted(set(found.targets))
    assert found.targets == (c2, c0, c2, c1) and jump.targets == (c2, c0, c1)


def test_absolute_jump_tables(tmp_path: Path) -> None:
    """Two tables side by side: a compared index gives the extent; without one, as with a bias, the whole run is meant."""
    body = "cmp $1,%edi\n ja 1f\n mov %edi,%edi\n jmp *table(,%rdi,8)\n1: jmp *table+8(,%rsi,8)\n" + CASES
    table = ".section .rodata\ntable: .quad c0, c1\nnext: .quad c2, c1\n"
    f = functions(recover(tmp_path, function("f", body) + table))["f"]
    jumps = [block.terminator.targets for block in f.blocks.values() if isinstance(block.terminator, IndirectJump)]
    assert len(f.tables) == 1 and len(f.tables[0].targets) == 4
    assert [len(targets) for targets in jumps] == [2, 3]


def test_table_address_in_another_block_and_computed_goto(tmp_path: Path) -> None:
    body = "push %rbx\n lea labels(%rip),%rbx\n1: call outside\n cltq\n jmp *(%rbx,%rax,8)\nc0: jmp 1b\nc1: pop %rbx\n ret"
    labels = '.section .data.rel.ro,"aw"\nlabels: .quad c0, c1\n'
    f = functions(recover(tmp_path, function("f", body) + labels))["f"]
    (jump,) = [block.terminator for block in f.blocks.values() if isinstance(block.terminator, IndirectJump)]
    assert len(jump.targets) == 2


def test_function_pointer_table_is_a_tail_call(tmp_path: Path) -> None:
    text = function("f", "jmp *pointers(,%rdi,8)") + function("g", "ret") + ".section .rodata\npointers: .quad g, f\n"
    f = functions(recover(tmp_path, text))["f"]
    assert f.entry.terminator == TailCall(None)


def test_unreachable_code_is_dropped_and_padding_is_fine(tmp_path: Path) -> None:
    text = function("f", "ret\n fld1\n ret") + ".p2align 4\n" + function("g", "ret\n int3\n int3")
    found = functions(recover(tmp_path, text))
    assert list(found["f"].blocks) == [0] and len(found["g"].blocks) == 1


def test_aliases_share_one_function(tmp_path: Path) -> None:
    text = function("f", "ret") + ".globl alias\n.set alias, f\n.type alias,@function\n"
    program = recover(tmp_path, text)
    ((f,),) = program.functions
    assert {program.objects[0].symbols[index].name for index in f.names} == {"f", "alias"}


def test_every_problem_is_named(tmp_path: Path) -> None:
    body = "je 1f\n syscall\n vaddps %ymm0,%ymm1,%ymm2\n1: fld1\n mov constant(%rip),%eax\n .byte 0x06\n ret"
    text = function("f", body) + "constant: .long 77\n" + function("g", "lea x@TLSGD(%rip),%rdi\n cpuid\n rcpps %xmm1,%xmm0\n ret")
    report = problems(tmp_path, text)
    for expected in (
        "f+0x2: syscall: enters the kernel",
        "f+0x4: vaddps ymm2, ymm1, ymm0: VEX",
        "f+0x8: fld1: x87",
        "inline data",
        ".byte 0x06: cannot be decoded",
        "g+0x0: lea rdi, [rip]: relocation R_X86_64_TLSGD",
        "g+0x7: cpuid",
        "g+0x9: rcpps xmm0, xmm1: nothing here knows what it does (operation)",
    ):
        assert expected in report


def test_code_without_a_symbol_and_jumps_into_other_functions(tmp_path: Path) -> None:
    report = problems(tmp_path, "push %rax\n" + function("f", "jmp inside") + function("g", "nop\ninside: ret"))
    assert ".text+0x0: inline data or unknown code" in report
    assert "jumps into the middle of another function" in report


def test_label_arithmetic_is_refused(tmp_path: Path) -> None:
    report = problems(tmp_path, function("f", "lea c0(%rip),%rdx\n add %rdi,%rdx\n jmp *%rdx\n" + CASES))
    assert "f+0xa: jmp rdx: jumps to a computed distance from a label" in report


def test_relative_entries_without_a_table_are_refused(tmp_path: Path) -> None:
    report = problems(tmp_path, function("f", "nop\nc0: ret") + ".section .rodata\ntable: .long c0-table\n")
    assert ".rodata+0x0: the relative address of code" in report


def test_show(tmp_path: Path) -> None:
    program = recover(tmp_path, function("f", "mov v(%rip),%eax\n test %edi,%edi\n je outside\n ret"))
    blocks = program.functions[0][0].blocks.values()
    text = "\n".join(line for block in blocks for line in listing.block_lines(program.objects[0], block))
    assert "S0 = v (pc)" in text and "-> branch out.0, else 0xe" in text and "-> tail call outside" in text
