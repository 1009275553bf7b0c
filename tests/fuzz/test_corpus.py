"""What the fuzzer found once, and what reaches far into the readers, again: no fault, no hang, no memory beyond a bound."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import hostile
import pytest

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
SECONDS = 5  # of processor time for one file; most take hundredths
MEGABYTES = 64  # that reading files of at most LARGEST bytes adds to the process's greatest size


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("place")
def test_what_was_found_is_mended() -> None:
    hostile.code(b"\xc3" * 32)  # what the first one loads is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in CORPUS:
        started = time.process_time()
        hostile.ENTRIES[path.name.partition("-")[0]](path.read_bytes())
        assert time.process_time() - started < SECONDS, path.name
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES << 10
