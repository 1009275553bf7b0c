"""Show what the model guesses for a function, then translate shipped x86-64 objects to both targets, link them, run them under
qemu-user, and compare what they print. All that is written, reports and the cache too, lies in ``build/demo``.

``python examples/demo.py [NAME...]`` (default: three of them). Where the cross compilers are missing, ziglang's linker
and its musl libc stand in; where qemu-user is missing, the programs are linked and not run.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUTPUT = ROOT / "build" / "demo"
DEFAULT = ("callback.O2", "varargs.O2", "switch.O0")
SHOWN = ("arguments.O2", "pass_on.constprop.0")
TARGETS = ("aarch64", "riscv64")
PLACES = {"GUESSSKETCH_CACHE": str(OUTPUT / "cache"), "ZIG_GLOBAL_CACHE_DIR": str(OUTPUT / "zig"), **os.environ}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run(command: Sequence[str], printed: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Show the command as a user would type it, then run it from the root of the repository."""
    print("$", shlex.join(printed), flush=True)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=PLACES)


def guesssketch(*arguments: str) -> bool:
    """The same with a command of ours, whose progress and results come on the terminal as it has them; whether it went well."""
    print("$", shlex.join(["guesssketch", *arguments]), flush=True)
    return subprocess.run([sys.executable, "-m", "guesssketch", *arguments], cwd=ROOT, check=False, env=PLACES).returncode == 0


def linker(target: str) -> list[str]:
    compiler = f"{target}-linux-gnu-gcc"
    if shutil.which(compiler):
        return [compiler, "-static"]
    return [sys.executable, "-m", "ziglang", "cc", "-target", f"{target}-linux-musl", "-static"]


def guesses() -> bool:
    """What the model says of each block of one function, what it doubts, and what became of guesses that were wrong."""
    name, function = SHOWN
    right = guesssketch("show", shown(HERE / "objects" / f"{name}.o"), "--function", function, "--stage", "candidates",
                        "--proposers", "lm,sketch", "--target", "aarch64")  # fmt: skip
    print(flush=True)
    return right


def demonstrate(name: str, target: str) -> bool | None:
    """One object to one target; whether every step went well, None if it could not be run here."""
    source = HERE / "objects" / f"{name}.o"
    compiled, program, report, page = (OUTPUT / f"{name}.{target}{suffix}" for suffix in (".o", "", ".json", ".html"))
    if not guesssketch("translate", shown(source), "--target", target, "-o", shown(compiled), "--report", shown(report),
                       "--html", shown(page)):  # fmt: skip
        return False

    tool = linker(target)
    if tool[0] == sys.executable:
        print(f"-- no {target}-linux-gnu-gcc here: the ziglang wheel links, and builds musl first, which takes a minute")
    link = [*tool, shown(compiled), "-o", shown(program)]
    done = run(link, ["python", *link[1:]] if tool[0] == sys.executable else link)
    if done.returncode:
        print(done.stderr, end="")
        return False

    emulator = f"qemu-{target}"
    if not shutil.which(emulator):
        print(f"-- linked, NOT RUN: {emulator} is not installed (Debian: qemu-user)\n")
        return None
    done = run([emulator, shown(program)], [emulator, shown(program)])
    print(done.stdout + done.stderr, end="")
    expected = (HERE / f"{name.split('.')[0]}.expected").read_text(encoding="utf-8")
    right = done.returncode == 0 and done.stdout == expected
    verdicts = [block["verdict"] for block in json.loads(report.read_text(encoding="utf-8"))["blocks"]]
    proved, tested = verdicts.count("proved"), verdicts.count("tested")
    print("-- the same as on x86-64" if right else "-- NOT what x86-64 prints")
    print(f"-- {len(verdicts)} blocks, {proved} proved, {tested} tested; each of them: {shown(report)}, {shown(page)}\n")
    return right


def main() -> int:
    names = sys.argv[1:] or list(DEFAULT)
    if unknown := [name for name in names if not (HERE / "objects" / f"{name}.o").exists()]:
        print(f"no such object in examples/objects: {', '.join(unknown)} (NAME.O0 or NAME.O2)", file=sys.stderr)
        return 2
    OUTPUT.mkdir(parents=True, exist_ok=True)
    results: dict[str, bool | None] = {} if sys.argv[1:] else {"guesses": guesses()}
    results |= {f"{name} -> {target}": demonstrate(name, target) for name in names for target in TARGETS}
    for what, right in results.items():
        print(f"{'not run' if right is None else 'ok     ' if right else 'FAILED '} {what}")
    print(f"the reports, to open in a browser: {shown(OUTPUT)}/*.html")
    return 1 if False in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
