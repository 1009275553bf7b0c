"""The compiler that packages are built by: what it keeps, and what is to be translated together."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
building, compiler, packages = (importlib.import_module(name) for name in ("building", "compiler", "packages"))
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A compiler in a folder with two definitions of ``f`` and two programs that call it."""
    (tmp_path / "store").mkdir()
    (tmp_path / "one.c").write_text("int f(void) { return 1; }\n")
    (tmp_path / "two.c").write_text("int f(void) { return 2; }\n")
    (tmp_path / "main.c").write_text("int f(void);\nint main(void) { return f() - N; }\n")
    monkeypatch.chdir(tmp_path)
    return compiler.Compiler(tmp_path / "store", "gcc", "-O1 -g")


def built(folder: Path, *programs: str) -> Any:
    recipe = building.Recipe("test", "", programs, "")
    return building.Built(folder, folder / "store", building._programs(recipe, folder, folder / "store"))


@needs_gcc
def test_programs_that_disagree_on_a_name_are_translated_apart(tree: Any, tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two"), 1):
        assert tree.run(["-c", f"{name}.c"]) == 0
        assert tree.run([f"-DN={number}", "main.c", f"{name}.o", "-o", f"p{number}"]) == 0
    groups = built(tmp_path, "p*").groups()
    assert [names for names, _ in groups] == [["p1"], ["p2"]] and [len(objects) for _, objects in groups] == [2, 2]
    shutil.copy("p1", "again")
    assert tree.run(["-DN=1", "main.c", "one.o", "-o", "again"]) == 0
    groups = built(tmp_path, "p1", "again").groups()
    assert [names for names, _ in groups] == [["p1", "again"]] and len(groups[0][1]) == 2, "equal objects are one"


@needs_gcc
def test_an_archive_found_by_name_is_taken_apart_and_the_systems_libraries_are_kept(tree: Any, tmp_path: Path) -> None:
    assert tree.run(["-c", "one.c"]) == 0
    shutil.move("one.o", "o")
    assert importlib.import_module("subprocess").call(["ar", "rc", "libone.a", "o"]) == 0
    assert tree.run(["-DN=1", "main.c", "-L.", "-lone", "-lm", "-o", "program"]) == 0
    program = built(tmp_path, "program").programs["program"]
    assert program.libraries == ("-lm",) and isinstance(program.inputs[1], tuple) and len(program.hashes) == 2
    assert all((tmp_path / "store" / f"{name}.o").exists() for name in program.hashes)


@needs_gcc
def test_what_fails_to_compile_is_not_recorded(tree: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("int main( {\n")
    assert tree.run(["-w", "bad.c", "-o", "bad"]) != 0 and not (tmp_path / "store" / "records.jsonl").exists()


def test_every_recipe_can_be_read() -> None:
    found = building.recipes()
    assert len(found) >= 13 and all(recipe.programs and "make" in recipe.build and recipe.workload for recipe in found.values())


@pytest.mark.parametrize(("line", "expected"), [
    ("guesssketch: /a/b.o: f+0x10: lock add qword ptr [rdx + 8], 1: nothing here knows what it does (atomic)",
     "lock add: nothing here knows what it does (atomic)"),
    ("guesssketch: /a/b.o: f+0x0: call _setjmp: aarch64 lays out struct __jmp_buf_tag otherwise",
     "call _setjmp: aarch64 lays out struct __jmp_buf_tag otherwise"),
    ("guesssketch: /a/b.o: f+0xd46: fld st(2): x87 floating point", "fld: x87 floating point"),
    ("guesssketch: /a/b.o: f.cold+0x6: jmp rax: jumps to a computed distance from a label",
     "jmp: jumps to a computed distance from a label"),
    ("guesssketch: /a/b.o: .rodata+0x8: the relative address of code, outside any jump table",
     "the relative address of code, outside any jump table"),
    ("guesssketch: /a/b.o: truncated", "/a/b.o: truncated"),
])  # fmt: skip
def test_refusals_are_counted_by_what_they_are_about(line: str, expected: str) -> None:
    assert packages.reason(line) == expected
