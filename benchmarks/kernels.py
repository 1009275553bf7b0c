"""Count the instructions that five kernels execute in their own code: x86-64, native cross gcc, and translated.

``python benchmarks/kernels.py`` prints a table (millions of instructions and the ratio to x86-64) and writes
``.cache/benchmarks/kernels.json``. Counts come from QEMU's user mode with the plugin of ``guesssketch test``; a QEMU that is
built without plugins (Debian 13's) cannot make them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from harness import CACHE, TARGETS, FailedError, Target, executed, plugin, print_table, require, run, translate

HERE = Path(__file__).resolve().parent
KERNELS = ("sieve", "matmul", "crc", "quicksort", "switch")
WORK = CACHE / "kernels"
X86 = Target("x86-64", "gcc", "qemu-x86_64", "/")


def count(target: Target, program: Path, kernel: str) -> tuple[str, int]:
    """What the kernel printed, and the instructions executed in the program's own text (no library, no loader)."""
    counts = WORK / f"{program.name}.{kernel}.txt"
    counts.unlink(missing_ok=True)
    command = target.command(program, "-plugin", f"{plugin()},out={counts}")
    printed = run([*command, kernel], timeout=600, env={})
    if not counts.exists():
        raise FailedError(f"{target.emulator} wrote no counts: it was built without plugins, or with others")
    return printed, executed(counts)


def build(names: list[str], level: str, orders: list[str]) -> list[tuple[str, Target, Path]]:
    """The programs to count: (column, target, program), x86-64 first. orders: ``--memory-order`` of each translation."""
    WORK.mkdir(parents=True, exist_ok=True)
    original = WORK / "kernels.o"
    run(["gcc", level, "-fPIE", "-g", "-c", HERE / "kernels.c", "-o", original], timeout=60)
    programs = [("x86-64", X86, WORK / "kernels.x86-64")]
    X86.link([original], programs[0][2], "-pie")
    for name in names:
        target = TARGETS[name]
        native = WORK / f"kernels.native.{name}"
        run([target.compiler, level, HERE / "kernels.c", "-o", native], timeout=60)
        programs.append((f"native {name}", target, native))
        for order in orders:
            program = WORK / f"kernels.{order}.{name}"
            translate([original], name, WORK / f"{name}.{order}", "--memory-order", order)
            target.link([WORK / f"{name}.{order}" / original.name], program, "-pie")
            programs.append((f"translated {name}{'' if order == 'relaxed' else ' ' + order}", target, program))
    return programs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--level", default="-O2", help="gcc's, for all three (default -O2)")
    parser.add_argument("--native-only", action="store_true", help="leave the translator out")
    parser.add_argument("--memory-order", choices=("relaxed", "tso"), action="append", help="default: relaxed")
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    orders = [] if options.native_only else options.memory_order or ["relaxed"]
    require("gcc", X86.emulator, *(tool for name in names for tool in (TARGETS[name].compiler, TARGETS[name].emulator)))

    try:
        programs = build(names, options.level, orders)
        results = {column: {k: count(target, program, k) for k in KERNELS} for column, target, program in programs}
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1

    base = results["x86-64"]
    ratios = {column: {k: counted[k][1] / base[k][1] for k in KERNELS} for column, counted in results.items()}
    geomeans = {column: math.exp(sum(map(math.log, ratio.values())) / len(ratio)) for column, ratio in ratios.items()}
    cells = {column: {k: f"{counted[k][1] / 1e6:.1f} ({ratios[column][k]:.2f})" for k in KERNELS}
             for column, counted in results.items()}  # fmt: skip
    rows = [[k, *(cells[column][k] for column in results)] for k in KERNELS]
    rows.append(["geomean over x86-64", *(f"{geomeans[column]:.2f}" for column in results)])
    print_table([f"kernel, gcc {options.level}, millions", *results], rows)

    wrong = [f"{column} {k}" for column, counted in results.items() for k in KERNELS if counted[k][0] != base[k][0]]
    counts = {column: {k: counted[k][1] for k in KERNELS} for column, counted in results.items()}
    figures = {"level": options.level, "counts": counts, "geomean": geomeans, "wrong": wrong}
    path = CACHE / "kernels.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
    for place in wrong:
        print(f"printed something else than x86-64: {place}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
