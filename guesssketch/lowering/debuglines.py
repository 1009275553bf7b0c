"""What each instruction of a function is there for, told to LLVM as line numbers, and read back from its assembly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from guesssketch.lowering.emitter import Maker
from isa.terms import Term

_NO_LINE: Final = 0  # LLVM's own number for code of no place
_LOC: Final = re.compile(r"\.loc\s+\d+\s+(\d+)\b")
_ATTACHED: Final = re.compile(r", !dbg !DILocation\(.*\)$| !dbg !\d+(?= \{$)", re.MULTILINE)
_MODULE: Final = """
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!1}
!0 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, emissionKind: LineTablesOnly)
!1 = !{i32 2, !"Debug Info Version", i32 3}
!2 = !DIFile(filename: "blocks", directory: "")
"""
_FIRST_SCOPE: Final = 3  # metadata numbers below are the module's


class DebugLines:
    """One function's line numbers: what an instruction is made for has a number of its own, from 1."""

    def __init__(self, number: int) -> None:
        """number: the function's, different from that of every other function of its module."""
        self._name = f"!{_FIRST_SCOPE + number}"
        self._numbers: dict[object, int] = {}
        self._makers: list[Maker] = []

    @property
    def scope(self) -> str:
        """What the function's header needs."""
        return f"!dbg {self._name}"

    @property
    def metadata(self) -> str:
        """The function's line in ``module``."""
        return f"{self._name} = distinct !DISubprogram(file: !2, unit: !0, spFlags: DISPFlagDefinition)"

    def placed(self, lines: Sequence[str], makers: Sequence[Maker]) -> list[str]:
        """The lines with their numbers."""
        return [line if line.endswith(":") else f"{line}, !dbg !DILocation(line: {self._number(maker)}, scope: {self._name})"
                for line, maker in zip(lines, makers, strict=True)]  # fmt: skip

    def _number(self, maker: Maker) -> int:
        key = maker.id if isinstance(maker, Term) else maker
        if key not in self._numbers:
            self._makers.append(maker)
            self._numbers[key] = len(self._makers)
        return self._numbers[key]

    def read(self, raw: Sequence[str]) -> list[Maker | None]:
        """For each line of the function's assembly what it is there for; None where LLVM has lost that."""
        number = _NO_LINE
        found: list[Maker | None] = []
        for line in raw:
            if match := _LOC.match(line):
                number = int(match[1])
            found.append(None if number == _NO_LINE else self._makers[number - 1])
        return found


def without_lines(function: str) -> str:
    """The text of a function as it is without line numbers."""
    return _ATTACHED.sub("", function)


def module(functions: str, lines: Iterable[DebugLines]) -> str:
    """A module of functions that all have line numbers."""
    return "\n".join([functions, _MODULE, *(x.metadata for x in lines), ""])
