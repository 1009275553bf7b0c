"""Barriers at the wall under memory order tso.

Native code's accesses, as a whole, keep x86-64's order towards translated code's. In translated code a barrier stands behind
every load and before every store (``solver.ordering``), so the wall owes what those leave open: translated stores before
native accesses, and native loads before translated accesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_CALL: Final = re.compile(r"(?:bl|blr|call|jalr) ")
_STORES: Final = {"aarch64": "dmb ishst", "riscv64": "fence w, w"}
_LOADS: Final = {"aarch64": "dmb ishld", "riscv64": "fence r, rw"}


def outward(lines: Iterable[str], target: str) -> list[str]:
    """Glue of translated code that calls native code."""
    return _around(lines, _STORES[target], _LOADS[target])


def inward(lines: Iterable[str], target: str) -> list[str]:
    """A native entry, which calls translated code."""
    return _around(lines, _LOADS[target], _STORES[target])


def _around(lines: Iterable[str], before: str, after: str) -> list[str]:
    return [x for line in lines for x in ((before, line, after) if _CALL.match(line) else (line,))]
