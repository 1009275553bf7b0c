"""Records of pairs, as ``datasets/pairs/export.py`` writes them, read back: what a model sees, and the problem behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from guesssketch.errors import UsageError
from guesssketch.guess.dataset import read_shard
from guesssketch.guess.form import Form, encoded, normalise, widened
from guesssketch.guess.tokens import target_tokens
from guesssketch.problem import Problem, Symbol
from isa.machine import Instruction, Relocation


@dataclass(frozen=True)
class Record:
    """One pair. form: under names of its own. lines: the teacher's translation of it.

    verdict: the teacher's, ``proved`` or ``tested``. count: how often the form occurs in the objects. level: of optimisation,
    where the form was first met, such as ``-O2``. body: what the problem is made of (``problem``).
    """

    target: str
    form: Form
    lines: tuple[str, ...]
    verdict: str
    count: int
    level: str
    body: dict[str, Any]

    @staticmethod
    def read(data: dict[str, Any]) -> Record:
        """From one line's JSON. Raises KeyError, TypeError or ValueError if it is none."""
        body = data["source"]
        form = Form(
            source=tuple(body["s"]),
            exit=body["exit"],
            live_out=tuple((name, bits) for name, bits in body["out"]),
            symbols=tuple(Symbol(*symbol) for symbol in body["symbols"]),
            passed=tuple(body["passed"]),
            dead=tuple(body["dead"]),
            registers={},
            placeholders={},
        )
        return Record(data["target"], form, tuple(data["lines"]), data["verdict"], data["count"], data["level"], body)

    @cached_property
    def problem(self) -> Problem:
        """The form as a problem of its own: all that it does not speak of is live."""
        return problem_of(self.body, self.target)

    @cached_property
    def target_tokens(self) -> list[str] | None:
        """What the teacher would have a model write; None for text that no token says."""
        try:
            return target_tokens(self.lines)
        except ValueError:
            return None


def body_of(problem: Problem) -> tuple[Form, dict[str, Any] | None] | None:
    """The form of a problem, and what ``problem_of`` makes a problem of, ready for JSON; that is None if the form cannot be
    encoded, and all is None if the problem has no form.

    ``i``: instructions [hex, text, [[offset, kind, symbol], ...]]. ``s``: the source as a model sees it. ``exit``. ``out``:
    [[cell, bits], ...]. ``passed``, ``dead``: cells. ``symbols``: [[name, kind, align, low], ...].
    """
    form = normalise(problem)
    if form is None:
        return None
    whole = encoded(problem, form)
    if whole is None:
        return form, None
    return form, {
        "i": [[i.code.hex(), i.text, [[r.offset, r.kind, r.symbol] for r in i.relocations]] for i in whole.instructions],
        "s": form.source,
        "exit": form.exit,
        "out": form.live_out,
        "passed": form.passed,
        "dead": form.dead,
        "symbols": [[s.name, s.kind, s.align, s.low] for s in form.symbols],
    }


def problem_of(body: dict[str, Any], target: str) -> Problem:
    """The problem for ``target`` of a record's ``source``: all that its form does not speak of is live."""
    instructions: list[Instruction] = []
    offset = 0
    for code, text, relocations in body["i"]:
        fields = tuple(Relocation(at, kind, symbol) for at, kind, symbol in relocations)
        instructions.append(Instruction(offset, bytes.fromhex(code), text, fields))
        offset += len(code) // 2
    return widened(
        target=target,
        instructions=instructions,
        exit=body["exit"],
        live_out=tuple((name, bits) for name, bits in body["out"]),
        symbols=tuple(Symbol(*symbol) for symbol in body["symbols"]),
        passed=tuple(body["passed"]),
        dead=tuple(body["dead"]),
    )


def sample(folder: Path, split: str, target: str, limit: int | None) -> list[Record]:
    """``limit`` forms of a split (None: all), of each level its share, drawn by the forms' hashes: the same ones always,
    for both targets, in whatever order they lie; a larger sample holds the smaller.

    Raises UsageError if there are no such shards, InputError for a broken one.
    """
    ranked: dict[str, list[tuple[bytes, int]]] = {}
    for number, data in enumerate(_records(folder, split, target)):
        ranked.setdefault(data["level"], []).append((_hash(data["source"]), number))
    total = sum(map(len, ranked.values()))
    share = 1.0 if limit is None or not total else min(1.0, limit / total)
    chosen = {number for group in ranked.values() for _, number in sorted(group)[: round(len(group) * share)]}
    found = [(_hash(data["source"]), data) for n, data in enumerate(_records(folder, split, target)) if n in chosen]
    return [Record.read(data) for _, data in sorted(found, key=lambda pair: pair[0])]


def _hash(body: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps([body["s"], body["exit"], body["out"], body["symbols"]]).encode()).digest()[:16]


def _records(folder: Path, split: str, target: str) -> Iterator[dict[str, Any]]:
    shards = sorted(path for suffix in ("jsonl", "jsonl.gz") for path in folder.glob(f"{target}-{split}-*.{suffix}"))
    if not shards:
        raise UsageError(f"{folder}: no pairs {target}-{split}-*.jsonl.gz", "datasets/README.md says how pairs are made")
    for shard in shards:
        yield from read_shard(shard)
