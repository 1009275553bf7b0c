"""Tables of terms apart from each other: a block's terms are numbered alike whatever was lifted before it.

The constructors order the arguments of commutative operations by the terms' numbers, so the numbers decide how equal code
comes out. Terms of different tables must not be mixed; only constant true and false are in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from isa import statemap, terms


@dataclass(frozen=True)
class Table:
    """made: every term, by what it is. cut: what ``terms.extract`` gave, by its arguments."""

    made: dict[tuple[object, ...], terms.Term]
    cut: dict[tuple[int, int, int], terms.Term] = field(default_factory=dict)

    def copy(self) -> Table:
        """A table that begins with the same terms."""
        return Table(self.made.copy(), self.cut.copy())


def new_table() -> Table:
    return Table({("const", 1, term.attr): term for term in (terms.TRUE, terms.FALSE)})


@contextmanager
def separate(table: Table) -> Iterator[None]:
    """Make and find terms in ``table`` while the context lasts."""
    outside = terms._table, terms._extracts
    terms._table, terms._extracts = table.made, table.cut
    statemap._cells.cache_clear()
    try:
        yield
    finally:
        terms._table, terms._extracts = outside
        statemap._cells.cache_clear()
