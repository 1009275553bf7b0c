"""Tables of terms apart from each other: a block's terms are numbered alike whatever was lifted before it.

The constructors order the arguments of commutative operations by the terms' numbers, so the numbers decide how equal code
comes out. Terms of different tables must not be mixed; only constant true and false are in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from isa import statemap, terms

Table = dict[tuple[object, ...], terms.Term]


def new_table() -> Table:
    return {("const", 1, term.attr): term for term in (terms.TRUE, terms.FALSE)}


@contextmanager
def separate(table: Table) -> Iterator[None]:
    """Make and find terms in ``table`` while the context lasts."""
    outside = terms._table
    terms._table = table
    statemap._cells.cache_clear()
    try:
        yield
    finally:
        terms._table = outside
        statemap._cells.cache_clear()
