"""guesssketch: x86-64 object files to AArch64 and RISC-V, each basic block proved equal.

    import guesssketch
    guesssketch.translate("foo.o", "aarch64").write("foo.aarch64.o")
    print(guesssketch.show("foo.o", "liveness", function="main"))
    print(guesssketch.prove(Path("pair.txt").read_text()))
    print(guesssketch.solve(Path("sketch.txt").read_text()))

The command line is made of these four. Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "translate": "guesssketch.api",
    "prove": "guesssketch.api",
    "show": "guesssketch.api",
    "solve": "guesssketch.api",
    "Translation": "guesssketch.pipeline",
    "Report": "guesssketch.report",
    "Pair": "guesssketch.pairs",
    "Sketch": "guesssketch.sketch.holes",
    "Problem": "guesssketch.problem",
    "Candidate": "guesssketch.problem",
    "Proposer": "guesssketch.problem",
    "GuessSketchError": "guesssketch.errors",
    "GuessSketchWarning": "guesssketch.errors",
}
__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
