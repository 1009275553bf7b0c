"""Where C files come from: Debian source packages, unpacked (and configured, where they can be), and csmith's programs."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from compiling import Unit, configurations
from store import Package

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LIST = Path(__file__).with_name("packages.toml")
CSMITH = "csmith"  # the name under which each split's random programs stand: csmith-train, ...
SEEDS = {"train": 100_001, "valid": 1_000_001, "test": 2_000_001}  # first seed of each split; benchmarks use those below
HEADERS = "/usr/include/csmith"
_CONFIGURE_SECONDS = 600
_LARGEST = 1 << 20  # bytes in a C file
_FOLDERS = 60  # include folders given to the compiler
_SKIPPED = ("debian", ".pc", ".git")


class Unavailable(Exception):
    """A package that cannot be had, or a random program that csmith did not write."""


def listed(path: Path = LIST) -> dict[str, Package]:
    """Packages of the list by name. Raises ValueError for a split that there is not."""
    packages = {}
    for name, entry in tomllib.loads(path.read_text())["package"].items():
        if entry["split"] not in SEEDS:
            raise ValueError(f"{name}: no split is called {entry['split']!r}")
        packages[name] = Package(name, entry["kind"], entry["split"])
    return packages


def obtain(package: Package, folder: Path, configure: bool = True) -> Package:
    """Unpack ``package`` to ``folder`` and configure it there; gives it with version and licence.

    ``why`` says how configuring went. Raises Unavailable.
    """
    if not folder.exists():
        temporary = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(_fetched(package.name), temporary, symlinks=True)
        outcome = _configure(temporary) if configure else "not configured"
        (temporary / ".configured").write_text(outcome)
        temporary.rename(folder)
    control = folder / "debian" / "changelog"
    version = re.search(r"\(([^)]+)\)", control.read_text(errors="replace").split("\n")[0]) if control.exists() else None
    outcome = (folder / ".configured").read_text()
    return replace(package, version=version[1] if version else "", licence=licence(folder), why=outcome)


def _fetched(name: str) -> Path:
    if str(BENCHMARKS) not in sys.path:
        sys.path.append(str(BENCHMARKS))
    from harness import FailedError
    from sources import fetch

    try:
        return Path(fetch(name))
    except FailedError as error:
        raise Unavailable(str(error).strip().split("\n")[-1][:200]) from None


def _configure(folder: Path) -> str:
    """Have the package make its config.h: by ``configure`` (made by autoreconf where it is not there) or CMake; how that went."""
    outcome = "no configure"
    for needed, command in (("configure.ac", ["autoreconf", "-fi"]), ("configure", ["sh", "./configure"]),
                            ("CMakeLists.txt", ["cmake", "-S", ".", "-B", "configured"])):  # fmt: skip
        made = command[0] == "autoreconf" and (folder / "configure").exists()
        if outcome == "configured" or made or not (folder / needed).is_file():
            continue
        if shutil.which(command[0]) is None:
            outcome = f"no {command[0]}"
            continue
        try:
            done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=_CONFIGURE_SECONDS, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{command[0]} took more than {_CONFIGURE_SECONDS} s"
        if command[0] == "autoreconf":
            outcome = f"autoreconf ended with {done.returncode}"
        else:
            outcome = "configured" if done.returncode == 0 else f"{needed} failed with {done.returncode}"
    return outcome


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
    """The package's C files, sorted by path (files: only so many, those whose paths hash lowest)."""
    found = [p for p in sorted(folder.rglob("*.c")) if not _skipped(p, folder)]
    if files is not None:
        found = sorted(sorted(found, key=lambda p: hashlib.sha256(str(p.relative_to(folder)).encode()).digest())[:files])
    flags = tuple(_flags(folder))
    made = []
    for path in found:
        name = str(path.relative_to(folder))
        chosen = configurations(f"{package.name}/{name}", compilers, everything)
        made.append(Unit(package.name, name, str(path), (f"-I{path.parent}", *flags), chosen, longest))
    return made


def _skipped(path: Path, folder: Path) -> bool:
    return path.relative_to(folder).parts[0] in _SKIPPED or path.is_symlink() or not 0 < path.stat().st_size <= _LARGEST


def _flags(folder: Path) -> Iterator[str]:
    """Every folder with a header, nearest to the root first, and what a configured package's makefile would define."""
    headers = {p.parent for p in folder.rglob("*.h") if p.relative_to(folder).parts[0] not in _SKIPPED}
    yield from (f"-I{p}" for p in islice(sorted({folder, *headers}, key=lambda p: (len(p.parts), str(p))), _FOLDERS))
    if any((p / "config.h").exists() for p in (folder, *headers)):
        yield "-DHAVE_CONFIG_H"


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
        made.append(Unit(f"{CSMITH}-{split}", path.name, str(path), ("-I", HEADERS), chosen, longest))
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
