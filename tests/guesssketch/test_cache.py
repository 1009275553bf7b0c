import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from guesssketch.answer import Answer, Piece
from guesssketch.cache import Cache, semantics_version

ANSWER = Answer((Piece(("add w0, w0, #1",), "lowering", "proved", "", ("memory",), (), 1, 1, 0.01),))


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    Cache(tmp_path, "lowering").put({"a": ANSWER})
    assert Cache(tmp_path, "lowering").get(["a", "b"]) == {"a": ANSWER}


def test_other_proposers_do_not_share(tmp_path: Path) -> None:
    Cache(tmp_path, "lowering").put({"a": ANSWER})
    assert Cache(tmp_path, "lm,lowering").get(["a"]) == {}


def test_another_version_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(tmp_path, "lowering").put({"a": ANSWER})
    monkeypatch.setattr("guesssketch.cache.semantics_version", lambda: "changed")
    assert Cache(tmp_path, "lowering").get(["a"]) == {}


def test_failures_are_not_remembered(tmp_path: Path) -> None:
    cache = Cache(tmp_path, "lowering")
    cache.put({"a": Answer((), ((0, "x87"),))})
    assert cache.get(["a"]) == {}


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(sqlite3.Error):
        Cache(tmp_path, "lowering")


def _write_for_ever(path: Path) -> None:
    cache = Cache(path, "lowering")
    for n in range(10**9):
        cache.put({f"{n}-{i}": ANSWER for i in range(20)})


def test_kill_leaves_whole_answers_and_two_processes_share(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_for_ever, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    cache = Cache(tmp_path, "lowering")
    while not cache.get(["50-0"]):
        pass
    for writer in writers:
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    for n in range(50):
        assert len(cache.get([f"{n}-{i}" for i in range(20)])) == 20
    cache.put({"after": ANSWER})
    assert cache.get(["after"]) == {"after": ANSWER}


@pytest.mark.parametrize("file", ["isa/terms.py", "solver/normal.py", "guesssketch/judge.py", "guesssketch/lowering/text.py"])
def test_another_source_of_what_decides_is_another_version(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, whole = semantics_version(), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: whole(path) + (b"#" if path.as_posix().endswith(file) else b""))
    semantics_version.cache_clear()
    try:
        assert semantics_version() != before
    finally:
        semantics_version.cache_clear()
