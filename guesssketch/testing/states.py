"""States: memory as one function of an object leaves it, for another to be called on, as programs call one after the other.

Most of what a function does hangs on structures that other functions have made. Nothing else makes them by chance.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from guesssketch.prototypes import Signature
from guesssketch.testing import layout
from guesssketch.testing.image import Image
from guesssketch.testing.inputs import Input
from guesssketch.testing.side import Outcome, Side
from guesssketch.testing.values import Values

_PAGES: Final = 48  # of one state; larger ones are not kept


@dataclass(frozen=True)
class State:
    """``given`` is the input that has this memory at first; its arguments are those of the function that left it.
    result: the pointer that it gave back, or 0."""

    given: Input
    result: int = 0


def left(side: Side, outcome: Outcome, given: Input, writable: Collection[int]) -> State | None:
    """What the run of the original that has just returned left behind; None if that is nothing, or means something else on the
    other side: frames, code, data that is not shared."""
    pages: dict[int, bytes] = {}
    for number, page in sorted(outcome.memory.items()):
        shared = number in writable and layout.DATA <= number * layout.PAGE < layout.SOURCE_DATA
        if shared or layout.is_given(number * layout.PAGE):
            before = side.initial(number) or page
            if _private(side.image, before, page):
                return None
            if page != before:
                pages[number] = page
    if not 0 < len(pages) <= _PAGES:
        return None
    kept = tuple(patch for patch in given.memory if not _within(patch, pages))
    memory = (*kept, *((number * layout.PAGE, page) for number, page in pages.items()))
    result = next((value.bits for value in outcome.result if layout.is_given(value.bits)), 0)
    return State(Input(given.seed, given.arguments, memory, answers=given.answers), result)


def _within(patch: tuple[int, bytes], pages: Collection[int]) -> bool:
    return patch[0] // layout.PAGE in pages and (patch[0] + len(patch[1]) - 1) // layout.PAGE in pages


def _private(image: Image, before: bytes, page: bytes) -> bool:
    """Whether a pointer that only the original understands has been put there."""
    words = zip(struct.iter_unpack("<Q", before), struct.iter_unpack("<Q", page), strict=True)
    return any(layout.on_stack(word) or word // layout.PAGE in image.code or
               (word // layout.PAGE in image.data and not layout.DATA <= word < layout.SOURCE_DATA)
               for (old,), (word,) in words if word != old)  # fmt: skip


def called(state: State, signature: Signature, values: Values, source: random.Random) -> Input:
    """An input for a function that is called on ``state``, mostly with the same pointers or what came back."""
    arguments = []
    for number, kind in enumerate(signature.parameters):
        value = values.argument(kind, number)
        if kind.code == "ptr":
            chance = source.random()
            if chance < 0.3 and state.result:
                value = state.result.to_bytes(8, "little")
            elif chance < 0.8 and number < len(state.given.arguments) and len(state.given.arguments[number]) == 8:
                value = state.given.arguments[number]
        arguments.append(value)
    return Input(state.given.seed, tuple(arguments), state.given.memory)
