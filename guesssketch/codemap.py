"""What lies where in one object's code: instructions, the regions of its functions, and who refers to what."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from typing import Final

from guesssketch import exceptions
from guesssketch.decode import ABSOLUTE, PC_RELATIVE, RELOCATIONS, Decoded, disassembler, is_padding, sweep
from guesssketch.program import ElfSymbol, ObjectFile, Place, RawRelocation
from guesssketch.regions import Body, Region, Spot, find_bodies

UNWIND: Final = (".eh_frame", ".sframe")  # allocated, speak of code, but are made anew for the target
_NUMBER: Final = re.compile(r"-?(0x)?[0-9a-f]+$")


class CodeMap:
    """Built once per object. ``problems`` collects what has no translation, worded for ``Untranslatable``."""

    def __init__(self, file: ObjectFile) -> None:
        self.file = file
        self.problems: list[str] = []
        self.code: dict[int, list[Decoded]] = {}
        self.index: dict[int, dict[int, int]] = {}  # section -> offset -> position in ``code``
        self.regions: dict[int, list[Region]] = {}
        self.leaders: dict[int, set[int]] = defaultdict(set)
        self.called: set[Spot] = set()
        self._starts: dict[int, list[int]] = {}
        self._section_symbols = {s.section: s.index for s in file.symbols if s.type == "section" and s.section is not None}
        for section in file.sections:
            if section.is_code and section.is_allocated and section.data:
                regions = self._find_regions(section.index)
                self.regions[section.index] = regions
                cuts = [cut for region in regions for cut in (region.offset, region.end)]
                self.code[section.index] = list(sweep(section, cuts))
                self.index[section.index] = {ins.offset: n for n, ins in enumerate(self.code[section.index])}
                self._starts[section.index] = [region.offset for region in self.regions[section.index]]
        for regions in self.regions.values():
            for region in regions:
                self._scan(region)
        self._scan_data()
        self._check_landing_pads()
        self.bodies = find_bodies(self.file, self.regions, self.called, self.region_at)
        self.owners = {(r.section, r.offset): body for body in self.bodies for r in body.regions}

    # -- addresses

    def resolve(self, symbol: int, addend: int) -> Spot | None:
        """Where symbol plus addend lies, if the symbol is defined in a section of this object."""
        entry = self.file.symbols[symbol]
        return None if entry.section is None else (entry.section, entry.value + addend)

    def place_of(self, spot: Spot) -> Place:
        """``spot`` as a place: by a function's symbol at its start, else the section's, else any other of the section."""
        section, offset = spot
        region = self.region_at(spot)
        if region is not None and (region.offset == offset or section not in self._section_symbols):
            return Place(region.names[0], offset - region.offset)
        if section in self._section_symbols:
            return Place(self._section_symbols[section], offset)
        any_symbol = next(s for s in self.file.symbols if s.section == section)
        return Place(any_symbol.index, offset - any_symbol.value)

    def operand(self, ins: Decoded, relocation: RawRelocation) -> Place:
        """The address that a relocated field speaks of, corrected for the distance to the end of the instruction."""
        kind, _ = RELOCATIONS[relocation.type]
        correction = ins.end - relocation.offset if kind in PC_RELATIVE else 0
        return Place(relocation.symbol, relocation.addend + correction)

    def region_at(self, spot: Spot) -> Region | None:
        starts = self._starts.get(spot[0], [])
        position = bisect_right(starts, spot[1]) - 1
        if position < 0:
            return None
        region = self.regions[spot[0]][position]
        return region if spot[1] < region.end else None

    def body_at(self, spot: Spot) -> Body | None:
        region = self.region_at(spot)
        return None if region is None else self.owners[region.section, region.offset]

    def is_instruction(self, spot: Spot) -> bool:
        return spot[1] in self.index.get(spot[0], {})

    def destination(self, section: int, ins: Decoded) -> Place | Spot | None:
        """Of a direct transfer: a spot here, or a place of another object or of a symbol to keep by name; else None."""
        if ins.target is not None:
            return section, ins.target
        if not ins.relocations or ins.relocations[-1].type not in RELOCATIONS:
            return None
        place = self.operand(ins, ins.relocations[-1])
        kind, _ = RELOCATIONS[ins.relocations[-1].type]
        if ins.is_indirect:  # `call *f@GOTPCREL(%rip)` is a call of f
            return place if kind == "got" and place.addend == 0 else None
        symbol = self.file.symbols[place.symbol]
        spot = self.resolve(place.symbol, place.addend)
        return spot if spot is not None and symbol.binding == "local" else place

    def where(self, spot: Spot) -> str:
        """``object: symbol+0xoffset`` for messages."""
        region = self.region_at(spot)
        base, offset = self.file.sections[spot[0]].name, spot[1]
        if region is not None:
            base, offset = self.file.symbols[region.names[0]].name, spot[1] - region.offset
        return f"{self.file.name}: {base}+{offset:#x}"

    def function_after(self, region: Region) -> Spot | None:
        """The function that control reaches if it runs on past the end of ``region`` (through padding)."""
        position = bisect_right(self._starts[region.section], region.offset)
        if position == len(self._starts[region.section]):
            return None
        following = self.regions[region.section][position]
        spot = (following.section, following.offset)
        return spot if self.owners[spot].main is following else None

    def complain(self, spot: Spot, why: str) -> None:
        position = self.index.get(spot[0], {}).get(spot[1])
        text = "" if position is None else f"{self.code[spot[0]][position].text}: "
        self.problems.append(f"{self.where(spot)}: {text}{why}")

    # -- building

    def _find_regions(self, section: int) -> list[Region]:
        starts: dict[int, list[ElfSymbol]] = defaultdict(list)
        for symbol in self.file.symbols:
            if symbol.section == section:
                if symbol.type == "function" or (symbol.type == "notype" and symbol.binding != "local" and symbol.name):
                    starts[symbol.value].append(symbol)
                elif symbol.type in ("object", "unique", "tls"):
                    self.problems.append(f"{self.file.name}: {symbol.name}: inline data: an object in a code section")
        data = self.file.sections[section].data
        order = sorted(start for start in starts if start < len(data))
        ends = [*order[1:], len(data)]
        regions: list[Region] = []
        covered = 0
        for start, following in zip(order, ends, strict=False):
            self._check_gap(section, covered, start)
            size = max(symbol.size for symbol in starts[start])
            covered = min(start + size, following) if size else following
            names = sorted(starts[start], key=lambda s: (s.type != "function", s.binding == "local", s.binding == "weak", s.index))
            regions.append(Region(section, start, covered, tuple(symbol.index for symbol in names)))
        self._check_gap(section, covered, len(data))
        return regions

    def _check_gap(self, section: int, start: int, end: int) -> None:
        home = self.file.sections[section]
        if start < end and not is_padding(home.data[start:end]):
            where = f"{self.file.name}: {home.name}+{start:#x}"
            self.problems.append(f"{where}: inline data or unknown code: {end - start} bytes that belong to no function symbol")

    def instructions(self, region: Region) -> list[Decoded]:
        code, index = self.code[region.section], self.index[region.section]
        return code[index[region.offset] : index.get(region.end, len(code))]

    def _scan(self, region: Region) -> None:
        leaders = self.leaders[region.section]
        leaders.add(region.offset)
        for ins in self.instructions(region):
            if ins.flow != "plain":
                leaders.add(ins.end)
                if ins.flow in ("string", "atomic"):
                    leaders.add(ins.offset)
                target = None if ins.flow == "atomic" else self.destination(region.section, ins)
                if isinstance(target, Place):
                    target = self.resolve(target.symbol, target.addend)
                if target is not None:
                    self.leaders[target[0]].add(target[1])
                    if ins.flow == "call":
                        self.called.add(target)
                    elif self.region_at(target) is not region:
                        region.outgoing.append(target)
            if ins.relocations or "rip" in ins.operands:
                self._scan_operands(region, ins)

    def _scan_operands(self, region: Region, ins: Decoded) -> None:
        for spot, is_address in self._references(region.section, ins):
            if spot[0] not in self.code:
                region.data_uses.append(spot)
                if ins.flow != "jump":
                    region.loose_uses.append(spot)
            elif is_address:
                region.code_uses.append((ins, spot))
                self._take(spot)
            elif not ins.is_indirect:
                self.complain((region.section, ins.offset), "reads or writes inline data in a code section")

    def _references(self, section: int, ins: Decoded) -> list[tuple[Spot, bool]]:
        """(spot, whether its address is the value rather than its content) of each operand that lies in this object."""
        if ins.flow in ("jump", "branch", "call") and not ins.is_indirect:
            return []
        found: list[tuple[Spot, bool]] = []
        for relocation in ins.relocations:
            kind, width = RELOCATIONS.get(relocation.type, ("", 0))
            if kind in ("pc", "abs32", "abs32s", "abs64"):
                place = self.operand(ins, relocation)
                spot = self.resolve(place.symbol, place.addend)
                immediate = kind != "pc" and relocation.offset + width == ins.end
                immediate = immediate and "[" not in ins.operands.rsplit(",", 1)[-1]
                immediate = immediate and _NUMBER.match(ins.operands.rsplit(", ", 1)[-1]) is not None
                if spot is not None:
                    found.append((spot, ins.mnemonic == "lea" or immediate))
        displacement = self.local_displacement(section, ins)
        if displacement is not None:
            found.append(((section, displacement[0]), ins.mnemonic == "lea"))
        return found

    def local_displacement(self, section: int, ins: Decoded) -> tuple[int, int] | None:
        """(offset in this section that a rip-relative operand without relocation means, position of its field)."""
        if "rip" not in ins.operands or any(relocation.type not in ABSOLUTE for relocation in ins.relocations):
            return None
        code = self.file.sections[section].data[ins.offset : ins.end]
        detail = next(disassembler(detail=True).disasm(code, ins.offset))
        return ins.end + detail.disp, detail.disp_offset

    def _take(self, spot: Spot) -> None:
        region = self.region_at(spot)
        if region is not None and region.offset != spot[1]:
            region.labels.add(spot[1])
            self.leaders[spot[0]].add(spot[1])

    def _scan_data(self) -> None:
        for section in self.file.sections:
            if not section.is_allocated or section.index in self.code or section.name.startswith((*UNWIND, exceptions.TABLE)):
                continue
            for relocation in section.relocations:
                if relocation.type in ABSOLUTE:
                    spot = self.resolve(relocation.symbol, relocation.addend)
                    if spot is not None and spot[0] in self.code:
                        self._take(spot)

    def _check_landing_pads(self) -> None:
        """Complain of every function that an exception could enter."""
        try:
            pads = exceptions.landing_pads(self.file)
        except exceptions.Unreadable as error:
            why = f"exceptions have no translation, and where they land is not known ({error})"
            self.problems.append(f"{self.file.name}: {exceptions.TABLE}: {why}")
            return
        for piece in pads:
            entered = next((pad for pad in piece.landing if not self._only_terminates((piece.section, pad))), None)
            if entered is not None:
                name = self.where((piece.section, piece.offset)).removesuffix("+0x0")
                self.problems.append(f"{name}: has a landing pad at +{entered - piece.offset:#x}: C++ exceptions have no "
                                     "translation; compile with -fno-exceptions")  # fmt: skip

    def _only_terminates(self, spot: Spot) -> bool:
        """Whether a landing pad is clang's for a function that must not throw: ``mov rdi, rax; call __clang_call_terminate``."""
        section, offset = spot
        position = self.index.get(section, {}).get(offset, -1)
        code = self.code.get(section, [])
        if position < 0 or position + 1 >= len(code) or code[position].text != "mov rdi, rax":
            return False
        target = self.destination(section, code[position + 1]) if code[position + 1].flow == "call" else None
        return isinstance(target, Place) and self.file.symbols[target.symbol].name == "__clang_call_terminate"
