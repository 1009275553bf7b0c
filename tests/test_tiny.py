"""The whole pipeline in seconds: a shipped object to both targets, linked with the target's C library, run."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from guesssketch.cli import run

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_object_in_object_out(target: str, tmp_path: Path) -> None:
    output, report = tmp_path / "recursion.o", tmp_path / "report.json"
    source = EXAMPLES / "objects" / "recursion.O2.o"
    assert run(["translate", str(source), "--target", target, "-o", str(output), "--report", str(report), "--no-cache"]) == 0
    blocks = json.loads(report.read_text())["blocks"]
    assert blocks and {block["verdict"] for block in blocks} == {"proved"}
    compiler, emulator = shutil.which(f"{target}-linux-gnu-gcc"), shutil.which(f"qemu-{target}")
    if not compiler or not emulator:
        pytest.skip(f"no cross compiler or qemu-user for {target}")
    subprocess.run([compiler, "-static", output, "-o", tmp_path / "program"], check=True)
    result = subprocess.run([emulator, tmp_path / "program"], check=True, capture_output=True, text=True)
    assert result.stdout == (EXAMPLES / "recursion.expected").read_text()


def test_an_input_that_is_no_object_leaves_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "text.o", tmp_path / "out.o"
    source.write_text("not an object\n")
    assert run(["translate", str(source), "--target", "aarch64", "-o", str(output)]) == 3
    assert "text.o" in capsys.readouterr().err and not output.exists()


def test_an_unknown_option_is_usage() -> None:
    assert run(["translate", "--no-such-option"]) == 2
