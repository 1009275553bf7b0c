"""Stitching and emission on blocks translated by hand: one target text for each source instruction."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from elftools.elf.elffile import ELFFile

from guesssketch import cfg, emit, objfile, wall
from guesssketch.assembler import zig
from guesssketch.errors import ToolError
from guesssketch.frames import frame
from guesssketch.liveness import body
from guesssketch.program import Program
from guesssketch.quoting import quoted
from guesssketch.resolve import BlockId, Resolver
from guesssketch.stitch import inverted

TARGETS: Final = ("aarch64", "riscv64")

SOURCE: Final = r"""
    .intel_syntax noprefix
    .text
    .globl main
    .type main, @function
main:
    sub rsp, 8
    mov edi, 20
    call add_one
    lea rdi, [rip + format]
    mov esi, eax
    xor eax, eax
    call printf@PLT
    mov rdi, qword ptr [rip + table]
    jmp rdi
    .size main, .-main
    .type add_one, @function
add_one:
    lea eax, [rdi + 1]
    ret
    .size add_one, .-add_one
    .weak leave_it
    .type leave_it, @function
leave_it:
    xor eax, eax
    add rsp, 8
    ret
    .size leave_it, .-leave_it
    .section .rodata.str1.1,"aMS",@progbits,1
format: .asciz "%d\n"
    .section .data.rel.local,"aw"
    .p2align 3
    .type table, @object
table: .quad leave_it
    .size table, .-table
    .comm shared, 24, 8
    .section .init_array,"aw",@init_array
    .quad add_one
    .section .note.GNU-stack,"",@progbits
"""

TEXT: Final[dict[str, dict[str, list[str]]]] = {
    "aarch64": {
        "sub rsp, 8": ["sub x28, x28, #8"], "add rsp, 8": ["add x28, x28, #8"], "mov edi, 0x14": ["mov w0, #20"],
        "lea rdi, [rip]": ["adrp x0, S{}", "add x0, x0, :lo12:S{}"], "mov esi, eax": ["mov w1, w8"], "xor eax, eax": ["mov w8, #0"],
        "mov rdi, qword ptr [rip]": ["adrp x0, S{}", "ldr x0, [x0, :lo12:S{}]"], "jmp rdi": ["mov x16, x0"],
        "lea eax, [rdi + 1]": ["add w8, w0, #1"],
    },
    "riscv64": {
        "sub rsp, 8": ["addi s6, s6, -8"], "add rsp, 8": ["addi s6, s6, 8"], "mov edi, 0x14": ["li a0, 20"],
        "lea rdi, [rip]": ["1:", "auipc a0, %pcrel_hi(S{})", "addi a0, a0, %pcrel_lo(1b)"], "mov esi, eax": ["mv a1, a6"],
        "xor eax, eax": ["li a6, 0"], "mov rdi, qword ptr [rip]": ["1:", "auipc a0, %pcrel_hi(S{})", "ld a0, %pcrel_lo(1b)(a0)"],
        "jmp rdi": ["mv t1, a0"], "lea eax, [rdi + 1]": ["addiw a6, a0, 1"],
    },
}  # fmt: skip


def program_of(text: str, folder: Path) -> Program:
    source, output = folder / "in.s", folder / "in.o"
    source.write_text(text)
    subprocess.run([zig(), "clang", "-cc1as", "-triple", "x86_64-unknown-linux-gnu", "-filetype", "obj", "-o", str(output), str(source)],
                   check=True)  # fmt: skip
    return cfg.recover(objfile.read(output))


def assembly_of(program: Program, target: str) -> str:
    texts: dict[BlockId, tuple[emit.BlockText, ...]] = {}
    for index, function in enumerate(program.functions[0]):
        for offset, block in function.blocks.items():
            lines: list[str] = []
            for instruction in body(block):
                name = instruction.relocations[0].symbol[1:] if instruction.relocations else ""
                lines += [line.format(name) for line in TEXT[target][instruction.text]]
            texts[BlockId(0, index, offset)] = (emit.BlockText(tuple(lines), block.places, ("by hand",), "unproved"),)
    resolver = Resolver(program)
    return emit.program(program, resolver, wall.Boundary(program, resolver, target), texts, target)[0]


def object_of(text: str, target: str) -> ELFFile:
    return ELFFile(io.BytesIO(emit.assemble(text, target)))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program_of(SOURCE, tmp_path_factory.mktemp("emit"))


@pytest.mark.parametrize("target", TARGETS)
def test_symbols_keep_their_nature(program: Program, target: str) -> None:
    table = object_of(assembly_of(program, target), target).get_section_by_name(".symtab")
    found = {s.name: (s["st_info"]["bind"][4:], s["st_info"]["type"][4:], s["st_other"]["visibility"][4:]) for s in table.iter_symbols()}
    assert found["main"] == ("GLOBAL", "FUNC", "DEFAULT")
    assert found["main.x86"] == ("GLOBAL", "FUNC", "HIDDEN")
    assert found["leave_it"] == ("WEAK", "FUNC", "DEFAULT")
    assert found["add_one"] == ("LOCAL", "FUNC", "DEFAULT")
    assert found["shared"] == ("GLOBAL", "OBJECT", "DEFAULT")
    assert found["table"] == ("LOCAL", "OBJECT", "DEFAULT") and table.get_symbol_by_name("table")[0]["st_size"] == 8
    assert "leave_it.x86" not in found  # another definition may take its place, so nobody may know this one


@pytest.mark.parametrize("target", TARGETS)
def test_sections_keep_their_nature(program: Program, target: str) -> None:
    elf = object_of(assembly_of(program, target), target)
    strings, init = elf.get_section_by_name(".rodata.str1.1"), elf.get_section_by_name(".init_array")
    assert (strings["sh_flags"], strings["sh_entsize"], strings.data()) == (0x32, 1, b"%d\n\0")
    assert init["sh_type"] == "SHT_INIT_ARRAY"
    assert elf.get_section_by_name(".eh_frame") is not None
    assert elf.get_section_by_name(".note.GNU-stack")["sh_flags"] == 0


@pytest.mark.parametrize("target", TARGETS)
def test_runs(program: Program, target: str, tmp_path: Path) -> None:
    """A direct call inside, a variadic call outside, an indirect tail call of a weak function, a constructor."""
    compiler, emulator = f"{target}-linux-gnu-gcc", f"qemu-{target}"
    if not shutil.which(compiler) or not shutil.which(emulator):
        pytest.skip(f"needs {compiler} and {emulator}")
    made, linked = tmp_path / "out.o", tmp_path / "out"
    made.write_bytes(emit.assemble(assembly_of(program, target), target))
    subprocess.run([compiler, str(made), "-o", str(linked)], check=True)
    done = subprocess.run([emulator, "-L", f"/usr/{target}-linux-gnu", str(linked)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("21\n", 0)


@pytest.mark.parametrize("target", TARGETS)
def test_code_that_is_not_position_independent_does_not_link_as_if_it_were(target: str, tmp_path: Path) -> None:
    compiler = f"{target}-linux-gnu-gcc"
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    text = SOURCE.replace("lea rdi, [rip + format]", "mov edi, offset format")
    program = program_of(text, tmp_path)
    assert not program.objects[0].pic
    TEXT[target]["mov edi, 0"] = TEXT[target]["lea rdi, [rip]"]
    made = tmp_path / "out.o"
    made.write_bytes(emit.assemble(assembly_of(program, target), target))
    assert subprocess.run([compiler, "-no-pie", str(made), "-o", str(tmp_path / "a")], check=False).returncode == 0
    refused = subprocess.run([compiler, "-pie", str(made), "-o", str(tmp_path / "b")], capture_output=True, check=False)
    assert refused.returncode != 0


def test_a_far_branch_is_turned_round() -> None:
    assert inverted("tbz x0, #3, taken", 40_000) == ("tbnz x0, #3, ", "taken")
    assert inverted("cbnz w1, taken", 2_000_000) == ("cbz w1, ", "taken")
    assert inverted("b.hi taken", 2_000_000) == ("b.ls ", "taken")
    assert inverted("b.hi taken", 40_000) is None
    assert inverted("add x0, x1, x2", 2_000_000) is None


SP: Final = """.intel_syntax noprefix
    .text
f:  {}
    ret
    .type f, @function
    .size f, .-f
"""


@pytest.mark.parametrize(("code", "depth", "dynamic"), [
    ("push rbx; sub rsp, 0x20; add rsp, 0x20; pop rbx", 40, 0),
    ("lea rsp, [rsp - 8]; lea rsp, [rsp + 8]", 8, 0),
    ("push rbp; mov rbp, rsp; sub rsp, rdi; leave", 8, 1),
    ("push rbp; mov rbp, rsp; and rsp, -32; leave", 8, 1),
    ("sub rsp, 64; jmp 2f; 1: sub rsp, 4096; 2: cmp rdi, rsp; jb 1b; lea rsp, [rbp - 8]", 4160, 1),
])  # fmt: skip
def test_frame_depth(code: str, depth: int, dynamic: int, tmp_path: Path) -> None:
    found = frame(program_of(SP.format(code), tmp_path).functions[0][0])
    assert (found.depth, len(found.dynamic), found.calls) == (depth, dynamic, False)


def test_the_assembler_says_what_it_refuses() -> None:
    with pytest.raises(ToolError, match="assembler: "):
        emit.assemble("no such instruction\n", "aarch64")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["Lefèvre", "x1", "eq", "two words"])
def test_any_name_is_a_symbol(name: str, target: str) -> None:
    text = f".globl {quoted(name)}\n.type {quoted(name)}, @object\n{quoted(name)}:\n.word {quoted(name)}\n"
    elf = ELFFile(io.BytesIO(emit.assemble(text, target)))
    assert name in [symbol.name for symbol in elf.get_section_by_name(".symtab").iter_symbols()]
