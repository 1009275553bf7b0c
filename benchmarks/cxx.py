"""C++ packages: Debian's sources, built without exceptions, must print what the x86-64 program prints in their own tests.

Each case is a package, a compiler with a level, and a target; a case that passed is not run again. The objects are also
compiled with exceptions, to count the functions that would be refused for their landing pads. Results:
``.cache/benchmarks/cxx.json``; everything else beside it, in ``cxx/``.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import CACHE, ROOT, TARGETS, FailedError, Results, print_table, require, run, translate
from sources import fetch

CONFIGURATIONS = {"gcc-O0": ("g++", "-O0"), "gcc-O2": ("g++", "-O2"), "clang-O2": ("clang++", "-O2")}
REFUSED = 3
_COUNT = """import sys
from guesssketch import cfg, objfile
from guesssketch.errors import Untranslatable
found = []
for path in sys.argv[1:]:
    try:
        cfg.recover(objfile.read(path))
    except Untranslatable as error:
        found += error.problems
print(sum("landing pad" in line for line in found), len(found))"""


@dataclass(frozen=True)
class Package:
    """sources: translated. native: compiled for the target as they are (tables of test data). folder: where the test runs."""

    name: str
    sources: tuple[str, ...]
    native: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    folder: str = "."


_TESTS = ("bignum", "bignum-dtoa", "conversions", "diy-fp", "dtoa", "fast-dtoa", "fixed-dtoa", "ieee", "strtod")
PACKAGES = (
    Package("tinyxml2", ("tinyxml2.cpp", "xmltest.cpp")),
    Package(
        "double-conversion",
        (*(f"double-conversion/{n}.cc" for n in ("bignum", "bignum-dtoa", "cached-powers", "double-to-string", "fast-dtoa",
                                                 "fixed-dtoa", "string-to-double", "strtod")),
         "test/cctest/cctest.cc", *(f"test/cctest/test-{name}.cc" for name in _TESTS)),
        tuple(f"test/cctest/gay-{name}.cc" for name in ("fixed", "precision", "shortest", "shortest-single")),
        ("-I.", "-Itest/cctest"),
    ),
)  # fmt: skip


class Case:
    def __init__(self, package: Package, configuration: str) -> None:
        self.package = package
        self.compiler, self.level = CONFIGURATIONS[configuration]
        self.source = fetch(package.name)
        self.folder = CACHE / "cxx" / f"{package.name}-{configuration}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def compile(self, source: str, compiler: str, *flags: str, tag: str = "x86") -> Path:
        output = self.folder / f"{Path(source).stem}.{tag}.o"
        run([compiler, self.level, *flags, "-w", *self.package.flags, "-c", source, "-o", output], timeout=600, cwd=self.source)
        return output

    def test(self, command: list[str]) -> str:
        """What the test prints, lines that tell how long something took left out."""
        printed = run([*command, *self.package.arguments], timeout=1200, cwd=self.source / self.package.folder)
        return "".join(line for line in printed.splitlines(keepends=True) if not re.search(r"\btime\b|milli", line))

    def landing_pads(self) -> str:
        """How many functions have landing pads with the compiler's defaults, and how many refusals there are in all."""
        objects = [self.compile(s, self.compiler, tag="throwing") for s in self.package.sources]
        return run([sys.executable, "-c", _COUNT, *objects], timeout=600, cwd=ROOT).strip()

    def judge(self, target: str) -> dict[str, object]:
        flags = ("-g", "-fno-exceptions")
        objects = [self.compile(s, self.compiler, *flags) for s in self.package.sources]
        tables = [self.compile(s, self.compiler, *flags, tag="table") for s in self.package.native]
        native = self.folder / "native"
        run([self.compiler, *objects, *tables, "-o", native], timeout=300)
        expected = self.test([str(native)])
        entry: dict[str, object] = {}
        try:
            done = translate(objects, target, self.folder / target)
            entry = {"blocks": done.blocks, "proved": done.proved, "tested": done.tested, "seconds": round(done.seconds, 1)}
            compiler = TARGETS[target].compiler.replace("gcc", "g++")
            theirs = [self.compile(s, compiler, tag=f"table-{target}") for s in self.package.native]
            program = self.folder / f"program-{target}"
            run([compiler, *(self.folder / target / o.name for o in objects), *theirs, "-o", program], timeout=300)
            printed = self.test(TARGETS[target].command(program))
        except FailedError as error:
            return entry | {"status": "refused" if error.status == REFUSED and not entry else "failed", "why": str(error)[:2000]}
        return entry | {"status": "ok" if printed == expected else "wrong"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [package.name for package in PACKAGES]
    parser.add_argument("--package", choices=names, action="append", help="default: all")
    parser.add_argument("--configuration", choices=CONFIGURATIONS, action="append", help="default: all")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--again", action="store_true", help="run everything anew")
    options = parser.parse_args()
    targets = options.target or list(TARGETS)
    compilers = [TARGETS[target].compiler.replace("gcc", "g++") for target in targets]
    require("g++", "clang++", *compilers, *(TARGETS[target].emulator for target in targets))
    results = Results(CACHE / "cxx.json")
    rows: list[list[object]] = []
    for package in PACKAGES:
        for configuration in options.configuration or CONFIGURATIONS:
            if package.name not in (options.package or names):
                continue
            case = Case(package, configuration)
            pads = f"{package.name}/{configuration}"
            if options.again or pads not in results.entries:
                results.put(pads, {"pads": case.landing_pads()})
            for target in targets:
                key = f"{pads}/{target}"
                if options.again or results.entries.get(key, {}).get("status") != "ok":
                    results.put(key, case.judge(target))
                entry = results.entries[key]
                print(key, entry["status"], entry.get("why", ""), file=sys.stderr, flush=True)
                rows.append([key, entry["status"], entry.get("blocks", ""), entry.get("proved", ""), results.entries[pads]["pads"]])
    print_table(["case", "result", "pieces", "proved", "landing pads, refusals with exceptions"], rows)
    return 0 if all(row[1] == "ok" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
