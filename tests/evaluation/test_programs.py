"""Programs with every fate, evaluated; results that are kept; workers that die."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guesssketch.cli import run as command_line
from guesssketch.errors import ToolError
from guesssketch.evaluation import programs, toolchain
from guesssketch.evaluation.kept import Kept, digest
from guesssketch.evaluation.program_figures import KINDS, RIGHT, measured
from guesssketch.evaluation.programs import Settings
from guesssketch.evaluation.suite import Case
from guesssketch.evaluation.toolchain import COMPILER
from guesssketch.testing import programs as whole
from guesssketch.testing.programs import Done, Run
from guesssketch.workers import Alone

MACHINE = '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/utsname.h>\nstruct utsname u;\n'  # fmt: skip
HERE = "(uname(&u), !strcmp(u.machine, \"x86_64\"))"
FATES = {
    "expected": ("#include <stdio.h>\nint main(int c, char **v) { puts(v[1]); return getchar() - '0'; }", RIGHT),
    "native": ("#include <stdio.h>\nint main(void) { fputs(\"x\", fopen(\"made\", \"w\")); puts(\"any\"); abort(); }", RIGHT),
    "broken": ("int main(void) { return 0 }", "does not compile"),
    "alien": ('int main(void) { return puts("this"); }', "original fails"),
    "long": ("long double x = 2; int main(void) { return x * x; }", "refused"),
    "library": ("int helper(void); int main(void) { return helper(); }", "not linked"),
    "other": (f"{MACHINE} int main(void) {{ return puts({HERE} ? \"a\" : \"b\"); }}", "differs"),
    "dies": (f"{MACHINE} int main(void) {{ if (!{HERE}) abort(); return 0; }}", "crashed"),
    "endless": ("int main(void) { for (;;); }", "original fails"),
    "loops": (f"{MACHINE} int main(void) {{ while (!{HERE}); return 0; }}", "timed out"),
}
MANIFEST = """
[[program]]
sources = ["library.c"]
link = ["helper.o"]
[[program]]
sources = ["loops.c"]
[[program.run]]
timeout = 1.5
[[program]]
sources = ["endless.c"]
[[program.run]]
timeout = 0.2
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    if missing := [name for name in (COMPILER, "riscv64-linux-gnu-gcc", "qemu-riscv64") if not shutil.which(name)]:
        pytest.skip(f"no {missing[0]}")
    folder = tmp_path / "suite"
    folder.mkdir()
    for name, (text, _) in FATES.items():
        (folder / f"{name}.c").write_text(text)
    for name, text in {"expected.args": "'two words'", "expected.in": "3", "expected.out": "two words \r\n", "expected.status": "3",
                       "alien.out": "that\n"}.items():  # fmt: skip
        (folder / name).write_text(text)
    (folder / "helper.o").touch()
    return folder


def kinds(report: dict[str, Any]) -> dict[str, str]:
    return {trial["program"]: trial["kind"] for trial in report["trials"]}


def test_every_fate_counts(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SLOWER", 1)
    (suite / "helper.c").write_text("int helper(void) { return 7; }")
    assert os.spawnlp(os.P_WAIT, COMPILER, COMPILER, "-c", str(suite / "helper.c"), "-o", str(suite / "helper.o")) == 0
    rest = "".join(f'[[program]]\nsources = ["{name}.c"]\n' for name in ("broken", "long", "other", "dies", "native"))
    given = """
        [[program]]
        sources = ["expected.c"]
        [[program.run]]
        args = ["two words"]
        stdin = "3"
        expected_file = "expected.out"
        status = 3
        [[program]]
        sources = ["alien.c"]
        [[program.run]]
        expected = "that"
    """
    (suite / "programs.toml").write_text(MANIFEST + rest + given)
    report, results = tmp_path / "report.json", tmp_path / "results.jsonl"
    words = ["evaluate", "programs", str(suite), "--target", "riscv64", "--level", "-O2", "--no-cache", "-j", "2",
             "--results", str(results), "--json", str(report)]  # fmt: skip
    assert command_line(words) == 0
    told = json.loads(report.read_text())
    assert kinds(told) == {name: kind for name, (_, kind) in FATES.items()}
    (row,) = told["rows"]
    assert (row["programs"], row["right"]["count"], row["right"]["of"]) == (len(FATES), 2, len(FATES))
    assert set(row["kinds"]) == set(KINDS) - {"fault"} and row["blocks"] == row["proved"] > 10
    assert told["truth"] == {"runs": len(FATES), "expected": 2, "original": len(FATES) - 2}
    assert "that" in next(t["why"] for t in told["trials"] if t["program"] == "alien")
    assert "x87" in next(t["why"] for t in told["trials"] if t["program"] == "long")


def test_what_differs_from_a_wrong_original_differs() -> None:
    case = Case("run", expected=b"1\n")
    wrong, other, right = (Done(0, text, {}) for text in (b"2\n", b"3\n", b"1 \r\n"))
    assert [programs.compared(case, wrong, done)[0] for done in (right, wrong, other)] == [RIGHT, "original fails", "differs"]
    assert programs.compared(case, Done(None, b"", {}), other)[0] == "original fails"


def test_what_is_known_is_not_run_again(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(FATES) - {"expected", "long"}:
        (suite / f"{name}.c").unlink()
    (suite / "value.h").write_text("#define VALUE 1\n")
    (suite / "expected.c").write_text(f'#include "value.h"\n{FATES["expected"][0]}')
    settings = Settings(suite, ("riscv64",), ("-O1",), jobs=1, results=tmp_path / "kept" / "results.jsonl")
    assert kinds(programs.run(settings)) == {"expected": RIGHT, "long": "refused"}
    with (tmp_path / "kept" / "results.jsonl").open("a") as file:
        file.write('{"key": "brok')  # as a run leaves it that was killed
    asked: list[str] = []
    real = programs._tried

    def tried(group: Sequence[Any], *rest: Any) -> Any:
        asked.append(group[0].program.name)
        return real(group, *rest)

    monkeypatch.setattr(programs, "_tried", tried)
    assert kinds(programs.run(settings)) == {"expected": RIGHT, "long": "refused"} and not asked
    (suite / "value.h").write_text("#define VALUE 2\n")
    (suite / "expected.status").write_text("4")
    assert kinds(programs.run(settings)) == {"expected": "original fails", "long": "refused"} and asked == ["expected"]
    assert kinds(programs.run(settings))["expected"] == "original fails" and asked == ["expected"]
    programs.run(replace(settings, again=True, limit=1))
    assert asked == ["expected", "expected"]


def test_results_of_faults_are_not_kept(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    source.write_text("")
    kept = Kept(tmp_path / "results.jsonl")
    made_of = {str(source): digest(source)}
    for kind in ("fault", "refused"):
        kept.put(kind, {"kind": kind, "made_of": made_of})
    again = Kept(tmp_path / "results.jsonl")
    assert again.get("fault") is None and again.get("refused") is not None
    source.write_text("int x;")
    digest.cache_clear()
    assert again.get("refused") is None


def test_a_program_is_right_over_all_levels_only_if_it_is_at_each() -> None:
    trials = [{"program": name, "target": "riscv64", "compiler": "gcc", "level": level, "kind": kind}
              for name, level, kind in (("a", "-O0", RIGHT), ("a", "-O2", RIGHT), ("b", "-O0", RIGHT), ("b", "-O2", "differs"))]  # fmt: skip
    report = measured(trials, ["riscv64"], ["gcc"], ["-O0", "-O2"], ())
    assert [(row["level"], row["right"]["count"], row["right"]["of"]) for row in report["rows"]] == [("-O0", 2, 2), ("-O2", 1, 2), ("all", 1, 2)]


def test_nothing_outlives_a_run_and_endless_output_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which(COMPILER):
        pytest.skip(f"no {COMPILER}")
    monkeypatch.setattr(whole, "LARGEST", 1 << 20)
    (tmp_path / "p.c").write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        "int main(int n, char **v) { if (n == 2) for (;;) puts(v[1]); if (!(n = fork())) sleep(60); printf(\"%d\", n); return 5; }")
    toolchain.link_original([tmp_path / "p.c"], COMPILER, (), tmp_path / "p", tmp_path)
    endless, parent = (whole.execute(tmp_path / "p", "x86_64", Run(args, timeout=20.0)) for args in (("words",), ()))
    assert (endless.status, len(endless.stdout), parent.status) == (None, 1 << 20, 5)
    child = Path(f"/proc/{int(parent.stdout)}/stat")
    for _ in range(100):
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child runs on")


def test_a_worker_that_dies_or_does_not_end_is_replaced() -> None:
    worker = Alone(fresh=2)
    with pytest.raises(ToolError, match="died"):
        worker.run(os._exit, 3, 20)
    with pytest.raises(ToolError, match="more than 1 s"):
        worker.run(time.sleep, 60, 1)
    assert [worker.run(abs, -n, 20) for n in range(3)] == [0, 1, 2]
    worker.close()
    with pytest.raises(ToolError, match="stopped"):
        worker.run(abs, 1, 20)
