"""Guesses of the pieces of a block as one candidate, with what the model knew of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from guesssketch.guess.confidence import confidence
from guesssketch.guess.form import Form
from guesssketch.guess.tokens import END, target_lines, target_words
from guesssketch.problem import Candidate, Doubt, Insight

if TYPE_CHECKING:
    from guesssketch.guess.engine import Guess

LEAST: Final = 0.002  # probability of a token that is worth a try in another's place
_LABEL: Final = re.compile(r"(\d+):")
_REFERENCE: Final = re.compile(r"(?<![\w.#])(\d+)([bf])(?!\w)")
_FALL: Final = re.compile(r"\bfall\b")
_SURE: Final = 0.98  # what is likelier is no doubt


@dataclass(frozen=True)
class Said:
    """A guess under the problem's own names.

    size: source instructions. confidence: that it is right. probabilities: of each line's tokens; empty for a model whose
    tokens are not this project's. alignment, others, least: as in ``Insight``; the end of a line counts as a token of it, that of
    the text as one of the last line.
    """

    lines: tuple[str, ...]
    size: int
    confidence: float
    probabilities: tuple[tuple[float, ...], ...]
    alignment: tuple[tuple[float, ...], ...]
    others: tuple[tuple[str, ...], ...]
    least: tuple[float, ...]


def said(guess: Guess, form: Form, target: str, card: Mapping[str, Any]) -> Said:
    """The guess, which must be text, for ``form``. card: of the model, {} if it has none."""
    lines = form.lines(guess.lines or (), target)
    rows: list[tuple[float, ...]] = []
    least: list[float] = []
    start = 0
    for at, token in enumerate(guess.tokens):
        if token == END:
            rows.append(tuple(guess.probabilities[start:at]))
            least.append(min(guess.probabilities[start : at + 1]))
            start = at + 1
    if least:
        least[-1] = min(least[-1], guess.end)
    alignment = tuple(tuple(round(share, 3) for share in row) for row in guess.alignment or ())
    own = len(rows) == len(lines)  # the tokens are this project's
    return Said(lines, len(form.source), confidence(guess, card), tuple(rows) if own else (),
                alignment if len(alignment) == len(lines) else (),
                tuple(form.lines(texts, target) for texts in _others(guess, target)) if own else (),
                tuple(least) if own else ())  # fmt: skip


def _others(guess: Guess, target: str) -> Iterator[list[str]]:
    """For each line, the line with one token put out for another that the model thought of, likeliest first."""
    start = 0
    for end, token in enumerate(guess.tokens):
        if token != END:
            continue
        found: dict[str, float] = {}
        for at in range(start, end):
            for other, chance in guess.alternatives[at]:
                tokens = [*guess.tokens[start:at], other, *guess.tokens[at + 1 : end + 1]]
                if chance >= LEAST and (text := _text(tokens, target)) is not None:
                    found[text] = max(chance, found.get(text, 0.0))
        yield sorted(found, key=lambda text: -found[text])
        start = end + 1


def _text(tokens: Sequence[str], target: str) -> str | None:
    """One line of text; None if the tokens are not one."""
    try:
        lines = target_lines(tokens, target)
    except ValueError:
        return None
    return lines[0] if len(lines) == 1 else None


def candidate(pieces: Sequence[Said], proposer: str) -> Candidate:
    """What was said of pieces that run one after the other, as a translation of the whole."""
    lines = joined([piece.lines for piece in pieces])
    sure = 1.0
    doubts: list[Doubt] = []
    rows: list[tuple[float, ...]] = []
    others: list[tuple[str, ...]] = []
    least: list[float] = []
    before, size = 0, sum(piece.size for piece in pieces)
    for piece in pieces:
        sure *= piece.confidence
        first = len(rows)
        for number, line in enumerate(lines[first : first + len(piece.lines)]):
            doubts += _doubts(first + number, line, piece.probabilities[number] if piece.probabilities else ())
            shares = piece.alignment[number] if piece.alignment else (0.0,) * piece.size
            rows.append((0.0,) * before + shares + (0.0,) * (size - before - piece.size))
        others += piece.others
        least += piece.least
        before += piece.size
        if before < size and _leads_on(piece.lines):
            rows.append((0.0,) * size)
            others.append(())
            least.append(1.0)
    known = Insight(sure, tuple(doubts), tuple(rows) if all(p.alignment for p in pieces) else (),
                    tuple(others) if len(others) == len(lines) else (),
                    least=tuple(least) if len(least) == len(lines) else ())  # fmt: skip
    return Candidate(lines, proposer, insight=known)


def _doubts(number: int, line: str, probabilities: Sequence[float]) -> Iterator[Doubt]:
    """One for each word that is less than sure, by the least of its tokens' probabilities; one for the line, if the tokens are
    not the words'."""
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
        if tokens and (least := min(probabilities[at : at + tokens])) < _SURE:
            yield Doubt(number, start, length, round(least, 3))
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
