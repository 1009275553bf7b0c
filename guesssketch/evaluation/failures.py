"""What fails: by mnemonic of the source, by length, by kind of error, by the first token that differs; and examples."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from difflib import SequenceMatcher
from typing import Any, Final

from guesssketch.evaluation.outcome import Outcome
from guesssketch.evaluation.statistics import share
from guesssketch.guess.tokens import END

EXAMPLES: Final = 20
_PREFIXES: Final = frozenset(("rep", "repe", "repne", "repz", "repnz", "lock", "notrack", "bnd"))
_INSTRUCTIONS: Final = (1, 2, 3, 4, 6, 8, 10, 12)  # longest of each row
_TOKENS: Final = (16, 32, 48, 64, 96, 128, 192)
_NUMBER: Final = re.compile(r"#[0-9a-f.]{1,2}|-(32)?|,")
_REGISTER: Final = re.compile(r"[xwvqdshb]\d+|[xw]zr|w?sp|zero|ra|[gt]p|f?[ast]\d+")
_LABEL: Final = re.compile(r"\d+[:bf]|taken|fall")


def analysed(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything about the outcomes whose first guess is not proved, ready for JSON."""
    wrong = [outcome for outcome in outcomes if not outcome.proved]
    return {
        "by_mnemonic": _by_mnemonic(outcomes),
        "by_instructions": _by_length(outcomes, lambda o: len(o.record.form.source), _INSTRUCTIONS),
        "by_target_tokens": _by_length(outcomes, lambda o: len(o.record.target_tokens or ()), _TOKENS),
        "by_kind": dict(Counter(kind(o) for o in wrong).most_common()),
        "by_difference": dict(Counter(o.first.differs for o in wrong if o.first and o.first.differs).most_common(30)),
        "by_reason": dict(Counter(o.first.detail for o in wrong if o.first and o.first.verdict != "refuted").most_common(30)),
        "by_token": dict(Counter(first_difference(o) for o in wrong if o.guess and o.record.target_tokens).most_common()),
        "examples": [example(outcome) for outcome in wrong[:EXAMPLES]],
    }


def kind(outcome: Outcome) -> str:
    """Why the first guess is not proved, in a few words."""
    if outcome.guess is None:
        return "no guess"
    if outcome.first is None:
        return "no end" if not outcome.guess.end else "no text"
    if outcome.first.verdict == "no code":
        return "does not assemble"
    if outcome.first.verdict == "unknown" and outcome.exact:
        return "unknown, the teacher's own text"
    return outcome.first.verdict


def first_difference(outcome: Outcome) -> str:
    """How guess and teacher part: the kind of the first token of the teacher's text that the guess has otherwise."""
    assert outcome.guess is not None
    guess, truth = outcome.guess.tokens, outcome.record.target_tokens or []
    for change, a, _, c, _ in SequenceMatcher(None, guess, truth, autojunk=False).get_opcodes():
        if change == "insert":
            return f"missing {_word(truth, c)}"
        if change == "delete":
            return f"extra {_word(guess, a)}"
        if change == "replace":
            return f"other {_word(truth, c)}"
    return "none"


def _word(tokens: Sequence[str], at: int) -> str:
    token = tokens[at]
    if _LABEL.fullmatch(token):
        return "label"
    if at == 0 or tokens[at - 1] == END:
        return "mnemonic"
    if _NUMBER.fullmatch(token):
        return "number"
    return "register" if _REGISTER.fullmatch(token) else "end of instruction" if token == END else "operator"


def _by_mnemonic(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """forms: that hold the mnemonic. Those in most failures first."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        for name in sorted({mnemonic(text) for text in outcome.record.form.source}):
            found[name].append(not outcome.proved)
    rows = sorted(found.items(), key=lambda item: (-sum(item[1]), item[0]))
    return [{"mnemonic": name, "forms": len(failed), "failed": asdict(share(failed))} for name, failed in rows]


def mnemonic(text: str) -> str:
    first, *rest = text.split(" ")
    return f"{first} {rest[0]}" if first in _PREFIXES and rest else first


def _by_length(outcomes: Iterable[Outcome], length: Callable[[Outcome], int], longest: Sequence[int]) -> list[dict[str, Any]]:
    rows: defaultdict[int, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        rows[sum(length(outcome) > limit for limit in longest)].append(not outcome.proved)
    names = [f"{low + 1}-{high}" if high > low + 1 else str(high) for low, high in zip((0, *longest), longest, strict=False)]
    names.append(f"over {longest[-1]}")
    return [{"length": names[n], "forms": len(failed), "failed": asdict(share(failed))} for n, failed in sorted(rows.items())]


def example(outcome: Outcome) -> dict[str, Any]:
    form, guess = outcome.record.form, outcome.guess
    return {
        "target": outcome.record.target,
        "level": outcome.record.level,
        "source": form.source,
        "exit": form.exit,
        "live_out": form.live_out,
        "symbols": [asdict(symbol) for symbol in form.symbols],
        "teacher": outcome.record.lines,
        "kind": kind(outcome),
        "detail": outcome.first.detail if outcome.first else outcome.why,
        "guess": guess and (guess.lines or guess.tokens),
        "probabilities": guess and [[token, round(p, 4)] for token, p in zip(guess.tokens, guess.probabilities, strict=True)],
        "one of k": outcome.one_of,
    }
