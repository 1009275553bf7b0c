"""From a guess to sketches: each a copy of the guess with one hole, the most doubted part first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

from guesssketch.problem import Problem
from guesssketch.sketch.angels import Edit
from guesssketch.sketch.choices import MODIFIER, NUMBER, REGISTER
from guesssketch.sketch.doubt import Doubts
from guesssketch.sketch.holes import LABEL, Hole, Line, Sketch
from guesssketch.sketch.ways import ALL, Ways

# What a kind of hole costs beside the line's doubt: kinds that are seldom wrong, or have many fillings, come later.
_COSTS: Final = {"immediate": 0.5, "opcode": 0.3, "register": 0.6, "order": 1.0, "drop": 1.0, "width": 0.6, "missed": 0.3,
                 "told": 0.1, "nearer": 0.5, "insert": 2.5}  # fmt: skip
_FURTHEST: Final = 3  # places that a line is moved
_WIDTH: Final = re.compile(r"\b([wx])(\d+|zr)\b")


def sketches(problem: Problem, lines: Sequence[str], doubts: Doubts, others: Sequence[Sequence[str]] = (),
             ways: Ways = ALL) -> list[tuple[float, Sketch]]:  # fmt: skip
    """Sketches with their costs, the likeliest first. others: of each line, what the model thought of in its place."""
    found: list[tuple[float, Sketch]] = []
    weights = doubts.by_line(lines)
    for at, (line, weight) in enumerate(zip(lines, weights, strict=True)):
        if not weight:
            continue
        base = -math.log(weight)
        if others and others[at] and not ways.immediates_only:
            found.append((base + _COSTS["told"], _with(problem, lines, at, (Hole("choice", tuple(others[at]), line),))))
        for kind, parts in _of_line(problem, line):
            if ways.immediates_only and kind != "immediate":
                continue
            found.append((base + _COSTS[kind], _with(problem, lines, at, parts)))
    if not ways.immediates_only:
        found += _orders(problem, lines, weights)
        found += _insertions(problem, lines, weights, doubts, ways.below is None) if ways.templates else []
    return sorted(found, key=lambda entry: entry[0])


def _orders(problem: Problem, lines: Sequence[str], weights: Sequence[float]) -> Iterator[tuple[float, Sketch]]:
    """A line put one to three places up or down, past no label."""
    for distance, at in product(range(1, _FURTHEST + 1), range(len(lines))):
        part = list(lines[at : at + distance + 1])
        if len(part) <= distance or not all(weights[at : at + distance + 1]):
            continue
        for moved in ([*part[1:], part[0]], [part[-1], *part[:-1]]):
            hole = Hole("choice", ("; ".join(moved),), "; ".join(part))
            cost = -math.log(max(weights[at], weights[at + distance])) + _COSTS["order"] + 0.5 * (distance - 1)
            yield cost, Sketch(problem, (*_plain(lines[:at]), (hole,), *_plain(lines[at + distance + 1 :])))


def _insertions(problem: Problem, lines: Sequence[str], weights: Sequence[float], doubts: Doubts, open_all: bool
                ) -> Iterator[tuple[float, Sketch]]:  # fmt: skip
    """An instruction put in: what a missing source instruction does, where it is missed; anything, anywhere (if not ``open_all``,
    where a line is doubted)."""
    ends = [n + 1 for n, line in enumerate(lines) if not LABEL.fullmatch(line)]  # of instructions
    for rank, (source, place) in enumerate(doubts.missing):
        at = ends[place - 1] if 0 < place <= len(ends) else 0
        for distance, where in enumerate(dict.fromkeys((at, min(at + 1, len(lines))))):
            yield 0.5 * (rank + distance) + _COSTS["missed"], _inserted(problem, lines, where, source)
    for at in range(len(lines) + 1):
        near = max(weights[max(0, at - 1) : at + 1], default=1.0)
        if near or open_all:
            yield -math.log(near or 0.05) + _COSTS["insert"], _inserted(problem, lines, at, None)


def forced(problem: Problem, lines: Sequence[str], edits: Iterable[Edit]) -> Iterator[tuple[float, Sketch]]:
    """Sketches, with their costs, of edits that the states of a run ask for."""
    at = [n for n, line in enumerate(lines) if not LABEL.fullmatch(line)]
    for rank, edit in enumerate(edits):
        start = at[edit.at - 1] + 1 if 0 < edit.at == len(at) else at[edit.at] if edit.at < len(at) else len(lines)
        hole = Hole("choice", edit.texts, lines[start] if edit.deleted else "")
        cost = _COSTS["nearer"] if edit.rest else 0.0
        yield cost + 0.01 * rank, Sketch(problem, (*_plain(lines[:start]), (hole,), *_plain(lines[start + edit.deleted :])))


def _inserted(problem: Problem, lines: Sequence[str], at: int, source: int | None) -> Sketch:
    return Sketch(problem, (*_plain(lines[:at]), (Hole("instruction", source=source),), *_plain(lines[at:])))


def _of_line(problem: Problem, line: str) -> Iterator[tuple[str, Line]]:
    """Ways to doubt one line, as (kind, text and hole)."""
    mnemonic, space, operands = line.partition(" ")
    start = len(mnemonic) + len(space)
    yield "opcode", (Hole("opcode", guess=mnemonic), space + operands)
    for match in MODIFIER.finditer(line, start):
        yield "opcode", _cut(line, match, "opcode")
    for match in NUMBER.finditer(line, start):
        if not re.match(r"[bf]\b", line[match.end() :]):
            yield "immediate", _cut(line, match, "immediate")
    for match in REGISTER[problem.target].finditer(line, start):
        yield "register", _cut(line, match, "register")
    yield "drop", (Hole("choice", ("",), line),)
    if problem.target == "aarch64":
        other = _WIDTH.sub(lambda m: ("x" if m[1] == "w" else "w") + m[2], line)
        if other != line:
            yield "width", (Hole("choice", (other,), line),)


def _cut(line: str, match: re.Match[str], kind: str) -> Line:
    hole = Hole(kind, guess=match[0])  # type: ignore[arg-type]
    return tuple(part for part in (line[: match.start()], hole, line[match.end() :]) if part)


def _plain(lines: Sequence[str]) -> tuple[Line, ...]:
    return tuple((line,) for line in lines)


def _with(problem: Problem, lines: Sequence[str], at: int, parts: Line) -> Sketch:
    return Sketch(problem, (*_plain(lines[:at]), parts, *_plain(lines[at + 1 :])))
