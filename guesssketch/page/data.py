"""What the page shows, gathered from a translation: plain values, each text that many blocks share told once.

    target, options, warnings, assumptions, seconds, engines   of the run, as in the JSON report
    texts      verdicts' reasons, assumptions, approximations and proposers; everything else tells them by number
    objects    names
    functions  [{name, object: number, blocks: [...], tests: what ``guesssketch test`` said of it}]

A block:

    name       its offset, as listings write it          missed     no run of ``guesssketch test`` came here
    source     instructions, one a line                  offsets    of each, in its section
    symbols    {placeholder: what it stands for}         end        how it ends, as text
    next       [[block, kind]]: where control may go; kind is ``fall``, ``jump``, ``taken``, ``call`` (behind one) or ``case``
    pieces     what was accepted, in order: size (source instructions), lines, verdict (0 proved, 1 tested), by, why, assumes,
               upto, seconds, cached, and if told, sure (0 to 1), doubts [[line, start, length, probability]], align [[target
               line, source instruction of the piece, percent]], filled [[line, start, length, kind, guess]]
    tries      what was not: start and size in the block's instructions, by, lines, why, and sure, doubts and filled if told

Whatever is empty is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from guesssketch.answer import Answer, Attempt, Piece
from guesssketch.listing import block_name, place_text, terminator_text
from guesssketch.pipeline import Translation
from guesssketch.problem import Insight, Problem
from guesssketch.program import Block, Branch, Call, Fall, Function, IndirectJump, ObjectFile
from guesssketch.resolve import BlockId
from isa.machine import Instruction

_FAINT: Final = 5  # percent: less of an alignment is not told
_SURE: Final = 0.98  # what is surer is not told as a doubt

Json = dict[str, Any]


def gathered(translation: Translation, tests: Mapping[str, Any] | None = None) -> Json:
    """tests: the JSON report of ``guesssketch test``; its functions are known by their names."""
    return _Gatherer(translation, tests or {}).page()


class _Gatherer:
    def __init__(self, translation: Translation, tests: Mapping[str, Any]) -> None:
        self.translation = translation
        self.texts: dict[str, int] = {}
        self.tested = {f["name"]: f for f in tests.get("functions", ())}

    def page(self) -> Json:
        program, report = self.translation.program, self.translation.report
        told = report.to_dict()
        functions = [
            self._function(program.objects[number], number, index, function)
            for number, row in enumerate(program.functions)
            for index, function in enumerate(row)
        ]
        kept = {name: told[name] for name in ("target", "options", "warnings", "assumptions", "seconds", "engines")}
        return {**kept, "objects": [o.name for o in program.objects], "texts": list(self.texts), "functions": functions}

    def _number(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def _function(self, file: ObjectFile, number: int, index: int, function: Function) -> Json:
        places = {offset: at for at, offset in enumerate(function.blocks)}
        tests = self.tested.get(function.name)
        missed = {u["block"] for u in tests["uncovered"]} if tests else set()
        blocks = [self._block(file, BlockId(number, index, o), block, places, missed) for o, block in function.blocks.items()]
        told = _kept(tests={name: tests[name] for name in ("verdict", "why", "runs", "blocks")} if tests else None)
        return {"name": function.name, "object": number, "blocks": blocks, **told}

    def _block(self, file: ObjectFile, at: BlockId, block: Block, places: Mapping[int, int], missed: set[str]) -> Json:
        asked = self.translation.problems[at]
        name = block_name(block.offset)
        return _kept(
            name=name,
            source="\n".join(map(_text, block.instructions)),
            offsets=[block.home[1] + i.offset for i in block.instructions],
            symbols={symbol: place_text(file, place) for symbol, place in block.places.items()},
            end=terminator_text(file, block.terminator),
            next=[[places[offset], kind] for offset, kind in _ways(block)],
            pieces=list(self._pieces(asked)),
            tries=list(self._tries(asked)),
            missed=name in missed,
        )

    def _pieces(self, asked: Sequence[Problem]) -> Iterator[Json]:
        for problem in asked:
            cached = problem.key in self.translation.cached
            yield from (self._piece(piece, cached) for piece in self.translation.answers[problem.key].pieces)

    def _piece(self, piece: Piece, cached: bool) -> Json:
        return _kept(
            size=piece.source,
            lines="\n".join(piece.lines),
            verdict=int(piece.verdict == "tested"),
            by=self._number(piece.proposer),
            why=self._number(piece.reason) if piece.reason else None,
            assumes=self._numbers(piece.assumptions),
            upto=self._numbers(piece.approximations),
            seconds=piece.seconds,
            cached=cached,
            **(_insight(piece.insight) if piece.insight else {}),
        )

    def _numbers(self, texts: Iterable[str]) -> list[int]:
        return [self._number(text) for text in texts]

    def _tries(self, asked: Sequence[Problem]) -> Iterator[Json]:
        start = 0
        for problem in asked:
            yield from (self._try(attempt, start) for attempt in self._answer(problem).attempts)
            start += len(problem.instructions)

    def _answer(self, problem: Problem) -> Answer:
        return self.translation.answers[problem.key]

    def _try(self, attempt: Attempt, start: int) -> Json:
        told = _insight(attempt.insight) if attempt.insight else {}
        told.pop("align", None)
        return _kept(start=start + attempt.start, size=attempt.source, by=self._number(attempt.proposer),
                     lines="\n".join(attempt.lines), why=self._number(attempt.reason), **told)  # fmt: skip


def _text(instruction: Instruction) -> str:
    """One line, with the placeholders of its relocated fields behind it."""
    symbols = " ".join(r.symbol for r in instruction.relocations)
    return f"{instruction.text}  {symbols}" if symbols else instruction.text


def _ways(block: Block) -> Iterator[tuple[int, str]]:
    match block.terminator:
        case Branch(taken=taken, fall=fall):
            yield taken, "taken"
            yield fall, "fall"
        case Fall(next=after):
            yield after, "fall"
        case Call(next=int(after)):
            yield after, "call"
        case IndirectJump(targets=targets):
            yield from ((target, "case") for target in targets)
        case _:
            yield from ((target, "jump") for target in block.successors)


def _insight(told: Insight) -> Json:
    shares = ((line, source, round(100 * share)) for line, row in enumerate(told.alignment) for source, share in enumerate(row))
    return {
        "sure": None if told.confidence is None else round(told.confidence, 4),
        "doubts": [[d.line, d.start, d.length, round(d.probability, 3)] for d in told.doubts if d.probability < _SURE],
        "align": [list(share) for share in shares if share[2] >= _FAINT],
        "filled": [[f.line, f.start, f.length, f.kind, f.guess] for f in told.filled],
    }


def _kept(**values: Any) -> Json:
    """What is neither None, False nor empty."""
    return {name: value for name, value in values.items() if value is not None and value is not False and value not in ("", [], {})}
