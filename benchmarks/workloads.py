"""Running a package's programs and comparing: native x86-64 against translated or cross-compiled under qemu-user.

A workload is a shell script that runs in an empty folder, where the programs are found by name (and in ``$PROGRAMS``). Whatever
it leaves in the folder, and what it prints, must be the same in both runs. ``$SOURCE`` is the package's built source, not to be
written to, ``$RECIPE`` the recipe's folder, ``$DATA`` 10 MB of mixed data. Instructions are counted by a plugin.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from building import Recipe
from harness import CACHE, FailedError, executed, mixed_data, plugin

DATA_SIZE = 10_000_000
TIMEOUT = 1800
TRANSCRIPT = "transcript"


def run_workload(recipe: Recipe, source: Path, commands: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Run the workload in the folder ``folder``/run, which is made anew. ``commands``: what each of the programs is here, by name.

    Raises:
        FailedError: it ended with another status than 0, or took too long.
    """
    programs, place = folder / "bin", folder / "run"
    for needed in (programs, place):
        shutil.rmtree(needed, ignore_errors=True)
        needed.mkdir(parents=True)
    for name, command in commands.items():
        script = programs / name
        script.write_text(f'#!/bin/bash\nexec -a {name} {" ".join(command)} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    data = mixed_data(CACHE / "mixed.bin", DATA_SIZE)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C", "TZ": "UTC", "HOME": str(place), "PROGRAMS": str(programs),
           "SOURCE": str(source), "RECIPE": str(recipe.folder), "DATA": str(data)}  # fmt: skip
    script = folder / "workload.sh"
    script.write_text(recipe.workload, encoding="utf-8")
    with (place / TRANSCRIPT).open("wb") as out:
        process = subprocess.Popen(["sh", "-eu", script], cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        try:
            status = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise FailedError(f"the workload took more than {TIMEOUT} s; see {place}") from None
    if status:
        last = (place / TRANSCRIPT).read_bytes()[-600:].decode(errors="replace").strip()
        raise FailedError(f"the workload ended with {status}: {last}; see {place}")


def emulated(command: Sequence[str], name: str) -> list[str]:
    """``command``, which begins with an emulator, under the name that the program is called by."""
    return [command[0], "-0", name, *command[1:]]


def counting(counts: Path) -> list[str]:
    """Options by which QEMU writes its count of instructions to a new file in the new folder ``counts`` at each run."""
    counts.mkdir(parents=True)
    return ["-plugin", f"{plugin()},out={counts}/$$"]


def counted(counts: Path) -> int:
    """Instructions executed in the programs' own code over all runs; 0 if nothing was counted."""
    return sum(map(executed, counts.glob("*")))


def differences(one: Path, other: Path) -> list[str]:
    """Relative paths of files, links aside, that are not the same in both folders, or in one only."""
    files = {path.relative_to(top) for top in (one, other) for path in top.rglob("*") if path.is_file() and not path.is_symlink()}
    return [str(f) for f in sorted(files) if not ((one / f).is_file() and (other / f).is_file()
                                                  and filecmp.cmp(one / f, other / f, shallow=False))]  # fmt: skip
