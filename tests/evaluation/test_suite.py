"""Which layouts of suites are read, and as what."""

from __future__ import annotations

from pathlib import Path

import pytest

from guesssketch.errors import UsageError
from guesssketch.evaluation.suite import Case, Suite, read
from guesssketch.testing.programs import Run

MAIN = "int main(void) { return 0; }\n"


def laid(folder: Path, files: dict[str, str]) -> Suite:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read(folder)


def told(suite: Suite) -> dict[str, list[tuple[str, tuple[str, ...], str, str | None, int | None]]]:
    return {
        program.name: [(c.name, c.run.args, c.run.stdin.decode(), None if c.expected is None else c.expected.decode(), c.status)
                       for c in program.cases]
        for program in suite.programs
    }


@pytest.mark.parametrize(
    ("files", "case"),
    [
        ({"p.c": MAIN, "p.c.expected": "1\n"}, ("p", (), "", "1\n", None)),  # c-testsuite
        ({"p.c": MAIN, "p.expect": "1\n"}, ("p", (), "", "1\n", None)),  # TinyCC's tests2
        ({"p.c": MAIN, "p.reference_output": "1\nexit 3\n"}, ("p", (), "", "1", 3)),  # LLVM's test suite
        ({"p.c": MAIN, "p.in": "5", "p.out": "1", "p.args": "-a 'b c'"}, ("p", ("-a", "b c"), "5", "1", None)),
        ({"p/main.c": MAIN, "p/input.txt": "5", "p/expected_output": "1"}, ("run", (), "5", "1", None)),
        ({"p/main.c": MAIN, "p/tests/01/input": "5", "p/tests/01/output": "1"}, ("tests/01", (), "5", "1", None)),
        ({"p/main.c": MAIN, "p/tests/7.in": "5", "p/tests/7.ans": "1", "p/tests/7.status": "2"}, ("tests/7", (), "5", "1", 2)),
        ({"p/main.c": MAIN, "p/input1.txt": "5", "p/output1.txt": "1"}, ("1", (), "5", "1", None)),
        ({"p/main.c": MAIN, "p/in/a.txt": "5", "p/out/a.txt": "1"}, ("a", (), "5", "1", None)),
        ({"src/p.c": MAIN, "src/q.c": MAIN, "expected/p.txt": "1"}, ("p", (), "", "1", None)),
        ({"p.c": MAIN, "q.c": MAIN, "tests/p/1.in": "5", "tests/p/1.out": "1"}, ("tests/p/1", (), "5", "1", None)),
        ({"p.c": MAIN}, ("run", (), "", None, None)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_published_layouts(files: dict[str, str], case: tuple[object, ...], tmp_path: Path) -> None:
    suite = laid(tmp_path, files)
    assert [cases for name, cases in told(suite).items() if name.startswith(("p", "src/p"))] == [[case]]
    assert not suite.left_out


def test_one_main_has_the_files_of_its_folder_and_several_have_none(tmp_path: Path) -> None:
    suite = laid(tmp_path, {
        "one/main.c": '#include "table.c"\nint main(void) { puts("no main ("); }', "one/more.c": "int f(void) { return 1; }",
        "one/table.c": "int t;", "many/a.c": MAIN, "many/ab.c": MAIN, "many/help.c": "/* int main() */ char *s = \"main(\";",
        "many/ab_2.out": "2", "many/nobody.out": "", ".git/x.c": MAIN})  # fmt: skip
    assert [(p.name, [s.name for s in p.sources]) for p in suite.programs] == [
        ("many/a", ["a.c"]), ("many/ab", ["ab.c"]), ("one/main", ["main.c", "more.c"])]  # fmt: skip
    assert told(suite)["many/ab"] == [("ab_2", (), "", "2", None)] and told(suite)["many/a"] == [("run", (), "", None, None)]
    assert [path.name for path in suite.left_out] == ["help.c", "nobody.out"]


def test_an_included_main_makes_a_program_of_both(tmp_path: Path) -> None:
    suite = laid(tmp_path, {"a.c": MAIN, "b.c": '#define X\n#include "a.c"\n', "c.c": '# include "b.c"\n', "d.c": "int d;"})
    assert [program.name for program in suite.programs] == ["a", "b", "c"] and [path.name for path in suite.left_out] == ["d.c"]


def test_a_manifest_lists_programs(tmp_path: Path) -> None:
    text = """
        flags = ["-Icommon"]
        timeout = 3
        [[program]]
        sources = ["a/*.c"]
        link = ["-lpthread"]
        [[program.run]]
        args = [1, "two"]
        expected = "x"
        status = 4
        [[program.run]]
        stdin_file = "in"
        timeout = 9
    """
    suite = laid(tmp_path, {"programs.toml": text, "a/1.c": MAIN, "a/2.c": "", "other.c": MAIN, "in": "text"})
    (program,) = suite.programs
    assert (program.name, program.flags, program.link) == ("a/1", ("-Icommon",), ("-lpthread",))
    assert [path.name for path in program.sources] == ["1.c", "2.c"]
    assert program.cases == (Case("run 0", Run(("1", "two"), timeout=3.0), b"x", 4), Case("run 1", Run((), b"text", timeout=9.0)))


def test_a_manifest_may_add_to_the_layout(tmp_path: Path) -> None:
    suite = laid(tmp_path, {"programs.toml": 'shared = ["lib/*.c"]\nexclude = ["old/*"]', "lib/l.c": "int l;", "p/p.c": MAIN,
                            "p/p.out": "1", "old/q.c": MAIN})  # fmt: skip
    assert [(p.name, [s.name for s in p.sources]) for p in suite.programs] == [("p/p", ["p.c", "l.c"])]


@pytest.mark.parametrize(
    "text", ["what = 1", "[[program]]\nname = 'x'", "[[program]]\nsources = ['*.c']\nfoo = 1", "[[program]]\nsources = ['none*.c']",
             "[[program]]\nsources = ['p.c']\n[[program]]\nsources = ['p.c']", "=", 'timeout = "soon"'])  # fmt: skip
def test_a_wrong_manifest_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        laid(tmp_path, {"programs.toml": text, "p.c": MAIN})


def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no C file with a main"):
        laid(tmp_path, {"x.c": "int x;"})
