"""Random programs: csmith writes them, gcc and the translator must agree on the checksum that they print.

Each case is a seed, a level and a target. The x86-64 program is run natively for the checksum to expect; seeds whose
program does not end within 10 s, or on which gcc's own levels disagree, are skipped. A case that came out ok or was
skipped is not run again. Results: ``.cache/benchmarks/csmith.json``; sources and objects beside it, in ``csmith/SEED``.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import CACHE, TARGETS, FailedError, Results, require, run, translate

HEADERS = Path("/usr/include/csmith")
LEVELS = ("-O0", "-O2")
NATIVE_TIMEOUT = 10
EMULATED_TIMEOUT = 300
REFUSED = 3  # the translator's exit status when it names something that has no translation
DONE = ("ok", "skipped")


class SkippedError(Exception):
    """The seed's program cannot serve as a test, for the reason given."""


def prepare(seed: int, folder: Path) -> tuple[dict[str, Path], str]:
    """Generate and compile; gives the object at each level, and the line that the program prints."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "program.c"
    run(["csmith", "--seed", str(seed), "--output", source], timeout=120, cwd=folder)
    objects, printed = {}, set()
    for level in LEVELS:
        compiled, program = folder / f"program{level}.o", folder / f"program{level}"
        run(["gcc", level, "-g", "-w", "-I", HEADERS, "-c", source, "-o", compiled], timeout=120)
        run(["gcc", compiled, "-o", program], timeout=60)
        try:
            printed.add(run([program], timeout=NATIVE_TIMEOUT))
        except FailedError as error:
            raise SkippedError(str(error)) from None
        objects[level] = compiled
    if len(printed) > 1:
        raise SkippedError("the native programs disagree")
    return objects, printed.pop()


def judge(compiled: Path, target: str, expected: str) -> dict[str, object]:
    """Translate, link, run and compare: an entry of the results."""
    output = compiled.parent / f"{compiled.stem}.{target}"
    entry: dict[str, object] = {}
    try:
        done = translate([compiled], target, output, timeout=1800)
        entry = {"blocks": done.blocks, "proved": done.proved, "tested": done.tested, "seconds": round(done.seconds, 2)}
        program = output / "program"
        TARGETS[target].link([output / compiled.name], program, "-static")
        printed = run(TARGETS[target].command(program), timeout=EMULATED_TIMEOUT)
    except FailedError as error:
        return entry | {"status": "refused" if error.status == REFUSED and not entry else "failed", "why": str(error)}
    if printed != expected:
        return entry | {"status": "wrong", "why": f"{printed.strip()!r} is not {expected.strip()!r}"}
    return entry | {"status": "ok"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, default=300, help="how many seeds (default 300)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--level", choices=LEVELS, action="append", help="default: both")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: both")
    parser.add_argument("--again", action="store_true", help="run everything anew")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="seeds at a time (default 2)")
    options = parser.parse_args()
    levels, targets = options.level or list(LEVELS), options.target or list(TARGETS)
    require("csmith", "gcc", *(TARGETS[t].compiler for t in targets), *(TARGETS[t].emulator for t in targets))
    results = Results(CACHE / "csmith.json")

    def one(seed: int) -> None:
        cases = {f"{seed:06}{level}/{target}": (level, target) for level in levels for target in targets}
        todo = [key for key in cases if options.again or results.entries.get(key, {}).get("status") not in DONE]
        if not todo:
            return
        try:
            objects, expected = prepare(seed, CACHE / "csmith" / str(seed))
        except (SkippedError, FailedError) as error:
            status = "skipped" if isinstance(error, SkippedError) else "failed"
            for key in todo:
                results.put(key, {"status": status, "why": str(error)})
            return
        for key in todo:
            level, target = cases[key]
            results.put(key, judge(objects[level], target, expected))
            print(key, results.entries[key]["status"], results.entries[key].get("why", ""), file=sys.stderr, flush=True)

    seeds = range(options.first, options.first + options.count)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, seeds))

    chosen = {f"{seed:06}{level}/{target}" for seed in seeds for level in levels for target in targets}
    entries = {key: results.entries[key] for key in sorted(chosen)}
    counts = Counter(entry["status"] for entry in entries.values())
    reasons: Counter[str] = Counter()
    for key, entry in entries.items():
        reasons.update(entry.get("tested", {}))
        if entry["status"] not in DONE:
            print(f"{entry['status']} {key}: {entry['why']}")
    blocks, proved = (sum(entry.get(what, 0) for entry in entries.values()) for what in ("blocks", "proved"))
    print(", ".join(f"{counts[status]} {status}" for status in ("ok", "wrong", "refused", "failed", "skipped")))
    print(f"{blocks} blocks, {proved} proved")
    for reason, count in reasons.most_common():
        print(f"tested {count}: {reason}")
    return 1 if counts["wrong"] or counts["failed"] or counts["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
