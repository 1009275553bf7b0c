"""What must stand any bytes whatever: each function here gives its input to the real code and lets only clear errors pass.

An exception that comes out of one of them is a fault of guesssketch. The first word of a corpus file's name says which is meant.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Final

from guesssketch import archive, cfg, emit, objfile, pairs
from guesssketch.allowed import LABEL, LONGEST, refused
from guesssketch.cli import run
from guesssketch.emit import BlockText
from guesssketch.errors import GuessSketchError
from guesssketch.liveness import analyse
from guesssketch.program import ElfSymbol, ObjectFile, Section
from guesssketch.questions import ask
from guesssketch.resolve import Resolver, ambiguous, blocks
from guesssketch.sketch import holes
from guesssketch.wall import Boundary

LARGEST: Final = 1 << 16  # bytes of an input; a larger one is cut
COMMANDS: Final = ("prove", "show", "solve", "translate", "evaluate", "train", "test", "frobnicate", "")
OPTIONS: Final = (
    "--target", "--stage", "--function", "--emit", "--require", "--jobs", "-j", "--proposers", "--model", "--memory-order", "--cache",
    "--no-cache", "--html", "--report", "--json", "--prototypes", "--candidates", "-o", "--help", "--version", "--", "-", "-\u00e9",
)  # fmt: skip
VALUES: Final = (
    "aarch64", "riscv64", "x86_64", "tso", "obj", "asm", "proved", "cfg", "liveness", "lm", "lowering", "sketch,lm", "0", "-1", "1", "2.5", "1e9",
    "9" * 40, "", " ", "\n", "\udcff", "missing.o", "empty", "text", "damaged.o", "folder", "folder/out.o", "no/such/place.o", "a" * 5000,
)  # fmt: skip


def object_file(data: bytes) -> None:
    """An object or an archive, up to the assembly text of its translation with no-operations for all blocks."""
    with contextlib.suppress(GuessSketchError):
        if data.startswith(archive.MAGIC):
            _translate([objfile.parse(content, f"in.a({name})") for name, content in archive.read(data, "in.a")])
        else:
            _translate([objfile.parse(data, "in.o")])


def code(data: bytes) -> None:
    """Machine code: one function that has no relocations, its second half the start of another."""
    text = Section(1, ".text", 1, 6, 16, 0, len(data), data)
    symbols = [
        ElfSymbol(0, "", "notype", "local", "default", None, 0, 0),
        ElfSymbol(1, "f", "function", "global", "default", 1, 0, len(data) // 2),
        ElfSymbol(2, "g", "function", "global", "default", 1, len(data) // 2, len(data) - len(data) // 2),
    ]
    with contextlib.suppress(GuessSketchError):
        _translate([ObjectFile("in.o", [Section(0, "", 0, 0, 0, 0, 0, b""), text], symbols)])


def _translate(files: list[ObjectFile]) -> None:
    for target in ("aarch64", "riscv64"):
        program = cfg.recover(files)
        if ambiguous(program):
            return
        resolver = Resolver(program)
        boundary = Boundary(program, resolver, target)
        live = analyse(program, resolver, boundary)
        texts = {}
        for at, block in blocks(program):
            asked = ask(program, resolver, at, block, live.live_in[at], live.live_out[at], target)
            texts[at] = [BlockText(("nop",), block.places, ("",), "") for _ in asked]
        emit.program(program, resolver, boundary, texts, target)


def text(data: bytes) -> None:
    """A pair file or a sketch; what is let through to an assembler is looked at here once more, by a rule of its own."""
    with contextlib.suppress(GuessSketchError):
        said = data.decode(errors="surrogateescape")
        pair = pairs.parse(said, "pair")
        holes.parse(pairs.problem(pairs.parse("target: aarch64\nsource:\n nop\ncode:\n nop\n", "pair")), "\n".join(pair.code))
        str(pair)
        for target, lines in ((pair.target, pair.code), ("x86_64", pair.source)):
            for line in lines:
                if refused(target, [line]) is None and not LABEL.fullmatch(line):
                    assert line.isascii() and line.replace("\t", "").isprintable() and len(line) <= LONGEST and line[0].islower(), line
                    assert not set(line) & set(";\\\"'`=$<>|&~^/?"), line
                    assert line.count(":") <= 4 and not line.split()[0].endswith(":") and "S0:" not in line, line


def arguments(data: bytes) -> None:
    """A command line: each byte is a word. Nothing is translated: no file there is whole."""
    words = [COMMANDS[data[0] % len(COMMANDS)]] if data else []
    for byte in data[1:12]:
        listed = OPTIONS if byte < 128 else VALUES
        words.append(listed[byte % len(listed)])
    if words[:1] == ["train"] or (words[:1] == ["test"] and "--help" not in words):
        words[1:] = ["--help"]  # which would go on for minutes
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        status = run(words)
    assert status in (0, 1, 2, 3), (words, status, said.getvalue()[-3000:])
    assert "Traceback" not in said.getvalue(), (words, said.getvalue()[-3000:])


def prepare(folder: Path) -> None:
    """What ``arguments`` finds where it runs."""
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "text").write_text("int main;\n")
    (folder / "damaged.o").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x01\0\x3e\0" + bytes(60))


ENTRIES: Final = {"object": object_file, "code": code, "text": text, "arguments": arguments}
