"""What a translation was: a record of every block, the totals, and the table that a user reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from guesssketch.cache import ENGINES


@dataclass(frozen=True)
class BlockRecord:
    """One piece of a block. ``offset``: in its function, bytes. ``verdict``: proved or tested. Counts are instructions."""

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
    """One translation run. ``seconds``: wall time by stage. ``assumptions``: what holds for the run as a whole."""

    target: str
    objects: list[str]
    functions: int
    blocks: list[BlockRecord] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def verdicts(self) -> Counter[str]:
        return Counter(block.verdict for block in self.blocks)

    def tested(self) -> list[BlockRecord]:
        return [block for block in self.blocks if block.verdict == "tested"]

    def to_dict(self) -> dict[str, Any]:
        engines = {name: version(name) for name in ENGINES}
        totals = {
            "functions": self.functions,
            "blocks": len(self.blocks),
            "verdicts": dict(self.verdicts()),
            "proposers": dict(Counter(block.proposer for block in self.blocks)),
            "source_instructions": sum(block.source for block in self.blocks),
            "target_instructions": sum(block.target for block in self.blocks),
        }
        return {"target": self.target, "objects": self.objects, "engines": engines, "totals": totals, "seconds": self.seconds,
                "assumptions": self.assumptions, "blocks": [asdict(block) for block in self.blocks]}  # fmt: skip

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_dict(), indent=1) + "\n")

    def print(self, console: Console) -> None:
        table = Table(title=f"{len(self.objects)} object(s) -> {self.target}", title_justify="left")
        for name in ("object", "functions", "blocks", "proved", "tested", "by", "x86 instructions", "target instructions"):
            table.add_column(name, justify="left" if name in ("object", "by") else "right")
        rows = [(name, [b for b in self.blocks if b.object == name]) for name in self.objects]
        for name, blocks in rows[:50]:
            table.add_row(name, str(len({b.function for b in blocks})), *_figures(blocks))
        if len(rows) != 1:
            table.add_row("all", str(self.functions), *_figures(self.blocks), style="bold")
        console.print(table)
        reasons = Counter(block.reason for block in self.tested())
        for reason, count in reasons.most_common():
            console.print(f"tested {count}: {reason}")
        cached = sum(block.cached for block in self.blocks)
        times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items())
        console.print(f"{times}; {cached} of {len(self.blocks)} from the cache")


def _figures(blocks: Sequence[BlockRecord]) -> list[str]:
    verdicts = Counter(b.verdict for b in blocks)
    proposers = Counter(b.proposer for b in blocks)
    by = ", ".join(f"{name} {count}" for name, count in proposers.most_common())
    source, target = sum(b.source for b in blocks), sum(b.target for b in blocks)
    return [str(len(blocks)), str(verdicts["proved"]), str(verdicts["tested"]), by, str(source), str(target)]
