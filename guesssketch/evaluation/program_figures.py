"""What the trials of whole programs amount to, with intervals; for JSON, and as tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from guesssketch.evaluation.statistics import Share, share
from guesssketch.evaluation.suite import Program

RIGHT: Final = "right"
KINDS: Final[Mapping[str, str]] = {
    "does not compile": "the original could not be compiled or linked",
    "original fails": "the original does not do what is expected, and neither does the translation; or it does not end",
    "refused": "something has no translation",
    "fault": "the translator failed, or took too long",
    "not linked": "the target's linker refused the translation",
    "differs": "it printed, wrote or returned something else",
    "crashed": "it ended by a signal",
    "timed out": "it did not end",
}
"""Every way not to be right, in the order in which they can happen."""

ALL: Final = "all"
SHOWN: Final = 20  # trials that are not right
_TELLING: Final = re.compile("error|undefined|multiple")  # in the line of a compiler's or linker's that says the most


def measured(trials: Sequence[Mapping[str, Any]], targets: Sequence[str], compilers: Sequence[str], levels: Sequence[str],
             programs: Sequence[Program]) -> dict[str, Any]:  # fmt: skip
    """rows: ``row`` for each target, compiler and level, and for each target and compiler over ``all`` levels, where a program is
    right if it is at every one. Each has all programs for its denominator.

    truth: runs by where their truth is from. trials: as they are told, without what they were made of.
    """
    rows = []
    for target in targets:
        for compiler in compilers:
            here = [trial for trial in trials if (trial["target"], trial["compiler"]) == (target, compiler)]
            rows += [row(target, compiler, level, [t for t in here if t["level"] == level]) for level in levels]
            if len(levels) > 1:
                rows.append(row(target, compiler, ALL, here))
    cases = [case for program in programs for case in program.cases]
    own = sum(case.expected is not None for case in cases)
    return {
        "programs": len(programs),
        "truth": {"runs": len(cases), "expected": own, "original": len(cases) - own},
        "rows": rows,
        "trials": [{name: told for name, told in trial.items() if name != "made_of"} for trial in trials],
    }


def row(target: str, compiler: str, level: str, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """right: share of programs that are right in each of the trials that they have. kinds: of the other trials.

    blocks, proved: of all that was translated; proposers: whose translations these are.
    """
    right: dict[str, bool] = {}
    for trial in trials:
        right[trial["program"]] = right.get(trial["program"], True) and trial["kind"] == RIGHT
    proposers: Counter[str] = Counter()
    for trial in trials:
        proposers.update(trial.get("proposers", {}))
    return {
        "target": target,
        "compiler": compiler,
        "level": level,
        "programs": len(right),
        "right": asdict(share(list(right.values()))),
        "kinds": dict(Counter(trial["kind"] for trial in trials if trial["kind"] != RIGHT)),
        "blocks": sum(trial.get("blocks", 0) for trial in trials),
        "proved": sum(trial.get("proved", 0) for trial in trials),
        "proposers": dict(proposers.most_common()),
    }


def show(report: Mapping[str, Any], console: Console) -> None:
    """The rows as a table, percent with 95% intervals in parentheses; then what is not right, and why."""
    console.print(_table(report))
    truth = report["truth"]
    console.print(f"{truth['runs']} runs of {report['programs']} programs: {truth['expected']} against the suite's own expected "
                  f"output, {truth['original']} against the original's, run here", markup=False, soft_wrap=True)  # fmt: skip
    tested = Counter[str]()
    for trial in report["trials"]:
        tested.update(trial.get("tested", {}))
    for reason, count in tested.most_common():
        console.print(f"tested {count}: {reason}", markup=False, soft_wrap=True)
    wrong = [trial for trial in report["trials"] if trial["kind"] != RIGHT]
    for trial in wrong[:SHOWN]:
        lines = trial["why"].splitlines() or [""]
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        where = f"{trial['program']} {trial['compiler']} {trial['level']} {trial['target']}"
        told = next(filter(_TELLING.search, lines), lines[0])
        console.print(f"{trial['kind']}: {where}: {told}{more}", markup=False, soft_wrap=True)
    if len(wrong) > SHOWN:
        console.print(f"{len(wrong) - SHOWN} more that are not right: --json has all", markup=False)
    if report["left_out"]:
        some = ", ".join(report["left_out"][:5]) + (", ..." if len(report["left_out"]) > 5 else "")
        console.print(f"files of no program: {len(report['left_out'])} ({some})", markup=False, soft_wrap=True)


def _table(report: Mapping[str, Any]) -> Table:
    seen = [kind for kind in KINDS if any(kind in row["kinds"] for row in report["rows"])]
    table = Table("target", "compiler", "level", "programs", "right", *seen, "blocks", "proved", "by")
    for row in report["rows"]:
        last = row["level"] == ALL or not any(other["level"] == ALL for other in report["rows"])
        by = ", ".join(f"{name} {count}" for name, count in row["proposers"].items())
        table.add_row(row["target"], row["compiler"], row["level"], str(row["programs"]), str(Share(**row["right"])),
                      *(str(row["kinds"].get(kind, 0)) for kind in seen), str(row["blocks"]), str(row["proved"]), by,
                      style="bold" if row["level"] == ALL else None, end_section=last)  # fmt: skip
    return table
