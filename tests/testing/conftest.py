"""Objects compiled from C for any machine, by the compiler in the ziglang package."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from guesssketch import objfile
from guesssketch.testing.coverage import Graph
from guesssketch.testing.explore import Explorer, Found, Limits
from guesssketch.testing.pair import Pair, Prepared, prepare

Compile = Callable[..., Path]
Explore = Callable[..., Found]
Prepare = Callable[..., Prepared]


@pytest.fixture
def compile_c(tmp_path: Path) -> Compile:
    """``compile_c(text, machine, *options)``: the object's path."""

    def make(text: str, machine: str, *options: str) -> Path:
        source = tmp_path / f"{abs(hash((text, machine, options)))}.c"
        source.write_text(text)
        output = source.with_suffix(f".{machine}.o")
        target = ["-target", f"{machine}-linux-gnu", "-c", str(source), "-o", str(output)]
        more = [*(["-O1"] if not options else []), "-g", "-fno-sanitize=all", "-fno-stack-protector", "-w", *options]
        subprocess.run([sys.executable, "-m", "ziglang", "cc", *target, *more], check=True, capture_output=True)
        return output

    return make


@pytest.fixture
def prepare_c(compile_c: Compile) -> Prepare:
    """``prepare_c(text, other, machine)``: ``text`` for x86-64 and ``other`` (or ``text``) for ``machine``, ready to run."""

    def make(text: str, other: str | None = None, machine: str = "aarch64") -> Prepared:
        (file,) = objfile.read(compile_c(text, "x86_64"))
        return prepare(file, compile_c(other or text, machine).read_bytes(), "other", machine)

    return make


@pytest.fixture
def explore(prepare_c: Prepare) -> Explore:
    """``explore(text, other, machine, name="f", ...)``: what became of ``name``, with ``other`` (or ``text``) for ``machine``."""

    def run(text: str, other: str | None = None, machine: str = "aarch64", name: str = "f", **limits: object) -> Found:
        prepared = prepare_c(text, other, machine)
        (tested,) = (t for t in prepared.functions if t.name == name)
        settings: dict[str, object] = {"seconds": 60.0, "runs": 300, **limits}
        return Explorer(Pair(prepared), Graph(prepared.program, prepared.bases), tested, Limits(**settings)).run()  # type: ignore[arg-type]

    return run
