"""What a repair may use: all of it, but where its parts are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Ways:
    """How places are found, and what may be put there.

    immediates_only: no hole but immediates, as the published method has it. slices: doubt by what wrong results depend on.
    values: doubt by which values the source has too. forced: put values in where they make all right. templates: put in what
    is like a source instruction. told: use what the model told of its guess. below: make holes only in lines in which the model
    thinks a token less likely than that. cut: repair piece by piece.
    """

    immediates_only: bool = False
    slices: bool = True
    values: bool = True
    forced: bool = True
    templates: bool = True
    told: bool = True
    below: float | None = None
    cut: bool = True


ALL: Final = Ways()
