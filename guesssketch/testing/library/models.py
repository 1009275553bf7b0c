"""Where the models of functions are, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from guesssketch.prototypes import Signature, parse_signature
from guesssketch.testing.calls import Call

Model = Callable[[Call], int | None]
MODELS: Final[dict[str, Model]] = {}
MINUS: Final = (1 << 64) - 1
SIGNATURES: Final[dict[str, Signature]] = {
    name: parse_signature(text)
    for name, text in {"__strdup": "ptr(ptr)", "putchar_unlocked": "i32(i32)", "rawmemchr": "ptr(ptr,i32)"}.items()
}


def model(*names: str) -> Callable[[Model], Model]:
    """Makes a function the model of those of these ``names``."""

    def note(function: Model) -> Model:
        MODELS.update(dict.fromkeys(names, function))
        return function

    return note


def compared(a: bytes, b: bytes) -> int:
    """What functions that compare give: -1, 0 or 1."""
    return (a > b) - (a < b) & MINUS
