"""Results of trials in a file, kept as they come, to go on from after whatever ended the run."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from guesssketch.errors import UsageError

Entry = dict[str, Any]
_HEAD: Final = '{"key": '  # each line's
_AGAIN: Final = ("fault", "does not compile")


def default_results(cache: Path, suite: Path) -> Path:
    """Where the results of a suite are kept if nobody says where."""
    return cache / "programs" / f"{hashlib.sha256(str(suite.resolve()).encode()).hexdigest()[:16]}.jsonl"


class Kept:
    """Results in a file, a line each, by key. One that depends on files which have changed since is not found.

    Neither is what failed for want of a header, time or memory: it may do better another time. Raises UsageError for a file of
    something else.
    """

    def __init__(self, path: Path | None, again: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        text = path.read_bytes().decode(errors="replace").lstrip()
        if text[: len(_HEAD)] != _HEAD[: len(text)]:
            raise UsageError(f"{path}: not a file of results, and nothing else is written to", "--results names one, or a new file")
        if not again:
            for line in text.splitlines():
                with suppress(ValueError, TypeError, KeyError):  # a line that says nothing is as good as none
                    told = json.loads(line)
                    self._entries[told["key"]] = told["entry"]

    def get(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        if entry is None or entry["kind"] in _AGAIN or any(digest(Path(name)) != was for name, was in entry["made_of"].items()):
            return None
        return entry

    def put(self, key: str, entry: Entry) -> None:
        if self._path:
            with self._lock, self._path.open("a") as file:
                file.write("\n" if file.tell() and not _ends(self._path) else "")
                file.write(json.dumps({"key": key, "entry": entry}) + "\n")


def _ends(path: Path) -> bool:
    """Whether the last line of a file that is not empty is whole."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


@functools.lru_cache(1 << 14)
def digest(path: Path) -> str:
    """Of a file's content, "" if there is none; read once in a process."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""
