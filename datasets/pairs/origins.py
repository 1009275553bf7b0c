"""Where C files come from: Debian source packages, as their own builds compile them, and csmith's programs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
if str(BENCHMARKS) not in sys.path:
    sys.path.append(str(BENCHMARKS))

from compiling import Unit, configurations  # noqa: E402
from store import Package  # noqa: E402

from compiler import WITH_VALUE, parse  # noqa: E402
from harness import FailedError  # noqa: E402
from sources import fetch  # noqa: E402

LIST = Path(__file__).with_name("packages.toml")
CSMITH = "csmith"  # the name under which each split's random programs stand: csmith-train, ...
SEEDS = {"train": 100_001, "valid": 1_000_001, "test": 2_000_001}  # first seed of each split; benchmarks use those below
HEADERS = "/usr/include/csmith"
COMPILER = "gcc-12"  # builds packages
_MEANING = ("-ansi", "-fno-builtin", "-fno-strict-aliasing", "-fsigned-char", "-funsigned-char", "-fwrapv")
_BUILD = """
if [ ! -e configure ] && [ -e configure.ac -o -e configure.in ]; then
    if [ -e autogen.sh ]; then NOCONFIGURE=1 sh ./autogen.sh; fi
    [ -e configure ] || autoreconf -fi
fi
if [ -e configure ]; then sh ./configure && exec make; fi
if [ -e CMakeLists.txt ]; then cmake -S . -B guesssketch-build && exec make -C guesssketch-build; fi
if [ -e meson.build ]; then meson setup guesssketch-build && exec ninja -k 0 -C guesssketch-build; fi
if [ -e Makefile ] || [ -e makefile ] || [ -e GNUmakefile ]; then exec make CC=gcc; fi
exec make -C src CC=gcc
"""
_BUILD_SECONDS = 900
_LARGEST = 1 << 20  # bytes in a C file


class Unavailable(Exception):
    """A package that cannot be had, or a random program that csmith did not write."""


def listed(path: Path = LIST) -> dict[str, Package]:
    """Packages of the list by name. Raises ValueError for a split that there is not."""
    packages = {}
    for name, entry in tomllib.loads(path.read_text())["package"].items():
        if entry["split"] not in SEEDS:
            raise ValueError(f"{name}: no split is called {entry['split']!r}")
        packages[name] = Package(name, entry["kind"], entry["split"], build=entry.get("build", ""))
    return packages


def obtain(package: Package, folder: Path, jobs: int = 1) -> Package:
    """Unpack ``package`` to ``folder`` and build it there; gives it with version and licence.

    The build is the package's own, with a compiler that writes down how it was called (``benchmarks/compiler.py``): what it
    compiled is what ``units`` gives. ``why`` says how that went. Raises Unavailable.
    """
    if not folder.exists():
        temporary = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        source = temporary / "source"
        shutil.copytree(_fetched(package.name), source, symlinks=True)
        outcome = _built(temporary, package.build or _BUILD, jobs)
        commands = list(_commands(temporary / "calls" / "records.jsonl", source))
        (temporary / "commands.json").write_text(json.dumps({"outcome": outcome, "commands": commands}))
        shutil.rmtree(temporary / "calls")
        temporary.rename(folder)
    control = folder / "source" / "debian" / "changelog"
    version = re.search(r"\(([^)]+)\)", control.read_text(errors="replace").split("\n")[0]) if control.exists() else None
    outcome = json.loads((folder / "commands.json").read_text())["outcome"]
    return replace(package, version=version[1] if version else "", licence=licence(folder / "source"), why=outcome)


def _fetched(name: str) -> Path:
    try:
        return Path(fetch(name))
    except FailedError as error:
        raise Unavailable(str(error).strip().split("\n")[-1][:200]) from None


def _built(folder: Path, build: str, jobs: int) -> str:
    """Build what is in ``folder/source``, calls of the compiler kept in ``folder/calls``; how that went."""
    calls = folder / "calls"
    calls.mkdir()
    real = shutil.which(COMPILER) or COMPILER  # by its path, since its name may soon be the wrapper's
    for name in ("cc", "gcc", "c99"):
        words = shlex.join([sys.executable, "-S", str(BENCHMARKS / "compiler.py"), str(calls), real, "-O0 -w"])
        (calls / name).write_text(f'#!/bin/sh\ncase "$*" in *conftest*) exec {real} "$@";; esac\nexec {words} "$@"\n')
        (calls / name).chmod(0o755)
    env = os.environ | {"PATH": f"{calls}:{os.environ['PATH']}", "CC": "gcc", "MAKEFLAGS": f"-k -j{jobs}", "LC_ALL": "C"}
    command = ["timeout", str(_BUILD_SECONDS), "sh", "-c", build]  # ends what the build started, too
    with (folder / "build.log").open("wb") as log:
        status = subprocess.run(command, cwd=folder / "source", env=env, stdin=subprocess.DEVNULL, stdout=log,
                                stderr=subprocess.STDOUT, check=False).returncode  # fmt: skip
    return f"stopped after {_BUILD_SECONDS} s" if status == 124 else "built" if status == 0 else f"build ended with {status}"


def _commands(records: Path, source: Path) -> Iterator[dict[str, object]]:
    """How each C file of the package was first compiled: ``file``, ``folder``, ``flags``."""
    seen = set()
    for line in records.read_text().splitlines() if records.exists() else ():
        entry = json.loads(line)
        if "arguments" not in entry:
            continue
        _, names, options = parse(entry["arguments"])
        for name in names:
            path = Path(os.path.normpath(Path(entry["folder"], name)))
            if path.suffix == ".c" and path not in seen and path.is_file() and path.is_relative_to(source):
                seen.add(path)
                yield {"file": str(path.relative_to(source)), "folder": os.path.relpath(entry["folder"], source),
                       "flags": list(_kept(options, str(source)))}  # fmt: skip


def _kept(options: Sequence[str], source: str) -> Iterator[str]:
    """Of a compiler's options, those that say what the program is, for a source in another folder (``{}``)."""
    rest = iter(options)
    for option in rest:
        value = [next(rest, "")] if option in WITH_VALUE else []
        if option.startswith(("-I", "-D", "-U", "-isystem", "-iquote", "-include", "-std=")) or option in _MEANING:
            yield from (word.replace(source, "{}") for word in (option, *value))


def licence(folder: Path) -> str:
    """Short names in debian/copyright (machine-readable ones: every ``License:`` of a ``Files:`` paragraph but Debian's own)."""
    path = folder / "debian" / "copyright"
    text = path.read_text(errors="replace") if path.exists() else ""
    names: dict[str, None] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        files = re.search(r"(?m)^Files:\s*(.*)$", paragraph)
        found = re.search(r"(?m)^License:[ \t]*(\S.*)$", paragraph)
        if files and found and not files[1].startswith("debian/"):
            names[found[1].strip()] = None
    return "; ".join(names) or ("see debian/copyright" if text else "unknown")


def units(package: Package, folder: Path, compilers: Sequence[str], longest: int, everything: bool,
          files: int | None) -> list[Unit]:  # fmt: skip
    """The C files that the package's build compiled, sorted by path (files: only so many, those whose paths hash lowest)."""
    source = folder / "source"
    commands = {c["file"]: c for c in json.loads((folder / "commands.json").read_text())["commands"]}
    found = sorted(name for name in commands if not _skipped(source / name))
    if files is not None:
        found = sorted(sorted(found, key=lambda name: hashlib.sha256(name.encode()).digest())[:files])
    made = []
    for name in found:
        flags = tuple(word.replace("{}", str(source)) for word in commands[name]["flags"])
        chosen = configurations(f"{package.name}/{name}", compilers, everything)
        made.append(Unit(package.name, name, str(source / name), str(source / commands[name]["folder"]), flags, chosen, longest))
    return made


def _skipped(path: Path) -> bool:
    return path.is_symlink() or not path.exists() or not 0 < path.stat().st_size <= _LARGEST


def random_counts(programs: int) -> dict[str, int]:
    """How many of ``programs`` random programs each split has: a twentieth (at least one) for valid and for test."""
    held = max(1, programs // 20) if programs >= 3 else 0
    return {"train": programs - 2 * held, "valid": held, "test": held}


def random_units(split: str, count: int, folder: Path, compilers: Sequence[str], longest: int, everything: bool) -> list[Unit]:
    """Random programs of a split, each compiled in one way (``everything``: in all); ``write_random`` writes their files."""
    made = []
    for seed in range(SEEDS[split], SEEDS[split] + count):
        path = folder / f"{seed}.c"
        chosen = configurations(f"{CSMITH}/{seed}", compilers, everything)
        if not everything:
            chosen = (chosen[seed % len(chosen)],)
        made.append(Unit(f"{CSMITH}-{split}", path.name, str(path), str(folder), ("-I", HEADERS), chosen, longest))
    return made


def write_random(path: Path, seconds: float = 60) -> None:
    """Have csmith write the program whose seed is the file's name. Raises Unavailable."""
    temporary = path.with_suffix(".partial")
    command = ["csmith", "--seed", path.stem, "--output", str(temporary)]
    try:
        subprocess.run(command, cwd=path.parent, capture_output=True, timeout=seconds, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(str(error)) from None
    temporary.rename(path)
