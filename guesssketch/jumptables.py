"""Where an indirect jump may go: jump tables found through their relocations, tied to the jump by a backward slice.

An absolute table is a run of R_X86_64_64 relocations to code inside the function. gcc may refer to it with a bias
(``jmp *.L4-8(,%rdi,8)``), so such a run is taken as a whole, both ways. A relative table is a run of PC32 (or PC64)
relocations whose value counts from the table's start, which the code must hold in a register: there the start is exact.
What cannot be tied to a table gets every label of the function whose address is taken, which is never too few.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guesssketch.codemap import UNWIND, CodeMap
from guesssketch.program import JumpTable
from guesssketch.regions import Body, Spot
from guesssketch.slicing import Slice, Slicer

_R_64, _R_PC32, _R_PC64 = 1, 2, 24


@dataclass(frozen=True)
class Resolution:
    """``targets``: block offsets in table order without repeats. None: a tail call through a pointer."""

    targets: tuple[int, ...] | None
    problem: str | None = None


class Tables:
    """Every relocation of data to code in one object, as table entries."""

    def __init__(self, code: CodeMap) -> None:
        self.code = code
        self._relative: dict[Spot, tuple[Spot, int]] = {}  # entry -> (spot by addend, width)
        self._bases: dict[int, list[int]] = defaultdict(list)
        self._runs: dict[tuple[int, int], list[JumpTable]] = defaultdict(list)  # main region's start -> absolute runs
        self._functions: set[Spot] = set()  # entries that hold a function's address
        for region in (region for regions in code.regions.values() for region in regions):
            for home, offset in region.data_uses:
                self._bases[home].append(offset)
        for bases in self._bases.values():
            bases.sort()
        for section in code.file.sections:
            if section.is_allocated and section.index not in code.code and not section.name.startswith(UNWIND):
                self._scan(section.index)

    def _scan(self, section: int) -> None:
        run: list[int] = []
        owner: Body | None = None
        expected = -1
        for relocation in self.code.file.sections[section].relocations:
            spot = self.code.resolve(relocation.symbol, relocation.addend)
            if relocation.type in (_R_PC32, _R_PC64) and spot is not None and spot[0] in self.code.code:
                self._relative[section, relocation.offset] = spot, 8 if relocation.type == _R_PC64 else 4
            if relocation.type != _R_64:
                continue
            symbol = self.code.file.symbols[relocation.symbol]
            body = None if spot is None or spot[0] not in self.code.code else self.code.body_at(spot)
            starts_function = body is not None and spot == (body.main.section, body.main.offset)
            if body is None or starts_function:
                self._functions.add((section, relocation.offset))
            if starts_function and symbol.type != "section":
                body = None
            if relocation.offset != expected or body is not owner:
                self._close(section, expected, run, owner)
                run, owner = [], body
            if body is not None and spot is not None:
                run.append(body.number(spot))
            expected = relocation.offset + 8
        self._close(section, expected, run, owner)

    def _close(self, section: int, end: int, run: list[int], owner: Body | None) -> None:
        if owner is not None and any(target != owner.main.offset for target in run):
            table = JumpTable(section, end - 8 * len(run), 8, False, tuple(run))
            self._runs[owner.main.section, owner.main.offset].append(table)

    def unclaimed(self, tables: Iterable[JumpTable]) -> list[Spot]:
        """Relative entries to the middle of functions that lie in none of ``tables``: nobody could keep them true."""
        claimed = {(t.section, t.offset + t.width * n) for t in tables if t.relative for n in range(len(t.targets))}
        starts = self.code.owners
        return [entry for entry, (spot, _) in self._relative.items() if entry not in claimed and spot not in starts]

    def of(self, body: Body) -> list[JumpTable]:
        """All tables whose entries lie in ``body``: absolute runs, and the relative tables that it refers to."""
        found = list(self._runs.get((body.main.section, body.main.offset), []))
        for region in body.regions:
            for spot in dict.fromkeys(region.data_uses):
                table = self._relative_table(body, spot)
                if table is not None and table not in found:
                    found.append(table)
        return found

    def _relative_table(self, body: Body, start: Spot) -> JumpTable | None:
        section, offset = start
        bases = self._bases[section]
        following = bisect_right(bases, offset)
        limit = bases[following] if following < len(bases) else self.code.file.sections[section].size
        targets: list[int] = []
        width = 4
        while offset < limit:
            entry = self._relative.get((section, offset))
            if entry is None:
                break
            (home, raw), width = entry
            target = (home, raw - (offset - start[1]))
            if self.code.body_at(target) is not body or not self.code.is_instruction(target):
                break
            targets.append(body.number(target))
            offset += width
        return JumpTable(section, start[1], width, True, tuple(targets)) if targets else None

    def resolve(
        self, tables: Sequence[JumpTable], labels: Sequence[int], slicer: Slicer, jumps: Iterable[int]
    ) -> dict[int, Resolution]:
        """Where each of ``jumps`` (blocks of one function) may go. ``labels``: its blocks whose address is taken."""
        everything = tuple({target: None for table in tables for target in table.targets} | dict.fromkeys(labels))
        claimed: set[int] = set()
        result: dict[int, Resolution] = {}
        unknown: list[int] = []
        for number in jumps:
            found = slicer.jump(number)
            targets, missing = self._targets(tables, found)
            if found.is_computed or (found.is_sum and labels):
                result[number] = Resolution(None, "jumps to a computed distance from a label")
            elif targets and found.complete and not missing:
                result[number] = Resolution(targets)
                claimed.update(targets)
            elif everything and (targets or found.is_local):
                result[number] = Resolution(everything)
            elif found.is_local:
                result[number] = Resolution(None, "an indirect jump inside its function, but no table of targets is known")
            elif found.complete and found.absolute and found.absolute <= self._functions:
                result[number] = Resolution(None)
            else:
                unknown.append(number)
        for number in unknown:
            depth = slicer.stack_depth(number)
            if claimed.issuperset(everything) and not self._escapes(tables) and not slicer.switches_stack(number):
                result[number] = Resolution(None)
            elif depth in (0, None):
                why = "cannot tell whether this jumps through a label's address or makes a tail call"
                result[number] = Resolution(None, why)
            else:
                result[number] = Resolution(everything)
        return result

    def _escapes(self, tables: Sequence[JumpTable]) -> bool:
        """Whether code other than a jump reads an absolute table: its labels may come back through any pointer."""
        loose = [spot for regions in self.code.regions.values() for region in regions for spot in region.loose_uses]
        runs = [(t.section, range(t.offset, t.offset + 8 * len(t.targets))) for t in tables if not t.relative]
        return any(home == section and at in extent for home, at in loose for section, extent in runs)

    def _targets(self, tables: Sequence[JumpTable], found: Slice) -> tuple[tuple[int, ...], bool]:
        """Targets of the tables that a slice leads to, and whether some base of it leads to none."""
        targets: dict[int, None] = {}
        missing = False
        for base in sorted(found.relative):
            named = [table for table in tables if table.relative and base == (table.section, table.offset)]
            targets |= dict.fromkeys(target for table in named for target in table.targets)
            missing = missing or not named
        for base in sorted(found.absolute):
            runs = [table for table in tables if not table.relative and table.section == base[0]]
            exact = _entries(runs, base, found.bounds.get(base, 0))
            covered = any(table.offset <= base[1] < table.offset + 8 * len(table.targets) for table in runs)
            if exact:
                targets |= dict.fromkeys(exact)
            elif base in self._functions or not (covered or not self._holds_functions(base[0])):
                missing = True
            else:
                targets |= dict.fromkeys(target for table in runs for target in table.targets)
                missing = missing or not runs
        return tuple(targets), missing

    def _holds_functions(self, section: int) -> bool:
        return any(home == section for home, _ in self._functions)


def _entries(runs: Sequence[JumpTable], base: Spot, count: int) -> tuple[int, ...]:
    """The ``count`` entries from ``base`` on, if one run has them all."""
    for run in runs:
        first, odd = divmod(base[1] - run.offset, 8)
        if not odd and first >= 0 and first + count <= len(run.targets):
            return run.targets[first : first + count]
    return ()
