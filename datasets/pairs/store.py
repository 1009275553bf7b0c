"""Where the recipe keeps what it has done: one SQLite file, in which a unit of work is there whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from compiling import Compiled, Unit

SPLITS = ("train", "valid", "test")  # a form seen in several belongs to the last of them alone
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packages(name TEXT PRIMARY KEY, kind TEXT NOT NULL, split TEXT NOT NULL, version TEXT NOT NULL,
    licence TEXT NOT NULL, status TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS units(name TEXT PRIMARY KEY, package TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects(id INTEGER PRIMARY KEY, package TEXT NOT NULL, file TEXT NOT NULL, compiler TEXT NOT NULL,
    level TEXT NOT NULL, pic INTEGER NOT NULL, debug INTEGER NOT NULL, status TEXT NOT NULL, why TEXT NOT NULL,
    permissive INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS left_out(object INTEGER NOT NULL, why TEXT NOT NULL, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS problems(id INTEGER PRIMARY KEY, form BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS occurrences(problem INTEGER NOT NULL, object INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY(problem, object)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pairs(target TEXT NOT NULL, problem INTEGER NOT NULL, verdict TEXT NOT NULL, detail TEXT NOT NULL,
    lines TEXT NOT NULL, PRIMARY KEY(target, problem)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shorter(target TEXT NOT NULL, problem INTEGER NOT NULL, proposer TEXT NOT NULL, lines TEXT NOT NULL,
    saved INTEGER NOT NULL, PRIMARY KEY(target, problem)) WITHOUT ROWID;
"""
_SPLIT = """
CREATE TEMP TABLE IF NOT EXISTS split AS
    SELECT problem, count, objects, (best + 0xFFFFFFFFFF) >> 40 AS split, -best & 0xFFFFFFFFFF AS object FROM (
        SELECT o.problem AS problem, sum(o.count) AS count, count(*) AS objects,
            max(((CASE p.split WHEN 'test' THEN 2 WHEN 'valid' THEN 1 ELSE 0 END) << 40) - o.object) AS best
        FROM occurrences o JOIN objects b ON b.id = o.object JOIN packages p ON p.name = b.package GROUP BY o.problem);
CREATE UNIQUE INDEX IF NOT EXISTS temp.split_problem ON split(problem);
"""


@dataclass(frozen=True)
class Package:
    """status: ``ok`` or ``failed``, with ``why``. licence: short names as debian/copyright has them, joined by ``; ``.

    build: shell commands, where those that are tried for every package will not do.
    """

    name: str
    kind: str
    split: str
    version: str = ""
    licence: str = ""
    status: str = "ok"
    why: str = ""
    build: str = ""


@dataclass(frozen=True)
class Judged:
    """A target's answer to a problem.

    verdict: ``proved``; ``tested`` (equal on states; detail says why there is no proof); ``refuted``; ``none`` (no lowering);
    ``failed`` (did not assemble, or could not be run). Only the first two are pairs to learn from.
    """

    problem: int
    verdict: str
    detail: str
    lines: str


@dataclass(frozen=True)
class Shorter:
    """A proved translation with ``saved`` instructions less than the pair's; saved 0 and no lines if none was found."""

    problem: int
    proposer: str
    lines: str
    saved: int


class Store:
    """Raises sqlite3.Error."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True) if read_only else sqlite3.connect(path)
        if not read_only:
            self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)

    def close(self) -> None:
        self.db.close()

    def fix(self, settings: dict[str, str]) -> None:
        """Remember what the results depend on. Raises ValueError if the store was begun with something else."""
        with self.db:
            self.db.executemany("INSERT OR IGNORE INTO settings VALUES(?, ?)", settings.items())
        for name, value in settings.items():
            (kept,) = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
            if kept != value:
                raise ValueError(f"begun with {name} {kept!r}, not {value!r}")

    def put_package(self, package: Package) -> None:
        with self.db:
            self.db.execute("INSERT OR REPLACE INTO packages VALUES(?,?,?,?,?,?,?)", astuple(package)[:7])

    def packages(self) -> dict[str, Package]:
        return {row[0]: Package(*row) for row in self.db.execute("SELECT * FROM packages")}

    def done(self, package: str) -> set[str]:
        """Names of the package's finished units."""
        return {name for (name,) in self.db.execute("SELECT name FROM units WHERE package = ?", (package,))}

    def put_unit(self, unit: Unit, results: Sequence[Compiled]) -> int:
        """All that came of a unit, in one transaction; gives the number of forms that are new."""
        new = 0
        with self.db:
            for result in results:
                c = result.configuration
                number = self.db.execute(
                    "INSERT INTO objects(package, file, compiler, level, pic, debug, status, why, permissive) "
                    "VALUES(?,?,?,?,?,?,?,?,?)",
                    (unit.package, unit.file, c.compiler, c.level, c.pic, c.debug, result.status, result.why, result.permissive),
                ).lastrowid
                rows = [(number, why, count) for why, count in result.left_out.items()]
                self.db.executemany("INSERT INTO left_out VALUES(?,?,?)", rows)
                for form, count in result.found.items():
                    row = form, result.bodies[form]
                    new += self.db.execute("INSERT OR IGNORE INTO problems(form, body) VALUES(?,?)", row).rowcount
                    self.db.execute("INSERT INTO occurrences SELECT id, ?, ? FROM problems WHERE form = ?", (number, count, form))
            self.db.execute("INSERT INTO units VALUES(?,?)", (unit.name, unit.package))
        return new

    def unanswered(self, targets: Sequence[str]) -> list[int]:
        """Problems without a verdict for one of ``targets``, oldest first."""
        marks = ",".join("?" * len(targets))
        rows = self.db.execute(
            f"SELECT id FROM problems p WHERE (SELECT count(*) FROM pairs q WHERE q.target IN ({marks}) AND q.problem = p.id) < ? "
            "ORDER BY id", (*targets, len(targets)))  # fmt: skip
        return [number for (number,) in rows]

    def bodies(self, numbers: Sequence[int]) -> list[tuple[int, str]]:
        marks = ",".join("?" * len(numbers))
        return self.db.execute(f"SELECT id, body FROM problems WHERE id IN ({marks}) ORDER BY id", tuple(numbers)).fetchall()

    def put_pairs(self, judged: Mapping[str, Iterable[Judged]]) -> None:
        """What became of problems, by target."""
        rows = [(target, j.problem, j.verdict, j.detail, j.lines) for target, found in judged.items() for j in found]
        with self.db:
            self.db.executemany("INSERT OR REPLACE INTO pairs VALUES(?,?,?,?,?)", rows)

    def assign_splits(self) -> None:
        """Make the temporary table ``split(problem, count, objects, split, object)``.

        A form belongs to the last of SPLITS that it was seen in; object: the first of that split that has it.
        """
        self.db.executescript(_SPLIT)

    def unshortened(self, target: str, limit: int | None = None) -> list[tuple[int, str, str]]:
        """(problem, its text, the pair's lines) of the first ``limit`` proved pairs of the training split, in an order of chance,
        those left out for which ``put_shorter`` was called. Call ``assign_splits`` first."""
        return self.db.execute(
            "SELECT * FROM (SELECT p.id AS id, p.body, q.lines FROM split s JOIN problems p ON p.id = s.problem "
            "JOIN pairs q ON q.problem = p.id AND q.target = ? WHERE s.split = 0 AND q.verdict = 'proved' ORDER BY p.form LIMIT ?) "
            "WHERE NOT EXISTS (SELECT 1 FROM shorter t WHERE t.target = ? AND t.problem = id)",
            (target, -1 if limit is None else limit, target)).fetchall()  # fmt: skip

    def put_shorter(self, target: str, found: Iterable[Shorter]) -> None:
        with self.db:
            self.db.executemany("INSERT OR REPLACE INTO shorter VALUES(?,?,?,?,?)", [(target, *astuple(one)) for one in found])

    def examples(self, split: str, target: str, every: bool = False, shorter: bool = False) -> Iterator[dict[str, object]]:
        """Pairs to learn from, oldest first (every: and those that failed; shorter: as ``put_shorter`` has them). Call
        ``assign_splits`` first."""
        lines = "CASE WHEN t.saved > 0 THEN t.lines ELSE q.lines END" if shorter else "q.lines"
        rows = self.db.execute(
            f"SELECT p.body, {lines}, q.verdict, q.detail, s.count, s.objects, "
            "b.package, b.file, b.compiler, b.level, b.pic, b.debug "
            "FROM split s JOIN problems p ON p.id = s.problem JOIN pairs q ON q.problem = s.problem AND q.target = ? "
            "LEFT JOIN shorter t ON t.target = q.target AND t.problem = q.problem "
            "JOIN objects b ON b.id = s.object WHERE s.split = ? AND (? OR q.verdict IN ('proved', 'tested')) ORDER BY s.problem",
            (target, SPLITS.index(split), every))  # fmt: skip
        names = ("source", "target_lines", "verdict", "detail", "count", "objects",
                 "package", "file", "compiler", "level", "pic", "debug")  # fmt: skip
        for row in rows:
            yield {"target": target, "split": split} | dict(zip(names, row, strict=True))
