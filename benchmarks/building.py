"""Building a Debian source package by its own build system, and relinking its programs from objects of another make.

A *recipe* (``recipes/NAME.toml``) says how: ``build``, shell commands in a copy of the source where ``CC`` is the compiler;
``programs``, patterns of linked files to take; ``workload``, shell commands that run them (`workloads`). Optional:
``package``, the Debian name if it is another; ``needs``, packages whose source is put into folders of their names first.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from harness import CACHE, FailedError, Target, run
from sources import fetch

HERE = Path(__file__).resolve().parent
RECIPES = HERE / "recipes"
BUILDS = ("gcc -O2", "gcc -O0", "clang -O2", "gcc -O1", "gcc -O3", "gcc -Os")
MODELS = {"pie": "-fPIE", "pic": "-fPIC", "nopic": "-fno-pic -fno-pie"}


@dataclass(frozen=True)
class Recipe:
    """One package. ``folder`` holds its own inputs, if it has any."""

    name: str
    build: str
    programs: tuple[str, ...]
    workload: str
    package: str = ""
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return RECIPES / self.name


def recipes() -> dict[str, Recipe]:
    found = {}
    for path in sorted(RECIPES.glob("*.toml")):
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
        entry |= {name: tuple(entry.get(name, ())) for name in ("programs", "needs")}
        found[path.stem] = Recipe(path.stem, **entry)
    return found


@dataclass(frozen=True)
class Program:
    """``inputs``: hashes of objects, or tuples of them for archives, in the order of the command that linked it."""

    path: Path
    inputs: tuple[str | tuple[str, ...], ...]
    libraries: tuple[str, ...]

    @property
    def hashes(self) -> dict[str, None]:
        """Every object once, in the order of the link."""
        return {name: None for entry in self.inputs for name in ((entry,) if isinstance(entry, str) else entry)}


@dataclass(frozen=True)
class Built:
    """A package built for x86-64: ``source`` is the folder it was built in, ``store`` holds ``HASH.o`` of each object."""

    source: Path
    store: Path
    programs: dict[str, Program]

    def groups(self) -> list[tuple[list[str], list[Path]]]:
        """What to translate together: names of programs with all their objects, so that no name which one of the objects asks
        for is defined by two."""
        groups: list[tuple[list[str], dict[str, None]]] = []
        symbols = self._symbols()
        for name, program in self.programs.items():
            for names, hashes in groups:
                if _agree({**hashes, **program.hashes}, symbols):
                    names.append(name)
                    hashes |= program.hashes
                    break
            else:
                groups.append(([name], dict(program.hashes)))
        return [(names, [self.store / f"{one}.o" for one in hashes]) for names, hashes in groups]

    def _symbols(self) -> dict[str, tuple[set[str], set[str]]]:
        """Of each object, by hash, the global names that it defines and those that it asks for."""
        hashes = sorted({name for program in self.programs.values() for name in program.hashes})
        found: dict[str, tuple[set[str], set[str]]] = {name: (set(), set()) for name in hashes}
        for line in run(["nm", "-A", "-g", *(f"{name}.o" for name in hashes)], timeout=120, cwd=self.store).splitlines():
            path, _, rest = line.partition(":")
            *_, kind, symbol = rest.split()
            found[path.removesuffix(".o")][kind in "Uvw"].add(symbol)
        return found


def _agree(hashes: Iterable[str], symbols: Mapping[str, tuple[set[str], set[str]]]) -> bool:
    definitions = Counter(symbol for name in hashes for symbol in symbols[name][0])
    return not any(definitions[symbol] > 1 for name in hashes for symbol in symbols[name][1])


def build(recipe: Recipe, compiler: str, model: str) -> Built:
    """Build ``recipe`` by such as ``gcc -O2``; what is there already is kept. Raises FailedError."""
    folder = CACHE.resolve() / "builds" / recipe.name / f"{compiler.replace(' ', '')}-{model}"
    source, store = folder / "source", folder / "store"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        store.mkdir(parents=True)
        shutil.copytree(fetch(recipe.package or recipe.name), source, symlinks=True)
        for needed in recipe.needs:
            shutil.copytree(fetch(needed), source / needed, symlinks=True)
        real, level = compiler.split()
        wrapped = store / "cc"
        words = [sys.executable, str(HERE / "compiler.py"), str(store), real, f"{level} -g -w {MODELS[model]}"]
        wrapped.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        wrapped.chmod(0o755)
        script = folder / "build.sh"
        script.write_text(recipe.build, encoding="utf-8")
        env = os.environ | {"CC": str(wrapped), "RECIPE": str(recipe.folder), "LC_ALL": "C"}
        with (folder / "build.log").open("wb") as log:
            done = subprocess.run(["sh", "-eux", script], cwd=source, env=env, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=subprocess.STDOUT, check=False)  # fmt: skip
        if done.returncode:
            raise FailedError(f"building {recipe.name}: exit {done.returncode}: see {folder / 'build.log'}")
        (folder / "done").touch()
    return Built(source, store, _programs(recipe, source, store))


def _programs(recipe: Recipe, source: Path, store: Path) -> dict[str, Program]:
    found: dict[str, Program] = {}
    for entry in _records(store):
        path = Path(entry.get("program", "/"))
        relative = path.relative_to(source).as_posix() if path.is_relative_to(source) else ""
        if any(fnmatch(relative, pattern) for pattern in recipe.programs):
            inputs = tuple(one if isinstance(one, str) else tuple(one) for one in entry["inputs"])
            found[path.name] = Program(path, inputs, tuple(entry["libraries"]))
    missing = [pattern for pattern in recipe.programs if not any(fnmatch(str(p.path), f"*/{pattern}") for p in found.values())]
    if missing:
        raise FailedError(f"building {recipe.name} linked nothing called {', '.join(missing)}")
    return found


def _records(store: Path) -> list[dict[str, Any]]:
    path = store / "records.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def cross_compile(built: Built, target: Target, level: str, model: str, folder: Path) -> None:
    """Make every object of ``built`` anew by the cross gcc from the commands that made it, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name for program in built.programs.values() for name in program.hashes}
    for entry in _records(built.store):
        name = entry.get("object", "")
        made = folder / f"{name}.o"
        if name not in wanted or made.exists():
            continue
        arguments = [word for word in entry["arguments"] if not word.startswith("-m")]  # -msse2 and its like
        if "-o" in arguments:
            del arguments[arguments.index("-o") : arguments.index("-o") + 2]
        run([target.compiler, *arguments, level, "-w", *MODELS[model].split(), "-o", made], timeout=600,
            cwd=Path(entry["folder"]))  # fmt: skip
        wanted.discard(name)


def link(program: Program, objects: Path, target: Target, output: Path, flags: Sequence[str]) -> None:
    """Link ``program`` for ``target`` from the objects of the same names in ``objects``, archives as archives."""
    inputs: list[Path] = []
    for number, entry in enumerate(program.inputs):
        if isinstance(entry, str):
            inputs.append(objects / f"{entry}.o")
            continue
        archive = output.with_name(f"{output.name}.{number}.a")
        archive.unlink(missing_ok=True)
        run([target.compiler.removesuffix("gcc") + "ar", "rcs", archive, *dict.fromkeys(objects / f"{name}.o" for name in entry)],
            timeout=60)  # fmt: skip
        inputs.append(archive)
    target.link([*inputs, *program.libraries], output, *flags)
