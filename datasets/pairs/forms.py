"""The normal form of a source block: what a problem is when its target is left out, as text that can be kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

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


def key(problem: Problem) -> bytes:
    """16 bytes that are equal for equal normal forms: the target and how symbols happen to be aligned are left out."""
    symbols = [(s.name, s.kind, s.low) for s in problem.symbols]
    code = [(i.code, i.relocations) for i in problem.instructions]
    text = repr((code, problem.exit, problem.live_in, problem.live_out, symbols))
    return hashlib.sha256(text.encode()).digest()[:16]


def to_text(problem: Problem) -> str:
    """One line of JSON.

    ``i``: instructions [hex, text, [[offset, kind, symbol], ...]]. ``exit``. ``in``, ``out``: [[cell, bits], ...].
    ``symbols``: [[name, kind, align, low], ...].
    """
    body = {
        "i": [[i.code.hex(), i.text, [[r.offset, r.kind, r.symbol] for r in i.relocations]] for i in problem.instructions],
        "exit": problem.exit,
        "in": problem.live_in,
        "out": problem.live_out,
        "symbols": [[s.name, s.kind, s.align, s.low] for s in problem.symbols],
    }
    return json.dumps(body, separators=(",", ":"))


def from_text(text: str, target: str) -> Problem:
    return from_body(json.loads(text), target)


def from_body(body: dict[str, Any], target: str) -> Problem:
    """The problem for ``target`` from what ``to_text`` wrote."""
    instructions = []
    offset = 0
    for code, shown, relocations in body["i"]:
        fields = tuple(Relocation(at, kind, symbol) for at, kind, symbol in relocations)
        instructions.append(Instruction(offset, bytes.fromhex(code), shown, fields))
        offset += len(code) // 2
    return Problem(
        target=target,
        instructions=tuple(instructions),
        exit=body["exit"],
        live_in=tuple((name, bits) for name, bits in body["in"]),
        live_out=tuple((name, bits) for name, bits in body["out"]),
        symbols=tuple(Symbol(*symbol) for symbol in body["symbols"]),
    )


def packed(problem: Problem) -> Problem:
    """``problem`` as ``from_text`` would give it back: offsets follow the code as it is, without gaps."""
    instructions, offset = [], 0
    for instruction in problem.instructions:
        instructions.append(replace(instruction, offset=offset))
        offset += len(instruction.code)
    return replace(problem, instructions=tuple(instructions))
