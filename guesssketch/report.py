"""What a translation was: a record of every block, the totals, and the table that a user reads."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from guesssketch import __version__
from guesssketch.cache import ENGINES

ROWS = 50


@dataclass(frozen=True)
class BlockRecord:
    """One piece of a block.

    function, offset: where its first source instruction is; a cold part that the compiler split off goes by its own name.
    verdict: proved or tested; reason: why only tested. source, target: instructions on each side. seconds: spent on judging.
    """

    object: str
    function: str
    offset: int
    proposer: str
    verdict: str
    reason: str
    assumptions: tuple[str, ...]
    approximations: tuple[str, ...]
    seconds: float
    source: int
    target: int
    cached: bool


@dataclass
class Report:
    """One translation run.

    functions: how many, by object. seconds: wall time by stage. assumptions: what holds for the run as a whole.
    options: what was asked for, as far as it changes the translation. warnings: what the user was warned of.
    candidates: by proposer, how many were judged, were right (proved or tested), and were emitted; fewer are emitted where
    another proposer's have fewer instructions.
    """

    target: str
    functions: dict[str, int]
    blocks: list[BlockRecord] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    candidates: dict[str, Counter[str]] = field(default_factory=dict)

    def verdicts(self) -> Counter[str]:
        """How many pieces have each verdict: ``proved``, ``tested``."""
        return Counter(block.verdict for block in self.blocks)

    def tested(self) -> list[BlockRecord]:
        """The pieces without a proof; each has its ``reason``."""
        return [block for block in self.blocks if block.verdict == "tested"]

    def to_dict(self) -> dict[str, Any]:
        """What ``--json`` writes: options, totals, engines, times, and each piece."""
        guessed = any(block.proposer in ("lm", "sketch") for block in self.blocks)
        names = (*ENGINES, *(("torch", "transformers") if guessed else ()))
        engines = {"guesssketch": __version__, "python": platform.python_version()} | {name: version(name) for name in names}
        totals = {
            "functions": sum(self.functions.values()),
            "blocks": len(self.blocks),
            "verdicts": dict(self.verdicts()),
            "proposers": dict(Counter(block.proposer for block in self.blocks)),
            "candidates": {name: dict(counts) for name, counts in self.candidates.items()},
            "source_instructions": sum(block.source for block in self.blocks),
            "target_instructions": sum(block.target for block in self.blocks),
        }
        return {"target": self.target, "options": self.options, "warnings": self.warnings, "objects": list(self.functions),
                "engines": engines, "totals": totals, "seconds": self.seconds, "assumptions": self.assumptions,
                "blocks": [asdict(block) for block in self.blocks]}  # fmt: skip

    def to_json(self) -> str:
        """``to_dict`` as text."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    def print(self, console: Console) -> None:
        """The table, one row an object (the first ROWS of them), then why blocks were only tested, and the times."""
        table = Table()
        for name in ("object", "functions", "blocks", "proved", "tested", "by", "instructions"):
            is_text = name in ("object", "by")
            table.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
        by_object: dict[str, list[BlockRecord]] = {name: [] for name in self.functions}
        for block in self.blocks:
            by_object[block.object].append(block)
        for name, blocks in list(by_object.items())[:ROWS]:
            table.add_row(escape(Path(name).name), str(self.functions[name]), *_figures(blocks))
        if len(by_object) > ROWS:
            table.add_row(f"{len(by_object) - ROWS} more")
        if len(by_object) > 1:
            table.add_row("all", str(sum(self.functions.values())), *_figures(self.blocks), style="bold")
        console.print(table)
        reasons = Counter(block.reason for block in self.tested())
        for reason, count in reasons.most_common():
            console.print(f"tested {count}: {reason}", markup=False, soft_wrap=True)
        for name, counts in self.candidates.items() if len(self.candidates) > 1 else ():
            judged, right, emitted = (counts[key] for key in ("judged", "right", "emitted"))
            console.print(f"{name}: {right} right of {judged} judged, {emitted} emitted", markup=False, soft_wrap=True)
        cached = sum(block.cached for block in self.blocks)
        times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items())
        console.print(f"{times}; {cached} of {len(self.blocks)} from the cache", soft_wrap=True)


def _figures(blocks: Sequence[BlockRecord]) -> list[str]:
    verdicts = Counter(b.verdict for b in blocks)
    proposers = Counter(b.proposer for b in blocks)
    by = ", ".join(f"{name} {count}" for name, count in proposers.most_common())
    source, target = sum(b.source for b in blocks), sum(b.target for b in blocks)
    return [str(len(blocks)), str(verdicts["proved"]), str(verdicts["tested"]), by, f"{source} -> {target}"]
