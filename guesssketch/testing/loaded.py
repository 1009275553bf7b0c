"""The original as an image: sections at the plan's addresses, relocated here.

A function's address, where it is taken, is the address that the *translation's* function has: so that a pointer to a
function is the same number on both sides. What jumps there is redirected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from guesssketch.decode import RELOCATION_NAMES
from guesssketch.errors import InputError
from guesssketch.program import ElfSymbol, Function, ObjectFile, Place, RawRelocation, Section
from guesssketch.testing import layout
from guesssketch.testing.image import Image, pages
from guesssketch.testing.plan import GUARD, Plan

Places = dict[tuple[int, int, str], int]

_ABSOLUTE: Final = {1: 8, 10: 4, 11: 4}  # R_X86_64_64, 32, 32S: bytes
_RELATIVE: Final = {2: 4, 4: 4, 24: 8}  # PC32, PLT32, PC64
_SLOT: Final = (9, 41, 42)  # GOTPCREL, GOTPCRELX, REX_GOTPCRELX
_PLT32, _GOTTPOFF, _TPOFF32 = 4, 22, 23


class _Loader:
    def __init__(self, file: ObjectFile, functions: list[Function], plan: Plan, addresses: Mapping[str, int]) -> None:
        self.file, self.plan, self.addresses = file, plan, addresses
        self.functions = functions
        self.base = dict(plan.source)
        at = layout.SOURCE_CODE
        for section in file.sections:
            if section.is_code and section.is_allocated:
                self.base[section.index] = at
                at = -(-(at + section.size) // layout.PAGE) * layout.PAGE + layout.PAGE
        self.starts = {(f.section, f.offset): f for f in functions}
        self.slots: dict[tuple[str, int], int] = {}  # (kind, symbol) -> address of its slot
        self.contents: dict[int, int] = {}  # of slots
        self.redirected: dict[int, int] = {}
        for function in functions:
            canonical = self.canonical(function)
            if canonical is not None:
                self.redirected[canonical] = self.base[function.section] + function.offset

    def canonical(self, function: Function) -> int | None:
        """The address of the translation's function; None if it has none that can be called."""
        names = [self.file.symbols[n].name for n in function.names]
        return next((self.addresses[n] for n in names if n in self.addresses), None)

    def image(self) -> Image:
        sections = [s for s in self.file.sections if s.index in self.base]
        contents = {s.index: self._relocated(s) for s in sections}
        code = pages((self.base[s.index], contents[s.index]) for s in sections if s.is_code)
        pieces = [(self.base[s.index], contents[s.index]) for s in sections if not s.is_code]
        pieces += [(address, value.to_bytes(8, "little")) for address, value in self.contents.items()]
        data = pages(iter([*pieces, *self.plan.thread_words()]))
        functions = {self.file.symbols[n].name: self.base[f.section] + f.offset for f in self.starts.values() for n in f.names}
        externals = {address: name for name, address in self.plan.externals.items() if name != GUARD}
        return Image("x86_64", code, data, functions, externals, self.redirected, self.plan.thread)

    def _relocated(self, section: Section) -> bytes:
        data = bytearray(section.data or bytes(section.size))
        for relocation in section.relocations:
            place = self.base[section.index] + relocation.offset
            size, value = self._value(section, relocation, place)
            if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
                raise InputError(f"{self.file.name}: {section.name}+{relocation.offset:#x}: a relocation does not fit")
            data[relocation.offset : relocation.offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        for field, end, goal in self._resolved(section):
            symbol = self.file.symbols[goal.symbol]
            value = self._address(symbol, goal.addend, taken=True) - self.base[section.index] - end
            data[field : field + 4] = (value & 0xFFFF_FFFF).to_bytes(4, "little")
        return bytes(data)

    def _resolved(self, section: Section) -> Iterator[tuple[int, int, Place]]:
        """Displacements that the assembler filled in itself, as to a local function of the same section: where the field is,
        where its instruction ends, and what it speaks of."""
        relocated = {relocation.offset for relocation in section.relocations}
        for function in self.functions:
            for block in function.blocks.values():
                home, start = block.home
                if (home or function.section) != section.index:
                    continue
                for instruction in block.instructions:
                    at = start + instruction.offset
                    for relocation in instruction.relocations:
                        if relocation.kind == "pc" and at + relocation.offset not in relocated:
                            yield at + relocation.offset, at + len(instruction.code), block.places[relocation.symbol]

    def _value(self, section: Section, relocation: RawRelocation, place: int) -> tuple[int, int]:
        kind, symbol = relocation.type, self.file.symbols[relocation.symbol]
        if kind in _ABSOLUTE:
            return _ABSOLUTE[kind], self._address(symbol, relocation.addend, taken=True)
        if kind in _RELATIVE:
            distance = 4 if section.is_code else 0  # an operand counts from the end of its field, at the least
            taken = section.is_code and not _transfers(section, relocation)
            return _RELATIVE[kind], self._address(symbol, relocation.addend + distance, taken) - distance - place
        if kind in _SLOT:
            return 4, self._slot("address", symbol, self._address(symbol, 0, taken=True)) + relocation.addend - place
        if kind == _TPOFF32:
            return 4, self._address(symbol, relocation.addend, taken=False) - self.plan.thread
        if kind == _GOTTPOFF:
            value = self._address(symbol, 0, taken=False) - self.plan.thread & (1 << 64) - 1
            return 4, self._slot("thread", symbol, value) + relocation.addend - place
        name = RELOCATION_NAMES.get(kind, str(kind))
        raise InputError(f"{self.file.name}: {section.name}+{relocation.offset:#x}: relocation R_X86_64_{name} in a test")

    def _slot(self, kind: str, symbol: ElfSymbol, value: int) -> int:
        address = self.slots.setdefault((kind, symbol.index), layout.SOURCE_SLOTS + 8 * len(self.slots))
        self.contents[address] = value
        return address

    def _address(self, symbol: ElfSymbol, addend: int, taken: bool) -> int:
        """``taken``: as a value, not to jump there."""
        if symbol.absolute:
            return symbol.value + addend
        if symbol.section is None:
            if symbol.name in self.plan.externals:
                return self.plan.externals[symbol.name] + addend
            if symbol.type == "common" and symbol.name in self.addresses:
                return self.addresses[symbol.name] + addend
            return addend  # a weak symbol that nobody defines
        if symbol.section not in self.base:
            return addend  # of no section that is loaded
        function = self.starts.get((symbol.section, symbol.value + addend))
        if taken and function is not None and (canonical := self.canonical(function)) is not None:
            return canonical
        return self.base[symbol.section] + symbol.value + addend


    def places(self, functions: list[Function]) -> Places:
        """What each placeholder of each block stands for: an address, or an offset from the thread pointer."""
        found: Places = {}
        for index, function in enumerate(functions):
            for number, block in function.blocks.items():
                kinds = {r.symbol: r.kind for i in block.instructions for r in i.relocations}
                for name, place in block.places.items():
                    thread = kinds.get(name) in ("tpoff", "gottpoff")
                    value = self._address(self.file.symbols[place.symbol], place.addend, taken=not thread)
                    found[index, number, name] = value - self.plan.thread if thread else value
        return found


def _transfers(section: Section, relocation: RawRelocation) -> bool:
    """Whether the relocated field is the displacement of a call or jump."""
    before = section.data[max(relocation.offset - 2, 0) : relocation.offset]
    return relocation.type == _PLT32 or before[-1:] in (b"\xe8", b"\xe9") or (before[:1] == b"\x0f" and before[-1] & 0xF0 == 0x80)


def load(file: ObjectFile, functions: list[Function], plan: Plan, addresses: Mapping[str, int]
         ) -> tuple[Image, dict[int, int], Places]:  # fmt: skip
    """The image, the base address of each section by index, and what (function, block, placeholder) stands for.

    addresses: of the translation's symbols.

    Raises InputError for a relocation that has no meaning here.
    """
    loader = _Loader(file, functions, plan, addresses)
    return loader.image(), loader.base, loader.places(functions)


__all__ = ["load"]
