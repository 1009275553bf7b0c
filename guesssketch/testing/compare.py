"""Where two outcomes differ. What may differ between two right programs does not count:

- an address on the stack, where frames lie otherwise, equals any other; so does a NaN, if the original has floats at all;
- an address of data that lies elsewhere in the translation is put out for the original's;
- what the original itself does otherwise when only the stack's place and first content and the junk in registers change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from guesssketch.testing import layout
from guesssketch.testing.calls import Event, Item
from guesssketch.testing.convention import Value, width
from guesssketch.testing.layout import PAGE, on_stack
from guesssketch.testing.side import Outcome, Side
from solver.emulate import same_but_nan

_OURS: Final = range(layout.SOURCE_DATA, layout.TARGET_DATA)
_THEIRS: Final = range(layout.TARGET_DATA, layout.COMMON)


@dataclass(frozen=True)
class Difference:
    """``what``: ``end``, ``call N``, ``frame N OFFSET`` (of the caller in call N), ``result N``, ``register NAME`` or ``memory
    ADDRESS``; both values, as text."""

    what: str
    original: str
    translation: str

    def __str__(self) -> str:
        return f"{self.what}: {self.original} in the original, {self.translation} in the translation"


class Comparer:
    """Compares outcomes of two sides that have just run on the same input. floats: whether the original computes with any; if not,
    nothing is a NaN."""

    def __init__(self, one: Side, other: Side, floats: bool) -> None:
        self.one, self.other, self.floats = one, other, floats
        self._moved = () if one is other else other.image.moved
        self._apart = range(layout.SOURCE_DATA, layout.COMMON) if one is not other else range(0)

    def differences(self, a: Outcome, b: Outcome) -> list[Difference]:
        """Empty if both are the same to who looks from outside."""
        if a.how != b.how:
            return [Difference("end", _ending(a), _ending(b))]
        if a.how == "fault":
            return []
        found = list(self._events(a.events, b.events))
        if a.how == "return":
            for number, (x, y) in enumerate(zip(a.result, b.result, strict=True)):
                if not self.same(x.bits, y.bits, x.code):
                    found.append(Difference(f"result {number}", f"{x.bits:#x}", f"{y.bits:#x}"))
        found += [Difference(f"register {name}", "kept", "changed") for name in b.lost]
        return [*found, *self._memory(a, b)]

    def same(self, a: int, b: int, code: str = "u64") -> bool:
        if a == b:
            return True
        if width(code) == 8:
            if (on_stack(a) and on_stack(b)) or self._corresponds(a, b):
                return True
            return self.floats and code in ("f64", "u64") and same_but_nan(a, b)
        return code == "f32" and same_but_nan(a, b)

    def _corresponds(self, a: int, b: int) -> bool:
        """Whether data that the translation has at ``b`` is what the original has at ``a``: a named object, whose end may be
        another's start, or something without a name (a string) that holds the same up to a NUL."""
        if a not in _OURS or b not in _THEIRS or self.one is self.other:
            return False
        if any(start <= b <= start + size and ours + b - start == a for start, size, ours in self._moved):
            return True
        x, y = _unnamed(self.one, a), _unnamed(self.other, b)
        return x == y and bool(x)

    def _events(self, a: list[Event], b: list[Event]) -> Iterator[Difference]:
        for number, (x, y) in enumerate(zip(a, b, strict=False)):
            if x.what != y.what or len(x.items) != len(y.items) or not all(map(self._same_item, x.items, y.items)):
                yield Difference(f"call {number}", _event(x), _event(y))
            elif x.frame and y.frame:
                yield from self._frame(number, x.frame, y.frame[: len(x.frame)])
        if len(a) != len(b):
            number = min(len(a), len(b))
            yield Difference(f"call {number}", *(_event(e[number]) if number < len(e) else "none" for e in (a, b)))

    def _same_item(self, x: Item, y: Item) -> bool:
        if isinstance(x, Value) and isinstance(y, Value):
            return self.same(x.bits, y.bits, x.code)
        return x == y

    def _memory(self, a: Outcome, b: Outcome) -> Iterator[Difference]:
        for number in sorted({*a.memory, *b.memory}):
            if number * PAGE in self._apart:
                continue
            x, y = a.memory.get(number) or self.one.initial(number), b.memory.get(number) or self.other.initial(number)
            if x is not None and y is not None and x != y:
                yield from self._words(number * PAGE, x, y)
        for theirs, size, ours in self._moved:
            if not (_written(a, ours, size) or _written(b, theirs, size)):
                continue
            x, y = _slice(self.one, a, ours, size), _slice(self.other, b, theirs, size)
            if x != y:
                yield from self._words(ours, x, y)

    def _words(self, base: int, x: bytes, y: bytes) -> Iterator[Difference]:
        for at in range(0, len(x), 8):
            p, q = x[at : at + 8], y[at : at + 8]
            if p == q or self._same_bytes(x, y, at):
                continue
            yield Difference(f"memory {base + at:#x}", *(f"{int.from_bytes(w, 'little'):#0{2 + 2 * len(w)}x}" for w in (p, q)))

    def _frame(self, number: int, x: bytes, y: bytes) -> Iterator[Difference]:
        """Byte by byte: beside what was stored lies what never was."""
        for at in range(0, min(len(x), len(y)), 8):
            if x[at : at + 8] != y[at : at + 8] and not self._same_bytes(x, y, at):
                for k in range(at, min(at + 8, len(x))):
                    if x[k] != y[k]:
                        yield Difference(f"frame {number} {k:#x}", f"{x[k]:#04x}", f"{y[k]:#04x}")

    def _same_bytes(self, x: bytes, y: bytes, at: int) -> bool:
        """Whether every differing byte of the word at ``at`` belongs to a word, however aligned, that is the same."""
        for k in range(at, min(at + 8, len(x))):
            windows = ((x[s : s + 8], y[s : s + 8]) for s in range(max(k - 7, 0), k + 1))
            if x[k] != y[k] and not any(self.same(int.from_bytes(p, "little"), int.from_bytes(q, "little"))
                                        for p, q in windows if len(p) == 8):  # fmt: skip
                return False
        return True


def _written(outcome: Outcome, address: int, size: int) -> bool:
    return any(number in outcome.memory for number in range(address // PAGE, (address + size - 1) // PAGE + 1))


def _unnamed(side: Side, address: int) -> bytes:
    """The bytes at ``address`` of the image up to a NUL, at most to the page's end."""
    page = side.image.data.get(address // PAGE, b"")
    return page[address % PAGE :].split(b"\0", 1)[0]


def _slice(side: Side, outcome: Outcome, address: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        at = address + len(found)
        page = outcome.memory.get(at // PAGE) or side.initial(at // PAGE) or bytes(PAGE)
        found += page[at % PAGE : min(PAGE, at % PAGE + size - len(found))]
    return found


def _ending(outcome: Outcome) -> str:
    return f"{outcome.how} ({outcome.detail})" if outcome.detail else outcome.how


def _event(event: Event) -> str:
    return f"{event.what}({', '.join(f'{i.bits:#x}' if isinstance(i, Value) else repr(i) for i in event.items)})"
