"""Normal forms of source blocks (``guesssketch.guess.form``) as text that can be kept."""

from __future__ import annotations

import json

from guesssketch.guess.records import body_of, problem_of
from guesssketch.problem import Problem

CUT = 12  # source instructions in one piece, unless told otherwise


def body(problem: Problem) -> tuple[bytes, str | None] | None:
    """Key and text of the problem's form; the text is None if it cannot be encoded, and all is None if it has no form.

    The text is one line of JSON, as ``records.body_of`` has it.
    """
    found = body_of(problem)
    if found is None:
        return None
    form, record = found
    return form.key, None if record is None else json.dumps(record, separators=(",", ":"))


def from_text(text: str, target: str) -> Problem:
    """The problem for ``target`` from what ``body`` wrote."""
    return problem_of(json.loads(text), target)
