"""Whole programs: the original and one made of its translation, on the same command lines, and what of the translation was run.

A file of runs (TOML) has a table for each:

    [[run]]
    args = ["-d", "input.z"]
    stdin = "text"              # or stdin_file = "PATH"
    inputs = ["input.z"]        # files copied into the folder in which the program runs, by default none
    env = { LANG = "C" }
    timeout = 20                # seconds, for each side

Paths are relative to that file. What a run prints, its exit status, and the files that it leaves in its folder must be the same.
"""

from __future__ import annotations

import functools
import math
import os
import platform
import resource
import shutil
import signal
import subprocess
import tempfile
import tomllib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from guesssketch.assembler import zig
from guesssketch.errors import InputError, ToolError, UsageError
from guesssketch.progress import Tell
from guesssketch.testing.instructions import marked, placed
from guesssketch.testing.plan import MACHINES
from guesssketch.testing.report import FunctionResult, Report, Shown

_TIMEOUT: Final = 60.0
_NAME: Final = "./program"  # argv[0]
LARGEST: Final = 1 << 28  # bytes of a file, or of standard output, that a run may write
_SHOWN: Final = 200  # bytes of a difference
_KEYS: Final = {"args", "stdin", "stdin_file", "inputs", "env", "timeout"}


@dataclass(frozen=True)
class Run:
    """One command line. inputs: files to be copied into the folder where it runs."""

    args: tuple[str, ...] = ()
    stdin: bytes = b""
    inputs: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = _TIMEOUT


@dataclass(frozen=True)
class Done:
    """What a run left.

    status: as ``subprocess`` has it, None if it took too long or wrote too much. files: those that it made or changed.
    """

    status: int | None
    stdout: bytes
    files: Mapping[str, bytes]


def load(path: Path) -> list[Run]:
    """Raises UsageError for what is not such a file, OSError if a file that it names cannot be read."""
    try:
        runs = [read_run(table, path) for table in tomllib.loads(path.read_text())["run"]]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not a file of runs ([[run]] tables): {error}") from error
    if not runs:
        raise UsageError(f"{path}: no runs")
    return runs


def read_run(table: Mapping[str, Any], path: Path, others: Collection[str] = (), timeout: float = _TIMEOUT) -> Run:
    """A table of the file ``path``; ``others`` are keys that somebody else reads. Raises UsageError and OSError as ``load``."""
    if unknown := sorted(set(table) - _KEYS - set(others)):
        raise UsageError(f"{path}: unknown key {unknown[0]!r} of a run")
    stdin = (path.parent / table["stdin_file"]).read_bytes() if "stdin_file" in table else table.get("stdin", "").encode()
    inputs = tuple(path.parent / name for name in table.get("inputs", ()))
    return Run(tuple(map(str, table.get("args", ()))), stdin, inputs, dict(table.get("env", {})),
               float(table.get("timeout", timeout)))  # fmt: skip


def compare(program: Path, translated: Path, runs: Sequence[Run], progress: Tell) -> Report:
    """A row for each run, then one for each translated function with what of it was run.

    Raises InputError, ToolError (no emulator) and OSError.
    """
    target = _machine(translated)
    if target not in MACHINES or _machine(program) != "x86_64":
        raise InputError(f"{program}, {translated}: not a program for x86-64 and one for {' or '.join(MACHINES)}")
    progress("run", 0, len(runs))
    rows: list[FunctionResult] = []
    pieces: set[tuple[int, int]] = set()
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as name:
        plugin = _plugin(Path(name))
        for number, run in enumerate(runs):
            listed = Path(name) / f"covered.{number}"
            ours, theirs = execute(program, "x86_64", run), execute(translated, target, run, ("-plugin", f"{plugin},out={listed}"))
            rows.append(_row(number, run, ours, theirs))
            pieces |= _pieces(listed, translated)
            progress("run", number + 1, len(runs))
    return Report(str(program), str(translated), target, [*rows, *_coverage(translated, target, pieces)])


def _machine(path: Path) -> str:
    names = {"EM_X86_64": "x86_64"} | {name: target for target, name in MACHINES.items()}
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            return names.get(elf["e_machine"], "") if elf["e_type"] in ("ET_EXEC", "ET_DYN") else ""
    except ELFError as error:
        raise InputError(f"{path}: not an ELF program: {error}") from error


def _plugin(folder: Path) -> Path:
    """The coverage plugin, compiled for this machine. Raises ToolError."""
    output = folder / "coverage.so"
    source = Path(__file__).with_name("coverage.c")
    done = subprocess.run([zig(), "cc", "-shared", "-fPIC", "-O2", "-fno-sanitize=all", str(source), "-o", str(output)],
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise ToolError(f"the coverage plugin does not compile: {done.stderr.strip()}")
    return output


@functools.cache
def emulator(machine: str) -> tuple[str, ...]:
    """The command that runs programs for ``machine`` here. Raises ToolError."""
    if platform.machine() == machine == "x86_64":
        return ()
    found = shutil.which(f"qemu-{machine}") or shutil.which(f"qemu-{machine}-static")
    if found is None:
        raise ToolError(f"qemu-{machine} is needed to run the program", "install qemu-user (apt-get install qemu-user)")
    libraries = Path(f"/usr/{machine.replace('_', '-')}-linux-gnu")
    return (found, "-L", str(libraries)) if libraries.is_dir() else (found,)


def execute(program: Path, machine: str, run: Run, options: Sequence[str] = ()) -> Done:
    """Run a program for ``machine`` in a folder of its own, under one name for all. options: the emulator's.

    Raises ToolError and OSError.
    """
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as name:
        folder = Path(name)
        for path in run.inputs:
            shutil.copy(path, folder / path.name)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        starter = emulator(machine)
        file = str(program.resolve())
        command = [*starter, *options, "-0", _NAME, file, *run.args] if starter else [_NAME, *run.args]
        status, stdout = _ended(command, starter[0] if starter else file, folder, run)
        if status is None:
            return Done(None, stdout, {})
        after = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}
    return Done(status, stdout, {n: data for n, data in after.items() if before.get(n) != data})


def _ended(command: Sequence[str], executable: str, folder: Path, run: Run) -> tuple[int | None, bytes]:
    """Status and standard output of a command that nothing outlives; the status is None if it took or wrote too much."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, executable=executable, cwd=folder, stdin=subprocess.PIPE, stdout=output,
                                   stderr=subprocess.DEVNULL, env={**os.environ, **run.env}, start_new_session=True)  # fmt: skip
        status = None
        try:
            busy = (math.ceil(run.timeout) + 1) * (os.cpu_count() or 1)  # if this process is killed, what it started ends, too
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (busy, busy))
            process.communicate(run.stdin, run.timeout)
            status = None if process.returncode == -signal.SIGXFSZ else process.returncode
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return status, output.read(LARGEST)  # some may have come before the limit did


def _row(number: int, run: Run, ours: Done, theirs: Done) -> FunctionResult:
    name = f"run {number}: {' '.join(run.args)}".rstrip(": ")
    if ours.status is None:
        return FunctionResult(name, "undecided", f"the original took more than {run.timeout} s, or wrote without end", runs=1)
    differences = []
    if ours.status != theirs.status:
        shown = "took too long or wrote without end" if theirs.status is None else f"ended with {theirs.status}"
        differences.append(f"the original ended with {ours.status}, the translation {shown}")
    if ours.stdout != theirs.stdout:
        differences.append(differing("stdout", ours.stdout, theirs.stdout))
    for file in sorted({*ours.files, *theirs.files}):
        a, b = ours.files.get(file), theirs.files.get(file)
        if a is None or b is None:
            differences.append(f"{file} is made or changed by the {'original' if b is None else 'translation'} only")
        elif a != b:
            differences.append(differing(file, a, b))
    row = FunctionResult(name, "different" if differences else "equal", runs=1)
    row.statuses = {row.verdict: 1}
    if differences:
        given: dict[str, Any] = {"args": list(run.args), "stdin": run.stdin.decode("latin-1")}
        row.difference = Shown(given, tuple(differences), (), "the same command")
    return row


def differing(what: str, a: bytes, b: bytes, first: str = "the original", second: str = "the translation") -> str:
    """Where two contents part, for a reader; ``first`` and ``second`` are whose they are."""
    at = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = max(at - 20, 0)
    return f"{what} differs from byte {at} on: {a[start:][:_SHOWN]!r} in {first}, {b[start:][:_SHOWN]!r} in {second}"


def _pieces(listed: Path, program: Path) -> set[tuple[int, int]]:
    """Address (as in the file) and size of what was run; nothing if the program was killed."""
    if not listed.is_file():
        return set()
    with program.open("rb") as file:
        starts = [s["p_vaddr"] for s in ELFFile(file).iter_segments("PT_LOAD") if s["p_flags"] & 1]
    lines = listed.read_text().split("\n")
    moved = int(lines[0].split()[1]) - min(starts) // 4096 * 4096
    return {(int(a) - moved, int(size)) for a, size, *_ in (line.split() for line in lines[1:] if line)}


def _coverage(program: Path, target: str, pieces: set[tuple[int, int]]) -> list[FunctionResult]:
    """Translated functions, told by their entries; of a program without any, all functions."""
    with program.open("rb") as file:
        elf = ELFFile(file)
        table: Any = elf.get_section_by_name(".symtab")
        symbols = [s for s in (table.iter_symbols() if table else ()) if s["st_info"]["type"] == "STT_FUNC" and s["st_size"]]
        sections = [(s["sh_addr"], s.data()) for s in elf.iter_sections() if s["sh_flags"] & 4 and s["sh_type"] == "SHT_PROGBITS"]

    def code(address: int, size: int) -> bytes:
        return next((d[address - a :][:size] for a, d in sections if a <= address < a + len(d)), b"")

    known = {s.name: (int(s["st_value"]), int(s["st_size"])) for s in symbols}
    own = {n: e for n, e in known.items() if not n.endswith(".x86") and marked(code(*e), target)}
    rows = []
    for name, (address, size) in sorted((own or known).items()):
        row = FunctionResult(name, "covered")
        row.instructions = placed(code(address, size), address, target, pieces)
        rows.append(row)
    return rows
