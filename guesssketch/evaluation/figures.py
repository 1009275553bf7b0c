"""What judged guesses amount to, by target and level, with intervals; for JSON, and as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from guesssketch.evaluation.doubt import doubts
from guesssketch.evaluation.failures import analysed
from guesssketch.evaluation.outcome import Outcome
from guesssketch.evaluation.statistics import Share, calibration_error, reliability, share, weighted_share
from guesssketch.guess.confidence import confidence

LEVELS: Final = ("-O0", "-O1", "-O2", "-O3", "-Os")
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "-O0 -O1": ("-O0", "-O1"), "-O2 -O3 -Os": ("-O2", "-O3", "-Os"), **{level: (level,) for level in LEVELS},
}  # fmt: skip
ALL: Final = "all"
ORDERS: Final = ("cheaper", "equal", "dearer")


def measured(outcomes: Sequence[Outcome], card: Mapping[str, Any], targets: Sequence[str]) -> dict[str, Any]:
    """targets: by target, ``levels`` (``level``'s figures by group), ``no_guess`` (reasons, counted) and ``failures``.

    confidence, doubt: over all targets together, and each.
    """
    by_target = {target: [o for o in outcomes if o.record.target == target] for target in targets}
    groups = by_target if len(targets) == 1 else {**by_target, ALL: list(outcomes)}
    return {
        "targets": {
            target: {
                "levels": _levels(found),
                "no_guess": dict(Counter(o.why for o in found if o.guess is None).most_common()),
                "failures": analysed(found),
            }
            for target, found in by_target.items()
        },
        "confidence": {name: _confidence(found, card) for name, found in groups.items()},
        "doubt": {name: _doubt(found, card) for name, found in groups.items()},
    }


def _levels(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    groups = {name: [o for o in outcomes if o.record.level in levels] for name, levels in GROUPS.items()}
    return {name: level(found) for name, found in {**groups, ALL: outcomes}.items() if found}


def level(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Shares of forms: first guess proved; one of the guesses proved; first guess the teacher's text; first guess proved, by
    occurrence. Of the proved first guesses, in instructions: against the teacher, and against the lowering where it was asked.
    """
    proved = [o.proved for o in outcomes]
    firsts = [(o.first.size, o.reply) for o in outcomes if o.proved and o.first]
    return {
        "forms": len(outcomes),
        "first": asdict(share(proved)),
        "one_of": asdict(share([o.one_of for o in outcomes])),
        "exact": asdict(share([o.exact for o in outcomes])),
        "weighted": asdict(weighted_share(proved, [o.record.count for o in outcomes])),
        "against_teacher": _orders([(size, reply.teacher) for size, reply in firsts if reply.teacher is not None]),
        "against_lowering": _orders([(size, reply.lowering) for size, reply in firsts if reply.lowering is not None]),
    }


def _orders(sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """sizes: (guess, other)."""
    told = [(mine > other) - (mine < other) for mine, other in sizes]
    return {name: asdict(share([sign == wanted for sign in told])) for name, wanted in zip(ORDERS, (-1, 0, 1), strict=True)}


def _confidence(outcomes: Sequence[Outcome], card: Mapping[str, Any]) -> dict[str, Any]:
    """Of the first guesses, those that are no text with confidence 0 among them."""
    told = [(confidence(o.guess, card), o.proved) for o in outcomes if o.guess is not None]
    values, right = [c for c, _ in told], [r for _, r in told]
    return {
        "calibrated": "calibration" in card,
        "guesses": len(told),
        "error": asdict(calibration_error(values, right)),
        "curve": [{"confidence": b.confidence, "proved": asdict(b.right)} for b in reliability(values, right)],
    }


def _doubt(outcomes: Sequence[Outcome], card: Mapping[str, Any]) -> dict[str, Any]:
    """At the card's threshold, if it has one, and along the curve."""
    found = doubts(outcomes)
    threshold = card.get("doubt", {}).get("threshold")
    return {
        "wrong": len(found.wrong),
        "chosen": None if threshold is None else asdict(found.at(threshold)),
        "curve": [asdict(point) for point in found.curve()],
    }


# --- tables -----------------------------------------------------------------------------------------------------------


def show(report: Mapping[str, Any], console: Console) -> None:
    """The report's main figures as tables; percent, with 95% intervals in parentheses."""
    console.print(_main_table(report))
    for target, found in report["targets"].items():
        for reason, count in found["no_guess"].items():
            console.print(f"{target}: no guess for {count}: {reason}", markup=False, soft_wrap=True)
        kinds = ", ".join(f"{kind} {count}" for kind, count in found["failures"]["by_kind"].items())
        tokens = ", ".join(f"{kind} {count}" for kind, count in list(found["failures"]["by_token"].items())[:8])
        if kinds:
            console.print(f"{target}: not proved: {kinds}", markup=False, soft_wrap=True)
            console.print(f"{target}: first token that differs from the teacher's: {tokens}", markup=False, soft_wrap=True)
    console.print(_failures_table(report))
    for name, found in report["confidence"].items():
        state = "" if found["calibrated"] else " (not calibrated)"
        error = "{value:.3f} ({low:.3f}-{high:.3f}; by chance alone {perfect:.3f})".format(**found["error"])
        console.print(f"{name}: calibration error {error} over {found['guesses']} guesses{state}", markup=False, soft_wrap=True)
    for name, found in report["doubt"].items():
        if point := found["chosen"]:
            recall = f"{_text(point['wholly'])} of {found['wrong']} wrong guesses wholly, {_text(point['partly'])} partly"
            cost = f"{100 * point['doubted']:.1f}% of the tokens of right ones"
            text = f"{name}: doubt under {point['threshold']:.4f} finds {recall}, and doubts {cost}"
            console.print(text, markup=False, soft_wrap=True)
    for target, found in report.get("alignment", {}).items():
        low, high = found["interval"]
        f1 = f"{found['f1']:.3f} ({low:.3f}-{high:.3f})"
        console.print(f"{target}: alignment F1 {f1} over {found['blocks']} blocks", markup=False, soft_wrap=True)
    speed = report["speed"]
    load = f", {report['load_seconds']:.1f} s to load" if "load_seconds" in report else ""
    console.print(f"guessing alone: {speed['forms_a_second']:.1f} forms a second on {speed['threads']} threads; "
                  f"at most {speed['memory_mib']:.0f} MiB{load}", markup=False, soft_wrap=True)  # fmt: skip


def _main_table(report: Mapping[str, Any]) -> Table:
    has_lowering = any(row["against_lowering"]["equal"]["of"] for t in report["targets"].values() for row in t["levels"].values())
    names = ["target", "level", "forms", "first proved", f"one of {report['samples']}", "first, by occurrence", "teacher's text",
             "cheaper / dearer than teacher"]  # fmt: skip
    table = Table(*names, *(["cheaper / dearer than lowering"] if has_lowering else []))
    for target, found in report["targets"].items():
        for name, row in found["levels"].items():
            cells = [_text(row[figure]) for figure in ("first", "one_of", "weighted", "exact")]
            cells += [_order(row["against_teacher"])] + ([_order(row["against_lowering"])] if has_lowering else [])
            table.add_row(target, name, str(row["forms"]), *cells, style="bold" if name == ALL else None, end_section=name == ALL)
    return table


def _failures_table(report: Mapping[str, Any]) -> Table:
    """The mnemonics in most failures, and all lengths."""
    table = Table("target", "forms with", "forms", "not proved")
    for target, found in report["targets"].items():
        failures = found["failures"]
        rows = [(row["mnemonic"], row) for row in failures["by_mnemonic"][:12] if row["failed"]["count"]]
        rows += [(f"{row['length']} instructions", row) for row in failures["by_instructions"]]
        rows += [(f"{row['length']} tokens of the teacher's", row) for row in failures["by_target_tokens"]]
        for n, (name, row) in enumerate(rows):
            table.add_row(target, name, str(row["forms"]), _text(row["failed"]), end_section=n == len(rows) - 1)
    return table


def _text(told: Mapping[str, Any]) -> str:
    return str(Share(**told))


def _order(told: Mapping[str, Any]) -> str:
    return f"{_text(told['cheaper'])} / {_text(told['dearer'])}"
