"""Backward slices from indirect jumps: the constant addresses that a target was computed from, and the stack's depth.

Registers are followed as whole 64-bit families along all predecessors. What the slice does not understand makes it
incomplete, never wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from capstone import x86_const

from guesssketch.codemap import CodeMap
from guesssketch.decode import RELOCATIONS, Decoded, disassembler
from guesssketch.regions import Spot

_CALLER_SAVED: Final = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")


def _families() -> dict[str, str]:
    families: dict[str, str] = {}
    for letter in "abcd":
        families |= dict.fromkeys((f"r{letter}x", f"e{letter}x", f"{letter}x", f"{letter}l", f"{letter}h"), f"r{letter}x")
    for name in ("si", "di", "bp", "sp"):
        families |= dict.fromkeys((f"r{name}", f"e{name}", name, f"{name}l"), f"r{name}")
    for number in range(8, 16):
        families |= dict.fromkeys((f"r{number}", f"r{number}d", f"r{number}w", f"r{number}b"), f"r{number}")
    return families


_FAMILY: Final = _families()


@dataclass(frozen=True)
class Memory:
    """base + index * scale + disp, or ``spot`` in place of disp (and of rip) where a relocation says so."""

    base: str | None
    index: str | None
    scale: int
    disp: int
    spot: Spot | None


@dataclass(frozen=True)
class Operation:
    """What the slice sees of an instruction: operands are a register's name, a constant, an address, or memory."""

    mnemonic: str
    writes: frozenset[str]
    operands: tuple[str | int | Spot | Memory, ...]


@dataclass
class Slice:
    """Table starts (or near them, for absolute ones) that a jump's target comes from.

    complete: nothing else can have contributed. is_local: for certain no tail call. is_computed: something was
    added to the address of code, which no table lists. bounds: table start -> number of
    entries, for an absolute table whose index the code compares just before.
    """

    relative: set[Spot] = field(default_factory=set)
    absolute: set[Spot] = field(default_factory=set)
    complete: bool = True
    is_local: bool = False
    is_computed: bool = False
    is_sum: bool = False
    bounds: dict[Spot, int] = field(default_factory=dict)


class Slicer:
    """For one function. ``blocks``: offset -> (section, instructions); ``successors``: offset -> offsets."""

    def __init__(
        self,
        code: CodeMap,
        entry: int,
        blocks: Mapping[int, tuple[int, Sequence[Decoded]]],
        successors: Mapping[int, Sequence[int]],
    ) -> None:
        self._code = code
        self._entry = entry
        self._blocks = blocks
        self._successors = successors
        self._predecessors: dict[int, list[int]] = defaultdict(list)
        for number, targets in successors.items():
            for target in targets:
                self._predecessors[target].append(number)
        self._operations: dict[int, list[Operation]] = {}
        self._depths: dict[int, tuple[int | None, int | None]] | None = None

    # -- slices

    def jump(self, number: int) -> Slice:
        """The slice of the indirect jump that ends block ``number``."""
        operations = self._of(number)
        result = Slice(is_local=self._blocks[number][1][-1].mnemonic.startswith("notrack"))
        position = len(operations) - 1
        match operations[position].operands:
            case (Memory() as memory,):
                self._load(result, number, position, memory)
            case (str() as register,):
                self._target(result, number, position, _FAMILY[register], set())
            case _:
                result.complete = False
        return result

    def _target(self, result: Slice, number: int, position: int, register: str, seen: set[tuple[int, int]]) -> None:
        for at in self._definitions(number, position, register):
            if at is None:
                result.complete = False
                continue
            if at in seen:
                continue
            seen.add(at)
            operation = self._of(at[0])[at[1]]
            match operation.mnemonic, operation.operands:
                case "mov", (_, Memory() as memory):
                    self._load(result, *at, memory)
                case "mov", (str() as name, str() as source) if name in _FAMILY.values() and source in _FAMILY:
                    self._target(result, *at, _FAMILY[source], seen)
                case "add", (str() as name, str() | int() | tuple() | Memory() as other):
                    self._sum(result, at, (name, other))
                case "lea", (_, Memory(base=str() as base, index=str() as index, scale=1, disp=0, spot=None)):
                    self._sum(result, at, (base, index))
                case _:
                    result.complete = False

    def _sum(self, result: Slice, at: tuple[int, int], sides: Sequence[str | int | Spot | Memory]) -> None:
        """``at`` adds an entry of a relative table to the table's address, in either order."""
        tied = False
        for side in sides:
            spots: set[Spot | None] = {None}
            if isinstance(side, str):
                spots = self._origins(*at, _FAMILY[side], set())
            elif isinstance(side, tuple):
                spots = {side}
            result.relative |= {spot for spot in spots if spot is not None}
            result.is_computed |= any(spot is not None and spot[0] in self._code.code for spot in spots)
            tied = tied or (bool(spots) and None not in spots)
            if isinstance(side, str) and self._is_widened(*at, _FAMILY[side]):
                result.is_local = True
        result.complete = result.complete and tied
        result.is_sum = result.is_sum or not tied

    def _is_widened(self, number: int, position: int, register: str) -> bool:
        """Whether ``register`` holds a sign-extended 32-bit value, as an entry of a relative table is."""
        sites = self._definitions(number, position, register)
        return any(at is not None and self._of(at[0])[at[1]].mnemonic in ("movsxd", "cdqe") for at in sites)

    def _load(self, result: Slice, number: int, position: int, memory: Memory) -> None:
        """The target is loaded from ``memory``: an entry of an absolute table, unless the address is a single one."""
        if memory.spot is not None:
            if memory.base is None and memory.index is None:
                result.complete = False
                return
            result.absolute.add(memory.spot)
            bound = self._bound(number, position, memory)
            if bound is not None:
                result.bounds[memory.spot] = bound
            return
        tied = False
        for register in (memory.base, memory.index if memory.scale == 1 else None):
            if register in _FAMILY:
                spots = self._origins(number, position, _FAMILY[register], set())
                result.absolute |= {(spot[0], spot[1] + memory.disp) for spot in spots if spot is not None}
                tied = tied or (bool(spots) and None not in spots)
        result.complete = result.complete and tied

    def _origins(self, number: int, position: int, register: str, seen: set[tuple[int, int]]) -> set[Spot | None]:
        """Constant addresses that ``register`` may hold before instruction ``position``; None: anything else."""
        found: set[Spot | None] = set()
        for at in self._definitions(number, position, register):
            if at is None:
                found.add(None)
                continue
            if at in seen:
                continue
            seen.add(at)
            operation = self._of(at[0])[at[1]]
            match operation.mnemonic, operation.operands:
                case "lea", (_, Memory(base=None, index=None, spot=(section, offset))):
                    found.add((section, offset))
                case "mov" | "movabs", (_, (section, offset)):
                    found.add((section, offset))
                case "mov", (str() as name, str() as source) if name in _FAMILY.values() and source in _FAMILY:
                    found |= self._origins(*at, _FAMILY[source], seen)
                case _:
                    found.add(None)
        return found

    def _bound(self, number: int, position: int, memory: Memory) -> int | None:
        """Entries of an absolute table whose index was compared with a constant in this block's only predecessor.

        ``cmp index, n; ja elsewhere`` proves an index of 0 to n, so the instruction's address is the table's start.
        """
        register = memory.index if memory.base is None and memory.scale == 8 else None
        predecessors = self._predecessors[number]
        if register is None or len(predecessors) != 1 or predecessors[0] == number:
            return None
        family = _FAMILY[register]
        for operation in reversed(self._of(number)[:position]):
            if family in operation.writes:
                match operation.mnemonic, operation.operands:
                    case "mov" | "movzx", (_, str() as source) if source in _FAMILY:
                        family = _FAMILY[source]
                    case _:
                        return None
        before = self._of(predecessors[0])
        taken = self._successors[predecessors[0]][0]
        if len(before) < 2 or before[-1].mnemonic != ("jbe" if taken == number else "ja"):
            return None
        match before[-2].mnemonic, before[-2].operands:
            case "cmp", (str() as compared, int() as last) if _FAMILY.get(compared) == family and last >= 0:
                return last + 1
        return None

    def _definitions(self, number: int, position: int, register: str) -> Iterator[tuple[int, int] | None]:
        """Where ``register`` got its value before instruction ``position``: (block, position), None for the entry."""
        pending = [(number, position)]
        seen: set[int] = set()
        while pending:
            block, end = pending.pop()
            operations = self._of(block)
            at = next((n for n in range(end - 1, -1, -1) if register in operations[n].writes), None)
            if at is not None:
                yield block, at
                continue
            if block == self._entry:
                yield None
            for predecessor in self._predecessors[block]:
                if predecessor not in seen:
                    seen.add(predecessor)
                    pending.append((predecessor, len(self._of(predecessor))))

    # -- operations

    def _of(self, number: int) -> list[Operation]:
        if number not in self._operations:
            section, instructions = self._blocks[number]
            self._operations[number] = [self._operation(section, ins) for ins in instructions]
        return self._operations[number]

    def _operation(self, section: int, ins: Decoded) -> Operation:
        if ins.flow == "call":
            return Operation("call", frozenset(_CALLER_SAVED), ())
        code = self._code.file.sections[section].data[ins.offset : ins.end]
        detail = next(disassembler(detail=True).disasm(code, ins.offset), None)
        if detail is None:
            return Operation(ins.mnemonic, frozenset(_FAMILY.values()), ())
        _, written = detail.regs_access()
        writes = frozenset(_FAMILY[name] for r in written if (name := detail.reg_name(r)) in _FAMILY)
        spots: dict[int, Spot] = {}
        for relocation in ins.relocations:
            kind, _ = RELOCATIONS.get(relocation.type, ("", 0))
            place = self._code.operand(ins, relocation) if kind in ("pc", "abs32", "abs32s", "abs64") else None
            spot = None if place is None else self._code.resolve(place.symbol, place.addend)
            if spot is not None:
                spots[relocation.offset - ins.offset] = spot
        local = self._code.local_displacement(section, ins)
        if local is not None:
            spots[local[1]] = (section, local[0])
        operands: list[str | int | Spot | Memory] = []
        for operand in detail.operands:
            if operand.type == x86_const.X86_OP_REG:
                operands.append(detail.reg_name(operand.reg))
            elif operand.type == x86_const.X86_OP_IMM:
                operands.append(spots.get(detail.imm_offset, operand.imm))
            else:
                mem = operand.mem
                base = None if mem.base in (0, x86_const.X86_REG_RIP) else detail.reg_name(mem.base)
                index = None if mem.index in (0, x86_const.X86_REG_RIZ, x86_const.X86_REG_EIZ) else detail.reg_name(mem.index)
                operands.append(Memory(base, index, mem.scale, mem.disp, spots.get(detail.disp_offset)))
        return Operation(detail.mnemonic, writes, tuple(operands))

    # -- the stack

    def stack_depth(self, number: int) -> int | None:
        """Bytes below the return address at the end of block ``number``; None if they are not a constant."""
        if self._depths is None:
            self._depths = self._find_depths()
        return self._depths.get(number, (None, None))[0]

    def switches_stack(self, number: int) -> bool:
        """Whether block ``number`` loads rsp, as ``__builtin_longjmp`` does before it jumps to a label elsewhere."""
        return any(o.mnemonic == "mov" and o.operands[:1] == ("rsp",) and isinstance(o.operands[-1], Memory)
                   for o in self._of(number))  # fmt: skip

    def _find_depths(self) -> dict[int, tuple[int | None, int | None]]:
        """Depth of rsp and rbp at the end of each block; where paths disagree the depth is None."""
        start: dict[int, tuple[int | None, int | None]] = {self._entry: (0, None)}
        end: dict[int, tuple[int | None, int | None]] = {}
        pending = [self._entry]
        while pending:
            number = pending.pop()
            state = start[number]
            for operation in self._of(number):
                state = _step(operation, *state)
            end[number] = state
            for successor in self._successors[number]:
                old = start.get(successor)
                new = state if old is None else tuple(a if a == b else None for a, b in zip(old, state, strict=True))
                if new != old:
                    start[successor] = (new[0], new[1])
                    pending.append(successor)
        return end


def _step(operation: Operation, rsp: int | None, rbp: int | None) -> tuple[int | None, int | None]:
    def plus(depth: int | None, amount: int) -> int | None:
        return None if depth is None else depth + amount

    match operation.mnemonic, operation.operands:
        case "push", _:
            return plus(rsp, 8), rbp
        case "pop", ("rsp",):
            return None, rbp
        case "pop", (register,):
            return plus(rsp, -8), None if register == "rbp" else rbp
        case "sub", ("rsp", int() as amount):
            return plus(rsp, amount), rbp
        case "add", ("rsp", int() as amount):
            return plus(rsp, -amount), rbp
        case "lea", ("rsp", Memory(base="rsp", index=None, disp=amount, spot=None)):
            return plus(rsp, -amount), rbp
        case "lea", ("rsp", Memory(base="rbp", index=None, disp=amount, spot=None)):
            return plus(rbp, -amount), rbp
        case "mov", ("rsp", "rbp"):
            return rbp, rbp
        case "mov", ("rbp", "rsp"):
            return rsp, rsp
        case "leave", _:
            return plus(rbp, -8), None
    return None if "rsp" in operation.writes else rsp, None if "rbp" in operation.writes else rbp
