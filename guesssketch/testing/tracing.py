"""What a run of the original reads of the memory that its input chose."""

from __future__ import annotations

from typing import Final

from guesssketch.testing import layout
from guesssketch.testing.inputs import Input
from guesssketch.testing.pair import Pair, Tested
from guesssketch.testing.side import Answered, Side

_TRACED: Final = 8000  # accesses of a run that are looked at
_KEPT: Final = 4096  # places of a run that are told


class Tracer:
    """Runs the original once more, with every access noted: in a process of its own, as that is slow."""

    def __init__(self, pair: Pair, tested: Tested) -> None:
        self.pair, self.tested = pair, tested
        self._made: Side | None = None

    def read_first(self, given: Input) -> list[tuple[int, int]]:
        """Address and size of the places outside stacks that the run reads before it writes them, in order."""
        return self.looked(given)[0]

    def looked(self, given: Input) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """As ``read_first``; and the places that the run only writes, or writes first: what they held shows if it does not."""
        side = self._side()
        side.run(self.tested.source, self.tested.signature, given, self.pair.environment)
        written: set[int] = set()
        found: dict[tuple[int, int], None] = {}
        only: dict[tuple[int, int], None] = {}
        for address, size, store in side.process.accesses[:_TRACED]:
            if layout.on_stack(address) or not layout.NULL <= address < layout.LIMIT or self._constant(address):
                continue
            if store:
                if address not in written and (address, size) not in found:
                    only[address, size] = None
                written.update(range(address, address + size))
            elif address not in written:
                found[address, size] = None
        return list(found)[:_KEPT], list(only)[:_KEPT]

    def answered(self) -> list[Answered]:
        """What functions outside gave back in the run that was looked at last."""
        return self._side().answered

    def held(self, given: Input, address: int, size: int) -> bytes:
        """What memory holds at first."""
        page = self._side().held(given, address // layout.PAGE) or bytes(layout.PAGE)
        return page[address % layout.PAGE : address % layout.PAGE + size].ljust(size, b"\0")

    def is_given(self, address: int) -> bool:
        """Whether an input may choose what is there."""
        return layout.is_given(address) or (layout.is_loaded(address) and not self._constant(address))

    def _constant(self, address: int) -> bool:
        """Whether an input may not choose what is there: code, constants, the linker's tables."""
        return layout.is_loaded(address) and address // layout.PAGE not in self.pair.prepared.writable

    def _side(self) -> Side:
        if self._made is None:
            self._made = Side(self.pair.prepared.source, self.pair.prepared.externals, listed=False, traced=True)
        return self._made
