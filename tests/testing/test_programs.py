"""Whole programs, the original against another: stdout, exit status, files, and what of the translation was run."""

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guesssketch.cli import run

TEXT = """
#include <stdio.h>
int unused(int a) { return a * 7 % 5; }
int main(int argc, char **argv)
{
    int c, count = 0;
    while ((c = getchar()) != EOF)
        count += c == 'a' ? STEP : 1;
    printf("%d %s\\n", count, argc > 1 ? argv[1] : "none");
    FILE *file = fopen("out.txt", "w");
    fprintf(file, "%d", count);
    fclose(file);
    return count % 5;
}
"""
RUNS = """
[[run]]
args = ["one"]
stdin = "some text"
[[run]]
stdin_file = "given.txt"
inputs = ["given.txt"]
"""


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, Path]:
    native = platform.machine() == "x86_64"
    compilers = {"x86_64": "gcc" if native else "x86_64-linux-gnu-gcc", "riscv64": "riscv64-linux-gnu-gcc"}
    needed = [*compilers.values(), "qemu-riscv64", *([] if native else ["qemu-x86_64"])]
    if missing := [name for name in needed if not shutil.which(name)]:
        pytest.skip(f"no {missing[0]}")
    (tmp_path / "main.c").write_text(TEXT)
    (tmp_path / "runs.toml").write_text(RUNS)
    (tmp_path / "given.txt").write_text("banana")
    made = {}
    for name, machine, step in (("original", "x86_64", 1), ("right", "riscv64", 1), ("wrong", "riscv64", 2)):
        made[name] = tmp_path / name
        command = [compilers[machine], "-static", "-O1", f"-DSTEP={step}", str(tmp_path / "main.c"), "-o", str(made[name])]
        subprocess.run(command, check=True, capture_output=True)
    return made


def test_programs_are_compared_and_covered(programs: dict[str, Path], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = ["test", "--program", str(programs["original"]), "--runs", str(tmp_path / "runs.toml"), "--json", str(report)]
    assert run([*command, "--translated", str(programs["right"])]) == 0
    rows = {row["name"]: row for row in json.loads(report.read_text())["functions"]}
    assert rows["run 0: one"]["verdict"] == rows["run 1"]["verdict"] == "equal"
    covered, total = rows["main"]["instructions"]
    assert 0.8 * total < covered <= total
    assert rows["unused"]["instructions"][0] == 0 < rows["unused"]["instructions"][1]
    assert run([*command, "--translated", str(programs["right"]), "--min-coverage", "99"]) == 1
    assert run([*command, "--translated", str(programs["wrong"])]) == 1
    rows = {row["name"]: row for row in json.loads(report.read_text())["functions"]}
    assert rows["run 0: one"]["verdict"] == "equal"
    differences = rows["run 1"]["difference"]["differences"]
    assert [text.split()[0] for text in differences] == ["the", "stdout", "out.txt"]


def test_what_is_no_file_of_runs_is_refused(tmp_path: Path) -> None:
    runs = tmp_path / "runs.toml"
    for text in ("run = 1", "[[run]]\nargv = []", "[[nothing]]", "not toml"):
        runs.write_text(text)
        assert run(["test", "--program", sys.executable, "--translated", sys.executable, "--runs", str(runs)]) == 2
