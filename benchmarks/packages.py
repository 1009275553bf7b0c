"""Debian's packages, end to end: build for x86-64, translate, link with the cross gcc, run their own tests or a checked workload.

Each *case* is a package at a compiler, level, code model and target. All objects of all its programs are translated together,
linked dynamically and statically, and the recipe's workload (``recipes/NAME.toml``) runs under qemu-user. A case passes when
everything that the workload prints and writes is the same as from the native x86-64 programs. The same sources compiled by the
cross gcc, by the same commands, run the same workload for the count of instructions to compare with.

``python benchmarks/packages.py`` runs all cases that have not passed yet, prints a table of all, and keeps the results in
``.cache/benchmarks/packages.json``.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from building import BUILDS, MODELS, Built, Recipe, build, cross_compile, link, recipes
from harness import CACHE, TARGETS, FailedError, Results, Translation, print_table, require, translate
from memory import MemorySampler
from workloads import counted, counting, differences, emulated, run_workload

LINKS = {"dynamic": {"pie": "-pie", "pic": "-pie", "nopic": "-no-pie"}, "static": dict.fromkeys(MODELS, "-static")}
REFUSED = 3  # the translator's exit status when it names what has no translation


@dataclass(frozen=True)
class Case:
    recipe: Recipe
    build: str
    model: str
    target: str

    @property
    def key(self) -> str:
        return f"{self.recipe.name}/{self.build.replace(' ', '')}/{self.model}/{self.target}"

    @property
    def run(self) -> Path:
        return CACHE / "runs" / self.key


def reason(line: str) -> str:
    """A refusal without its place: the instruction's mnemonic, with its prefix or callee, and why."""
    found = re.match(r"guesssketch: \S+: \S+\+0x[0-9a-f]+: (.*)", line)
    text, _, why = found[1].partition(": ") if found else ("", "", "")
    if not why:
        return found[1] if found else line.removeprefix("guesssketch: ")
    words = text.split()
    return f"{' '.join(words[: 2 if words[0] in ('call', 'lock', 'notrack', 'rep', 'repe', 'repne') else 1])}: {why}"


def native(case: Case, built: Built) -> Path:
    """The folder that the native programs leave: run once for all targets. Raises FailedError."""
    folder = built.store.with_name("native")
    done = folder / "done"
    if not done.exists() or done.read_text(encoding="utf-8") != case.recipe.workload:
        run_workload(case.recipe, built.source, {name: [str(p.path)] for name, p in built.programs.items()}, folder)
        done.write_text(case.recipe.workload, encoding="utf-8")
    return folder / "run"


def run_linked(case: Case, built: Built, objects: dict[str, Path], kind: str, expected: Path) -> int:
    """Link each program from its folder of objects, run the workload and compare; gives the instructions that the programs
    executed, 0 for static ones. Raises FailedError."""
    target, folder = TARGETS[case.target], case.run / kind
    counts = folder / "counts"
    shutil.rmtree(folder, ignore_errors=True)
    options = counting(counts) if kind != "static" else []
    commands = {}
    for name, program in built.programs.items():
        linked = folder / "linked" / name
        linked.parent.mkdir(parents=True, exist_ok=True)
        link(program, objects[name], target, linked, [LINKS["static" if kind == "static" else "dynamic"][case.model]])
        commands[name] = emulated(target.command(linked, *options), name)
    run_workload(case.recipe, built.source, commands, folder)
    if differing := differences(expected, folder / "run"):
        raise FailedError(f"differs: {', '.join(differing[:5])}; compare {expected} with {folder / 'run'}")
    executed = counted(counts)
    shutil.rmtree(folder)
    return executed


def translate_all(case: Case, built: Built, jobs: int) -> tuple[Translation, dict[str, Path]]:
    """Translate all that is to be linked; gives the folder of translated objects of each program. Raises FailedError."""
    done = Translation(0, [])
    folders: dict[str, Path] = {}
    for names, objects in built.groups():
        folder = CACHE / "translated" / case.key / names[0]
        done += translate(objects, case.target, folder, jobs=jobs, timeout=7200)
        folders |= dict.fromkeys(names, folder)
    return done, folders


def run_case(case: Case, kinds: list[str], jobs: int) -> dict[str, Any]:
    """Everything about one case as an entry of the results; failures are listed there, not raised."""
    entry: dict[str, Any] = {"failures": []}
    try:
        built = build(case.recipe, case.build, case.model)
        expected = native(case, built)
        sampler = MemorySampler()
        sampler.start()
        try:
            done, folders = translate_all(case, built, jobs)
        finally:
            entry["peak"] = sampler.stop()
        entry |= {"blocks": done.blocks, "proved": done.proved, "tested": done.tested, "seconds": round(done.seconds, 1)}
    except FailedError as error:
        lines = error.said.splitlines() if error.status == REFUSED else []
        entry["refused"] = Counter(reason(line) for line in lines)
        return entry | {"failures": [str(error)[:1000]]}
    for kind in kinds:
        try:
            executed = run_linked(case, built, folders, kind, expected)
            entry |= {"executed": executed} if executed else {}
        except FailedError as error:
            entry["failures"].append(f"{kind}: {error}")
    return entry | count_native(case, built, expected)


def count_native(case: Case, built: Built, expected: Path) -> dict[str, Any]:
    """Instructions that the cross gcc's programs execute in the same workload; what goes wrong speaks of the workload only."""
    folder = CACHE / "control" / case.key
    try:
        cross_compile(built, TARGETS[case.target], case.build.split()[1], case.model, folder)
        return {"native": run_linked(case, built, dict.fromkeys(built.programs, folder), "control", expected)}
    except FailedError as error:
        return {"control": str(error)[:1000]}


def summary(entries: dict[str, dict[str, Any]]) -> None:
    """Print the table, geomeans, the reasons for tested blocks and for refusals with their counts, and the failures."""
    rows = []
    tested: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    ratios: dict[str, list[float]] = {}
    for key, entry in sorted(entries.items()):
        blocks = entry.get("blocks", 0)
        tested.update(entry.get("tested", {}))
        refused.update(entry.get("refused", {}))
        ratio = entry["executed"] / entry["native"] if entry.get("executed") and entry.get("native") else None
        if ratio:
            ratios.setdefault(key.split("/", 1)[1], []).append(ratio)
        rows.append([key, blocks or "-", f"{100 * entry['proved'] / blocks:.2f}" if blocks else "-",
                     sum(entry.get("tested", {}).values()), f"{entry['executed'] / 1e6:.1f}" if "executed" in entry else "-",
                     f"{ratio:.2f}" if ratio else "-", entry.get("seconds", "-"), round(entry.get("peak", 0) / 2**20),
                     "refused" if entry.get("refused") else "failed" if entry["failures"] else "passed"])  # fmt: skip
    print_table(["case", "pieces", "proved %", "tested", "executed, M", "over native", "seconds", "MiB", "result"], rows)
    for column, values in sorted(ratios.items()):
        print(f"geomean over native, {column}: {math.exp(sum(map(math.log, values)) / len(values)):.2f} ({len(values)} packages)")
    for what, counts in (("tested", tested), ("refused", refused)):
        for why, count in counts.most_common():
            print(f"{what} {count}: {why}")
    for key, entry in sorted(entries.items()):
        for failure in () if entry.get("refused") else entry["failures"]:
            print(f"FAILED {key}: {failure}")
        if "control" in entry:
            print(f"no native count {key}: {entry['control']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = recipes()
    parser.add_argument("--package", choices=known, action="append", help="default: all")
    parser.add_argument("--build", choices=BUILDS, action="append", help="default: 'gcc -O2', 'gcc -O0', 'clang -O2'")
    parser.add_argument("--model", choices=MODELS, action="append", help="code model (default pie)")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--link", choices=LINKS, action="append", help="default: both")
    parser.add_argument("--again", action="store_true", help="run cases that have passed, too")
    parser.add_argument("--show", action="store_true", help="run nothing, print the table")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="the translator's -j (default 2)")
    options = parser.parse_args()
    cases = [
        Case(recipe, compiler, model, target)
        for compiler in options.build or BUILDS[:3]
        for model in options.model or ["pie"]
        for target in options.target or TARGETS
        for recipe in known.values() if recipe.name in (options.package or known)
    ]  # fmt: skip
    require("apt-get", *{c.build.split()[0] for c in cases}, *(TARGETS[c.target].compiler for c in cases),
            *(TARGETS[c.target].emulator for c in cases))  # fmt: skip
    results = Results(CACHE / "packages.json")
    for case in cases:
        if options.show or (not options.again and results.entries.get(case.key, {}).get("failures") == []):
            continue
        results.put(case.key, run_case(case, options.link or list(LINKS), options.jobs))
        print(f"{case.key}: {'; '.join(results.entries[case.key]['failures']) or 'passed'}", file=sys.stderr, flush=True)
    chosen = {c.key: results.entries[c.key] for c in cases if c.key in results.entries}
    summary(chosen)
    return 1 if any(entry["failures"] for entry in chosen.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
