"""What a model adds on whole programs: packages translated by the lowering alone and by a model first, and run.

``python benchmarks/proposers.py --model FOLDER`` translates each package (gcc -O2, pie) for each target once for each list of
proposers, with nothing remembered, links it, runs the recipe's workload under qemu-user, compares what it leaves with the native
x86-64 run, and counts: pieces by proposer, candidates of the model that were right, those of the others that the sketch repaired
(so that the lowering is not needed there, though its translation may be shorter), instructions executed in all, those executed in
pieces by each proposer (with the jump or call that stitching puts behind a piece), and the seconds that translating takes: by the
clock, and of processors. Results are kept in
``.cache/benchmarks/proposers.json``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from bisect import bisect_right
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any, Final

from elftools.elf.elffile import ELFFile

from building import Built, Recipe, build, link, recipes
from harness import CACHE, ROOT, TARGETS, FailedError, Results, print_table, processor_seconds
from workloads import counting, differences, emulated, run_workload

sys.path.insert(0, str(ROOT))

import guesssketch
from guesssketch.emit import assemble

LISTS: Final = ("lowering", "lm,lowering")
MARK: Final = "gs.piece."  # symbols where pieces begin: gs.piece.NUMBER.PROPOSER
_VERDICT: Final = re.compile(r"(?://|#) (?:proved|tested: .*) \((\w+)\)$")


def marked(assembly: str) -> str:
    """``assembly`` with a symbol before each piece's first instruction, and one where a function ends."""
    numbers = count()
    lines: list[str] = []
    for line in assembly.split("\n"):
        lines.append(line)
        found = _VERDICT.match(line)
        if found or line == ".cfi_endproc":
            lines.append(f"{MARK}{next(numbers)}.{found[1] if found else 'none'}:")
    return "\n".join(lines)


class Pieces:
    """Who proposed the code at an address of a linked program."""

    def __init__(self, program: Path) -> None:
        with program.open("rb") as file:
            elf = ELFFile(file)
            table: Any = elf.get_section_by_name(".symtab")
            marks = sorted((int(s["st_value"]), s.name) for s in table.iter_symbols() if s.name.startswith(MARK))
            code: Any = elf.get_section_by_name(".text")
            self.base, self.text = int(code["sh_addr"]), code.data()
            loaded = [s["p_vaddr"] for s in elf.iter_segments("PT_LOAD") if s["p_flags"] & 1]
            self.fixed = elf["e_machine"] == "EM_AARCH64"
        self.start = min(loaded) // 4096 * 4096
        self.starts, self.names = [a for a, _ in marks], [name.rpartition(".")[2] for _, name in marks]

    def executed(self, counts: Path) -> Counter[str]:
        """Instructions by proposer, from what the plugin wrote."""
        lines = counts.read_text(encoding="utf-8").splitlines()
        moved = int(lines[0].split()[1]) - self.start
        found: Counter[str] = Counter()
        for line in lines[1:]:
            address, size, _, runs = map(int, line.split())
            at, end = address - moved, address - moved + size
            while at < end:
                place = bisect_right(self.starts, at) - 1
                found[self.names[place] if place >= 0 else "none"] += runs
                at += 4 if self.fixed or self.text[at - self.base] & 3 == 3 else 2
        return found


def measure(recipe: Recipe, built: Built, expected: Path, target: str, asked: str, model: str | None, jobs: int) -> dict[str, Any]:
    """One translation, linked and run. Raises FailedError, also where it differs from the native run."""
    folder = CACHE / "proposers" / f"{recipe.name}.{target}.{asked.replace(',', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    entry: dict[str, Any] = {"blocks": 0, "seconds": 0.0, "by": Counter(), "judged": 0, "right": 0, "repaired": 0, "processor": 0.0}
    places: dict[str, Path] = {}
    for number, (names, objects) in enumerate(built.groups()):
        began, spent = time.monotonic(), processor_seconds()
        done = guesssketch.translate(objects, target, proposers=asked.split(","), model=model, jobs=jobs)
        entry["seconds"] += round(time.monotonic() - began, 1)
        entry["processor"] += round(processor_seconds() - spent, 1)
        entry["blocks"] += len(done.report.blocks)
        entry["by"].update(block.proposer for block in done.report.blocks)
        told = done.report.candidates.get("lm", Counter())
        entry["judged"], entry["right"] = entry["judged"] + told["judged"], entry["right"] + told["right"]
        entry["repaired"] += done.report.candidates.get("sketch", Counter())["right"]
        place = folder / f"objects.{number}"
        place.mkdir(parents=True)
        for path, text in zip(objects, done.assembly, strict=True):
            (place / path.name).write_bytes(assemble(marked(text), target))
        places |= dict.fromkeys(names, place)
    commands, programs = {}, {}
    for name, program in built.programs.items():
        programs[name] = folder / "linked" / name
        programs[name].parent.mkdir(exist_ok=True)
        link(program, places[name], TARGETS[target], programs[name], ["-pie"])
        commands[name] = emulated(TARGETS[target].command(programs[name], *counting(folder / "counts" / name)), name)
    run_workload(recipe, built.source, commands, folder)
    if differing := differences(expected, folder / "run"):
        raise FailedError(f"differs: {', '.join(differing[:5])}")
    executed: Counter[str] = Counter()
    for name, path in programs.items():
        pieces = Pieces(path)
        for counts in (folder / "counts" / name).glob("*"):
            executed.update(pieces.executed(counts))
    shutil.rmtree(folder)
    return entry | {"executed": executed}


def table(entries: dict[str, dict[str, Any]]) -> None:
    rows = []
    for key, entry in sorted(entries.items()):
        if "failure" in entry:
            print(f"FAILED {key}: {entry['failure']}")
            continue
        alone = entries.get("/".join([*key.split("/")[:2], "lowering"]), {})
        total, before = sum(entry["executed"].values()), sum(alone.get("executed", {}).values())

        def share(part: float, whole: float) -> str:
            return f"{100 * part / whole:.1f}" if whole else "-"

        rows.append([key, entry["blocks"], share(entry["right"], entry["judged"]), share(entry["by"].get("lm", 0), entry["blocks"]),
                     share(entry["by"].get("sketch", 0), entry["blocks"]), f"{total / 1e6:.1f}",
                     share(entry["executed"].get("lm", 0), total), f"{total / before:.4f}" if before else "-",
                     entry["judged"] - entry["right"], entry.get("repaired", 0), entry["seconds"],
                     entry.get("processor", "-")])  # fmt: skip
    print_table(["package/target/proposers", "pieces", "guesses right, %", "by lm, %", "by sketch, %", "executed, M",
                 "of it by lm, %", "over lowering", "wrong guesses", "repaired", "seconds", "processor s"], rows)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", choices=recipes(), action="append", help="default: zlib and bzip2")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--proposers", action="append", metavar="NAMES", help=f"default: {' and '.join(LISTS)}")
    parser.add_argument("--model", metavar="FOLDER", help="default: the model that is shipped")
    parser.add_argument("--again", action="store_true", help="run what was run before, too")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="the translator's (default 2)")
    options = parser.parse_args()
    results = Results(CACHE / "proposers.json")
    chosen: dict[str, dict[str, Any]] = {}
    for name in options.package or ("zlib", "bzip2"):
        recipe = recipes()[name]
        built = build(recipe, "gcc -O2", "pie")
        native = CACHE / "proposers" / f"{name}.native"
        run_workload(recipe, built.source, {n: [str(p.path)] for n, p in built.programs.items()}, native)
        for target in options.target or TARGETS:
            for asked in options.proposers or LISTS:
                key = f"{name}/{target}/{asked}"
                if options.again or "executed" not in results.entries.get(key, {}):
                    try:
                        entry = measure(recipe, built, native / "run", target, asked, options.model, options.jobs)
                    except (FailedError, guesssketch.GuessSketchError) as error:
                        entry = {"failure": str(error)[:1000]}
                    results.put(key, entry)
                chosen[key] = results.entries[key]
    table(chosen)
    return 1 if any("failure" in entry for entry in chosen.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
