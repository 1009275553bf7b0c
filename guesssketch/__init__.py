"""guesssketch: x86-64 object files to AArch64 and RISC-V, each basic block proved equal.

The library in three calls; the command line is made of them. Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "translate": "guesssketch.pipeline",
    "Options": "guesssketch.pipeline",
    "Translation": "guesssketch.pipeline",
    "prove": "guesssketch.pairs",
    "show": "guesssketch.stages",
    "Problem": "guesssketch.problem",
    "Candidate": "guesssketch.problem",
    "Proposer": "guesssketch.problem",
    "GuessSketchError": "guesssketch.errors",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
