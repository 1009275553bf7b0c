"""What a model doubted of its guess, line by line, as a sketch needs it: in text, with the problem's own names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from guesssketch.guess.form import Form
from guesssketch.guess.tokens import END, source_spans, target_lines
from guesssketch.problem import Unsure

if TYPE_CHECKING:
    from guesssketch.guess.engine import Guess

_LEAST: Final = 0.002  # probability of a token that is worth a try in another's place


def unsure(guess: Guess, form: Form, target: str) -> Unsure | None:
    """None if the engine tells nothing of its tokens. The guess must be text."""
    if guess.lines is None or len(guess.probabilities) != len(guess.tokens) or not guess.tokens:
        return None
    spans = source_spans(guess.tokens)
    least = [1.0] * len(guess.lines)
    others: list[dict[str, float]] = [{} for _ in guess.lines]
    for at, (token, probability) in enumerate(zip(guess.tokens, guess.probabilities, strict=True)):
        least[spans[at]] = min(least[spans[at]], probability)
        for other, chance in guess.alternatives[at] if token != END else ():
            if chance >= _LEAST and (line := _line(guess.tokens, spans, at, other, target)) is not None:
                others[spans[at]].setdefault(line, chance)
    return Unsure(
        doubts=tuple(1.0 - p for p in least),
        others=tuple(form.lines(sorted(known, key=lambda line: -known[line]), target) for known in others),
        sources=tuple(max(range(len(row)), key=row.__getitem__) for row in guess.alignment or () if row),
    )


def _line(tokens: Sequence[str], spans: Sequence[int], at: int, other: str, target: str) -> str | None:
    """The line of token ``at`` with ``other`` in that token's place; None if that is no text."""
    line = [other if n == at else tokens[n] for n in range(len(tokens)) if spans[n] == spans[at]]
    try:
        (text,) = target_lines(line, target)
    except ValueError:
        return None
    return text


def joined_unsure(pieces: Sequence[Unsure | None], lengths: Sequence[int]) -> Unsure | None:
    """Of texts that run one after the other: what is known of each, and how many lines of the whole it makes. None if one tells
    nothing. Which source instruction a line looks at is not told of more than one piece."""
    known = [piece for piece in pieces if piece is not None]
    if len(known) < len(pieces):
        return None
    if len(known) == 1:
        return known[0]
    doubts: list[float] = []
    others: list[tuple[str, ...]] = []
    for piece, length in zip(known, lengths, strict=True):
        added = length - len(piece.doubts)  # the label that its way to ``fall`` leads to
        doubts += [*piece.doubts, *[0.0] * added]
        others += [*piece.others, *[()] * added]
    return Unsure(tuple(doubts), tuple(others))
