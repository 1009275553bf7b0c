"""What the solver says about target code: a value with four cases, of which only the first two are ever emitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from solver.counterexample import Counterexample


@dataclass(frozen=True)
class Proved:
    """Equal for all inputs under ``assumptions`` (satisfiable ones), up to ``approximations`` of the semantics.

    seconds: wall time, for reports only. rlimit: Z3 resources spent (0 if both sides became the same terms without it).
    """

    assumptions: tuple[str, ...] = ()
    approximations: tuple[str, ...] = ()
    seconds: float = 0.0
    rlimit: int = 0

    def __str__(self) -> str:
        lines = [f"proved ({self.seconds * 1000:.1f} ms, rlimit {self.rlimit})"]
        lines += [f"  assuming {text}" for text in self.assumptions]
        lines += [f"  up to {text}" for text in self.approximations]
        return "\n".join(lines)


@dataclass(frozen=True)
class Tested:
    """Equal on ``n`` concrete states in an emulator; ``reason`` says why it could not be proved."""

    n: int
    reason: str

    def __str__(self) -> str:
        return f"tested on {self.n} states: {self.reason}"


@dataclass(frozen=True)
class Refuted:
    """Different, and here is an initial state that shows it (confirmed by evaluation on both sides)."""

    counterexample: Counterexample

    def __str__(self) -> str:
        return f"refuted\n{self.counterexample}"


@dataclass(frozen=True)
class Unknown:
    """Neither shown equal nor different. Never counts as proved.

    ordered: whether the target's accesses are at least the source's in number, kind, width and barriers, where that is asked.
    """

    reason: str
    ordered: bool = False

    def __str__(self) -> str:
        return f"unknown: {self.reason}"


Verdict = Proved | Tested | Refuted | Unknown


def to_dict(verdict: Verdict) -> dict[str, Any]:
    """Ready for JSON: ``verdict`` (proved, tested, refuted, unknown) and the verdict's own fields."""
    return {"verdict": type(verdict).__name__.lower(), **asdict(verdict)}
