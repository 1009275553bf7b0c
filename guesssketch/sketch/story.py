"""The story of a repair, to be read: the guess with its doubts, the holes, and what filled them."""

from __future__ import annotations

from collections.abc import Iterator

from guesssketch.sketch.attempt import Step
from guesssketch.sketch.repair import Repair


def story(repair: Repair) -> Iterator[str]:
    """Lines of text; of a guess that was not repaired, that alone."""
    if repair.lines is None:
        yield f"sketch: no repair ({repair.tried} candidates)"
        return
    if not repair.steps:
        yield "sketch: the guess is right as it is"
        return
    for step in repair.steps:
        yield from _step(step)
    yield f"sketch: proved ({repair.tried} candidates)"


def _step(step: Step) -> Iterator[str]:
    yield f"sketch: wrong in {', '.join(step.wrong)}; doubts:" if step.wrong else "sketch: does not assemble; doubts:"
    for doubt, line in zip(step.doubts, step.guess, strict=True):
        yield f"  {doubt:4.2f}  {line}" if doubt else f"        {line}"
    yield "sketch: holes:"
    yield from (f"        {line}" for line in step.sketch.text.split("\n"))
    yield "sketch: filled:"
    yield from (f"        {line}" for line in step.filled)
