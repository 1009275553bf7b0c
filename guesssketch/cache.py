"""Proved translations remembered on disk: problem key -> answer, under one version of everything that judged it.

SQLite keeps it whole under two processes and ``kill -9`` (write-ahead log, one transaction a batch). An entry of another
version, or one that is damaged, is simply not found. A cache that cannot be used is said once and then done without.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache as memoise
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from guesssketch.answer import Answer
from guesssketch.errors import GuessSketchWarning

T = TypeVar("T")

ENGINES = ("z3-solver", "unicorn", "pypcode", "capstone", "keystone-engine", "ziglang")
_MODULES = ("answer", "judge", "allowed", "assembler", "questions", "liveness", "lifted", "problem")
_PROPOSERS = ("lowering", "guess", "sketch")
_SOURCES = ("isa", "solver", *(f"guesssketch/{name}" for name in _PROPOSERS), *(f"guesssketch/{name}.py" for name in _MODULES))
_BATCH = 500  # SQLite's default limit of variables in a statement is 999


def default_directory() -> Path:
    """``$GUESSSKETCH_CACHE``, else ``$XDG_CACHE_HOME/guesssketch``, else ``~/.cache/guesssketch``."""
    if chosen := os.environ.get("GUESSSKETCH_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "guesssketch"


@memoise
def semantics_version() -> str:
    """SHA-256 over the sources that decide an answer and the versions of the engines."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256(repr([(name, version(name)) for name in ENGINES]).encode())
    for source in _SOURCES:
        path = root / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _digest(key: str, text: str) -> str:
    """What a damaged row does not agree with: SQLite does not notice a changed byte, and what is remembered is not proved again."""
    return hashlib.sha256(f"{key} {text}".encode()).hexdigest()[:16]


class Cache:
    """``path``: the directory. ``variant``: which proposers were asked. Raises OSError or sqlite3.Error if it cannot be opened."""

    def __init__(self, path: Path, variant: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path / "answers.sqlite", timeout=60, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT, version TEXT, answer TEXT, PRIMARY KEY (key, version))")
        self._version = f"{semantics_version()} {variant}"

    def get(self, keys: Iterable[str]) -> dict[str, Answer]:
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Answer] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(batch))
            rows = self._db.execute(
                f"SELECT key, answer FROM answers WHERE version = ? AND key IN ({marks})", (self._version, *batch)
            )
            for key, text in rows:
                with suppress(ValueError, TypeError, KeyError, AttributeError):  # a row that says nothing is as good as none
                    digest, said = text.split(" ", 1)
                    if digest == _digest(key, said):
                        found[key] = Answer.from_json(said)
        return found

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Remember ``answers``; failures are not remembered (a later version may do better)."""
        texts = {key: a.to_json() for key, a in answers.items() if not a.failures}
        rows = [(key, self._version, f"{_digest(key, text)} {text}") for key, text in texts.items()]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


class Store:
    """A cache that may fail: said once, as a GuessSketchWarning, and then done without. ``path`` None: none is wanted.

    folder: the directory, None while there is no cache.
    """

    def __init__(self, path: Path | None, variant: str) -> None:
        self.folder = path
        self._cache = self._try(lambda: None if path is None else Cache(path, variant))

    def get(self, keys: Iterable[str]) -> dict[str, Answer]:
        cache = self._cache
        return (self._try(lambda: cache.get(keys)) if cache else None) or {}

    def put(self, answers: Mapping[str, Answer]) -> None:
        if cache := self._cache:
            self._try(lambda: cache.put(answers))

    def close(self) -> None:
        if cache := self._cache:
            self._try(cache.close)

    def _try(self, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            warnings.warn(GuessSketchWarning(f"going on without the cache {self.folder}: {reason}"), stacklevel=4)
            self.folder = self._cache = None
            return None
