"""What a test run found: as a table, as JSON, and as JUnit's XML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

_LISTED = 40  # uncovered blocks of one function that are printed


@dataclass(frozen=True)
class Uncovered:
    """A block that no compared run entered. ``line``: ``file:line`` where debugging information says so."""

    block: str
    text: str
    line: str = ""


@dataclass(frozen=True)
class Shown:
    """A difference: the smallest input found, what came out otherwise, where the sides part, and how to see it again."""

    input: Mapping[str, Any]
    differences: tuple[str, ...]
    parting: tuple[str, ...]
    replay: str


@dataclass
class FunctionResult:
    """verdict: ``different``; ``equal`` on all compared runs; ``undecided`` if there were none; ``left out`` (``why``).

    statuses: runs by what they showed. instructions: of the translation, covered and all.
    """

    name: str
    verdict: str
    why: str = ""
    signature: str = ""
    runs: int = 0
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    blocks: tuple[int, int] = (0, 0)
    edges: tuple[int, int] = (0, 0)
    instructions: tuple[int, int] = (0, 0)
    uncovered: list[Uncovered] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    difference: Shown | None = None


@dataclass
class Report:
    object: str
    translation: str
    target: str
    functions: list[FunctionResult]

    def total(self, what: str) -> tuple[int, int]:
        """Covered and all of ``blocks``, ``edges`` or ``instructions``, over all functions."""
        pairs = [getattr(function, what) for function in self.functions]
        return sum(a for a, _ in pairs), sum(b for _, b in pairs)

    def coverage(self, what: str = "blocks") -> float:
        """Share of the original's blocks (or of ``edges``, ``instructions``), in percent."""
        covered, total = self.total(what)
        return 100 * covered / total if total else 100.0

    def different(self) -> list[FunctionResult]:
        return [function for function in self.functions if function.verdict == "different"]

    def to_json(self) -> str:
        totals = {what: self.total(what) for what in ("blocks", "edges", "instructions")}
        return json.dumps({**asdict(self), "totals": totals}, indent=1) + "\n"

    def to_junit(self) -> bytes:
        suite = ElementTree.Element("testsuite", name=self.object, tests=str(len(self.functions)),
                                    failures=str(len(self.different())), errors="0",
                                    skipped=str(sum(f.verdict in ("undecided", "left out") for f in self.functions)),
                                    time=f"{sum(f.seconds for f in self.functions):.3f}")  # fmt: skip
        for function in self.functions:
            about = {"classname": self.object, "name": function.name, "time": f"{function.seconds:.3f}"}
            case = ElementTree.SubElement(suite, "testcase", about)
            if function.difference is not None:
                failure = ElementTree.SubElement(case, "failure", message=_xml(function.difference.differences[0]))
                failure.text = _xml("\n".join(details(function.difference)))
            elif function.verdict in ("undecided", "left out"):
                ElementTree.SubElement(case, "skipped", message=_xml(function.why))
        text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
        return text + b"\n"

    def print(self, console: Console) -> None:
        table = Table(box=None, header_style="bold")
        for name in ("function", "verdict"):
            table.add_column(name)
        for name in ("runs", "compared", "blocks", "edges", "instructions"):
            table.add_column(name, justify="right")
        table.add_column("")
        for function in self.functions:
            compared = function.statuses.get("equal", 0) + function.statuses.get("different", 0)
            shares = [_share(pair) for pair in (function.blocks, function.edges, function.instructions)]
            table.add_row(function.name, function.verdict, str(function.runs), str(compared), *shares, function.why)
        totals = [_share(self.total(what)) for what in ("blocks", "edges", "instructions")]
        table.add_row("all", "", "", "", *totals, "", style="bold")
        console.print(table)
        for function in self.functions:
            for block in function.uncovered[:_LISTED]:
                where = f" ({block.line})" if block.line else ""
                console.print(f"not covered: {function.name} {block.block}{where}: {block.text}", highlight=False, markup=False)
            if (more := len(function.uncovered) - _LISTED) > 0:
                console.print(f"not covered: {function.name}: {more} more", highlight=False, markup=False)
        for function in self.functions:
            for line in details(function.difference) if function.difference else ():
                console.print(f"{function.name}: {line}", highlight=False, markup=False, soft_wrap=True)


def _share(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}" if pair[1] else "-"


def details(shown: Shown) -> list[str]:
    """A difference as lines for a reader."""
    lines = [f"differs: {text}" for text in shown.differences]
    lines.append(f"on the input {json.dumps(shown.input)}")
    lines += shown.parting
    return [*lines, f"again: {shown.replay}"]


def _xml(text: str) -> str:
    """``text`` without what XML 1.0 cannot hold."""
    return "".join(c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" else "?" for c in text)
