"""x86-64 objects made from assembly text, by the assembler in the ziglang package."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MakeObject = Callable[..., Path]


@pytest.fixture
def make_object(tmp_path: Path) -> MakeObject:
    """``make_object(name, f="body", g="body", ...)``: an object with these functions; ``local_f`` makes f local to it."""

    def make(name: str, text: str = "", **functions: str) -> Path:
        lines = [".intel_syntax noprefix", ".text"]
        for label, body in functions.items():
            bare = label.removeprefix("local_")
            lines += [f".globl {bare}"] if bare == label else []
            lines += [f".type {bare}, @function", f"{bare}:", body, f".size {bare}, .-{bare}"]
        source, output = tmp_path / f"{Path(name).stem}.s", tmp_path / name
        output.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("\n".join([*lines, text, '.section .note.GNU-stack,"",@progbits', ""]))
        command = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu", "-c", str(source), "-o", str(output)]
        subprocess.run(command, check=True, capture_output=True)
        return output

    return make
