"""A guess cut along its alignment, so that it can be repaired piece by piece.

A guess can be cut where no line does the work of source instructions on both sides. What is live there in the source must then
be in the target's registers, wherever: both sides are run up to the cut from the same states, and values tell where. Moves that
bring home what is elsewhere make a piece, all lines before the cut, a problem like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from guesssketch.assembler import Assembled
from guesssketch.guess.alignment_score import chosen
from guesssketch.lifted import source_effect
from guesssketch.problem import Problem
from guesssketch.questions import halves
from guesssketch.sketch.choices import register_name
from guesssketch.sketch.doubt import taken_up
from guesssketch.sketch.holes import LABEL
from guesssketch.sketch.search import assembled, layout
from isa import terms as t
from isa.statemap import MAPS, cell_term
from solver.arena import Arena, End, Trace, low
from solver.link import Unlinkable

_CELLS: Final = {
    "aarch64": tuple(f"x{n}" for n in range(29) if n != 18) + tuple(f"v{n}.{half}" for n in range(32) for half in ("lo", "hi")),
    "riscv64": tuple(f"x{n}" for n in range(5, 32)) + tuple(f"f{n}" for n in range(32)),
}  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """Before source instruction ``source`` and the last ``rest`` lines.

    needed: cells that these lines, or whoever comes after them, take up. kept: of these, those that they do not write.
    """

    source: int
    rest: int
    needed: frozenset[str]
    kept: frozenset[str]


@dataclass(frozen=True)
class Piece:
    """What stands before a cut: a guess at ``problem``, of which the last ``tail`` lines are the moves home.

    arena: its states. equal: whether it is right in all of them.
    """

    problem: Problem
    arena: Arena
    lines: tuple[str, ...]
    tail: int
    equal: bool


def cuts(problem: Problem, lines: Sequence[str], alignment: Sequence[Sequence[float]], arena: Arena) -> list[Cut]:
    """Where ``lines`` can be cut, in order. alignment: as in ``Insight``; where it is not told, the values tell it."""
    code = assembled(problem, lines)
    if code is None:
        return []
    parts = layout(problem, lines, code)
    try:
        before = taken_up(problem, lines, code, parts, arena)
        sources = chosen(alignment) if len(alignment) == len(lines) else _by_values(lines, parts, arena.trace(code))
    except Unlinkable:
        return []
    found = []
    for source in range(1, len(problem.instructions)):
        first = max((n + 1 for n, known in enumerate(sources) if known and min(known) < source), default=0)
        last = min((n for n, known in enumerate(sources) if known and max(known) >= source), default=len(lines))
        if 0 < first <= last and not all(map(LABEL.fullmatch, lines[last:])):
            found.append(Cut(source, len(lines) - last, *before[last]))
    return found


def _by_values(lines: Sequence[str], parts: Sequence[range], trace: Trace | None) -> list[frozenset[int]]:
    """For each line the source instruction that computes one of its values, the first from those of the lines before on; where
    there is none, that of the next line that has one."""
    made: dict[int, list[int]] = {}
    for number, step in enumerate(trace.source if trace else ()):
        for value in step.values():
            made.setdefault(low(value), []).append(number)
    found = list[frozenset[int]]()
    at, rest = 0, iter(parts)
    for line in lines:
        steps = [trace.code[n] for n in next(rest)] if trace and not LABEL.fullmatch(line) else []
        known = [n for step in steps for value in step.values() for n in made.get(low(value), [])]
        if known:
            at = min((n for n in known if n >= at), default=max(known))
        found.append(frozenset([at] if known else []))
    for n in reversed(range(len(found) - 1)):
        found[n] = found[n] or found[n + 1]
    return found


def pieces(problem: Problem, lines: tuple[str, ...], cuts: Sequence[Cut]) -> list[Piece | None]:
    """What stands before each of ``cuts``; None where it cannot be told where the source's values should be."""
    code = assembled(problem, lines)
    if code is None:
        return [None] * len(cuts)
    parts = layout(problem, lines, code)
    return [_piece(problem, lines, code, parts, cut) for cut in cuts]


def _piece(problem: Problem, lines: tuple[str, ...], code: Assembled, parts: Sequence[range], cut: Cut) -> Piece | None:
    part, behind = halves(problem, cut.source)
    lines = lines[: len(lines) - cut.rest]
    count = sum(1 for line in lines if not LABEL.fullmatch(line))
    instructions = code.instructions[: parts[count].start]
    try:
        arena = Arena(part)
        ends = arena.ends(Assembled(instructions, instructions[-1].offset + len(instructions[-1].code)))
    except Unlinkable:
        return None
    places = _places(part, behind, ends, cut)
    moves = _moves(part, places) if places else None
    if places is None or moves is None:
        return None
    equal = all(end.memory and end.holds(name, bits, places[name]) for end in ends for name, bits in part.live_out)
    return Piece(part, arena, (*lines, *moves), len(moves), equal)


def _places(problem: Problem, behind: Problem, ends: Sequence[End], cut: Cut) -> dict[str, str] | None:
    """For each live-out of ``problem`` the target cell that holds it, or should: its home, if nothing happens to it ``behind``; a
    cell that holds it; or one that is needed and holds nothing."""
    homes, ran = MAPS[problem.target].homes, [end for end in ends if end.code]
    if not ran:
        return None
    stay = _unchanged(behind)
    found = {name: homes[name] for name, _ in problem.live_out if name in stay and homes[name] in cut.kept}
    play = [cell for cell in _CELLS[problem.target] if cell in cut.needed and cell not in found.values()]
    for name, bits in problem.live_out:
        others = play if cell_term(name).width > 1 else ()
        places = (p for p in (homes[name], *others) if all(end.holds(name, bits, p) for end in ran))
        if name not in found and (place := next(places, None)):
            found[name] = place
    wrong = [name for name, _ in problem.live_out if name not in found]
    left = [cell for cell in play if cell not in found.values()]
    if not wrong:
        return found
    if len(wrong) != len(left):  # what else the lines behind take up is no value of the source's, and may be anywhere
        return None
    found |= {name: homes[name] for name in wrong if homes[name] in left}
    wrong, left = [name for name in wrong if name not in found], [cell for cell in left if cell not in found.values()]
    return None if len(wrong) > 1 else found | dict(zip(wrong, left, strict=True))


def _unchanged(problem: Problem) -> frozenset[str]:
    """Live-outs that the source leaves alone."""
    with source_effect(problem) as effect:
        return frozenset(n for n, _ in problem.live_out if not any(cell in effect.cells for cell in t.variables(cell_term(n))))


def _moves(problem: Problem, places: Mapping[str, str]) -> tuple[str, ...] | None:
    """Lines that bring all home from its ``places``; None if they go round."""
    homes = MAPS[problem.target].homes
    pending = [(homes[name], cell) for name, cell in places.items() if homes[name] != cell]
    found = []
    while pending:
        ready = next(((to, cell) for to, cell in pending if all(to != other for _, other in pending)), None)
        if ready is None:
            return None
        pending.remove(ready)
        found.append(_move(problem.target, *ready))
    return tuple(found)


def _move(target: str, to: str, cell: str) -> str:
    if target == "riscv64":
        name = {"xx": "mv", "ff": "fmv.d", "fx": "fmv.d.x", "xf": "fmv.x.d"}[to[0] + cell[0]]
        return f"{name} {register_name(target, to)}, {register_name(target, cell)}"
    return f"mov {_written(to)}, {_written(cell)}"


def _written(cell: str) -> str:
    base, _, half = cell.partition(".")
    return f"{base}.d[{int(half == 'hi')}]" if half else base
