"""A C11 program with threads by clang, whose atomics look otherwise than gcc's, translated, linked and run (qemu-user)."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from guesssketch.cli import run

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_threads_by_clang(target: str, tmp_path: Path) -> None:
    clang, compiler, emulator = (shutil.which(x) for x in ("clang", f"{target}-linux-gnu-gcc", f"qemu-{target}"))
    if not clang or not compiler or not emulator:
        pytest.skip(f"no clang, cross compiler or qemu-user for {target}")
    source, output, report = tmp_path / "threads.o", tmp_path / "out.o", tmp_path / "report.json"
    made = subprocess.run([clang, "--target=x86_64-linux-gnu", "-O2", "-fPIC", "-g", "-c", EXAMPLES / "threads.c", "-o", source], check=False)
    if made.returncode:
        pytest.skip("clang has no headers for x86-64")
    command = ["translate", str(source), "--target", target, "-o", str(output), "--report", str(report), "--no-cache"]
    assert run([*command, "--memory-order", "tso", "-j", "2"]) == 0
    told = json.loads(report.read_text())
    assert {block["verdict"] for block in told["blocks"]} == {"proved"}
    assert told["options"]["memory_order"] == "tso" and not told["warnings"]
    subprocess.run([compiler, "-static", output, "-o", tmp_path / "program", "-pthread"], check=True)
    result = subprocess.run([emulator, tmp_path / "program"], check=True, capture_output=True, text=True, timeout=60)
    assert result.stdout == (EXAMPLES / "threads.expected").read_text()
