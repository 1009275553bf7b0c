"""The command line: what it says, its exit codes, and that nothing is left behind."""

from __future__ import annotations

import ctypes
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from rich.console import Console

from guesssketch import archive, command
from guesssketch.cli import main, run
from guesssketch.progress import Progress

MakeObject = Callable[..., Path]
ROOT = Path(__file__).parent.parent.parent
RECURSION = ROOT / "examples" / "objects" / "recursion.O0.o"
SMALL = "lea eax, [rdi + rsi]\nret"


def translate(*arguments: object, target: str = "aarch64") -> int:
    return run(["translate", *map(str, arguments), "--target", target, "--no-cache"])


def elf(machine: int, kind: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + kind.to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(44)


@pytest.mark.parametrize(("content", "why"), [
    (b"", "not an ELF file"),
    (b"#include <stdio.h>\n", "not an ELF file"),
    (RECURSION.read_bytes()[:3000], "the file ends at 0xbb8"),
    (RECURSION.read_bytes()[:40], "truncated"),
    (elf(183, 1), "made for AArch64, not for x86-64"),
    (elf(62, 2), "an executable; guesssketch needs an object file"),
    (elf(62, 3), "a shared object"),
    (b"!<arch>\n", "an archive without members"),
    (archive.pack([("notes.txt", b"hello")]), "in.o(notes.txt): not an ELF file"),
], ids=["empty", "text", "truncated", "short", "machine", "executable", "shared", "archive", "member"])  # fmt: skip
def test_an_input_that_cannot_be_read(content: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.o"
    source.write_bytes(content)
    assert translate(source, "-o", tmp_path / "out.o", "--report", tmp_path / "r.json") == 3
    said = capsys.readouterr().err
    assert why in said and f"guesssketch: {source}" in said and said.count("\n") <= 2
    assert os.listdir(tmp_path) == ["in.o"]


def test_an_error_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.o"
    source.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    out = ["--target", "aarch64", "-o", "out.o"]
    texts = {"pair": ("mips", "nop", "nop"), "source": ("aarch64", "add edi", "nop"), "holes": ("aarch64", "nop", "?opcode x0, x0"),
             "unknown": ("aarch64", "nop", "?thing x0")}  # fmt: skip
    for name, (target, line, translated) in texts.items():
        (tmp_path / name).write_text(f"target: {target}\nsource:\n  {line}\ncode:\n  {translated}\n")
    pair, source_wrong, holes, unknown = (tmp_path / name for name in texts)
    suite = tmp_path / "suite.c"
    suite.write_text("int main(void) { return 0; }\n")
    cases: list[tuple[int, list[object], str, str]] = [
        (3, ["translate", source, "--target", "aarch64", "-o", tmp_path / "out.o"], "not an ELF file", "gcc -c"),
        (2, ["translate", source, "--target", "aarch64", "-o", source], "overwrite the input", "guesssketch translate --help"),
        (2, ["translate"], "Missing argument", "guesssketch translate --help"),
        (2, ["evaluate", "blocks", tmp_path, "--json", tmp_path], "is a directory", "guesssketch evaluate blocks --help"),
        (2, ["frobnicate"], "No such command", "guesssketch --help"),
        (3, ["show", tmp_path / "none.o"], "No such file", "guesssketch show --help"),
        (3, ["prove", pair], "pair:1: target is one of", "docs/pairs.md"),
        (3, ["prove", source_wrong], "source: x86-64 text: 'add edi'", "docs/pairs.md"),
        (3, ["prove", holes], "neither a label nor an instruction", "guesssketch solve"),
        (2, ["solve", unknown], "?thing: a hole is one of", "docs/pairs.md"),
        (3, ["test", source, "--against", source], "not an object for aarch64", "--against takes"),
        (2, ["evaluate", "programs", tmp_path, "--flags", "'"], "No closing quotation", "guesssketch evaluate programs --help"),
        (2, ["evaluate", "programs", tmp_path, "--results", tmp_path / "suite.c"], "not a file of results", "--results"),
        (2, ["translate", RECURSION, "--target", "aarch64", "-o", "-"], "standard output", "guesssketch translate --help"),
        (2, ["translate", RECURSION, *out, "--json", "out.o"], "the translation goes there", "guesssketch translate --help"),
        (2, ["translate", RECURSION, *out, "--html", "x", "--json", "x"], "asked for twice", "guesssketch translate --help"),
        (2, ["translate", RECURSION, *out, "--prompt", "none"], "'none' does not exist", "guesssketch translate --help"),
        (2, ["translate", RECURSION, *out, "--no-cache", "--prompt", pair], "takes no prompt", "--model"),
    ]  # fmt: skip
    for code, arguments, what, step in cases:
        assert run([str(argument) for argument in arguments]) == code
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith("guesssketch: ") and what in first
        assert second.startswith("guesssketch: next: ") and step in second
    assert suite.read_text() == "int main(void) { return 0; }\n" and not (tmp_path / "-").exists() and not Path("out.o").exists()


@pytest.mark.parametrize("group", [[], ["evaluate"]], ids=["all", "evaluate"])
def test_a_group_alone_prints_its_help(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Usage: guesssketch") and "\nCommands:\n" in said.err and not said.out


def test_a_fault_of_our_own_is_none_of_the_documented_exit_codes(monkeypatch: pytest.MonkeyPatch,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    from guesssketch import stages

    monkeypatch.setattr(stages, "show", lambda *_: 1 // 0)
    assert run(["show", str(RECURSION)]) == 70
    assert "ZeroDivisionError" in (said := capsys.readouterr().err) and "please report it" in said


@pytest.mark.parametrize("place", ["-", "report.json"])
def test_every_command_gives_json(place: str, make_object: MakeObject, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    source, pair = make_object("in.o", f=SMALL), tmp_path / "pair"
    pair.write_text("target: aarch64\nlive-out: rax:32\nsource:\n  lea eax, [rdi + rsi]\ncode:\n  sub w8, w0, w1\n")
    own = ["-j", "1", "--no-cache"]
    for code, arguments, key in [
        (0, ["translate", source, "--target", "aarch64", "-o", "out.o", *own], "blocks"),
        (0, ["show", source, "--stage", "liveness"], "functions"),
        (1, ["prove", pair], "counterexample"),
        (0, ["test", source, "--target", "aarch64", "--runs", "20", "--no-corpus", *own], "functions"),
    ]:  # fmt: skip
        assert run([*map(str, arguments), "--json", place]) == code
        said = capsys.readouterr()
        report = json.loads(said.out if place == "-" else Path(place).read_text())
        assert key in report and said.err == ""
        assert place == "-" or "wrote " in said.out


def test_no_command_is_without_json() -> None:
    def commands(group: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        if isinstance(group, click.Group):
            for below, one in group.commands.items():
                yield from commands(one, f"{name} {below}".strip())
        else:
            yield name, group

    asked = {name: {option for parameter in one.params for option in parameter.opts} for name, one in commands(main, "")}
    assert {name for name, options in asked.items() if "--json" not in options} == {"completion"}  # what it prints is for a shell


def test_progress_is_for_terminals(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "guesssketch", "translate", str(RECURSION), "--target", "aarch64",
               "-o", str(tmp_path / "out.o"), "-j", "2", "--no-cache"]  # fmt: skip
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stderr == b""
    said = io.StringIO()
    with Progress(Console(file=said, force_terminal=True, width=100)) as tell:
        tell("read", 0, 0)
        for done in range(3):
            tell("prove", done, 3)
            time.sleep(0.15)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.getvalue())
    assert "read" in text and re.search(r"prove \S+ 2/3 +[\d.]+/s +0:\d\d +0:\d\d left", text)


def test_nobody_reads_on() -> None:
    done = subprocess.run(["bash", "-c", f"{sys.executable} -m guesssketch show {RECURSION} | true; echo ${{PIPESTATUS[0]}}"],
                          cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "141\n" and done.stderr == ""


def test_completion(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert run(["completion", shell]) == 0
        assert "_GUESSSKETCH_COMPLETE" in capsys.readouterr().out
    asked = {"_GUESSSKETCH_COMPLETE": "bash_complete", "COMP_WORDS": "guesssketch show --stage ca", "COMP_CWORD": "3"}
    done = subprocess.run([sys.executable, "-m", "guesssketch"], cwd=ROOT, capture_output=True, text=True, env=os.environ | asked)
    assert done.stdout == "plain,candidates\n"


def test_an_input_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert translate(tmp_path / "none.o", "-o", tmp_path / "out.o") == 3
    assert "none.o: No such file or directory" in capsys.readouterr().err
    assert translate(tmp_path, "-o", tmp_path / "out.o") == 3
    assert "Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(("functions", "said"), [
    ({"f": "mov eax, edi\nvaddps ymm0, ymm1, ymm2\nret", "g": "fld qword ptr [rsp + 8]\nret"},
     ["f+0x2: vaddps ymm0, ymm1, ymm2: VEX", "g+0x0: fld qword ptr [rsp + 8]: x87"]),
    ({"f": "lea eax, [rdi + 1]\npcmpistri xmm0, xmm1, 12\nadd eax, 1\nret", "g": "aesenc xmm0, xmm1\nret", "h": SMALL},
     ["f+0x3: pcmpistri xmm0, xmm1, 0xc: ", "g+0x0: aesenc xmm0, xmm1: "]),
    ({"f": "lea rax, [rip + table]\nmov eax, [rax + rdi * 4]\nret\ntable: .long 1, 2, 3"}, ["f+0x0: lea rax", "inline data"]),
    ({"f": "mov eax, edi\n.byte 0x06\nret"}, ["f+0x2: .byte 0x06: cannot be decoded"]),
    ({"f": "jmp mystery@PLT"}, ["f+0x0: call mystery: its arguments are not known"]),
], ids=["avx-x87", "no-semantics", "data", "bytes", "unprototyped"])  # fmt: skip
def test_every_place_without_translation_is_named(
    functions: dict[str, str], said: list[str], make_object: MakeObject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_object("in.o", **functions)
    assert translate(source, "-o", tmp_path / "out.o", target="riscv64") == 3
    lines = capsys.readouterr().err.splitlines()
    assert all(any(f"{source}: " in line and what in line for line in lines) for what in said)
    assert all(line.startswith("guesssketch: ") and len(line) < 300 for line in lines) and not (tmp_path / "out.o").exists()


def test_outputs_that_cannot_be_written_are_found_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.o"
    shutil.copy(RECURSION, source)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for arguments, why in [
        (["-o", tmp_path / "folder"], "is a directory"),
        (["-o", tmp_path / "no" / "out.o"], "no directory"),
        (["-o", tmp_path / "file" / "out.o"], "no directory"),
        (["-o", source], "overwrite the input"),
        (["-o", tmp_path / "out.o", "--report", tmp_path / "no" / "r.json"], "no directory"),
        (["-o", tmp_path / "out.o", "--report", tmp_path / "folder"], "is a directory"),
        (["-o", tmp_path / "folder", source], "given twice"),
    ]:
        assert translate(source, *arguments) == 2
        assert why in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "in.o"] and source.read_bytes() == RECURSION.read_bytes()


def test_several_inputs_need_a_directory_and_different_names(make_object: MakeObject, tmp_path: Path) -> None:
    one, two = make_object("a/x.o", f=SMALL), make_object("b/x.o", g=SMALL)
    assert translate(one, two, "-o", tmp_path / "out") == 2
    three, file = make_object("b/y.o", h="jmp f"), tmp_path / "file"
    file.touch()
    assert translate(one, three, "-o", file) == 2
    assert translate(one, three, "-o", tmp_path / "out") == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["x.o", "y.o"]


def test_a_call_that_two_inputs_could_answer_is_refused(make_object: MakeObject, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    one, two = make_object("one.o", f=SMALL, main="xor eax, eax\nret"), make_object("two.o", f=SMALL, main="mov eax, 1\nret")
    assert translate(one, two, "-o", tmp_path / "out") == 0  # each has its own
    assert translate(one, two, make_object("three.o", g="jmp f"), "-o", tmp_path / "all") == 3
    assert f"three.o: f is defined in {one} and in {two}" in capsys.readouterr().err and not (tmp_path / "all").exists()


def test_a_file_of_prototypes_makes_a_call_known(make_object: MakeObject, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, header = make_object("in.o", f="jmp mystery@PLT"), tmp_path / "known.h"
    header.write_text("int mystery(int, long);\n")
    assert translate(source, "-o", tmp_path / "out.o", "--prototypes", header, target="riscv64") == 0
    assert run(["show", str(source), "--stage", "liveness", "--target", "riscv64", "--prototypes", str(header)]) == 0
    assert "rsi rdi:32" in capsys.readouterr().out


def test_an_unknown_proposer_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert translate(RECURSION, "-o", tmp_path / "out.o", "--proposers", "lowering, oracle") == 2
    assert "unknown proposer 'oracle'" in capsys.readouterr().err


def test_an_unknown_model_is_usage_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.o").touch()
    assert translate(tmp_path / "in.o", "-o", tmp_path / "out.o", "--model", "nowhere") == 2
    assert capsys.readouterr().err.startswith("guesssketch: nowhere: no such model folder\nguesssketch: next: --model names one")


def test_an_archive_becomes_an_archive(make_object: MakeObject, tmp_path: Path) -> None:
    one, two = make_object("one.o", f=SMALL), make_object("a_member_with_a_long_name.o", g="jmp f")
    library, output = tmp_path / "library", tmp_path / "out.a"
    library.write_bytes(archive.pack([(p.name, p.read_bytes()) for p in (one, two)]))
    assert translate(library, "-o", output) == 0
    members = archive.read(output.read_bytes())
    assert [name for name, _ in members] == ["one.o", "a_member_with_a_long_name.o"]
    assert all(content.startswith(b"\x7fELF") for _, content in members)
    assert translate(library, make_object("three.o", h="jmp g"), "-o", tmp_path / "both") == 0
    assert sorted(os.listdir(tmp_path / "both")) == ["library", "three.o"]
    assert translate(library, "--emit", "asm", "-o", tmp_path / "text") == 0
    assert sorted(os.listdir(tmp_path / "text")) == ["a_member_with_a_long_name.s", "one.s"]


def test_assembly_to_read(make_object: MakeObject, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_object("in.o", ".data\ncount: .quad 0", f="add dword ptr [rip + count], edi\nret")
    assert translate(source, "--emit", "asm", "-o", source.with_name("out.s"), "--proposers", "lowering", target="riscv64") == 0
    text = source.with_name("out.s").read_text()
    assert "# add dword ptr [rip], edi  (" in text and "# proved (lowering)" in text


def test_a_cache_that_cannot_be_used_is_only_a_warning(make_object: MakeObject, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    source, broken = make_object("in.o", f=SMALL), tmp_path / "broken"
    broken.mkdir()
    (broken / "answers.sqlite").write_bytes(b"not a database " * 50)
    for cache in (source, source / "below", broken):
        output = tmp_path / "out.o"
        assert run(["translate", str(source), "--target", "aarch64", "-o", str(output), "--cache", str(cache)]) == 0
        assert f"going on without the cache {cache}: " in capsys.readouterr().err
        output.unlink()


def test_require_proved(make_object: MakeObject, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from solver import gate

    monkeypatch.setattr(gate, "unvalidated", lambda isa, code: ["add: for the test"] if isa == "x86_64" else [])
    source, output, report = make_object("in.o", f="mov eax, edi\nadd eax, 3\nret"), tmp_path / "out.o", tmp_path / "r.json"
    assert translate(source, "-o", output, "--report", report, "--require", "proved") == 1
    said = capsys.readouterr().err
    assert f"{source}: f+0x0: only tested: " in said and f"{source}: f+0x2: only tested: " in said
    assert not output.exists() and not report.exists()
    assert translate(source, "-o", output, "--report", report) == 0
    blocks = json.loads(report.read_text())["blocks"]
    assert [(b["verdict"], b["offset"], b["source"]) for b in blocks] == [("tested", 0, 1), ("tested", 2, 1)]
    assert all("for the test" in b["reason"] for b in blocks)


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    objects = sorted(map(str, (ROOT / "examples/objects").glob("*.o")))  # many: seconds of work
    command = [sys.executable, "-m", "guesssketch", "translate", *objects,
               "--target", "aarch64", "-o", str(tmp_path / "out"), "-j", "2", "--no-cache", "--proposers", "lowering"]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)})
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children := workers.read_text().split()) < 4 or not list(tmp_path.iterdir()):  # two, multiprocessing's own, a shell
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in said
    assert not list(tmp_path.iterdir())
    deadline = time.monotonic() + 10
    while any(_runs(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_interrupt_in_a_library_that_calls_back_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    called_back = ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))

    @click.command()
    def work() -> None:
        called_back()
        time.sleep(20)
        click.echo("not heard", err=True)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert command.run(command.Group(commands={"work": work}), ["work"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.split() == ["interrupted"]


def test_an_interrupt_while_a_text_is_run_has_its_exit_code(tmp_path: Path) -> None:
    program = ("import click, sys\nfrom guesssketch import command\n"
               "work = click.Command('work', callback=lambda: exec('import signal; signal.raise_signal(signal.SIGINT)'))\n"
               "sys.exit(command.run(command.Group(commands={'work': work}), ['work']))")  # fmt: skip
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert (done.returncode, done.stderr.split()) == (130, ["interrupted"])


def _runs(process: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_show_and_prove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for stage, expected in [
        ("cfg", "branch"), ("liveness", "live in:"), ("source", "taken if"), ("candidates", "beqz"), ("proof", "proved ("),
    ]:  # fmt: skip
        assert run(["show", str(RECURSION), "--function", "is_even", "--stage", stage, "--target", "riscv64"]) == 0
        said = capsys.readouterr().out
        assert expected in said and "is_even" in said and "hanoi:" not in said
    assert run(["show", str(RECURSION), "--function", "nothing"]) == 2
    assert "it has ackermann" in capsys.readouterr().err
    pair = tmp_path / "pair"
    pair.write_text("target: aarch64\nsource:\n  lea eax, [rdi + rsi]\ncode:\n  add w8, w0, w1\n")
    assert run(["prove", str(pair)]) == 0
    pair.write_text(pair.read_text().replace("add w8", "sub w8"))
    assert run(["prove", str(pair)]) == 1
    assert "refuted" in capsys.readouterr().out
    pair.write_bytes(b"\xff\xfe")
    assert run(["prove", str(pair)]) == 3


def test_the_version_needs_no_installation() -> None:
    done = subprocess.run([sys.executable, "-m", "guesssketch", "--version"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("guesssketch, version ")
