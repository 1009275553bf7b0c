"""What became of one form: the guesses, and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guesssketch.evaluation.judging import Judged, Reply
from guesssketch.guess.records import Record

if TYPE_CHECKING:
    from guesssketch.guess.engine import Guess


@dataclass(frozen=True)
class Outcome:
    """guess: the greedy one, None if the model has none; why: the reason then.

    reply: on the guesses that are text, the greedy one first.
    """

    record: Record
    guess: Guess | None
    why: str
    reply: Reply

    @property
    def first(self) -> Judged | None:
        """The verdict on the greedy guess; None if it is no text."""
        return self.reply.judged[0] if self.guess and self.guess.lines is not None else None

    @property
    def proved(self) -> bool:
        return self.first is not None and self.first.verdict == "proved"

    @property
    def one_of(self) -> bool:
        """Whether one of the guesses is proved."""
        return any(judged.verdict == "proved" for judged in self.reply.judged)

    @property
    def exact(self) -> bool:
        """Whether the greedy guess is the teacher's text."""
        return self.guess is not None and self.guess.lines is not None and self.guess.tokens == self.record.target_tokens
