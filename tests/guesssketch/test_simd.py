"""Loops that compilers make packed code of, through the whole pipeline: built for SSE4.2, translated, run, compared with x86-64's
own run."""

import json
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from guesssketch.cli import run

SOURCE = Path(__file__).with_name("simd.c")
FLAGS = {"gcc": [], "clang": ["-mllvm", "-force-vector-interleave=1"]}

CONVERSIONS = """
#include <stdio.h>
volatile double values[] = {0, 1.5, 1e9, 3e9, 1e18, 1e19, 1.8e19};
__attribute__((noinline)) unsigned long wide(double x) { return (unsigned long)x; }
__attribute__((noinline)) unsigned long single(float x) { return (unsigned long)x; }
__attribute__((noinline)) int chosen(double x) { return x < 2e9 ? (int)x : 7; }
__attribute__((noinline)) void each(int *restrict r, const double *restrict x) {
    for (int i = 0; i < 7; i++) r[i] = x[i] < 2e9 ? (int)x[i] : -1;
}
int main(void) {
    double copy[7];
    int r[7];
    for (int i = 0; i < 7; i++) copy[i] = values[i];
    each(r, copy);
    for (int i = 0; i < 7; i++) printf("%lu %lu %d %d\\n", wide(copy[i]), single((float)copy[i]), chosen(copy[i]), r[i]);
}
"""


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_packed_code_computes_what_it_computes_on_x86_64(name: str, target: str, tmp_path: Path) -> None:
    compare(SOURCE, name, target, tmp_path, [])


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_conversions_that_compilers_make_for_nothing_are_not_assumed_in_range(name: str, target: str, tmp_path: Path) -> None:
    source = tmp_path / "conversions.c"
    source.write_text(CONVERSIONS)
    compare(source, name, target, tmp_path, ["--assume", "in-range-conversions"])


def compare(source_text: Path, name: str, target: str, tmp_path: Path, options: list[str]) -> None:
    """Compiles, translates (with ``options``), runs both, compares what they print."""
    compiler = shutil.which(name) or shutil.which("clang-14" if name == "clang" else "x86_64-linux-gnu-gcc")
    linker, emulator = shutil.which(f"{target}-linux-gnu-gcc"), shutil.which(f"qemu-{target}")
    if not compiler or not linker or not emulator or platform.machine() != "x86_64":
        pytest.skip(f"needs x86-64 with {name}, a cross compiler and qemu-user for {target}")
    source, output, report = (tmp_path / n for n in ("simd.o", "out.o", "report.json"))
    flags = ["-O3", "-msse4.2", "-fno-unroll-loops", *FLAGS[name]]
    subprocess.run([compiler, *flags, "-c", source_text, "-o", source], check=True)
    subprocess.run([compiler, source, "-o", tmp_path / "native", "-lm"], check=True)
    assert run(["translate", str(source), "--target", target, "-o", str(output), "--report", str(report), *options]) == 0
    assert {block["verdict"] for block in json.loads(report.read_text())["blocks"]} == {"proved"}
    subprocess.run([linker, "-static", output, "-o", tmp_path / "program", "-lm"], check=True)
    native, got = (subprocess.run(x, check=True, capture_output=True, text=True).stdout
                   for x in ([str(tmp_path / "native")], [emulator, str(tmp_path / "program")]))  # fmt: skip
    assert got == native
