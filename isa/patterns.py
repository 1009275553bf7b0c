"""Decode tables: instruction encodings written as in the manuals, matched by mask and value.

A pattern is read from the most significant bit: a run of ``0`` and ``1`` is fixed bits, ``name:n`` a field of n bits.
``"sf:1 0 0 100010 0 imm:12 rn:5 rd:5"`` is AArch64's ADD (immediate). The handler of a pattern gets each field as a
keyword argument, and may refuse a reserved value with ``isa.flow.Unmodelled``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., None])
Decoded = tuple[Callable[..., None], dict[str, int]]
Field = tuple[str, int, int]  # name, lowest bit, mask after the shift


class Table:
    """Rows of one instruction set with 32-bit words. key: (lowest bit, bits) by which rows are put into buckets."""

    def __init__(self, key: tuple[int, int]) -> None:
        self._key = key
        self._buckets: list[list[tuple[int, int, tuple[Field, ...], Any]]] = [[] for _ in range(1 << key[1])]
        self._known: dict[int, Decoded | None] = {}

    def row(self, *patterns: str, **fixed: int) -> Callable[[Handler], Handler]:
        """Decorator: words that match one of ``patterns`` go to the handler; ``fixed`` are further arguments for it."""

        def register(handler: Handler) -> Handler:
            for pattern in patterns:
                self.add(pattern, handler, **fixed)
            return handler

        return register

    def add(self, pattern: str, handler: Callable[..., None], **fixed: int) -> None:
        mask = value = 0
        fields: list[Field] = []
        position = 32
        for part in pattern.split():
            name, colon, width = part.partition(":")
            if colon:
                position -= int(width)
                fields.append((name, position, (1 << int(width)) - 1))
            else:
                position -= len(part)
                mask |= ((1 << len(part)) - 1) << position
                value |= int(part, 2) << position
        assert position == 0, (pattern, position)
        low, bits = self._key
        part_mask, part_value = mask >> low & ((1 << bits) - 1), value >> low & ((1 << bits) - 1)
        for bucket in range(1 << bits):
            if bucket & part_mask == part_value:
                self._buckets[bucket].append((mask, value, tuple(fields), (handler, fixed)))

    def overlaps(self) -> list[tuple[Callable[..., None], Callable[..., None]]]:
        """Handlers of rows that some word matches both of; there should be none, and ``decode`` refuses such a word."""
        return [
            (a[3][0], b[3][0])
            for rows in self._buckets
            for i, a in enumerate(rows)
            for b in rows[:i]
            if (a[1] ^ b[1]) & a[0] & b[0] == 0
        ]

    def _find(self, word: int) -> Decoded | None:
        low, bits = self._key
        found = [row for row in self._buckets[word >> low & ((1 << bits) - 1)] if word & row[0] == row[1]]
        if len(found) != 1:
            return None
        _, _, fields, (handler, fixed) = found[0]
        return handler, fixed | {name: word >> shift & ones for name, shift, ones in fields}

    def decode(self, word: int) -> Decoded | None:
        """The handler of ``word`` and its arguments, or None if no row matches."""
        if word not in self._known:
            if len(self._known) > 1 << 16:
                self._known.clear()
            self._known[word] = self._find(word)
        return self._known[word]
