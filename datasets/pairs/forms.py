"""Normal forms of source blocks (``guesssketch.guess.form``) as text that can be kept."""

from __future__ import annotations

import hashlib
import json

from guesssketch.guess.form import Form, encoded, normalise
from guesssketch.guess.records import problem_of
from guesssketch.problem import Problem

CUT = 12  # source instructions in one piece, unless told otherwise


def key(form: Form) -> bytes:
    """16 bytes that are equal for equal forms: over all that a model sees."""
    text = repr((form.source, form.exit, form.live_out, form.symbols))
    return hashlib.sha256(text.encode()).digest()[:16]


def body(problem: Problem) -> tuple[bytes, str | None] | None:
    """Key and text of the problem's form; the text is None if it cannot be encoded, and all is None if it has no form.

    The text is one line of JSON. ``i``: instructions [hex, text, [[offset, kind, symbol], ...]]. ``s``: the source as a
    model sees it. ``exit``. ``out``: [[cell, bits], ...]. ``passed``, ``dead``: cells. ``symbols``: [[name, kind, align,
    low], ...].
    """
    form = normalise(problem)
    if form is None:
        return None
    whole = encoded(problem, form)
    if whole is None:
        return key(form), None
    record = {
        "i": [[i.code.hex(), i.text, [[r.offset, r.kind, r.symbol] for r in i.relocations]] for i in whole.instructions],
        "s": form.source,
        "exit": form.exit,
        "out": form.live_out,
        "passed": form.passed,
        "dead": form.dead,
        "symbols": [[s.name, s.kind, s.align, s.low] for s in form.symbols],
    }
    return key(form), json.dumps(record, separators=(",", ":"))


def from_text(text: str, target: str) -> Problem:
    """The problem for ``target`` from what ``body`` wrote."""
    return problem_of(json.loads(text), target)
