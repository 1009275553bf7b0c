"""The library's calls, which the package exports: translate, show, prove, solve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from guesssketch import PROPOSERS, judge, pairs, pipeline, stages
from guesssketch.errors import UsageError
from guesssketch.pairs import Pair
from guesssketch.pipeline import Options, Translation
from guesssketch.problem import Candidate, MemoryOrder, Problem
from guesssketch.progress import Tell, quiet
from guesssketch.sketch import holes, search
from guesssketch.sketch.holes import Sketch
from guesssketch.sketch.search import Budget
from isa.statemap import MAPS
from solver.verdict import Verdict

Name = str | Path
Code = str | Sequence[str] | Candidate
"""Target lines, as text, one by one, or a proposer's."""


def translate(
    inputs: Name | Sequence[Name],
    target: str,
    *,
    require: Literal["proved", "tested"] = "tested",
    jobs: int = 1,
    cache: Name | None = None,
    proposers: Sequence[str] = PROPOSERS,
    model: Name | None = None,
    prompt: Name | None = None,
    prototypes: Sequence[Name] = (),
    assume: Sequence[str] = (),
    progress: Tell = quiet,
    memory_order: MemoryOrder = "relaxed",
) -> Translation:
    """Translate one or more objects and archives together; ``.write(output)`` of the result writes the objects.

    target: ``aarch64`` or ``riscv64``. The rest is as in ``pipeline.Options``. More than one job needs a main module that can
    be imported (``if __name__ == "__main__"``), as ``multiprocessing`` does.

    Raises InputError (Untranslatable names every place), NotProved and ToolError; warns of a cache that cannot be used,
    and of threads under relaxed memory order.
    """
    _check_target(target)
    options = Options(target, require, jobs, _path(cache), tuple(proposers), model, _path(prompt), tuple(map(Path, prototypes)),
                      tuple(assume), progress, memory_order)  # fmt: skip
    return pipeline.translate(_paths(inputs), options)


def show(path: Name, stage: str = "cfg", *, function: str | None = None, target: str = "aarch64",
         prototypes: Sequence[Name] = ()) -> str:  # fmt: skip
    """One stage of an object file as text: ``cfg``, ``liveness``, ``source``, ``candidates`` or ``proof``.

    Raises UsageError for an unknown stage, target or function, and InputError.
    """
    if stage not in stages.STAGES:
        raise UsageError(f"unknown stage {stage!r}: choose from {', '.join(stages.STAGES)}")
    _check_target(target)
    listings = stages.show(Path(path), function, stage, target, tuple(map(Path, prototypes)))
    return "".join(f"{line}\n" for listing in listings for line in stages.text(listing))


def prove(pair: str | Pair | Problem, code: Code | None = None) -> Verdict:
    """The verdict on a pair, on the text of a pair file, or on ``code`` as a translation of a problem.

    Raises InputError if the text of a pair does not parse or assemble; of a problem's code the verdict says so. UsageError if code
    is missing or too much.
    """
    if not isinstance(pair, Problem):
        if code is not None:
            raise UsageError("a pair holds its own code")
        return pairs.prove_pair(pairs.parse(pair, "pair") if isinstance(pair, str) else pair)
    if code is None:
        raise UsageError("a problem needs code to be judged")
    (judgement,) = judge.judge([pair], [Candidate(_lines(code), "user")], explain=True)
    return judgement.verdict


def solve(sketch: str | Pair | Sketch | Problem, code: Code | None = None, *, candidates: int = Budget.candidates
          ) -> tuple[str, ...] | None:  # fmt: skip
    """Target lines that fill the holes and are proved equal to the source; None if none of ``candidates`` fillings is.

    sketch: a ``Sketch``; a pair (or the text of a pair file) with holes in its code, as ``guesssketch.sketch.holes`` has them; or a
    problem, with ``code`` that has the holes. Raises UsageError if the text does not parse or the source does not assemble.
    """
    if isinstance(sketch, Problem) != (code is not None):
        raise UsageError("a problem needs code with holes, and nothing else takes any")
    if isinstance(sketch, str):
        sketch = pairs.parse(sketch, "sketch")
    if isinstance(sketch, Pair):
        sketch = holes.parse(pairs.problem(sketch), "\n".join(sketch.code))
    if isinstance(sketch, Problem):
        sketch = holes.parse(sketch, "\n".join(_lines(code or "")))
    return search.solve(sketch, Budget(candidates))


def _lines(code: Code) -> tuple[str, ...]:
    if isinstance(code, Candidate):
        return code.lines
    return tuple(line.strip() for line in (code.splitlines() if isinstance(code, str) else code) if line.strip())


def _check_target(target: str) -> None:
    if target not in MAPS:
        raise UsageError(f"unknown target {target!r}: choose from {', '.join(MAPS)}")


def _paths(inputs: Name | Sequence[Name]) -> tuple[Path, ...]:
    return (Path(inputs),) if isinstance(inputs, str | Path) else tuple(map(Path, inputs))


def _path(name: Name | None) -> Path | None:
    return None if name is None else Path(name)
