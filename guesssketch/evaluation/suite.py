"""Folders of C programs with what they are expected to print, as ``guesssketch evaluate programs`` reads them.

Read are the layouts in which suites are published, and a manifest where none of them fits: ``docs/programs.md`` has both.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from guesssketch.errors import InputError, UsageError
from guesssketch.testing.programs import Run, read_run

MANIFEST: Final = "programs.toml"
SECONDS: Final = 10.0

_WORDS: Final[Mapping[str, str]] = {
    word: role
    for role, words in {
        "stdin": "in input inp stdin",
        "expected": "out output expected expect exp ans answer stdout ref ok reference_output expected_output",
        "args": "args arguments argv",
        "status": "status exit exitcode",
    }.items()
    for word in words.split()
}
_ANY: Final = "|".join(sorted(_WORDS, key=len, reverse=True))
_TEXT: Final = r"(?:\.(?:txt|dat|data))?"
_WHOLE: Final = re.compile(rf"({_ANY}){_TEXT}", re.IGNORECASE)  # input.txt
_BEHIND: Final = re.compile(rf"(.+?)[._-]({_ANY}){_TEXT}", re.IGNORECASE)  # 1.in, sort.c.expected, 1_output.txt
_BEFORE: Final = re.compile(rf"({_ANY})[._-]?(\d\w*){_TEXT}", re.IGNORECASE)  # input1.txt, output_01
_EXIT: Final = re.compile(rb"(?:^|\n)exit (\d+)\n?$")
_SILENT: Final = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", re.DOTALL)  # holds no code
_MAIN: Final = re.compile(r"\bmain\s*\(")
_INCLUDED: Final = re.compile(r'^\s*#\s*include\s*"([^"]+\.c)"', re.MULTILINE)
_KEYS: Final = {"flags", "link", "shared", "exclude", "timeout", "program"}
_PROGRAM: Final = {"name", "sources", "flags", "link", "run"}
_RUN: Final = ("expected", "expected_file", "status")


@dataclass(frozen=True)
class Case:
    """One run of a program. expected: what it prints on standard output; None: what the original prints.

    status: with which it exits; None: the original's.
    """

    name: str
    run: Run = field(default_factory=lambda: Run(timeout=SECONDS))
    expected: bytes | None = None
    status: int | None = None


@dataclass(frozen=True)
class Program:
    """name: without suffix, relative to the suite. flags: for the compiler. link: for all linkers, behind the objects."""

    name: str
    sources: tuple[Path, ...]
    cases: tuple[Case, ...] = (Case("run"),)
    flags: tuple[str, ...] = ()
    link: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """folder: where compilers run. left_out: files that look as if they belonged to it, and belong to no program."""

    folder: Path
    programs: tuple[Program, ...]
    left_out: tuple[Path, ...] = ()


def read(path: Path) -> Suite:
    """The programs below a folder, or of a manifest; a folder with a file ``programs.toml`` is read as that says.

    Raises UsageError if there is no program, or the manifest is wrong, and InputError for files that cannot be read.
    """
    manifest = path / MANIFEST if path.is_dir() else path
    try:
        suite = _listed(manifest) if manifest.is_file() else _found(path)
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    if not suite.programs:
        raise UsageError(f"{path}: no C file with a main", "docs/programs.md says which layouts are known")
    return suite


# --- manifest ---------------------------------------------------------------------------------------------------------


def _listed(path: Path) -> Suite:
    try:
        told = tomllib.loads(path.read_text())
        if unknown := sorted(set(told) - _KEYS):
            raise UsageError(f"{path}: unknown key {unknown[0]!r}")
        seconds = float(told.get("timeout", SECONDS))
        shared = _matches(path.parent, told.get("shared", ()))
        flags, link = tuple(told.get("flags", ())), tuple(told.get("link", ()))
        if "program" in told:
            suite = Suite(path.parent, tuple(_program(table, path, seconds) for table in told["program"]))
        else:
            suite = _found(path.parent, (*told.get("exclude", ()), path.name), shared, seconds)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{path}: not a manifest of programs: {error}", "docs/programs.md has one") from error
    programs = tuple(
        replace(one, sources=tuple(dict.fromkeys([*one.sources, *shared])), flags=(*flags, *one.flags), link=(*one.link, *link))
        for one in suite.programs
    )
    names = [program.name for program in programs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{path}: two programs are called {twice[0]}")
    return replace(suite, programs=programs)


def _program(table: Mapping[str, Any], path: Path, seconds: float) -> Program:
    if unknown := sorted(set(table) - _PROGRAM):
        raise UsageError(f"{path}: unknown key {unknown[0]!r} of a program")
    sources = _matches(path.parent, table["sources"])
    cases = tuple(_case(row, path, number, seconds) for number, row in enumerate(table.get("run", ())))
    name = table.get("name", sources[0].relative_to(path.parent).with_suffix("").as_posix())
    return Program(str(name), sources, cases or (Case("run", Run(timeout=seconds)),), tuple(table.get("flags", ())),
                   tuple(table.get("link", ())))  # fmt: skip


def _case(table: Mapping[str, Any], path: Path, number: int, seconds: float) -> Case:
    expected = table["expected"].encode() if "expected" in table else None
    if "expected_file" in table:
        expected = (path.parent / table["expected_file"]).read_bytes()
    return Case(f"run {number}", read_run(table, path, _RUN, seconds), expected, table.get("status"))


def _matches(folder: Path, patterns: Iterable[str]) -> tuple[Path, ...]:
    found: list[Path] = []
    for pattern in patterns:
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise UsageError(f"{folder / pattern}: no such file", "docs/programs.md says what a manifest holds")
        found += paths
    return tuple(dict.fromkeys(found))


# --- layouts ----------------------------------------------------------------------------------------------------------


def _found(folder: Path, exclude: Sequence[str] = (), shared: Sequence[Path] = (), seconds: float = SECONDS) -> Suite:
    """The programs of a folder that has no list of them."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path not in shared
             and not any(part.startswith(".") for part in path.relative_to(folder).parts)
             and not any(fnmatch(path.relative_to(folder).as_posix(), pattern) for pattern in exclude)]  # fmt: skip
    programs: dict[Path, list[tuple[str, tuple[Path, ...]]]] = {}
    left_out: list[Path] = []
    sources: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in files:
        if path.suffix == ".c":
            sources[path.parent].append(path)
    for place, paths in sources.items():
        programs[place], alone = _programs(paths)
        left_out += alone
    cases, strangers = _cases(folder, [path for path in files if path.suffix != ".c"], programs, seconds)
    made = [Program((place / stem).relative_to(folder).as_posix(), parts,
                    tuple(cases[place, stem]) or (Case("run", Run(timeout=seconds)),))
            for place, found in programs.items() for stem, parts in found]  # fmt: skip
    return Suite(folder, tuple(sorted(made, key=lambda program: program.name)), tuple(sorted([*left_out, *strangers])))


def _programs(paths: Sequence[Path]) -> tuple[list[tuple[str, tuple[Path, ...]]], list[Path]]:
    """(stem of the file with ``main``, sources) in a folder, and the C files of no program. One ``main`` has all files."""
    texts = {path.name: path.read_text(errors="replace") for path in paths}
    includes = {name: [other for other in _INCLUDED.findall(text) if other in texts] for name, text in texts.items()}
    has_main = {name for name, text in texts.items() if _MAIN.search(_SILENT.sub(" ", text))}
    while more := {name for name, others in includes.items() if name not in has_main and has_main.intersection(others)}:
        has_main |= more
    mains = [path for path in paths if path.name in has_main]
    others = [path for path in paths if path not in mains and not any(path.name in names for names in includes.values())]
    if len(mains) == 1:
        return [(mains[0].stem, (mains[0], *others))], []
    return [(path.stem, (path,)) for path in mains], others


Known = Mapping[Path, Sequence[tuple[str, tuple[Path, ...]]]]
Owner = tuple[Path, str]


def _cases(folder: Path, files: Sequence[Path], programs: Known, seconds: float) -> tuple[dict[Owner, list[Case]], list[Path]]:
    """The cases of each program, by its folder and stem, and the files of cases of no program."""
    parts: defaultdict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
    for path in files:
        if (told := _role(folder, path)) and not _is_program(path):
            place, key, role = told
            parts[place, key].setdefault(role, path)
    cases: dict[Owner, list[Case]] = {(place, stem): [] for place, found in programs.items() for stem, _ in found}
    strangers: list[Path] = []
    for (place, key), roles in parts.items():
        owner = _owner(folder, place, key, programs)
        if owner is None:
            strangers += roles.values()
        else:
            where = (place / key).relative_to(owner[0] if place.is_relative_to(owner[0]) else folder).as_posix()
            cases[owner].append(_read(where if where != "." else "run", roles, seconds))
    return cases, strangers


def _role(folder: Path, path: Path) -> tuple[Path, str, str] | None:
    """(folder of the case, its name there, what the file is of it); None for a file that is no case's."""
    name, place = path.name, path.parent
    if match := _WHOLE.fullmatch(name):
        return place, "", _WORDS[match[1].lower()]
    if match := _BEHIND.fullmatch(name):
        return place, match[1].removesuffix(".c"), _WORDS[match[2].lower()]
    if match := _BEFORE.fullmatch(name):
        return place, match[2], _WORDS[match[1].lower()]
    plural = place.name.lower().removesuffix("s")
    for word in (place.name.lower(), plural):  # in/01.txt, outputs/01
        if word in _WORDS and place != folder:
            return place.parent, path.stem, _WORDS[word]
    return None


def _is_program(path: Path) -> bool:
    """As ``a.out`` is one, which nobody expects to be printed."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _owner(folder: Path, place: Path, key: str, programs: Known) -> Owner | None:
    """The program of a case: of its name, or the only one, in the nearest folder above that has either."""
    names = (key, *place.relative_to(folder).parts[::-1])
    for above in (place, *place.parents):
        known = [(there, stem) for there, found in programs.items() if there.is_relative_to(above) for stem, _ in found]
        if len(known) == 1:
            return known[0]
        called = [owner for owner in known if any(_belongs(name, owner) for name in names)]
        if called:
            return max(called, key=lambda owner: (any(name in (owner[1], owner[0].name) for name in names), len(owner[1])))
        if above == folder:
            break
    return None


def _belongs(name: str, owner: Owner) -> bool:
    """``sort``, ``sort.1``, ``sort_big`` are of ``sort.c``."""
    stem = owner[1]
    return name == stem or (name.startswith(stem) and not name[len(stem)].isalnum())


def _read(name: str, roles: Mapping[str, Path], seconds: float) -> Case:
    expected = roles["expected"].read_bytes() if "expected" in roles else None
    status = None
    if "status" in roles:
        text = roles["status"].read_text(errors="replace").strip()
        if not text.isdecimal():
            raise InputError(f"{roles['status']}: an exit status is a number")
        status = int(text)
    if expected is not None and roles["expected"].name.endswith(".reference_output") and (match := _EXIT.search(expected)):
        expected, status = expected[: match.start()], int(match[1])  # as LLVM's test suite has it
    args = tuple(shlex.split(roles["args"].read_text())) if "args" in roles else ()
    stdin = roles["stdin"].read_bytes() if "stdin" in roles else b""
    return Case(name, Run(args, stdin, timeout=seconds), expected, status)
