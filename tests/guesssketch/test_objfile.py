"""Objects and archives: what is read, and that whatever is wrong is one clear error."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from guesssketch import archive, objfile
from guesssketch.errors import InputError, NotAnObject

SOURCE = """
    .section .text.inline_me,"axG",@progbits,inline_me,comdat
    .weak inline_me
    .type inline_me,@function
inline_me:
    ret
    .size inline_me,.-inline_me
    .text
    .globl first, second
    .hidden second
    .type first,@function
first:
    movl counter(%rip), %eax
    movq shared@GOTPCREL(%rip), %rcx
    jmp outside@PLT
    .size first,.-first
    .type second,@function
second:
    ret
    .size second,.-second
    .comm pool,64,16
    .bss
    .local counter
counter:
    .zero 4
    .data
    .quad first+8
    .section .init_array,"aw"
    .quad second
    .section .rodata.str1.1,"aMS",@progbits,1
    .asciz "text"
    .section .note.GNU-stack,"",@progbits
    .globl fixed
    .set fixed, 0x1234
"""


def build(folder: Path, text: str, name: str = "unit", target: str = "x86_64-linux-gnu", *options: str) -> Path:
    source, output = folder / f"{name}.s", folder / f"{name}.o"
    source.write_text(text)
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-c", str(source), "-o", str(output), *options]
    subprocess.run(command, check=True, capture_output=True)
    return output


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("unit"), SOURCE)


def test_sections_and_symbols(unit: Path) -> None:
    (file,) = objfile.read(unit)
    sections = {section.name: section for section in file.sections}
    symbols = {symbol.name: symbol for symbol in file.symbols}
    assert file.pic
    assert sections[".bss"].data == b"" and sections[".bss"].size == 4
    assert sections[".text.inline_me"].group == "inline_me" and sections[".text"].group is None
    assert sections[".rodata.str1.1"].flags & 0x30 == 0x30 and sections[".rodata.str1.1"].entsize == 1
    assert sections[".text"].is_code and sections[".data"].is_allocated and not sections[".data"].is_code
    assert symbols["first"].type == "function" and symbols["first"].size == 18
    assert (symbols["second"].visibility, symbols["second"].value) == ("hidden", 18)
    assert symbols["inline_me"].binding == "weak"
    assert (symbols["pool"].type, symbols["pool"].value, symbols["pool"].size) == ("common", 16, 64)
    assert symbols["pool"].is_defined and not symbols["outside"].is_defined
    assert symbols["fixed"].absolute and symbols["fixed"].value == 0x1234 and symbols["fixed"].section is None


def test_relocations(unit: Path) -> None:
    (file,) = objfile.read(unit)
    sections = {section.name: section for section in file.sections}
    seen = [(r.offset, r.type, file.symbols[r.symbol].name, r.addend) for r in sections[".text"].relocations]
    assert seen == [(2, 2, ".bss", -4), (9, 42, "shared", -4), (14, 4, "outside", -4)]
    (pointer,) = sections[".data"].relocations
    assert (pointer.type, file.symbols[pointer.symbol].name, pointer.addend) == (1, "first", 8)


def test_absolute_addresses_are_not_pic(tmp_path: Path) -> None:
    (file,) = objfile.read(build(tmp_path, ".text\nf: movl $f, %eax\n"))
    assert not file.pic


def test_archive_round_trip(unit: Path, tmp_path: Path) -> None:
    content = unit.read_bytes()
    members = [("short.o", content), ("a_name_longer_than_fifteen.o", content + b"\0"), ("short.o", content)]
    archive.write(tmp_path / "lib.a", members)
    assert archive.read((tmp_path / "lib.a").read_bytes()) == members
    files = objfile.read(tmp_path / "lib.a")
    assert [file.name for file in files] == [f"{tmp_path}/lib.a({name})" for name, _ in members]


def test_the_linker_finds_members_by_the_index(tmp_path: Path) -> None:
    callee = build(tmp_path, ".globl helper\n.text\nhelper: mov $7, %eax\n ret\n", "a_helper_of_some_kind")
    other = build(tmp_path, ".globl unused\n.text\nunused: ret\n", "unused")
    main = build(tmp_path, ".globl _start\n.text\n_start: call helper\n ret\n", "main")
    archive.write(tmp_path / "lib.a", [(path.name, path.read_bytes()) for path in (other, callee)])
    command = ["ld.lld", "-o", str(tmp_path / "out"), str(main), str(tmp_path / "lib.a")]
    subprocess.run([sys.executable, "-m", "ziglang", *command], check=True, capture_output=True)
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"int main;", "not an ELF file"),
        (b"", "not an ELF file"),
        (b"\x7fELF\x02\x01\x01", "truncated"),
        (b"BC\xc0\xde" + bytes(60), "LLVM bitcode"),
        (archive.THIN_MAGIC, "thin archive"),
        (archive.MAGIC, "without members"),
        (archive.MAGIC + b"x" * 60, "corrupt archive"),
    ],
)
def test_no_object(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=message):
        objfile.read(tmp_path / "file")


@pytest.mark.parametrize(
    ("at", "patch", "message"),
    [
        (16, b"\x02\0", "an executable; guesssketch needs an object file"),
        (16, b"\x03\0", "a shared object"),
        (18, b"\xb7\0", "made for AArch64"),
        (18, b"\xf3\0", "made for RISC-V"),
        (4, b"\x01", "32-bit"),
        (5, b"\x02", "big-endian"),
    ],
)
def test_wrong_kind_of_elf(unit: Path, at: int, patch: bytes, message: str) -> None:
    data = unit.read_bytes()
    with pytest.raises(NotAnObject, match=message):
        objfile.parse(data[:at] + patch + data[at + len(patch) :], "x.o")


def test_ifunc_is_refused(tmp_path: Path) -> None:
    path = build(tmp_path, ".text\n.globl pick\n.type pick,@gnu_indirect_function\npick: ret\n")
    with pytest.raises(InputError, match="pick is an IFUNC"):
        objfile.read(path)


def test_corrupt_input_is_an_input_error(unit: Path) -> None:
    """Truncation anywhere and random damage give an object or an InputError, nothing else."""
    data = unit.read_bytes()
    generator = random.Random(1)
    for _ in range(400):
        damaged = bytearray(data[: generator.randrange(len(data))] if generator.random() < 0.2 else data)
        for _ in range(generator.randrange(1, 8)):
            if damaged:
                damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        try:
            objfile.parse(bytes(damaged), "x.o")
        except InputError:
            continue


def test_thread_local_sections_are_one_and_offsets_in_it_are_numbers(make_object: Callable[..., Path]) -> None:
    data = """.section .tdata, "awT", @progbits\nfirst: .byte 1, 2, 3
    .section .tbss, "awT", @nobits\n.p2align 6\n.zero 8\nthird: .zero 24"""
    code = "lea rdi, [rip + first@tlsld]\ncall __tls_get_addr@PLT\nmov eax, dword ptr [rax + third@dtpoff + 12]\nret"
    (file,) = objfile.read(make_object("in.o", data, f=code))
    found = {s.name: s for s in file.symbols}
    home = file.sections[found["first"].section or 0]
    assert found["third"].section == home.index and found["third"].value == 72 and (home.align, home.size) == (64, 96)
    (text,) = (s for s in file.sections if s.is_code and s.size)
    assert text.data[-5:-1] == (72 + 12).to_bytes(4, "little") and home.data == b"\1\2\3".ljust(96, b"\0")
