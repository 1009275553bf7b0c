"""What a repair put for what the guess had, by words, as a reader sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

from guesssketch.guess.tokens import target_words
from guesssketch.problem import Filled


def filled(guess: Sequence[str], lines: Sequence[str]) -> tuple[Filled, ...]:
    """Where ``lines`` differ from ``guess``; a line that is gone is told as a hole of no length, where it stood."""
    found: list[Filled] = []
    for kind, a, b, c, d in SequenceMatcher(None, list(guess), list(lines), autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for number, (old, new) in enumerate(zip_longest(guess[a:b], lines[c:d])):
            if new is None:
                found.append(Filled(min(c + number, max(0, len(lines) - 1)), 0, 0, "instruction", old))
            else:
                found += _words(c + number, old or "", new)
    return tuple(found)


def _words(number: int, old: str, new: str) -> Iterator[Filled]:
    """The words of line ``number`` that differ; the whole line, if it is of another shape."""
    was, now = _read(old), _read(new)
    if not old or len(was) != len(now) or sum(w != n for (_, w), (_, n) in zip(was, now, strict=True)) > 2:
        yield Filled(number, 0, len(new), "instruction", old)
        return
    for (_, before), (start, word) in zip(was, now, strict=True):
        if before != word:
            kind = "immediate" if word.lstrip("#-")[:1].isdigit() else "opcode" if start == 0 else "operand"
            yield Filled(number, start, len(word), kind, before)


def _read(line: str) -> list[tuple[int, str]]:
    try:
        return [(start, line[start : start + length]) for start, length, _ in target_words(line)]
    except ValueError:
        return [(0, line)]
