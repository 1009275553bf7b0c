"""Kill -9 at random moments of translating, training and making pairs: what stands under a final name is always whole, what was
remembered stays good, and the same command at last gives the same bytes as if nothing had happened.

    python benchmarks/kills.py [--kills 200] [--only translate train pairs] [--seed N]

Each kill hits the whole process group, or the first process alone, whose workers must then end by themselves. A command is
started again where it was killed, up to ten times, then let run to its end. Results are kept (``.cache/benchmarks/kills.json``): a
second run goes on. Exit status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness import CACHE, ROOT, Results, print_table

IN_A_ROW: Final = 10  # kills before a run is left alone
GRACE: Final = 15.0  # seconds in which workers must notice that they are alone
SECONDS: Final = 900  # for a run that is left alone
OBJECTS: Final = [ROOT / "examples" / "objects" / f"{name}.o" for name in ("recursion.O0", "doubles.O2", "switch.O2", "structs.O0")]
SAMPLE: Final = ROOT / "datasets" / "pairs" / "sample" / "aarch64-test-000.jsonl"


@dataclass(frozen=True)
class Work:
    """commands: run one after the other in a folder. results: what must be equal in the end, by name. wrong: what is wrong with
    what stands there after a kill, given the results of a run that nobody disturbed, or "". alone: whether the first process
    may be killed without its children."""

    prepare: Callable[[Path], None]
    commands: Callable[[Path], list[list[object]]]
    results: Callable[[Path], dict[str, bytes]]
    wrong: Callable[[Path, dict[str, bytes]], str]
    alone: bool


# --- translate --------------------------------------------------------------------------------------------------------


def _translate(folder: Path) -> list[list[object]]:
    return [["-m", "guesssketch", "translate", *OBJECTS, "--target", "riscv64", "-o", folder / "out", "-j", 2,
             "--cache", folder / "cache", "--report", folder / "report.json"]]  # fmt: skip


def _translated(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted((folder / "out").glob("[!.]*"))}
    if (folder / "report.json").exists():
        report = json.loads((folder / "report.json").read_text())
        found["report.json"] = json.dumps(_without(report, ("seconds", "cached"))).encode()
    return found


def _without(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, names) for name, item in value.items() if name not in names}
    return [_without(item, names) for item in value] if isinstance(value, list) else value


def _differs(folder: Path, reference: dict[str, bytes]) -> str:
    differing = [name for name, content in _translated(folder).items() if reference.get(name) != content]
    return f"{', '.join(differing)} is not what it must be" if differing else _database(folder / "cache" / "answers.sqlite")


def _database(path: Path) -> str:
    if not path.exists():
        return ""
    with closing(sqlite3.connect(path)) as database:
        (said,) = database.execute("PRAGMA integrity_check").fetchone()
    return "" if said == "ok" else f"{path.name}: {said}"


# --- train ------------------------------------------------------------------------------------------------------------


def _pairs(folder: Path) -> None:
    (folder / "pairs").mkdir()
    for split in ("train", "valid"):
        shutil.copy(SAMPLE, folder / "pairs" / f"aarch64-{split}-000.jsonl")


def _train(folder: Path) -> list[list[object]]:
    return [["-m", "guesssketch", "train", folder / "pairs", "-o", folder / "model", "--target", "aarch64", "--size", "tiny",
             "--steps", 60, "--every", 10, "--batch", 2048, "--no-compile", "-j", 1]]  # fmt: skip


def _trained(folder: Path) -> dict[str, bytes]:
    found = {name: (folder / "model" / name).read_bytes() for name in ("model.safetensors", "vocabulary.json", "config.json")}
    lines = [json.loads(line) for line in (folder / "model" / "curve.jsonl").read_text().splitlines()]
    found["curve"] = json.dumps(_without(lines, ("seconds", "pairs_per_second"))).encode()
    return found


def _unusable(folder: Path, reference: dict[str, bytes]) -> str:
    """A model under its final name, of whatever step, is one."""
    from guesssketch.errors import UsageError
    from guesssketch.guess import model

    if not all((folder / "model" / part).exists() for part in model.PARTS):
        return ""
    try:
        model.load(folder / "model")
        return ""
    except UsageError as error:
        return str(error)


# --- pairs ------------------------------------------------------------------------------------------------------------


def _make(folder: Path) -> list[list[object]]:
    script = ROOT / "datasets" / "pairs"
    return [[script / "build.py", folder / "build", "--packages", "--csmith", 3, "--held-out", "", "--targets", "aarch64",
             "--longest", 4, "--whole", 0.02, "-j", 2],
            [script / "export.py", folder / "build", folder / "made", "--plain"]]  # fmt: skip


def _made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "made").glob("*.jsonl"))}


def _torn(folder: Path, reference: dict[str, bytes]) -> str:
    for name, content in _made(folder).items():
        if reference.get(name) != content:
            return f"{name} is not what it must be"
    return _database(folder / "build" / "pairs.sqlite")


WORKS: Final = {
    "translate": Work(lambda folder: None, _translate, _translated, _differs, alone=True),
    "train": Work(_pairs, _train, _trained, _unusable, alone=True),
    "pairs": Work(lambda folder: None, _make, _made, _torn, alone=False),
}

# --- killing ----------------------------------------------------------------------------------------------------------


def start(work: Work, folder: Path) -> subprocess.Popen[bytes]:
    """The commands as one process group, which is its own session."""
    first, *rest = ([sys.executable, *map(str, command)] for command in work.commands(folder))
    program = first if not rest else ["sh", "-c", 'set -e; while [ $# -gt 0 ]; do eval "$1"; shift; done', "sh",
                                      *(" ".join(f"'{word}'" for word in command) for command in (first, *rest))]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(program, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                start_new_session=True)  # fmt: skip


def left(session: int) -> list[int]:
    """Processes of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def kill(process: subprocess.Popen[bytes], alone: bool) -> str:
    """What is wrong: a process that stays. Kills them all in the end."""
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + (GRACE if alone else 2)
    while (staying := left(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in staying:
        os.kill(pid, signal.SIGKILL)
    return f"{len(staying)} processes stayed" if staying else ""


def wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    """The exit status. Raises subprocess.TimeoutExpired; leaves nothing running if this command is stopped."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def to_the_end(work: Work, folder: Path) -> float:
    """Seconds. Raises RuntimeError with what the commands said if they fail."""
    began = time.monotonic()
    if wait(start(work, folder), SECONDS):
        raise RuntimeError((folder / "said").read_text(errors="replace")[-2000:])
    return time.monotonic() - began


def one_run(work: Work, reference: dict[str, bytes], seconds: float, chance: random.Random, most: int) -> tuple[int, list[str]]:
    """A run with at most ``most`` kills, let run to its end: how many hit, and all that was wrong."""
    wrong: list[str] = []
    hits = 0
    with tempfile.TemporaryDirectory(prefix="guesssketch-kills-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        work.prepare(folder)
        for _ in range(min(most, IN_A_ROW)):
            process = start(work, folder)
            moment = chance.uniform(0, seconds)
            try:
                if wait(process, moment):
                    wrong.append((folder / "said").read_text(errors="replace")[-2000:])
                break
            except subprocess.TimeoutExpired:
                hits += 1
            said = [kill(process, work.alone and chance.random() < 0.5), work.wrong(folder, reference)]
            wrong += [f"after {moment:.2f} s: {what}" for what in said if what]
        try:
            to_the_end(work, folder)
            differing = [name for name, content in work.results(folder).items() if reference.get(name) != content]
            missing = sorted(reference.keys() - work.results(folder).keys())
            wrong += [f"in the end {name} differs" for name in differing] + [f"in the end {name} is missing" for name in missing]
        except RuntimeError as error:
            wrong.append(f"in the end: {error}")
    return hits, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="all together (default 200)")
    parser.add_argument("--only", nargs="*", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments; another one begins a new count")
    options = parser.parse_args()
    results = Results(CACHE / "kills.json")
    for number, name in enumerate(options.only):
        work, key = WORKS[name], f"{name}-{options.seed}"
        wanted = options.kills // len(options.only) + (number < options.kills % len(options.only))
        entry = results.entries.get(key, {"kills": 0, "runs": 0, "wrong": []})
        if entry["kills"] >= wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="guesssketch-kills-") as place:
            work.prepare(Path(place))
            seconds, reference = to_the_end(work, Path(place)), work.results(Path(place))
        while entry["kills"] < wanted:
            chance = random.Random(f"{key}-{entry['runs']}")
            hits, wrong = one_run(work, reference, seconds, chance, wanted - entry["kills"])
            entry = {"kills": entry["kills"] + hits, "runs": entry["runs"] + 1, "wrong": entry["wrong"] + wrong}
            results.put(key, entry)
            print(f"{name}: {entry['kills']} of {wanted} kills, {entry['runs']} runs, {len(entry['wrong'])} wrong", flush=True)
    shown = [(key, results.entries[key]) for name in options.only if (key := f"{name}-{options.seed}") in results.entries]
    print_table(["work", "kills", "runs", "wrong"], [[key, e["kills"], e["runs"], len(e["wrong"])] for key, e in shown])
    for _, entry in shown:
        for what in entry["wrong"]:
            print(what)
    return int(any(entry["wrong"] for _, entry in shown))


if __name__ == "__main__":
    sys.exit(main())
