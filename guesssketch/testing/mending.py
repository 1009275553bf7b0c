"""Inputs of runs that came to a bad end, changed so that the next run goes further.

Where a wild value was used as a pointer, a pointer is put, so memory grows in the shape in which the code walks it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import count
from typing import Final

from guesssketch.testing import layout
from guesssketch.testing.inputs import Input, with_answer, with_memory
from guesssketch.testing.pair import Tested
from guesssketch.testing.side import OVERRUN, Outcome
from guesssketch.testing.tracing import Tracer
from guesssketch.testing.values import Values

_REACH: Final = 1 << 16  # bytes between a wild pointer and what is accessed through it
_TAMED: Final = 1024  # bytes of an input that are made small numbers at once
_INDICES: Final = 12  # accesses before a fault among which a wild index is looked for
_RECENT: Final = 400  # accesses before a fault in which the wild pointer is looked for


class Mender:
    """For inputs of ``tested``; what is arbitrary comes from ``values`` and ``source``."""

    def __init__(self, tested: Tested, tracer: Tracer, values: Values, source: random.Random) -> None:
        self._kinds = tested.signature.parameters
        self._tracer, self._values, self._source = tracer, values, source

    def mended(self, given: Input, ended: Outcome) -> Input | None:
        """``given``, whose run of the original ended so, with a pointer where the value came from (memory, or a function outside)
        through which it faulted, or with
        small numbers for all where it wrote past its frame or went on for too long; None if nothing is to be changed."""
        if ended.detail == OVERRUN or ended.how == "steps":
            return self._tamed(given)
        jump = ended.detail.startswith("a jump")
        wild, reach = (ended.where, 1) if jump else (ended.wild * layout.PAGE + layout.PAGE - 1, _REACH)
        for index, value in enumerate(given.arguments):
            if len(value) == 8 and 0 <= wild - int.from_bytes(value, "little") < reach:
                region = (layout.ARENA + index * layout.REGION).to_bytes(8, "little")
                return replace(given, arguments=(*given.arguments[:index], region, *given.arguments[index + 1 :]))
        places = self._tracer.read_first(given)[-_RECENT:]
        found = [with_answer(given, answer.name, answer.count, self._values.pointer()) for answer in self._tracer.answered()
                 if answer.is_integer and 0 <= wild - answer.value < reach][-1:]  # fmt: skip
        for address, size in reversed(places):
            if size == 8 and 0 <= wild - int.from_bytes(self._tracer.held(given, address, 8), "little") < reach:
                found.append(with_memory(given, address, self._values.pointer().to_bytes(8, "little")))
                break
        if found:
            return self._source.choice(found)
        if not places:
            return None
        large = [(at, size) for at, size in places[-_INDICES:] if self._is_index(given, at, size)]
        address, size = self._source.choice(large or places[-4:])
        return with_memory(given, address, self._source.choice((0, 1, 2, 8)).to_bytes(size, "little"))

    def _is_index(self, given: Input, address: int, size: int) -> bool:
        """Whether a large number is there, which is no pointer: something may have been reached through it."""
        value = int.from_bytes(self._tracer.held(given, address, size), "little")
        return size > 2 and value > _REACH and not layout.is_given(value)

    def _tamed(self, given: Input) -> Input:
        """``given`` with small numbers in the memory that was read in pieces of up to 4 bytes, and for arguments that are numbers:
        they were counts or indices."""
        most = self._source.choice((1, 2, 4, 15))
        arguments = tuple((int.from_bytes(value, "little") % 40).to_bytes(8, "little")
                          if k.is_integer and k.code[0] in "iu" and len(value) == 8 else value
                          for k, value in zip(self._kinds, given.arguments, strict=True))  # fmt: skip
        given = replace(given, arguments=arguments)
        data: dict[int, int] = {}
        for address, size in self._tracer.read_first(given):
            if size <= 4 and len(data) < _TAMED:
                data |= dict(enumerate(self._source.randint(0, most).to_bytes(size, "little"), address))
        for address in sorted(data):
            if address - 1 not in data:
                end = next(at for at in count(address) if at not in data)
                given = with_memory(given, address, bytes(data[at] for at in range(address, end)))
        return given
