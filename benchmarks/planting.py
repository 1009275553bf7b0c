"""One changed instruction in a finished translation, for `testing`: what it was, and whether a test run finds it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from guesssketch import emit, pipeline, wall
from guesssketch.judge import verify
from guesssketch.program import MADE_UP
from guesssketch.resolve import BlockId, Resolver
from guesssketch.sketch.faults import FAULTS, plant
from guesssketch.sketch.search import assembled
from guesssketch.testing.coverage import Graph, Spot
from guesssketch.testing.explore import Explorer, Limits
from guesssketch.testing.pair import Pair
from solver.verdict import Refuted
from subjects import Subject, prepared, translation

TRIES = 60  # places and kinds that are tried before a function counts as one that nothing can be changed in


@dataclass(frozen=True)
class Planted:
    """kind: of ``sketch.faults.FAULTS``. before, after: the lines of the block, or of the piece of it that was changed. upper:
    whether the state that shows it shows it in upper halves of registers only, which may hold nothing that anybody looks at."""

    at: BlockId
    piece: int
    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    upper: bool

    @property
    def change(self) -> str:
        """The lines that are not in both, for a reader."""
        one, other = list(self.before), list(self.after)
        while one and other and one[0] == other[0]:
            del one[0], other[0]
        while one and other and one[-1] == other[-1]:
            del one[-1], other[-1]
        return f"{'; '.join(one) or 'nothing'} -> {'; '.join(other) or 'nothing'}"


def planted(subject: Subject, function: str, pick: random.Random) -> Planted | None:
    """A fault in ``function``, at an instruction of chance, with a state that shows that the block is another; None if none is
    found. Blocks whose answer was cut are left out."""
    done = translation(subject)
    (index,) = (n for n, f in enumerate(done.program.functions[0]) if f.name == function)
    places = [(at, number) for at, asked in done.problems.items() for number, problem in enumerate(asked)
              if at.function == index and at.offset < MADE_UP and len(done.answers[problem.key].pieces) == 1]  # fmt: skip
    sizes = [len(done.answers[done.problems[at][number].key].pieces[0].lines) for at, number in places]
    for _ in range(TRIES if any(sizes) else 0):
        ((at, number),) = pick.choices(places, sizes)
        problem = done.problems[at][number]
        lines, kind = done.answers[problem.key].pieces[0].lines, pick.choice(list(FAULTS))
        changed = plant(problem, lines, FAULTS[kind], pick)
        code = assembled(problem, changed) if changed else None
        verdict = verify(problem, code) if code is not None else None
        if isinstance(verdict, Refuted):
            differences = verdict.counterexample.differences
            upper = all(d.place is None and (d.source ^ d.code) & 0xFFFF_FFFF == 0 for d in differences)
            return Planted(at, number, kind, lines, tuple(changed or ()), upper and bool(differences))
    return None


def rewritten(subject: Subject, fault: Planted) -> str:
    """The assembly of the whole translation with ``fault`` in it."""
    done = translation(subject)
    resolver = Resolver(done.program)
    boundary = wall.Boundary(done.program, resolver, subject.target)
    texts = {at: pipeline.block_texts(done.program, at, asked, done.answers) for at, asked in done.problems.items()}
    pieces = list(texts[fault.at])
    pieces[fault.piece] = replace(pieces[fault.piece], lines=fault.after)
    texts[fault.at] = tuple(pieces)
    (assembly,) = emit.program(done.program, resolver, boundary, texts, subject.target)
    return assembly


def judged(seconds: float, task: tuple[int, Subject, str]) -> dict[str, Any]:
    """Plant fault number ``task[0]`` in a function of a subject, and look for it for so many seconds."""
    number, subject, function = task
    entry: dict[str, Any] = {"n": number, "key": subject.key, "function": function}
    fault = planted(subject, function, random.Random(f"{subject.key}.{function}.{number}"))
    if fault is None:
        return entry | {"kind": ""}
    made = prepared(subject, rewritten(subject, fault))
    graph = Graph(made.program, made.bases)
    (tested,) = (t for t in made.functions if made.program.functions[0][t.index].name == function)
    started = time.monotonic()
    found = Explorer(Pair(made), graph, tested, Limits(seconds, seed=number)).run()
    shown: Sequence[str] = () if found.difference is None else [str(d) for d in found.difference[1].differences[:2]]
    reached = Spot(fault.at.function, fault.at.offset) in found.covered.blocks
    return entry | {"kind": fault.kind, "block": fault.at.offset, "upper": fault.upper, "change": fault.change,
                    "found": found.difference is not None, "reached": reached or bool(shown), "runs": found.runs,
                    "seconds": round(time.monotonic() - started, 2), "shown": shown}  # fmt: skip
