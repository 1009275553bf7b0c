"""A call that left the code under test, as the model of the C library sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from guesssketch.prototypes import Signature
from guesssketch.testing import layout
from guesssketch.testing.convention import Convention, Value, Variable
from guesssketch.testing.inputs import Handed
from solver.process import Process

Item = Value | bytes | str


@dataclass(frozen=True)
class Event:
    """A call as the outside sees it. ``what``: name, or address of an unknown function; ``items``: what it was given.

    frame: what the caller's frame held, where frames are alike (``Side.framed``)."""

    what: str
    items: tuple[Item, ...]
    frame: bytes = field(default=b"", compare=False)


@dataclass(frozen=True)
class Unequal:
    """What the library found at ``address`` was not ``data``. handed: who was the last to be given the address."""

    address: int
    data: bytes
    handed: Handed | None


class Ended(Exception):
    """The run is over: ``how`` as in ``side.Outcome``."""

    def __init__(self, how: str, detail: str = "") -> None:
        super().__init__(how, detail)
        self.how, self.detail = how, detail


class Runner(Protocol):
    """``side.Side``, as much of it as the library needs."""

    process: Process
    convention: Convention
    framed: str
    blocks: dict[int, int]
    state: dict[str, int]
    unequal: list[Unequal]
    handed: dict[int, Handed]

    def allocate(self, size: int) -> int: ...
    def record(self, what: str, items: Sequence[Item]) -> None: ...
    def answer(self, name: str, code: str) -> int: ...
    def chosen(self, name: str, usual: int) -> int: ...
    def call(self, address: int, signature: Signature, values: Sequence[bytes]) -> list[Value]: ...


@dataclass
class Call:
    """side: who calls. name: whom. given: the named arguments' bits."""

    side: Runner
    name: str
    signature: Signature
    given: list[int]

    def signed(self, index: int, bits: int = 32) -> int:
        value = self.given[index] & (1 << bits) - 1
        return value - (1 << bits) if value >> bits - 1 else value

    def read(self, address: int, size: int) -> bytes:
        if size > 1 << 22:
            raise Ended("steps", f"{self.name} of {size} bytes")
        self._shared(address, size)
        return self.side.process.read(address, size)

    def _shared(self, address: int, size: int) -> None:
        """Raises MemoryError where only the original's process has something: its code, which no program may read."""
        if address < layout.TARGET_CODE and address + size > layout.SOURCE_CODE:
            raise MemoryError(f"{max(address, layout.SOURCE_CODE):#x}")

    def write(self, address: int, data: bytes) -> None:
        self._shared(address, len(data))
        self.side.process.write(address, data)

    def string(self, address: int, limit: int | None = None, unit: int = 1) -> bytes:
        """The bytes before the NUL (of ``unit`` bytes), or as many units as ``limit``."""
        found = b""
        while limit is None or len(found) < limit * unit:
            page = -address % 4096 or 4096
            data = self.read(address, page)
            end = data.find(b"\0") if unit == 1 else next((k for k in range(0, page, unit) if not any(data[k : k + unit])), -1)
            found += data if end < 0 else data[:end]
            address += page
            if end >= 0:
                break
            if len(found) > 1 << 22:
                raise Ended("steps", f"{self.name} of a string without end")
        return found if limit is None else found[: limit * unit]

    def unequal(self, a: int, x: bytes, b: int, y: bytes) -> None:
        """``x``, which is at ``a``, was found unlike ``y`` at ``b``: an input could have them alike."""
        if len(self.side.unequal) < 64:
            handed = self.side.handed
            self.side.unequal += [Unequal(a, y, handed.get(a)), Unequal(b, x, handed.get(b))]

    def variable(self) -> Variable:
        """The arguments behind the named ones, or in the ``va_list`` that is the last of them."""
        if self.signature.variadic:
            return self.side.convention.variable(self.signature)
        return self.side.convention.listed(self.given[-1])
