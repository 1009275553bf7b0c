"""What a repair may use: all of it, but where its parts are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Ways:
    """immediates_only: no hole but immediates, as the published method has it. slices: doubt by what wrong results depend on.
    values: doubt by which values the source has too. cuts: repair the pieces of a long block one by one."""

    immediates_only: bool = False
    slices: bool = True
    values: bool = True
    cuts: bool = True


ALL: Final = Ways()
