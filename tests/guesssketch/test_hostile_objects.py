"""Objects that lie: about sizes, names, themselves. One clear error, no more memory than the file's size allows, no way into text."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from guesssketch import archive, objfile
from guesssketch.cli import run
from guesssketch.dwarf import signatures
from guesssketch.errors import InputError


def elf(sections: list[tuple[str, int, int, bytes, int, int]], sizes: dict[str, int] | None = None) -> bytes:
    """An x86-64 object of (name, type, flags, content, link, info). sizes: said in place of the content's."""
    names, body, headers = b"\0", b"", [bytes(64)]
    for name, kind, flags, content, link, info in [*sections, (".shstrtab", 3, 0, b"", 0, 0)]:
        at = len(names)
        names += name.encode() + b"\0"
        content = names if name == ".shstrtab" else content
        size = (sizes or {}).get(name, len(content))
        headers.append(struct.pack("<IIQQQQIIQQ", at, kind, flags, 0, 64 + len(body), size, link, info, 1, 24 if kind == 2 else 0))
        body += content
    start = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    return start + body + b"".join(headers)


def with_symbols(names: list[bytes]) -> bytes:
    """``.text`` with a function for each name, at its start."""
    strings, table = b"\0", bytes(24)
    for name in names:
        table += struct.pack("<IBBHQQ", len(strings), 0x12, 0, 1, 0, 1)
        strings += name + b"\0"
    return elf([(".text", 1, 6, b"\xc3" * 16, 0, 0), (".symtab", 2, 0, table, 3, 1), (".strtab", 3, 0, strings, 0, 0)])


def test_what_is_made_here_is_an_object() -> None:
    file = objfile.parse(with_symbols([b"f", b"with space", "na\u00efve".encode()]), "in.o")
    assert [s.name for s in file.symbols] == ["", "f", "with space", "na\u00efve"] and file.sections[1].data == b"\xc3" * 16


@pytest.mark.parametrize("name", [b'x"\n.incbin "/etc/passwd', b"f\nret", b"f\\", b"f\r", b"\x1b[2J", b".", b'a"b', "\u2028".encode()])
def test_a_name_is_a_name(name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="cannot be written in assembly"):
        objfile.parse(with_symbols([b"f", name]), "in.o")
    with pytest.raises(InputError, match="cannot be written in assembly"):
        objfile.parse(elf([(name.decode(), 1, 2, b"", 0, 0)]), "in.o")


@pytest.mark.parametrize("name", ["f; .set memcpy, 0", "f # x", "f // x", "call f", "a0", "x0", "%hi(f)", "f@plt", "f+8", "1f", "f : ", "$(id)"])
@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_an_odd_name_is_kept_or_refused(name: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strings = b"\0f\0" + name.encode() + b"\0"
    table = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, 0, 6) + struct.pack("<IBBHQQ", 3, 0x12, 0, 1, 6, 1)
    relocation = struct.pack("<QQq", 1, 2 << 32 | 4, -4)
    code = b"\xe8\0\0\0\0\xc3\xc3"  # f: call NAME; ret; NAME: ret
    (tmp_path / "in.o").write_bytes(elf([(".text", 1, 6, code, 0, 0), (".rela.text", 4, 0, relocation, 3, 1), (".symtab", 2, 0, table, 4, 1),
                                         (".strtab", 3, 0, strings, 0, 0)]))  # fmt: skip
    output = tmp_path / "out.o"
    status = run(["translate", str(tmp_path / "in.o"), "--target", target, "-o", str(output), "-j", "1", "--no-cache"])
    assert status in (0, 3)
    if status == 3:
        assert capsys.readouterr().err.startswith("guesssketch: ") and not output.exists()
        return
    symbols = ELFFile(io.BytesIO(output.read_bytes())).get_section_by_name(".symtab").iter_symbols()
    found = {s.name for s in symbols if s.name not in ("", "$x", "$d") and not s.name.startswith(".L")}
    assert found == {name, f"{name}.x86", "f", "f.x86"}


@pytest.mark.parametrize(("data", "why"), [
    (elf([(".debug_str", 1, 0x800, struct.pack("<IIQQ", 1, 0, 1 << 40, 1) + zlib.compress(bytes(1 << 20)), 0, 0)]), "too much"),
    (elf([(".debug_str", 1, 0x800, struct.pack("<IIQQ", 1, 0, 1 << 10, 1) + zlib.compress(bytes(1 << 20)), 0, 0)]), "does not have 0x400 bytes"),
    (elf([(".debug_str", 1, 0x800, struct.pack("<IIQQ", 2, 0, 1 << 10, 1), 0, 0)]), "compressed by method 2"),
    (elf([(f".s{n}", 1, 0, bytes(4096) if n == 0 else b"", 0, 0) for n in range(20)], {f".s{n}": 1500 for n in range(20)}), "overlap"),
    (elf([(".text", 1, 6, b"\xc3", 0, 0)], {".text": 1 << 63}), "truncated"),
    (with_symbols([b"f" * 100_000, *(b"" for _ in range(100))]).replace(b"\x12\0\1\0", b"\x12\0\1\0"), ""),
])  # fmt: skip
def test_sizes_are_checked_before_they_are_believed(data: bytes, why: str) -> None:
    if not why:
        objfile.parse(data, "in.o")
        return
    with pytest.raises(InputError, match=why):
        objfile.parse(data, "in.o")


def test_names_that_share_their_ends_have_a_bound() -> None:
    strings = b"\0" + b"f" * 50_000 + b"\0"
    table = bytes(24) + b"".join(struct.pack("<IBBHQQ", 1 + n, 0x12, 0, 1, 0, 1) for n in range(5000))
    with pytest.raises(InputError, match="names overlap"):
        objfile.parse(elf([(".text", 1, 6, b"\xc3", 0, 0), (".symtab", 2, 0, table, 3, 1), (".strtab", 3, 0, strings, 0, 0)]), "in.o")


def described(depth: int, own: bool) -> bytes:
    """Debugging information (DWARF 4) of a prototype whose parameter is a struct of two structs of two structs ...; if ``own``, the
    innermost has the outermost for a member."""
    abbreviations = (b"\x01\x11\x01\0\0"  # compile unit, with children
                     b"\x02\x2e\x01\x03\x08\x27\x19\x3c\x19\0\0"  # subprogram: name, prototyped, declaration
                     b"\x03\x05\0\x49\x13\0\0"  # parameter: type
                     b"\x04\x13\x01\x0b\x0b\0\0"  # struct: size
                     b"\x05\x0d\0\x49\x13\x38\x0b\0\0"  # member: type, offset
                     b"\x06\x24\0\x3e\x0b\x0b\x0b\0\0\0")  # base type: encoding, size  # fmt: skip
    head = 11 + 1 + len(b"\x02f\0\x03....\0")
    size = len(b"\x04\x08" + b"\x05....." * 2 + b"\0")
    places = [head + size * n for n in range(depth)] + [head + size * depth]
    body = b"\x01\x02f\0\x03" + struct.pack("<I", head) + b"\0"
    for inner in [*places[1:-1], head if own else places[-1]]:
        body += b"\x04\x08" + (b"\x05" + struct.pack("<I", inner) + b"\0") * 2 + b"\0"
    body += b"\x06\x05\x04\0"
    unit = struct.pack("<IHIB", len(body) + 7, 4, 0, 8) + body
    return elf([(".debug_info", 1, 0, unit, 0, 0), (".debug_abbrev", 1, 0, abbreviations, 0, 0)])


def test_types_that_grow_without_end_say_nothing() -> None:
    known = signatures(objfile.parse(described(3, own=False), "in.o")).external
    assert str(known["f"]) == "void({8:0=i32,0=i32,0=i32,0=i32,0=i32,0=i32,0=i32,0=i32})"
    assert not signatures(objfile.parse(described(60, own=False), "in.o")).external["f"].is_known
    assert signatures(objfile.parse(described(60, own=True), "in.o")).external == {}


@pytest.mark.parametrize(("label", "content", "why"), [
    (b"a\0b/", b"", "a member is called"), (b"\x1b[2J/", b"", "a member is called"), (b"#1/9", b"x", "a name of 9 bytes"), (b"/7", b"", "no long name"),
    (b"#1/x", b"x", "not a number"),
])  # fmt: skip
def test_names_of_an_archive_are_names(label: bytes, content: bytes, why: str) -> None:
    data = b"!<arch>\n" + b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (label, 0, 0, 0, 644, len(content)) + content
    with pytest.raises(InputError, match=why):
        archive.read(data, "in.a")


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "null", "[]", "{}", "\xff", "", '{"functions": [{"name": []}]}'])
def test_files_beside_the_object_are_read_with_the_same_care(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, header = tmp_path / "given", tmp_path / "h.h"
    path.write_bytes(text.encode("latin-1"))
    header.write_text(f"int f(int{'(' * 3000});\n")
    (tmp_path / "in.o").write_bytes(with_symbols([b"f"]))
    common = [str(tmp_path / "in.o"), "--target", "aarch64", "-j", "1", "--no-cache"]
    translation = ["translate", *common, "-o", str(tmp_path / "out.o")]
    for arguments in ([*translation, "--html", str(tmp_path / "x.html"), "--tests", str(path)], [*translation, "--prototypes", str(header)],
                      ["test", *common, "--replay", str(path)]):  # fmt: skip
        assert run(arguments) in (2, 3)
        said = capsys.readouterr().err
        assert "Traceback" not in said and 0 < said.count("\n") <= 3
    assert not (tmp_path / "out.o").exists()
