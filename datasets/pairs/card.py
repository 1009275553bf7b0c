"""The data card of what ``build.py`` made, as Markdown: ``python datasets/pairs/card.py OUT > card.md``."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from store import SPLITS, Store  # noqa: E402

_REASONS = 25  # shown of each kind of what is left out
_MNEMONICS = 60
_OBJECT_ROWS = (
    "SELECT {0}, count(*), sum(status = 'ok'), sum(status = 'compile'), sum(status = 'read') FROM objects GROUP BY {0} ORDER BY {0}"
)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table and an empty line."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(str(c).replace('|', '/') for c in row)} |" for row in rows]
    return [*lines, ""]


def card(store: Store) -> list[str]:
    """The card's lines."""
    store.assign_splits()
    settings = dict(store.db.execute("SELECT name, value FROM settings"))
    lines = ["# Training pairs", "", f"Pieces of at most {settings.get('longest', '?')} source instructions. Held-out compiler: "
             f"{settings.get('held-out') or 'none'}.", ""]  # fmt: skip
    lines += _splits(store) + _packages(store) + _objects(store) + _problems(store) + _left_out(store)
    return lines


def _splits(store: Store) -> list[str]:
    rows = []
    for split, name in enumerate(SPLITS):
        totals = store.db.execute("SELECT count(*), coalesce(sum(count), 0) FROM split WHERE split = ?", (split,)).fetchone()
        for target, *numbers in store.db.execute(
            "SELECT q.target, sum(verdict = 'proved'), sum(verdict = 'tested'), sum(verdict = 'refuted'), sum(verdict = 'none'), "
            "sum(verdict = 'failed') FROM pairs q JOIN split s ON s.problem = q.problem WHERE s.split = ? GROUP BY 1", (split,)
        ):  # fmt: skip
            rows.append((name, target, *totals, numbers[0] + numbers[1], *numbers))
    head = ("split", "target", "forms", "occurrences", "pairs", "proved", "tested", "refuted", "no lowering", "failed")
    shared = store.db.execute(
        "SELECT count(*) FROM (SELECT o.problem FROM occurrences o "
        "JOIN objects b ON b.id = o.object JOIN packages p ON p.name = b.package "
        "GROUP BY o.problem HAVING count(DISTINCT p.split) > 1)").fetchone()[0]  # fmt: skip
    return ["## Splits", "", *table(head, rows),
            f"{shared} forms were seen in more than one split: each is in test if seen there, else in valid, and in no other.",
            ""]  # fmt: skip


def _packages(store: Store) -> list[str]:
    counted = store.db.execute("SELECT package, count(*), sum(status != 'ok') FROM objects GROUP BY 1")
    objects = {package: (number, bad) for package, number, bad in counted}
    forms = dict(store.db.execute(
        "SELECT b.package, count(DISTINCT o.problem) FROM occurrences o JOIN objects b ON b.id = o.object GROUP BY 1"))  # fmt: skip
    rows = [(p.name, p.version, p.kind, p.split, p.licence, p.why, *objects.get(p.name, (0, 0)), forms.get(p.name, 0))
            for p in sorted(store.packages().values(), key=lambda p: (p.kind, p.name))]  # fmt: skip
    head = ("package", "version", "kind", "split", "licences", "its build, or why it failed", "objects", "of them failed", "forms")
    return ["## Packages", "", *table(head, rows)]


def _objects(store: Store) -> list[str]:
    lines = ["## Objects", ""]
    for column in ("level", "compiler", "pic", "debug"):
        rows = store.db.execute(_OBJECT_ROWS.format(column)).fetchall()
        lines += table((column, "objects", "read", "not compiled", "not read"), rows)
    found = store.db.execute(
        "SELECT b.compiler, b.level, count(DISTINCT o.problem), sum(o.count) FROM occurrences o JOIN objects b ON b.id = o.object "
        "GROUP BY 1, 2 ORDER BY 1, 2")  # fmt: skip
    (permissive,) = store.db.execute("SELECT count(*) FROM objects WHERE permissive").fetchone()
    return [*lines, *table(("compiler", "level", "forms", "occurrences"), found),
            f"{permissive} objects have a call that cannot be carried across: it reads what the ABI allows.", ""]  # fmt: skip


def _problems(store: Store) -> list[str]:
    lengths: Counter[int] = Counter()
    mnemonics: Counter[str] = Counter()
    exits: Counter[str] = Counter()
    for (text,) in store.db.execute("SELECT body FROM problems"):
        body = json.loads(text)
        lengths[len(body["i"])] += 1
        exits[body["exit"]] += 1
        mnemonics.update({shown.split(" ", 1)[0] for _, shown, _ in body["i"]})
    shown = [*mnemonics.most_common(_MNEMONICS), (f"{len(mnemonics)} in all", "")]
    return ["## Forms", "", *table(("source instructions", "forms"), sorted(lengths.items())),
            *table(("exit", "forms"), exits.most_common()), *table(("mnemonic", "forms with it"), shown)]  # fmt: skip


def _left_out(store: Store) -> list[str]:
    lines = ["## Left out, and why", "", "Files above 1 MiB, links and `debian/` are not compiled. A file that does not compile, "
             "an object that the translator refuses, and a form without a right pair are counted here.", ""]  # fmt: skip
    failures: Mapping[str, str] = {
        "not compiled": "SELECT why FROM objects WHERE status = 'compile'",
        "not read": "SELECT why FROM objects WHERE status = 'read'",
        "no pair": "SELECT target || ': ' || verdict || ': ' || detail FROM pairs WHERE verdict IN ('refuted', 'none', 'failed')",
        "only tested": "SELECT target || ': ' || detail FROM pairs WHERE verdict = 'tested'",
    }
    pieces = dict(store.db.execute("SELECT why, sum(count) FROM left_out GROUP BY 1"))
    lines += ["### no form", "", *table(("reason", "pieces"), sorted(pieces.items()))]
    for title, query in failures.items():
        reasons = Counter(_reason(why) for (why,) in store.db.execute(query))
        rows = [*reasons.most_common(_REASONS), (f"{len(reasons)} reasons in all", reasons.total())]
        lines += [f"### {title}", "", *table(("reason", "times"), rows)]
    return lines


def _reason(why: str) -> str:
    """Without the place, so that equal reasons are counted together."""
    return why.rsplit(": ", 1)[-1] if "+0x" in why or "error:" in why else why


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="what build.py was given")
    path: Path = parser.parse_args().out / "pairs.sqlite"
    if not path.exists():
        parser.error(f"{path}: not there")
    with closing(Store(path, read_only=True)) as store:
        print("\n".join(card(store)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
