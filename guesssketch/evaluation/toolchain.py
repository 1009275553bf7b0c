"""Compilers and linkers for evaluating programs: sources to x86-64 objects, objects to programs for either machine."""

from __future__ import annotations

import functools
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from guesssketch.assembler import zig
from guesssketch.errors import ToolError

COMPILER: Final = "gcc" if platform.machine() == "x86_64" else "x86_64-linux-gnu-gcc"
SECONDS: Final = 300  # for one run of a compiler or linker
_SHOWN: Final = 1000  # characters of what it said
_ALWAYS: Final = ("-g", "-w", "-MMD")  # types of what is called; dependencies


class BuildError(Exception):
    """A compiler or linker that failed, with what it said."""


@functools.cache
def version(compiler: str) -> str:
    """What a compiler says of itself, in one line. Raises ToolError if it is not there."""
    if shutil.which(compiler) is None:
        raise ToolError(f"{compiler}: no such compiler", "install it, or name another with --compiler")
    return _said([compiler, "--version"], Path()).splitlines()[0]


def compile_source(source: Path, compiler: str, flags: Sequence[str], output: Path, folder: Path) -> set[Path]:
    """An object made of ``source`` in ``folder``; returns the files that it was made of. Raises BuildError."""
    depends = output.with_suffix(".d")
    _said([compiler, *_ALWAYS, *flags, "-MF", str(depends), "-c", str(source), "-o", str(output)], folder)
    text = depends.read_text(errors="replace").partition(":")[2].replace("\\\n", " ")
    return {folder / re.sub(r"\\(.)", r"\1", name) for name in re.findall(r"(?:\\.|\S)+", text)}


def link_original(objects: Sequence[Path], compiler: str, flags: Sequence[str], output: Path, folder: Path) -> None:
    """A program for x86-64. Raises BuildError."""
    _said([compiler, *map(str, objects), *flags, "-lm", "-o", str(output)], folder)


def linker(target: str) -> tuple[str, ...]:
    """The target's own compiler with its C library, else that of the ziglang wheel (musl)."""
    names = (f"{target}-linux-gnu-gcc", *(["gcc"] if platform.machine() == target else []))
    found = next((name for name in names if shutil.which(name)), None)
    return (found,) if found else (zig(), "cc", "-target", f"{target}-linux-musl")


def link_translation(objects: Sequence[Path], target: str, flags: Sequence[str], output: Path, folder: Path) -> None:
    """A static program for ``target``. Raises BuildError."""
    _said([*linker(target), *map(str, objects), "-static", *flags, "-lm", "-o", str(output)], folder)


def _said(command: Sequence[str], folder: Path) -> str:
    """Standard output of a command that must succeed."""
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{command[0]}: more than {SECONDS} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().replace(f"{Path(command[-1]).parent}/", "")[:_SHOWN]
        raise BuildError(said or f"{command[0]}: exit status {done.returncode}")
    return done.stdout.decode(errors="replace")
