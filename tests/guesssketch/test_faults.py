"""When something else fails (the disk, a tool, a library, a cache): one clear error, nothing half done, nothing lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

import pytest

from guesssketch import assembler, outputs
from guesssketch.cache import Cache, semantics_version
from guesssketch.cli import run
from solver import gate

ROOT = Path(__file__).parent.parent.parent
RECURSION = ROOT / "examples" / "objects" / "recursion.O0.o"


def translate(output: Path, *options: object) -> int:
    return run(["translate", str(RECURSION), "--target", "aarch64", "-o", str(output), "-j", "1", *map(str, options)])


@pytest.mark.parametrize("most", [0, 2000])
def test_a_full_disk_is_one_error_and_leaves_nothing(most: int, tmp_path: Path) -> None:
    """A limit on the size of files is met by the same system calls that a full disk fails."""
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "guesssketch", "translate", str(RECURSION), "--target", "aarch64", "-o", str(tmp_path / "out.o"),
               "--report", str(tmp_path / "r.json"), "-j", "1", "--cache", str(tmp_path / "cache")]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 3 and "Traceback" not in done.stderr and 1 <= len(lines) <= 2, done.stderr
    assert lines[0].startswith("guesssketch: going on without the cache") and lines[-1].startswith("guesssketch: ")
    assert os.listdir(tmp_path / "tmp") == [] and {*os.listdir(tmp_path)} <= {"tmp", "cache"}


def test_a_tool_that_crashes_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    crashing = tmp_path / "crashing"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    for broken in (crashing, tmp_path / "missing", ROOT / "README.md"):
        with monkeypatch.context() as patch:
            patch.setattr("guesssketch.emit.zig", lambda tool=broken: str(tool))
            assert translate(tmp_path / "out.o", "--no-cache") == 3
            said = capsys.readouterr().err
            assert said.startswith("guesssketch: assembler: ") and said.count("\n") == 2 and "\nguesssketch: next: " in said
            patch.setattr(assembler, "zig", lambda tool=broken: str(tool))
            assert translate(tmp_path / "out.o", "--no-cache") == 3
            said = capsys.readouterr().err
            assert said.startswith("guesssketch: assembler: ") and said.count("\n") == 2 and "\nguesssketch: next: " in said
    assert not (tmp_path / "out.o").exists()


CRASHES = """
import os, sys
from guesssketch import cli, judge
whole, count, most = judge.check, [], int(sys.argv.pop(1))
def check(*arguments, **options):
    count.append(1)
    return os.abort() if len(count) > most else whole(*arguments, **options)
judge.check = check
sys.exit(cli.run())
"""


def test_a_library_that_crashes_in_the_process_itself_is_one_error(tmp_path: Path) -> None:
    cache, output = tmp_path / "cache", tmp_path / "out"
    objects = [str(RECURSION), str(RECURSION.with_name("doubles.O2.o"))]
    command = ["translate", *objects, "--target", "aarch64", "-o", str(output), "-j", "1", "--proposers", "lowering",
               "--cache", str(cache)]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", CRASHES, "25", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGABRT
    assert [line.partition(": nothing")[0] for line in done.stderr.splitlines()] == ["guesssketch: killed, or crashed in a library"]
    assert not output.exists()
    with sqlite3.connect(cache / "answers.sqlite") as database:
        assert database.execute("SELECT count(*) FROM answers").fetchone() > (0,)
    whole = subprocess.run([sys.executable, "-c", CRASHES, "9999", *command], cwd=ROOT, capture_output=True, text=True)
    assert (whole.returncode, whole.stderr) == (0, "")


DIES = """
import os, sys
from solver import door
def main():
    from guesssketch.cli import run
    sys.exit(run(["translate", *sys.argv[1:3], "--target", "aarch64", "-o", sys.argv[3], "-j", "2", "--cache", sys.argv[4],
                  "--proposers", "lowering"]))
if __name__ == "__main__":
    main()
else:  # in a worker, where this is the main module: Z3's memory is broken at the second chunk
    from guesssketch import judge
    whole = judge.check
    count = [0]
    def check(*arguments, **options):
        count[0] += 1
        return os.abort() if count[0] > 25 else whole(*arguments, **options)
    judge.check = check
"""


def test_a_worker_that_dies_loses_nothing_that_was_done(tmp_path: Path) -> None:
    program, output, cache = tmp_path / "program.py", tmp_path / "out", tmp_path / "cache"
    program.write_text(DIES)
    objects = [str(RECURSION), str(RECURSION.with_name("doubles.O2.o"))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, program, *objects, output, cache], env=environment, capture_output=True, text=True)
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("guesssketch: ")] == [
        "guesssketch: a worker process died (killed, or out of memory)", "guesssketch: next: fewer jobs (-j) need less memory"]  # fmt: skip
    assert not output.exists()
    with sqlite3.connect(cache / "answers.sqlite") as database:
        kept = {key for (key,) in database.execute("SELECT key FROM answers")}
    again = ["--cache", str(cache), "--json", str(tmp_path / "r.json"), "--proposers", "lowering"]
    assert run(["translate", *objects, "--target", "aarch64", "-o", str(output), *again]) == 0
    cached = [block["cached"] for block in json.loads((tmp_path / "r.json").read_text())["blocks"]]
    assert kept and 0 < sum(cached) < len(cached)


def test_a_damaged_row_is_proved_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache, one, two = tmp_path / "cache", tmp_path / "one.o", tmp_path / "two.o"
    assert translate(one, "--cache", cache) == 0
    with sqlite3.connect(cache / "answers.sqlite") as database:
        rows = database.execute("SELECT key, version, answer FROM answers").fetchall()
        for key, version, text in rows:
            database.execute("UPDATE answers SET answer = ? WHERE key = ? AND version = ?", (text.replace("add ", "sub ", 1), key, version))
        database.execute("UPDATE answers SET answer = ? WHERE key = ?", (b"\xff\0", rows[0][0]))
        (other, _, text), (key, *_) = rows[1], rows[2]
        database.execute("UPDATE answers SET answer = ? WHERE key = ?", (text, key))  # the answer to another problem
    assert translate(two, "--cache", cache, "--json", tmp_path / "r.json") == 0
    assert one.read_bytes() == two.read_bytes()
    assert not all(block["cached"] for block in json.loads((tmp_path / "r.json").read_text())["blocks"])
    assert capsys.readouterr().err == "" and other


def test_a_database_that_breaks_on_the_way_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Cache, "put", full)
    assert translate(tmp_path / "out.o", "--cache", tmp_path / "cache") == 0
    assert capsys.readouterr().err.count("going on without the cache") == 1


def test_a_link_is_kept_and_what_it_leads_to_is_whole(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "far" / "new")
    with pytest.raises(OSError, match=r"exists|directory"):
        outputs.write([(tmp_path / "link", b"new"), (tmp_path / "far" / "file" / "below", b"")])
    assert (tmp_path / "far" / "file").read_bytes() == b"old"
    outputs.write([(tmp_path / "link", b"new"), (tmp_path / "dangling", b"more")])
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "file").read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path / "far")) == ["file", "new"]


@pytest.mark.parametrize("engine", ["z3-solver", "unicorn", "pypcode", "capstone", "keystone-engine", "ziglang"])
def test_another_engine_lapses_the_cache(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = semantics_version()
    monkeypatch.setattr("guesssketch.cache.version", lambda name: "0" if name == engine else installed(name))
    semantics_version.cache_clear()
    try:
        assert semantics_version() != before
    finally:
        semantics_version.cache_clear()


@pytest.mark.parametrize("engine", ["unicorn", "pypcode", "capstone"])
def test_another_engine_lapses_the_validated_table(engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert gate.table("x86_64") and gate.table("aarch64")
    before = gate._remembered(tmp_path, "x86_64")
    monkeypatch.setattr("solver.gate.installed", lambda name: "0" if name == engine else installed(name))
    gate.engines.cache_clear()
    try:
        assert gate.table("x86_64") == {} and gate._remembered(tmp_path, "x86_64") != before
        assert bool(gate.table("aarch64")) == (engine == "pypcode")
    finally:
        gate.engines.cache_clear()
