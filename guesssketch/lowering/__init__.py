"""The engineered proposer: x86-64 block -> terms -> LLVM IR -> LLVM's own back end -> target text.

Inputs and outputs are pinned to the state map, so LLVM may do as it likes in between; see ``docs/design.md``. A block
that LLVM cannot do inside the rules (spills, a library call, no register left) gets no candidate: the pipeline cuts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from guesssketch.lifted import source_effect
from guesssketch.lowering.backend import Style, compile_ir
from guesssketch.lowering.emitter import Unsupported
from guesssketch.lowering.ir import function_text
from guesssketch.lowering.text import Unusable, candidate_lines, split_functions
from guesssketch.lowering.tidy import tidy
from guesssketch.problem import Candidate, Problem

BATCH: Final = 300  # functions in one run of LLVM
_DEFINED: Final = re.compile(r"=\{([a-z]+\d+)\}")
_PINNED: Final = re.compile(r"\{([a-z]+\d+)\}")


class Lowering:
    """``style``: ``best`` for the fewest instructions, ``ordered`` for the order of the source, which needs fewer registers,
    ``canonical`` for that and one way to write each constant."""

    name = "lowering"

    def __init__(self, target: str, style: Style = "best") -> None:
        self.target = target
        self.style: Style = style

    def propose(self, problems: Sequence[Problem]) -> Iterator[Sequence[Candidate]]:
        """At most one candidate a problem, in order. Raises ToolError if LLVM cannot be run."""
        for start in range(0, len(problems), BATCH):
            batch = problems[start : start + BATCH]
            lowered = self.lower(batch)
            for number in range(len(batch)):
                lines = lowered.get(number)
                yield () if lines is None else (Candidate(lines, self.name),)

    def lower(self, problems: Sequence[Problem]) -> dict[int, tuple[str, ...]]:
        """Candidate lines by index into ``problems``; an index is missing where there is no usable lowering."""
        results: dict[int, tuple[str, ...]] = {}
        attempts: tuple[tuple[Style, bool], ...] = ((self.style, False), ("ordered", True))
        for style, strict in attempts:
            functions: dict[int, str] = {}
            for number, problem in enumerate(problems):
                if number in results:
                    continue
                with source_effect(problem) as effect, suppress(Unsupported):
                    if not effect.opaque:
                        functions[number] = function_text(f"f{number}", effect, problem, strict)
            made = assembly_of(functions, self.target, style)
            for number, raw in made.items():
                with suppress(Unusable):
                    results[number] = self.lines_of(number, functions[number], raw)
        numbers = list(results)
        return dict(zip(numbers, tidy(self.target, [problems[n] for n in numbers], list(results.values())), strict=True))

    def lines_of(self, number: int, function: str, raw: Sequence[str]) -> tuple[str, ...]:
        """The candidate lines in the assembly ``raw`` of the LLVM function ``f<number>``. Raises ``text.Unusable``."""
        return candidate_lines(f"f{number}", raw, self.target, _DEFINED.findall(function), self.style, _PINNED.findall(function))


def assembly_of(functions: Mapping[int, str], target: str, style: Style) -> dict[int, list[str]]:
    """The assembly of functions ``f<number>``, by number.

    A module that LLVM does not survive is halved until the culprit is alone; that one is missing. Raises ToolError if LLVM
    cannot be run.
    """
    if not functions:
        return {}
    assembly = compile_ir("\n".join(functions.values()), target, style)
    if assembly is not None:
        return {int(name[1:]): raw for name, raw in split_functions(assembly).items()}
    if len(functions) == 1:
        return {}
    numbers = list(functions)
    halves = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
    first, second = (assembly_of({n: functions[n] for n in half}, target, style) for half in halves)
    return first | second
