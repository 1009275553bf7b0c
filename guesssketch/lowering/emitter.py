"""The body of an LLVM function while it is written: a name for each instruction, and what each line is there for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from isa.terms import Term

Maker = Term | Literal["state", "jump"]  # what a line of IR is there for: a term, the state map, or the way out


class Unsupported(Exception):
    """A block with no lowering; the text says what is in the way."""


class Emitter:
    """lines: the function's body so far. makers: for each of them, what it is there for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.makers: list[Maker] = []
        self._maker: Maker = "state"

    def add(self, *lines: str) -> None:
        """Append ``lines`` for what is being made."""
        self.lines += lines
        self.makers += [self._maker] * len(lines)

    def new(self, text: str) -> str:
        """Append an instruction; gives the name of its result."""
        name = f"%v{len(self.lines)}"
        self.add(f"{name} = {text}")
        return name

    def opaque(self, value: str, width: int) -> str:
        """The same value in a general register, but nothing that LLVM knows of; computed at this very place."""
        return self.new(f'call i{width} asm sideeffect "", "=r,0"(i{width} {value})')

    @contextmanager
    def making(self, maker: Maker) -> Iterator[None]:
        """What is appended while the context lasts is there for ``maker``."""
        before, self._maker = self._maker, maker
        try:
            yield
        finally:
            self._maker = before
