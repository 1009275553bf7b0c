"""What a repair changed, told word by word."""

from __future__ import annotations

from guesssketch.problem import Filled
from guesssketch.sketch.filled import filled


def test_words_of_a_line() -> None:
    assert filled(("nop", "add w8, w0, #1"), ("nop", "sub w8, w0, #2")) == (
        Filled(1, 0, 3, "opcode", "add"), Filled(1, 12, 2, "immediate", "#1"))  # fmt: skip
    assert filled(("add w8, w0, w1",), ("add w8, w0, w2",)) == (Filled(0, 12, 2, "operand", "w1"),)


def test_lines_that_came_went_or_stayed() -> None:
    assert filled(("ret",), ("ret",)) == ()
    assert filled(("ret",), ("nop", "ret")) == (Filled(0, 0, 3, "instruction", ""),)
    assert filled(("nop", "ret"), ("ret",)) == (Filled(0, 0, 0, "instruction", "nop"),)
    assert filled(("nop", "ret"), ("nop",)) == (Filled(0, 0, 0, "instruction", "ret"),)
    assert filled(("add w8, w0, w1",), ("ldr x8, [x0, #8]",)) == (Filled(0, 0, 16, "instruction", "add w8, w0, w1"),)
