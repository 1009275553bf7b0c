"""Normal forms of source blocks (``guesssketch.guess.form``) as text that can be kept."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from guesssketch.guess.form import Form, encoded, normalise, widened
from guesssketch.problem import Problem, Symbol
from guesssketch.questions import cut
from isa.machine import Instruction, Relocation

CUT = 12  # source instructions in one piece, unless told otherwise


def pieces(problem: Problem, longest: int = CUT) -> list[Problem]:
    """``problem`` cut, as the pipeline cuts, until no piece has more than ``longest`` instructions (at least 1)."""
    pending, done = [problem], []
    while pending:
        current = pending.pop()
        if len(current.instructions) <= longest:
            done.append(current)
        else:
            pending.extend(reversed(cut(current)))
    return done


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
    return from_body(json.loads(text), target)


def from_body(body: dict[str, Any], target: str) -> Problem:
    """The problem for ``target`` from what ``body`` wrote: all that the form does not speak of is live."""
    instructions = []
    offset = 0
    for code, shown, relocations in body["i"]:
        fields = tuple(Relocation(at, kind, symbol) for at, kind, symbol in relocations)
        instructions.append(Instruction(offset, bytes.fromhex(code), shown, fields))
        offset += len(code) // 2
    return widened(
        target=target,
        instructions=instructions,
        exit=body["exit"],
        live_out=tuple((name, bits) for name, bits in body["out"]),
        symbols=tuple(Symbol(*symbol) for symbol in body["symbols"]),
        passed=body["passed"],
        dead=body["dead"],
    )
