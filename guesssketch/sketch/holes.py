"""Sketches: target code with typed holes, as data that can be written by hand.

    add w8, ?register, ?immediate        any register, any number
    ?opcode w8, w0, w1                   any instruction of this shape
    ?(add|sub) w8, w0, ?(1|2)            one of these
    ?instruction                         any one instruction, or none
    ?(ldr x8, [x0]; add x8, x8, #1|)     these two, or none

Guess & Sketch (ICLR 2024) makes holes of immediates and registers; here any part of a block can be one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from guesssketch.errors import UsageError
from guesssketch.problem import Problem

Kind = Literal["immediate", "register", "opcode", "instruction", "choice"]
_KINDS: Final[dict[str, Kind]] = {kind: kind for kind in get_args(Kind) if kind != "choice"}
LABEL: Final = re.compile(r"\d+:")
_HOLE: Final = re.compile(r"\?(?:\(([^)]*(?:\([^)]*\)[^)]*)*)\)|([a-z]+))")


@dataclass(frozen=True)
class Hole:
    """Part of a line that is not known.

    kind: what may fill it: an ``immediate``, a ``register``, an ``opcode`` (or extension, or condition), an ``instruction``
    (or nothing), or one of ``choices``, best first, each of them text with ``; `` between lines. guess: what stood there.
    source: of an ``instruction``, the index of the source instruction that it may stand for, if that is known.
    """

    kind: Kind
    choices: tuple[str, ...] = ()
    guess: str = ""
    source: int | None = None


Line = tuple[str | Hole, ...]


@dataclass(frozen=True)
class Sketch:
    """lines: each of text and holes in turn. ``text`` gives it back as it is written by hand."""

    problem: Problem
    lines: tuple[Line, ...]

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(part for line in self.lines for part in line if isinstance(part, Hole))

    @property
    def text(self) -> str:
        return "\n".join("".join(part if isinstance(part, str) else _written(part) for part in line) for line in self.lines)

    def filled(self, fillings: Sequence[str]) -> tuple[str, ...]:
        """Target lines with ``fillings[n]`` in hole n; what is then empty is left out."""
        rest = iter(fillings)
        texts = ("".join(part if isinstance(part, str) else next(rest) for part in line) for line in self.lines)
        return tuple(line for text in texts for piece in text.split(";") if (line := piece.strip()))


def parse(problem: Problem, text: str) -> Sketch:
    """A sketch from text, one line of target assembly each. Raises UsageError for a hole of no known kind."""
    lines: list[Line] = []
    for row in text.splitlines():
        if not (stripped := row.strip()):
            continue
        parts: list[str | Hole] = []
        at = 0
        for match in _HOLE.finditer(stripped):
            parts += [stripped[at : match.start()], _hole(match)]
            at = match.end()
        lines.append(tuple(part for part in (*parts, stripped[at:]) if part))
    return Sketch(problem, tuple(lines))


def _hole(match: re.Match[str]) -> Hole:
    choices, kind = match.groups()
    if choices is not None:
        return Hole("choice", tuple(choice.strip() for choice in choices.split("|")))
    if kind not in _KINDS:
        kinds = ", ".join(f"?{k}" for k in _KINDS)
        raise UsageError(f"?{kind}: a hole is one of {kinds} or ?(a|b)", "docs/pairs.md says how holes are written")
    return Hole(_KINDS[kind])


def _written(hole: Hole) -> str:
    return f"?({'|'.join(hole.choices)})" if hole.choices else f"?{hole.kind}"
