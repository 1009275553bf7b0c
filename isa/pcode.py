"""P-code -> terms: walks instructions over a state of cells. x86-64's semantics stand on it; any of pypcode's
languages could.

How an instruction set uses it (``isa/x86_64/lift.py``):

1. Describe the registers once, with a ``Layout``: p-code register offset -> cell, and an ``Isa`` around it.
2. ``lifter = Lifter(isa)``, then ``lifter.step(instruction)`` for each instruction. The state moves on in
   ``lifter.state``; it is ``None`` when the instruction never falls through. Control that leaves elsewhere is given
   as a list of ``Exit`` (an offset from the start of the code, or a term for an indirect transfer, with the state
   that leaves). ``merge`` joins states where paths meet.
3. ``lifter.effect()`` packs what was collected.

An *override* gives an instruction's semantics directly, where p-code is wrong or silent: ``Isa.overrides`` maps a
mnemonic to ``function(lifter, instruction) -> bool`` (false: not this one, use p-code). It works with ``lifter.cell``
/ ``set_cell`` (whole cells), ``read`` / ``write`` (byte ranges of the p-code register space), ``load`` / ``store``
(memory, recorded as accesses), ``undef``, ``refuse`` (opaque), and may call ``lifter.pcode(instruction)`` and mend
the outcome.

*Constant patching*: ``lifter.patched(instruction, code, {magic: term})`` lifts other bytes than the
instruction's own, in which relocated fields hold magic values, and puts the term (64 bits wide, cut to the constant's
width) for each constant that equals one. A magic value that never turns up makes the instruction opaque.

P-code is cached by bytes and lifted at the fixed address ``ADDRESS``, so program-counter-relative constants are offsets
from there; branch targets are turned back into offsets. Flags are bytes in p-code and one bit in cells. Source of
the operations' meaning: Ghidra's P-Code Reference Manual.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pypcode

from isa import terms as t
from isa.machine import Access, Effect, Event, Instruction, seen
from isa.pcode_ops import NAN_RESULT, PURE
from isa.terms import Term

ADDRESS: Final = 0x1000_0000  # where every instruction is lifted

Place = tuple[str, int, int]  # space, offset, size in bytes
Op = tuple[str, Place | None, tuple[Place, ...]]
Override = Callable[["Lifter", Instruction], bool]


@dataclass(frozen=True)
class Layout:
    """Which cells the p-code register space holds.

    words: offset (a multiple of 8) -> 64-bit cell. flags: offset of a byte -> 1-bit cell. constants: offset of a word
    -> its fixed value; writes to it are lost (a zero register, x86's direction flag word). Bytes in none of the three
    are temporaries of one instruction; reading one before it is written is opaque.
    """

    words: Mapping[int, str]
    flags: Mapping[int, str]
    constants: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Isa:
    """An instruction set as the lifter sees it; ``language`` is pypcode's name."""

    name: str
    language: str
    layout: Layout
    overrides: Mapping[str, Override]
    key: Callable[[Instruction], str] = lambda instruction: instruction.mnemonic


@dataclass
class State:
    """Machine state on one path. ``cells`` holds what was written; ``guard`` is the path's condition, a conjunction."""

    cells: dict[str, Term]
    guard: tuple[Term, ...] = ()

    def copy(self) -> State:
        return State(dict(self.cells), self.guard)


@dataclass(frozen=True)
class Exit:
    """Control that leaves an instruction: to an offset from the start of the code (int), or to an address (64-bit
    term)."""

    target: int | Term
    state: State


def conjunction(literals: tuple[Term, ...]) -> Term:
    return functools.reduce(t.and_, literals, t.TRUE)


def merge(a: State | None, b: State | None, width: Callable[[str], int]) -> State | None:
    """The state where two paths meet; their guards exclude each other. ``width`` gives a cell's width."""
    if a is None or b is None:
        return a or b
    common = 0
    while common < min(len(a.guard), len(b.guard)) and a.guard[common] is b.guard[common]:
        common += 1
    rest_a, rest_b = conjunction(a.guard[common:]), conjunction(b.guard[common:])
    covered = t.TRUE if rest_a is t.not_(rest_b) else t.or_(rest_a, rest_b)
    guard = a.guard[:common] + (() if covered is t.TRUE else (covered,))
    cells = {}
    for name in {**a.cells, **b.cells}:
        initial = t.var(name, width(name))
        cells[name] = t.ite(rest_b, b.cells.get(name, initial), a.cells.get(name, initial))
    return State(cells, guard)


class Lifter:
    """Walks instructions in order; everything that ``Effect`` lists is collected on the way.

    shared: a load gives an unknown of its own, as other threads may store (``isa.flow``), else what memory holds.
    """

    def __init__(self, isa: Isa, shared: bool = False) -> None:
        self.isa = isa
        self.shared = shared
        self.events: list[Event] = []
        self.state: State | None = State({})
        self.memory = t.memory()  # of all paths: a store under a guard keeps what was there where the guard is false
        self.loads: list[Access] = []
        self.stores: list[Access] = []
        self.faults: list[Term] = []
        self.approximations: set[str] = set()
        self.opaque: list[str] = []
        self._temporaries: dict[tuple[str, int], Term] = {}
        self._patch: Mapping[int, Term] = {}
        self._patched: set[int] = set()
        self._undefined = 0
        self._first_load = 0  # of the present instruction
        self._first_event = 0
        self._text = ""
        self._words, self._flags, self._fixed = isa.layout.words, isa.layout.flags, isa.layout.constants
        self._widths = dict.fromkeys(isa.layout.flags.values(), 1)

    # State, as overrides use it.

    @property
    def now(self) -> State:
        assert self.state is not None, "no path reaches this instruction"
        return self.state

    def width(self, cell: str) -> int:
        return self._widths.get(cell, 64)

    def cell(self, name: str) -> Term:
        """The present value of a cell."""
        value = self.now.cells.get(name)
        return t.var(name, self.width(name)) if value is None else value

    def set_cell(self, name: str, value: Term) -> None:
        assert value.width == self.width(name), (name, value.width)
        self.now.cells[name] = value

    def guard(self) -> Term:
        return conjunction(self.now.guard)

    def load(self, address: Term, size: int) -> Term:
        """``size`` bytes of memory, recorded as an access (once, where p-code reads an operand again)."""
        access = Access(address, size, self.guard())
        if access not in self.loads[self._first_load :]:
            self.loads.append(access)
        halves = ((0, 8), (8, 8)) if size == 16 and self.shared else ((0, size),)
        parts = [self._loaded(t.add(address, t.const(start, 64)), width, start > 0) for start, width in halves]
        return t.concat(*reversed(parts))

    def _loaded(self, address: Term, size: int, part: bool) -> Term:
        """The value of one load event; of the one before, where an instruction's p-code reads again or what it wrote."""
        guard = self.guard()
        value = seen(self.events, size) if self.shared else t.load(self.memory, address, 8 * size)
        for event in reversed(self.events[self._first_event :]):
            if event.address is address and event.size == size and event.guard is guard and event.value is not None:
                return event.value if self.shared else value
        self.events.append(Event("load", guard, address, size, value, part=part))
        return value

    def store(self, address: Term, value: Term) -> None:
        guard = self.guard()
        self.stores.append(Access(address, value.width // 8, guard))
        for low, width in ((0, 64), (64, 64)) if value.width == 128 and self.shared else ((0, value.width),):
            place = t.add(address, t.const(low // 8, 64))
            self.events.append(Event("store", guard, place, width // 8, t.extract(value, low, width), part=low > 0))
        if guard is not t.TRUE:
            value = t.ite(guard, value, t.load(self.memory, address, value.width))
        self.memory = t.store(self.memory, address, value)

    def fence(self, orders: frozenset[str]) -> None:
        self.events.append(Event("fence", self.guard(), orders=orders))

    def indivisible(self) -> None:
        """The present instruction's load and store become one atomic event; anything else is refused."""
        events = self.events[self._first_event :]
        if [e.kind for e in events] == ["atomic"]:
            return
        loads, stores = (tuple(e for e in events if e.kind == kind) for kind in ("load", "store"))
        places = [[(e.address, e.size, e.guard) for e in group] for group in (loads, stores)]
        if tuple(events) != loads + stores or len(loads) not in (1, 2) or places[0] != places[1]:
            self.refuse(f"atomic: {self._text}")
            return
        old, new = (t.concat(*(e.value for e in reversed(group) if e.value is not None)) for group in (loads, stores))
        first = loads[0]
        self.events[self._first_event :] = [Event("atomic", first.guard, first.address, old.width // 8, old, new)]

    def undef(self, why: str, width: int) -> Term:
        """A fresh unspecified value."""
        self._undefined += 1
        return t.undef(f"{self.isa.name} {self._undefined}: {why}", width)

    def refuse(self, why: str) -> None:
        """Note that the code has no semantics here: no proof will stand on it."""
        if why not in self.opaque:
            self.opaque.append(why)

    def fault(self, condition: Term) -> None:
        """The code faults under ``condition``, on the present path."""
        self.faults.append(t.and_(self.guard(), condition))

    def effect(self) -> Effect:
        """What was collected, with the present state as the final one."""
        state = self.state or State({})
        cells = {n: v for n, v in state.cells.items() if v is not t.var(n, self.width(n))}
        return Effect(cells, self.memory, self.loads, self.stores, None, None, self.faults, self.approximations,
                      self.opaque, self.events, shared=self.shared)  # fmt: skip

    # Byte ranges of the register space.

    def read(self, offset: int, size: int) -> Term:
        """``size`` bytes of the p-code register space from ``offset``."""
        flag = self._flags.get(offset)
        if flag is not None and size == 1:
            return t.zext(self.cell(flag), 8)
        base = offset & ~7
        name = self._words.get(base)
        if name is not None and offset + size <= base + 8:
            return t.extract(self.cell(name), 8 * (offset - base), 8 * size)
        if base in self._fixed and offset + size <= base + 8:
            return t.extract(t.const(self._fixed[base], 64), 8 * (offset - base), 8 * size)
        if name is None and base not in self._fixed:
            return self._read_temporary("register", offset, size)
        cut = base + 8 - offset
        return t.concat(self.read(base + 8, size - cut), self.read(offset, cut))

    def write(self, offset: int, value: Term) -> None:
        """Put ``value`` (whole bytes) at ``offset`` of the p-code register space."""
        size = value.width // 8
        flag = self._flags.get(offset)
        if flag is not None and size == 1:
            self.set_cell(flag, t.extract(value, 0, 1))
            return
        base = offset & ~7
        name = self._words.get(base)
        if offset + size > base + 8 and (name is not None or base in self._fixed):
            cut = base + 8 - offset
            self.write(offset, t.extract(value, 0, 8 * cut))
            self.write(base + 8, t.extract(value, 8 * cut, value.width - 8 * cut))
        elif name is not None:
            low, end = 8 * (offset - base), 8 * (offset - base) + value.width
            old = self.cell(name)
            parts = [] if end == 64 else [t.extract(old, end, 64 - end)]
            parts += [value] if low == 0 else [value, t.extract(old, 0, low)]
            self.set_cell(name, t.concat(*parts))
        elif base not in self._fixed:
            self._write_temporary("register", offset, value)

    def _read_temporary(self, space: str, offset: int, size: int) -> Term:
        exact = self._temporaries.get((space, offset))
        if exact is not None and exact.width == 8 * size:
            return exact
        pieces: list[Term] = []
        at = offset
        while at < offset + size:
            found = self._covering(space, at)
            if found is None:
                name = _register_name(self.isa.language, at) if space == "register" else space
                self.refuse(f"{name} is not modelled: {self._text}")
                return self.undef(f"{space}[{offset:#x}]", 8 * size)
            start, term = found
            end = min(offset + size, start + term.width // 8)
            pieces.append(t.extract(term, 8 * (at - start), 8 * (end - at)))
            at = end
        return t.concat(*reversed(pieces))

    def _covering(self, space: str, at: int) -> tuple[int, Term] | None:
        for (where, start), term in self._temporaries.items():
            if where == space and start <= at < start + term.width // 8:
                return start, term
        return None

    def _write_temporary(self, space: str, offset: int, value: Term) -> None:
        end = offset + value.width // 8
        for (where, start), old in list(self._temporaries.items()):
            old_end = start + old.width // 8
            if where != space or old_end <= offset or end <= start or (start == offset and old_end == end):
                continue
            del self._temporaries[where, start]
            if start < offset:
                self._temporaries[where, start] = t.extract(old, 0, 8 * (offset - start))
            if end < old_end:
                self._temporaries[where, end] = t.extract(old, 8 * (end - start), 8 * (old_end - end))
        self._temporaries[space, offset] = value

    # Walking.

    def begin(self, instruction: Instruction) -> None:
        """What is accessed from here on is ``instruction``'s."""
        self._first_event, self._text = len(self.events), instruction.text

    def step(self, instruction: Instruction) -> list[Exit]:
        """Execute one instruction on ``state``; gives the control that leaves it other than by falling through."""
        self.begin(instruction)
        override = self.isa.overrides.get(self.isa.key(instruction))
        if override is not None and override(self, instruction):
            return []
        return self.pcode(instruction)

    def pcode(self, instruction: Instruction, code: bytes | None = None) -> list[Exit]:
        """Execute the instruction by its p-code, without overrides; ``code``: by that of other bytes."""
        return self.patched(instruction, code or instruction.code, {})

    def patched(self, instruction: Instruction, code: bytes, patch: Mapping[int, Term]) -> list[Exit]:
        """Execute ``code`` in the instruction's place, with terms for constants; see the module docstring."""
        self._patch, self._patched = patch, set()
        self._temporaries.clear()
        self._first_load, self._text = len(self.loads), instruction.text
        try:
            ops = translate(self.isa.language, code)
        except (pypcode.LowlevelError, ValueError) as error:
            self.refuse(f"{instruction.text}: {error}")
            return []
        exits = self._run(instruction, ops)
        if len(self._patched) != len(self._patch):
            self.refuse(f"{instruction.text}: relocated field not found in its p-code")
        return exits

    def _run(self, instruction: Instruction, ops: tuple[Op, ...]) -> list[Exit]:
        exits: list[Exit] = []
        pending: dict[int, list[State]] = {}
        following = ADDRESS + len(instruction.code)
        for index, (name, output, inputs) in enumerate(ops):
            for other in pending.pop(index, ()):
                self.state = merge(self.state, other, self.width)
            if self.state is None:
                continue
            if name in ("BRANCH", "CBRANCH"):
                condition = t.extract(self._value(inputs[1]), 0, 1) if name == "CBRANCH" else t.TRUE
                space, offset, size = inputs[0]
                leaving = self._fork(condition)
                if leaving is None:
                    continue
                if space == "const":
                    target = index + t.signed(offset, 8 * size)
                    if target <= index:
                        self.refuse(f"loop inside {instruction.text}")
                    else:
                        pending.setdefault(min(target, len(ops)), []).append(leaving)
                elif offset == following:
                    pending.setdefault(len(ops), []).append(leaving)
                else:
                    exits.append(Exit(offset - ADDRESS + instruction.offset, leaving))
            elif name in ("BRANCHIND", "CALLIND", "RETURN"):
                exits.append(Exit(self._value(inputs[0]), self.now))
                self.state = None
            elif name == "CALL":
                exits.append(Exit(inputs[0][1] - ADDRESS + instruction.offset, self.now))
                self.state = None
            elif name == "STORE":
                self.store(self._value(inputs[1]), self._value(inputs[2]))
            else:
                value = self._operation(instruction, name, output, inputs)
                if output is not None:
                    self._put(output, value)
        for other in (s for states in pending.values() for s in states):
            self.state = merge(self.state, other, self.width)
        return exits

    def _fork(self, condition: Term) -> State | None:
        """Split the present path: gives the part where ``condition`` holds, and keeps the rest."""
        if condition is t.FALSE:
            return None
        leaving = self.now
        if condition is t.TRUE:
            self.state = None
            return leaving
        self.state = leaving.copy()
        self.state.guard += (t.not_(condition),)
        leaving.guard += (condition,)
        return leaving

    def _operation(self, instruction: Instruction, name: str, output: Place | None, inputs: tuple[Place, ...]) -> Term:
        width = 8 * output[2] if output else 0
        if name == "LOAD":
            return self.load(self._value(inputs[1]), width // 8)
        pure = PURE.get(name)
        if pure is not None:
            if name in NAN_RESULT:
                self.approximations.add("sign and payload of a NaN result")
            return pure(width, *(self._value(place) for place in inputs))
        if name == "CALLOTHER":
            name = "operation"
        self.refuse(f"{name} in {instruction.text}")
        return self.undef(name, max(width, 8))

    def _value(self, place: Place) -> Term:
        space, offset, size = place
        if space == "const":
            return self._constant(offset, 8 * size)
        if space == "register":
            return self.read(offset, size)
        if space == "unique":
            return self._read_temporary(space, offset, size)
        return self.load(self._constant(offset, 64), size)

    def _constant(self, value: int, width: int) -> Term:
        if self._patch:
            for magic, term in self._patch.items():
                if value == magic & t.mask(width) and magic < 1 << width:
                    self._patched.add(magic)
                    return t.extract(term, 0, width)
        return t.const(value, width)

    def _put(self, place: Place, value: Term) -> None:
        space, offset, _ = place
        if space == "register":
            self.write(offset, value)
        elif space == "unique":
            self._write_temporary(space, offset, value)
        else:
            self.store(self._constant(offset, 64), value)


@functools.cache
def _context(language: str) -> pypcode.Context:
    return pypcode.Context(language)


@functools.cache
def _register_name(language: str, offset: int) -> str:
    found = (name for name, place in _context(language).registers.items() if place.offset == offset)
    return next(found, f"register {offset:#x}")


@functools.lru_cache(maxsize=1 << 16)
def translate(language: str, code: bytes) -> tuple[Op, ...]:
    """The p-code of the one instruction ``code`` at ``ADDRESS``, markers left out. Raises ``ValueError`` if it is not
    one."""
    context = _context(language)
    try:
        operations = context.translate(code, ADDRESS, 0, len(code), 1).ops
    except (pypcode.BadDataError, pypcode.UnimplError) as error:
        raise ValueError(str(error)) from None
    ops: list[Op] = []
    for op in operations:
        if op.opcode == pypcode.OpCode.IMARK:
            if op.inputs[0].size != len(code):
                raise ValueError(f"{code.hex()} is {op.inputs[0].size} bytes long in p-code")
            continue
        output = (op.output.space.name, op.output.offset, op.output.size) if op.output is not None else None
        ops.append((op.opcode.name, output, tuple((v.space.name, v.offset, v.size) for v in op.inputs)))
    return tuple(ops)
