"""Guesses cut along their alignment: where, what a piece is, and that piece by piece more is repaired than as a whole."""

from __future__ import annotations

import pytest

from guesssketch import pairs
from guesssketch.judge import judge
from guesssketch.problem import Candidate, Insight, Problem
from guesssketch.sketch.pieces import Piece, cuts, pieces
from guesssketch.sketch.repair import repair
from guesssketch.sketch.search import Budget
from guesssketch.sketch.story import story
from guesssketch.sketch.ways import Ways
from solver.arena import Arena
from solver.verdict import Proved

SOURCE = "lea rax, [rdi + rsi*4 + 24]; shr rdx, 3; xor ecx, esi; sub r8, r9; not r10"
RIGHT = ["add x8, x0, x1, lsl #2", "add x8, x8, #24", "lsr x2, x2, #3", "eor w3, w3, w1", "sub x4, x4, x5", "mvn x9, x9"]
ALIGNED = (0, 0, 1, 2, 3, 4)


def problem(source: str, live: str = "", target: str = "aarch64") -> Problem:
    out = f"live-out: {live}\n" if live else ""
    return pairs.problem(pairs.parse(f"target: {target}\n{out}source:\n{source.replace('; ', chr(10))}\ncode:\n nop", "p"))


def rows(sources: tuple[int | None, ...], size: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(n == source) for n in range(size)) for source in sources)


def parts(asked: Problem, lines: list[str], sources: tuple[int | None, ...]) -> dict[int, Piece | None]:
    """Pieces by the number of source instructions before the cut."""
    found = cuts(asked, lines, rows(sources, len(asked.instructions)), Arena(asked))
    return dict(zip((cut.source for cut in found), pieces(asked, tuple(lines), found), strict=True))


def test_a_guess_is_cut_where_no_line_works_for_both_sides() -> None:
    assert list(parts(problem(SOURCE), RIGHT, ALIGNED)) == [1, 2, 3, 4]
    assert list(parts(problem(SOURCE), RIGHT, (0, 2, 1, 0, 3, 4))) == [3, 4]
    assert list(parts(problem(SOURCE), RIGHT, (0, None, 1, 2, None, 4))) == [1, 2, 3, 4]


def test_values_tell_the_alignment_that_nobody_told() -> None:
    assert [cut.source for cut in cuts(problem(SOURCE), RIGHT, (), Arena(problem(SOURCE)))] == [1, 2, 3, 4]


def test_pieces_are_equal_up_to_what_is_wrong() -> None:
    found = parts(problem(SOURCE), [*RIGHT[:3], "eor w3, w3, w2", *RIGHT[4:]], ALIGNED)
    assert {n: piece.equal for n, piece in found.items() if piece} == {1: True, 2: True, 3: False, 4: False}


def test_moves_bring_home_what_is_elsewhere() -> None:
    asked = problem("add rax, rdi; imul rax, rsi", "rax")
    found = parts(asked, ["add x11, x8, x0", "mul x8, x11, x1"], (0, 1))[1]
    assert found is not None and found.equal and found.lines == ("add x11, x8, x0", "mov x8, x11") and found.tail == 1
    wrong = parts(asked, ["add x11, x8, x2", "mul x8, x11, x1"], (0, 1))[1]
    assert wrong is not None and not wrong.equal and wrong.lines[-1] == "mov x8, x11"  # the only one that is needed


def test_what_crosses_the_cut_besides_is_not_taken_for_a_value() -> None:
    asked = problem("mov eax, dword ptr [rdi + 0x12340]; add eax, 1; mov dword ptr [rdi + 0x12340], eax", "rdi")
    found = parts(asked, ["add x8, x0, #18, lsl #12", "ldrb w11, [x8, #832]", "add w11, w11, #1", "str w11, [x8, #832]"], (0, 0, 1, 2))
    assert found == {1: None, 2: None}  # x8, the home of rax, holds an address
    right = parts(asked, ["add x8, x0, #18, lsl #12", "ldr w11, [x8, #832]", "add w11, w11, #1", "str w11, [x8, #832]"], (0, 0, 1, 2))
    assert all(piece and piece.equal for piece in right.values())


def test_no_piece_where_nobody_knows_where_a_value_should_be() -> None:
    asked = problem("add rax, rdi; add rcx, rdi; imul rax, rcx", "rax")
    found = parts(asked, ["add x11, x8, x2", "add x12, x3, x2", "mul x8, x11, x12"], (0, 1, 2))
    assert found[2] is None  # rax and rcx may be in x11 and x12, or the other way round


@pytest.mark.parametrize(("alignment", "line", "candidates", "places"), [
    (rows(ALIGNED, 5), "add x4, x4, x5", 2400, 4), ((), RIGHT[4], 900, 3),
], ids=["told", "by values"])  # fmt: skip
def test_more_places_are_repaired_by_pieces(alignment: tuple[tuple[float, ...], ...], line: str, candidates: int, places: int) -> None:
    asked = problem(SOURCE)
    guess = ["add x8, x0, x1, lsl #3", RIGHT[1], RIGHT[2], "eor w3, w3, w2", line, "neg x9, x9"]
    found = repair(asked, guess, Insight(alignment=alignment), Budget(candidates))
    assert found.lines is not None and len(found.steps) >= places
    assert found.steps[0].guess == tuple(guess) and found.steps[-1].filled == found.lines
    assert "\n".join(story(found)).count("sketch: filled:") == len(found.steps)
    (judged,) = judge([asked], [Candidate(found.lines, "sketch")])
    assert isinstance(judged.verdict, Proved)
    whole = repair(asked, guess, budget=Budget(candidates), ways=Ways(cut=False))
    assert whole.lines is None or places < 4


def test_a_false_alignment_does_no_harm() -> None:
    asked, guess = problem(SOURCE), [*RIGHT[:3], "eor w3, w3, w2", *RIGHT[4:]]
    found = repair(asked, guess, Insight(alignment=rows((4, 3, 2, 2, 1, 0), 5)))
    assert found.lines is not None and len(found.steps) == 1
