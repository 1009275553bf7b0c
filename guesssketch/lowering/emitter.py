"""The body of an LLVM function while it is written, and a name for each instruction."""

from __future__ import annotations


class Unsupported(Exception):
    """A block with no lowering; the text says what is in the way."""


class Emitter:
    """lines: the function's body so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, *lines: str) -> None:
        self.lines += lines

    def new(self, text: str) -> str:
        """Append an instruction; gives the name of its result."""
        name = f"%v{len(self.lines)}"
        self.add(f"{name} = {text}")
        return name

    def opaque(self, value: str, width: int) -> str:
        """The same value in a general register, but nothing that LLVM knows of; computed at this very place."""
        return self.new(f'call i{width} asm sideeffect "", "=r,0"(i{width} {value})')
