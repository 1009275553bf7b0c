"""What the assembler calls things: symbols, inner entries, blocks, places in data."""

from __future__ import annotations

from collections import Counter
from typing import Final

from guesssketch.errors import Untranslatable
from guesssketch.program import Place, Program
from guesssketch.quoting import quoted
from guesssketch.resolve import FunctionId, Resolver
from guesssketch.wall import Boundary

_MERGE: Final = 0x10  # SHF_MERGE


class Names:
    """Of one output object. Asking for a place in data notes that its label is needed (``labels``), asking for a slot that
    it is (``slots``: the address that it holds, and its label)."""

    def __init__(self, program: Program, resolver: Resolver, boundary: Boundary, number: int) -> None:
        self.program, self.resolver, self.boundary, self.number = program, resolver, boundary, number
        self.file = program.objects[number]
        self.functions = program.functions[number]
        self.labels: set[tuple[int, int]] = set()
        self.slots: dict[Place, str] = {}
        self._starts = {(f.section, f.offset): i for i, f in enumerate(self.functions)}
        self._blocks = {}
        for index, function in enumerate(self.functions):
            for offset, block in function.blocks.items():
                section, at = block.home
                self._blocks[section or function.section, at] = index, offset
        counts = Counter(s.name for s in self.file.symbols if s.name and s.type not in ("section", "file"))
        self._unique = {name for name, count in counts.items() if count == 1}

    def symbol(self, index: int) -> str | None:
        """The name of a symbol in the output; None for one that stays unnamed there."""
        symbol = self.file.symbols[index]
        if not symbol.name or symbol.type in ("section", "file"):
            return None
        if symbol.binding == "local" and symbol.name not in self._unique:
            return quoted(f"{symbol.name}.{index}")
        return quoted(symbol.name)

    def inner(self, at: FunctionId) -> str:
        """Entry that keeps x86-64's convention."""
        shared = self.shared(at)
        return quoted(f"{shared}.x86") if shared else f".Lgs_x{at.function}"

    def shared(self, at: FunctionId) -> str | None:
        """The global name by which other objects translated together know a function."""
        symbols = self.program.objects[at.object].symbols
        names = sorted(symbols[n].name for n in self.resolver.function(at).names if symbols[n].binding == "global")
        return names[0] if names else None

    def native(self, index: int) -> str:
        """Native entry of a function of this object, never to be preempted."""
        return f".Lgs_n{index}"

    def block(self, index: int, offset: int) -> str:
        return f".Lgs_b{index}_{offset:x}"

    def data(self, section: int, offset: int) -> str:
        """A place in a section that is not code. In a section of mergeable pieces each place has its own label, because the
        linker moves the pieces one by one."""
        size = self.file.sections[section].size
        if self.file.sections[section].flags & _MERGE and 0 <= offset <= size:
            self.labels.add((section, offset))
            return f".Lgs_d{section}_{offset:x}"
        self.labels.add((section, 0))
        return f".Lgs_d{section}_0{offset:+d}" if offset else f".Lgs_d{section}_0"

    def slot(self, place: Place) -> str:
        """Eight bytes of constant data that hold the address of ``place``."""
        return self.slots.setdefault(place, f".Lgs_a{len(self.slots)}")

    def reference(self, place: Place) -> str:
        """An expression for the address. Raises Untranslatable for a place inside code where no block starts."""
        symbol = self.file.symbols[place.symbol]
        if symbol.section is None:
            name = self.symbol(place.symbol)
            return f"{name}{place.addend:+d}" if place.addend else f"{name}"
        section = self.file.sections[symbol.section]
        offset = symbol.value + place.addend
        if not section.is_code:
            if symbol.binding != "local":
                return f"{quoted(symbol.name)}{place.addend:+d}" if place.addend else quoted(symbol.name)
            return self.data(symbol.section, offset)
        if symbol.binding != "local" and place.addend == 0:
            return quoted(symbol.name)
        index = self._starts.get((symbol.section, offset))
        if index is not None and self.boundary.has_native_entry(FunctionId(self.number, index)):
            return self.native(index)
        if (symbol.section, offset) in self._blocks:
            return self.block(*self._blocks[symbol.section, offset])
        raise Untranslatable([f"{self.file.name}: {section.name}+{offset:#x}: an address inside code, where no block starts"])
