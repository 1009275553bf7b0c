"""Guesses of the pieces of a block as one candidate, with what the model knew of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from guesssketch.guess.confidence import confidence
from guesssketch.guess.tokens import END, target_words
from guesssketch.problem import Candidate, Doubt, Insight

if TYPE_CHECKING:
    from guesssketch.guess.engine import Guess

_LABEL: Final = re.compile(r"(\d+):")
_REFERENCE: Final = re.compile(r"(?<![\w.#])(\d+)([bf])(?!\w)")
_FALL: Final = re.compile(r"\bfall\b")


@dataclass(frozen=True)
class Said:
    """A guess under the problem's own names.

    size: source instructions. confidence: that it is right. probabilities: of each line's tokens; empty for a model whose
    tokens are not this project's. alignment: as in ``Insight``.
    """

    lines: tuple[str, ...]
    size: int
    confidence: float
    probabilities: tuple[tuple[float, ...], ...]
    alignment: tuple[tuple[float, ...], ...]


def said(guess: Guess, lines: tuple[str, ...], size: int, card: Mapping[str, Any]) -> Said:
    """``lines``: the guess's text, renamed. card: of the model, {} if it has none."""
    rows: list[tuple[float, ...]] = []
    start = 0
    for at, token in enumerate(guess.tokens):
        if token == END:
            rows.append(tuple(guess.probabilities[start:at]))
            start = at + 1
    alignment = tuple(map(tuple, guess.alignment or ()))
    return Said(lines, size, confidence(guess, card), tuple(rows) if len(rows) == len(lines) else (),
                alignment if len(alignment) == len(lines) else ())  # fmt: skip


def candidate(pieces: Sequence[Said], proposer: str) -> Candidate:
    """What was said of pieces that run one after the other, as a translation of the whole."""
    lines = joined([piece.lines for piece in pieces])
    sure = 1.0
    doubts: list[Doubt] = []
    rows: list[tuple[float, ...]] = []
    before, size = 0, sum(piece.size for piece in pieces)
    for piece in pieces:
        sure *= piece.confidence
        first = len(rows)
        for number, line in enumerate(lines[first : first + len(piece.lines)]):
            doubts += _doubts(first + number, line, piece.probabilities[number] if piece.probabilities else ())
            shares = piece.alignment[number] if piece.alignment else (0.0,) * piece.size
            rows.append((0.0,) * before + shares + (0.0,) * (size - before - piece.size))
        before += piece.size
        if before < size and _leads_on(piece.lines):
            rows.append((0.0,) * size)
    return Candidate(lines, proposer, Insight(sure, tuple(doubts), tuple(rows) if all(p.alignment for p in pieces) else ()))


def _doubts(number: int, line: str, probabilities: Sequence[float]) -> Iterator[Doubt]:
    """One for each word, by the least of its tokens' probabilities; one for the line, if the tokens are not the words'."""
    try:
        words = target_words(line)
    except ValueError:
        words = []
    if not probabilities:
        return
    if sum(tokens for _, _, tokens in words) != len(probabilities):
        words = [(0, len(line), len(probabilities))]
    at = 0
    for start, length, tokens in words:
        if tokens:
            yield Doubt(number, start, length, min(probabilities[at : at + tokens]))
            at += tokens


def joined(pieces: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Texts that run one after the other as one text: labels numbered anew, the way to ``fall`` of all but the last leading on."""
    lines: list[str] = []
    labels = 0
    for piece in pieces[:-1]:
        body, labels = _renumbered(piece, labels)
        if _leads_on(piece):
            labels += 1
            body = [_FALL.sub(f"{labels}f", line) for line in body] + [f"{labels}:"]
        lines += body
    last, _ = _renumbered(pieces[-1], labels)
    return (*lines, *last)


def _leads_on(piece: Sequence[str]) -> bool:
    return any(_FALL.search(line) for line in piece)


def _renumbered(lines: Sequence[str], labels: int) -> tuple[list[str], int]:
    """``lines`` with labels counted on from ``labels``, and the last number in use."""
    numbers: dict[str, int] = {}
    for line in lines:
        if match := _LABEL.fullmatch(line):
            numbers.setdefault(match[1], labels + len(numbers) + 1)

    def reference(match: re.Match[str]) -> str:
        return f"{numbers.get(match[1], match[1])}{match[2]}"

    body = [f"{numbers[line[:-1]]}:" if _LABEL.fullmatch(line) else _REFERENCE.sub(reference, line) for line in lines]
    return body, labels + len(numbers)
