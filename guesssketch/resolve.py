"""Which function or block of the inputs an address belongs to: symbols resolved across the objects translated together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from guesssketch.program import Block, Function, Place, Program


class FunctionId(NamedTuple):
    """Index of the object in the program, and of the function in the object."""

    object: int
    function: int


class BlockId(NamedTuple):
    object: int
    function: int
    offset: int


def ambiguous(program: Program) -> list[str]:
    """A line for each reference that several inputs could answer: which one is linked decides what its caller must compute."""
    owners: dict[str, list[str]] = defaultdict(list)
    for file in program.objects:
        for symbol in file.symbols:
            if symbol.binding == "global" and symbol.section is not None and file.sections[symbol.section].group is None:
                owners[symbol.name].append(file.name)
    return [
        f"{file.name}: {symbol.name} is defined in {' and in '.join(owners[symbol.name])}: translate them apart"
        for file in program.objects
        for symbol in file.symbols
        if not symbol.is_defined and len(owners.get(symbol.name, ())) > 1
    ]


def blocks(program: Program) -> Iterator[tuple[BlockId, Block]]:
    """Every block of ``program``, in the order of objects and functions."""
    for number, functions in enumerate(program.functions):
        for index, function in enumerate(functions):
            for offset, block in function.blocks.items():
                yield BlockId(number, index, offset), block


class Resolver:
    """Resolves places of one program. Weak definitions are left to the linker: it may choose another."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._starts: dict[tuple[int, int, int], FunctionId] = {}
        self._globals: dict[str, tuple[int, int]] = {}
        for number, functions in enumerate(program.functions):
            for index, function in enumerate(functions):
                self._starts[number, function.section, function.offset] = FunctionId(number, index)
        for number, file in enumerate(program.objects):
            for symbol in file.symbols:
                if symbol.binding == "global" and symbol.is_defined:
                    self._globals.setdefault(symbol.name, (number, symbol.index))

    def definition(self, number: int, symbol_index: int) -> tuple[int, int] | None:
        """(object, symbol) that defines this symbol for certain: itself if local or global, or another input's global."""
        symbol = self.program.objects[number].symbols[symbol_index]
        if symbol.is_defined:
            return None if symbol.binding == "weak" else (number, symbol_index)
        return self._globals.get(symbol.name)

    def callee(self, number: int, place: Place) -> FunctionId | None:
        """The function that starts at ``place`` seen from object ``number``, or None if it is outside (or weak)."""
        found = self.definition(number, place.symbol)
        return None if found is None else self._start(*found, place.addend)

    def own(self, number: int, place: Place) -> FunctionId | None:
        """As ``callee``, but a weak definition of object ``number`` counts: what is true of any function of its name."""
        defined = self.program.objects[number].symbols[place.symbol].is_defined
        return self._start(number, place.symbol, place.addend) if defined else self.callee(number, place)

    def _start(self, owner: int, index: int, addend: int) -> FunctionId | None:
        symbol = self.program.objects[owner].symbols[index]
        if symbol.section is None:
            return None
        return self._starts.get((owner, symbol.section, symbol.value + addend))

    def function(self, at: FunctionId | BlockId) -> Function:
        return self.program.functions[at.object][at.function]
