"""zlib and bzip2, end to end: build for x86-64, translate, link with the cross gcc, and let their own self-tests judge.

Each *case* is a program of a package at a compiler, level, pic and target: all its objects, the library's included, are
translated together, linked statically and dynamically, and run under qemu-user. It passes when the self-tests pass and
10 MB of mixed data compress to the same bytes as by the native x86-64 program, and back.

``python benchmarks/packages.py`` runs all cases that have not passed yet, prints a table of all, and keeps the results
in ``.cache/benchmarks/packages.json``.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import CACHE, TARGETS, FailedError, Results, mixed_data, print_table, require, run, translate
from sources import fetch

BUILDS = ("gcc -O0", "gcc -O1", "gcc -O2", "gcc -O3", "gcc -Os", "clang -O2")
PIC = {"pic": "-fPIC", "nopic": "-fno-pic"}
LINKS = {"pic": {"static": "-static", "dynamic": "-pie"}, "nopic": {"static": "-static", "dynamic": "-no-pie"}}
DATA_SIZE = 10_000_000
RUN_TIMEOUT = 900


@dataclass(frozen=True)
class Sandbox:
    """Where a program runs, and how: ``command`` is what stands before its arguments."""

    command: tuple[str, ...]
    folder: Path

    def __call__(self, *arguments: str, stdin: Path | None = None, stdout: str | None = None) -> Path:
        """Run the program; gives the file in the folder that holds its standard output."""
        out = self.folder / (stdout or "stdout.txt")
        run([*self.command, *arguments], timeout=RUN_TIMEOUT, cwd=self.folder, stdin=stdin, stdout=out)
        return out


def same(one: Path, other: Path, what: str) -> None:
    if not filecmp.cmp(one, other, shallow=False):
        raise FailedError(f"{what}: differs")


def check_round_trip(native: Sandbox, other: Sandbox, data: Path) -> None:
    """A filter that compresses, and with -d expands: the same bytes as the native program gives, and back."""
    packed = other(stdin=data, stdout="packed")
    same(native(stdin=data, stdout="packed"), packed, "compressed data")
    same(data, other("-d", stdin=packed, stdout="unpacked"), "expanded data")


def check_example(native: Sandbox, other: Sandbox, source: Path) -> None:
    """zlib's test/example: exit status 0, and the same text as from the native run."""
    same(native(stdout="example.txt"), other(stdout="example.txt"), "what example prints")


def check_minigzip(native: Sandbox, other: Sandbox, source: Path) -> None:
    """What ``make test`` of zlib does with minigzip, on the change log, at the ends of the range of levels."""
    for level in ("-1", "-6", "-9", "-f", "-h", "-r"):
        packed = other(level, stdin=source / "ChangeLog", stdout="log.gz")
        same(native(level, stdin=source / "ChangeLog", stdout="log.gz"), packed, f"minigzip {level}")
        same(source / "ChangeLog", other("-d", stdin=packed, stdout="log"), f"minigzip {level}, expanded")


def check_samples(native: Sandbox, other: Sandbox, source: Path) -> None:
    """``make test`` of bzip2: packing three samples gives the files that it ships; expanding those gives them back."""
    for number, expand in ((1, "-d"), (2, "-d"), (3, "-ds")):
        plain, packed = source / f"sample{number}.ref", source / f"sample{number}.bz2"
        same(packed, other(f"-{number}", stdin=plain, stdout="sample.bz2"), f"sample {number} packed")
        same(plain, other(expand, stdin=packed, stdout="sample.ref"), f"sample {number} expanded")


@dataclass(frozen=True)
class Program:
    """A program of a Debian source package; paths are relative to its folder, ``library`` are glob patterns."""

    package: str
    name: str
    main: str
    library: tuple[str, ...]
    flags: tuple[str, ...]
    self_test: Callable[[Sandbox, Sandbox, Path], None]
    compresses: bool


ZLIB = (("*.c",), ("-D_LARGEFILE64_SOURCE=1", "-DHAVE_UNISTD_H", "-DHAVE_HIDDEN", "-I."))
BZLIB = (
    ("blocksort.c", "huffman.c", "crctable.c", "randtable.c", "compress.c", "decompress.c", "bzlib.c"),
    ("-D_FILE_OFFSET_BITS=64",),
)
PROGRAMS = (
    Program("zlib", "example", "test/example.c", *ZLIB, check_example, compresses=False),
    Program("zlib", "minigzip", "test/minigzip.c", *ZLIB, check_minigzip, compresses=True),
    Program("bzip2", "bzip2", "bzip2.c", *BZLIB, check_samples, compresses=True),
)


@dataclass(frozen=True)
class Case:
    program: Program
    build: str
    pic: str
    target: str

    @property
    def key(self) -> str:
        return f"{self.program.package}/{self.program.name}/{self.build.replace(' ', '')}/{self.pic}/{self.target}"


def compile_all(program: Program, compiler: Sequence[str], folder: Path) -> list[Path]:
    """Compile the program's files, the library's first; gives the objects. What is there already is kept."""
    source = fetch(program.package)
    folder.mkdir(parents=True, exist_ok=True)
    files = [path for pattern in program.library for path in sorted(source.glob(pattern))] + [source / program.main]
    objects = [folder / f"{path.stem}.o" for path in files]
    for path, compiled in zip(files, objects, strict=True):
        if not compiled.exists():
            run([*compiler, "-g", "-w", *program.flags, "-c", path, "-o", compiled], timeout=120, cwd=source)
    return objects


def build(program: Program, build: str, pic: str) -> tuple[list[Path], Path]:
    """Compile and link for x86-64; gives the objects and the program."""
    folder = CACHE / "builds" / program.package / f"{build.replace(' ', '')}-{pic}"
    objects = compile_all(program, [*build.split(), PIC[pic]], folder)
    linked = folder / program.name
    run([build.split()[0], *objects, LINKS[pic]["dynamic"], "-o", linked], timeout=60)
    return objects, linked


def judge(case: Case, native: Path, other: Path, link: str, data: Path) -> None:
    """Run the self-test, and the round trip of ``data`` where the program compresses; raises FailedError."""
    folder = CACHE / "runs" / case.key / link
    shutil.rmtree(folder, ignore_errors=True)
    here = Sandbox((str(native),), folder / "native")
    there = Sandbox(tuple(TARGETS[case.target].command(other)), folder / "other")
    for sandbox in (here, there):
        sandbox.folder.mkdir(parents=True)
    case.program.self_test(here, there, fetch(case.program.package))
    if case.program.compresses:
        check_round_trip(here, there, data)
    shutil.rmtree(folder)


def run_case(case: Case, data: Path, control: bool) -> dict[str, Any]:
    """Everything about one case as an entry of the results; failures are listed there, not raised."""
    target = TARGETS[case.target]
    output = CACHE / "translated" / case.key
    entry: dict[str, Any] = {"failures": []}
    try:
        objects, native = build(case.program, case.build, case.pic)
        if control:
            level = case.build.split()[1]
            objects = compile_all(case.program, [target.compiler, level, PIC[case.pic]], CACHE / "control" / case.key)
        else:
            done = translate(objects, case.target, output)
            objects = [output / compiled.name for compiled in objects]
            entry |= {"blocks": done.blocks, "proved": done.proved, "tested": done.tested, "proposers": done.proposers}
            entry["seconds"] = round(done.seconds, 2)
    except FailedError as error:
        return {"failures": [str(error)]}
    for link, flag in LINKS[case.pic].items():
        program = objects[0].parent / f"{case.program.name}.{link}"
        try:
            target.link(objects, program, flag)
            judge(case, native, program, link, data)
        except FailedError as error:
            entry["failures"].append(f"{link}: {error}")
    return entry


def summary(entries: dict[str, dict[str, Any]]) -> None:
    """Print the table, the reasons for tested blocks with their counts, and the failures."""
    rows = []
    reasons: Counter[str] = Counter()
    for key, entry in sorted(entries.items()):
        blocks = entry.get("blocks", 0)
        share = f"{100 * entry['proved'] / blocks:.2f}" if blocks else "-"
        reasons.update(entry.get("tested", {}))
        tested = sum(entry.get("tested", {}).values())
        rows.append([key, blocks, share, tested, entry.get("seconds", "-"), len(entry["failures"])])
    print_table(["case", "blocks", "proved %", "tested", "seconds", "failures"], rows)
    for reason, count in reasons.most_common():
        print(f"tested {count}: {reason}")
    for key, entry in sorted(entries.items()):
        for failure in entry["failures"]:
            print(f"FAILED {key}: {failure}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", choices=[p.name for p in PROGRAMS], action="append")
    parser.add_argument("--build", choices=BUILDS, action="append", help="such as 'gcc -O2'")
    parser.add_argument("--pic", choices=PIC, action="append")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--again", action="store_true", help="run cases that have passed, too")
    parser.add_argument("--control", action="store_true", help="the cross gcc in the translator's place")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="cases at a time (default 2)")
    options = parser.parse_args()
    cases = [
        Case(program, build, pic, target)
        for program in PROGRAMS if program.name in (options.program or [p.name for p in PROGRAMS])
        for build in options.build or BUILDS
        for pic in options.pic or PIC
        for target in options.target or TARGETS
    ]  # fmt: skip
    require(*{c.build.split()[0] for c in cases}, *(TARGETS[c.target].compiler for c in cases),
            *(TARGETS[c.target].emulator for c in cases))  # fmt: skip
    results = Results(CACHE / ("packages.control.json" if options.control else "packages.json"))
    todo = [c for c in cases if options.again or results.entries.get(c.key, {}).get("failures") != []]
    data = mixed_data(CACHE / "mixed.bin", DATA_SIZE)
    for program, build_name, pic in {(c.program, c.build, c.pic) for c in todo}:
        build(program, build_name, pic)  # before the threads start, which share the folders

    def one(case: Case) -> None:
        entry = run_case(case, data, options.control)
        results.put(case.key, entry)
        print(f"{case.key}: {'; '.join(entry['failures']) or 'passed'}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, todo))
    chosen = {c.key: results.entries[c.key] for c in cases}
    summary(chosen)
    return 1 if any(entry["failures"] for entry in chosen.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
