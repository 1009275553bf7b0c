"""From two effects and a state map to the claims that make them equal: the initial relation and the goals.

The relation is put in by substitution (every target cell that is the home of something live becomes that term,
everything else on the target a fresh unknown), so that equal results become the same hash-consed term. What the
source does not find live is unknown too, and unrelated: a proof can use no dead bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final, Literal, Protocol

from isa import terms as t
from isa.flow import FAILS
from isa.machine import Access, Effect, Event
from isa.statemap import StateMap, cell_term
from isa.terms import Term
from solver import ordering

Exit = Literal["fall", "branch", "indirect"]
MemoryOrder = Literal["relaxed", "tso"]
Live = Sequence[tuple[str, int]]

ANY_ADDRESS: Final = "any address"  # the variable that stands for each address in turn
FLOAT_RESULTS: Final = t.FLOAT_BINARY | {"fsqrt", "fma", "f2f", "s2f", "u2f", "fround"}


class SymbolFacts(Protocol):
    """What is known of a symbol's address: ``align`` divides it; ``low``: it is below 2**31."""

    @property
    def name(self) -> str: ...
    @property
    def align(self) -> int: ...
    @property
    def low(self) -> bool: ...


@dataclass(frozen=True)
class Goal:
    """``source`` and ``code`` (one width; 0 for memory) must be equal in every state.

    what: for the reader. enough: a cheaper claim of width 1 that implies it, if there is one.
    """

    what: str
    source: Term
    code: Term
    enough: Term | None = None


@dataclass
class Relation:
    """Both sides over one set of unknowns.

    goals: results that must be equal. loads, stores: the target's accesses; source_loads, source_stores: the source's.
    initial: name shown -> term, for counterexamples. assumptions: width 1 each, true in every state that counts; notes
    say them, and what was put in as known, in words. bounds: width 1 each, must be true in every state, assumed or not: they
    keep what the target does from being assumed away.
    """

    goals: list[Goal]
    loads: list[Access]
    stores: list[Access]
    source_loads: list[Access]
    source_stores: list[Access]
    initial: dict[str, Term]
    assumptions: list[Term]
    notes: list[str]
    approximations: list[str] = field(default_factory=list)
    bounds: list[Term] = field(default_factory=list)


def relate(source: Effect, code: Effect, map: StateMap, live_in: Live, live_out: Live, exit: Exit,
           symbols: Sequence[SymbolFacts], order: MemoryOrder = "relaxed") -> Relation:  # fmt: skip
    """The claims of one proof.

    order: what other threads may notice (``solver.ordering``). Raises ValueError if the effects do not fit ``exit``, and
    ``ordering.Disordered``.
    """
    if (source.condition is not None) != (exit == "branch"):
        raise ValueError(f"the source {'has no' if exit == 'branch' else 'has a'} condition, but its exit is {exit}")
    if exit == "indirect" and source.target is None:
        raise ValueError("the source has no target address, but its exit is indirect")
    addresses = {s.name: _symbol(s) for s in symbols}
    entered = dict(live_in)
    homes = {map.homes[name]: _home(name, bits) for name, bits in live_in}
    # The thread pointer is one unknown under each name that the instruction sets have for it.
    homes |= {name: t.var("fs_base", 64) for name in ("tp", *(["x4"] if map.target == "riscv64" else []))}
    code_terms = _Side(code, homes | {FAILS: t.FALSE}, addresses, "code.")
    shared = order == "tso" or ordering.is_atomic(source.events)
    source_terms, goals = _shared(source, code, code_terms, addresses) if shared else _alone(source, code, code_terms, addresses)
    if code.retry is not None:
        goals += _round(code, map, live_in, homes, addresses)

    goals += [
        _live_goal(name, bits, source_terms, code_terms.cell(map.homes[name]))
        for name, bits in live_out
        if not _stays(name, bits, source, code, map, entered)
    ]
    if exit == "indirect":
        assert source_terms.target is not None
        goals.append(Goal("branch target", source_terms.target, code_terms.cell(map.branch_target)))
    goals.append(Goal("branch taken", source_terms.condition, code_terms.condition))
    goals += [Goal(f"{r} (reserved)", code_terms.start(r), code_terms.cell(r)) for r in map.reserved if r in code.cells]
    goals += [Goal("no fault of its own", t.FALSE, fault) for fault in code_terms.faults]

    assumptions = [*(t.not_(f) for f in source_terms.faults), *source_terms.assumed]
    notes = ["no division fault"] if source.faults else []
    traps = [trap for trap in code_terms.traps if trap is not t.FALSE]
    bounds: list[Term] = []
    if ordering.is_atomic(source.events):
        misaligned = [_misaligned(e) for e in source_terms.events if e.kind == "atomic"]
        bounds = [t.or_(t.not_(trap), reduce(t.or_, misaligned, t.FALSE)) for trap in traps]
        assumptions += [t.not_(trap) for trap in traps]
        notes += ["a misaligned locked access stops the program"] if traps else []
    else:
        goals += [Goal("no trap of its own", t.FALSE, trap) for trap in traps]
    notes += ["conversions to integers are in range"] if source.assumed else []
    notes += [f"{s.name} is a multiple of {s.align}" for s in symbols if s.align > 1]
    notes += [f"{s.name} is below 2**31" for s in symbols if s.low]
    approximations = source.approximations | code.approximations
    computed = any(x.op in FLOAT_RESULTS for x in t.walk(*(g.source for g in goals), *(g.code for g in goals)))
    if computed and not any("NaN" in text for text in approximations):
        approximations = approximations | {"sign and payload of a NaN result"}
    shown = {name: cell_term(name) for name, _ in live_in} | addresses
    # Where accesses are compared one for one there is nothing left to ask of them.
    loads, stores = ([], []) if shared else (code_terms.loads, code_terms.stores)
    return Relation(goals, loads, stores, source_terms.loads, source_terms.stores, shown, assumptions, notes,
                    sorted(approximations), bounds)  # fmt: skip


def _misaligned(access: Event) -> Term:
    assert access.address is not None
    if access.size == 1:
        return t.FALSE
    low = t.extract(access.address, 0, access.size.bit_length() - 1)
    return t.ne(low, t.const(0, low.width))


def _alone(source: Effect, code: Effect, code_terms: _Side, addresses: dict[str, Term]) -> tuple[_Side, list[Goal]]:
    """The source's side, and the claim on memory that no other thread looks at."""
    if code.retry is not None or any(e.exclusive for e in code.events):
        raise ordering.Disordered("exclusive accesses, where the source is no atomic instruction")
    source_terms = _Side(source, {}, addresses, "undef.")
    return source_terms, [Goal("memory", source_terms.memory, code_terms.memory)]


def _shared(source: Effect, code: Effect, code_terms: _Side, addresses: dict[str, Term]) -> tuple[_Side, list[Goal]]:
    """The source's side, and the claims on memory that other threads look at."""
    if not (source.shared and code.shared):
        raise ValueError("effects that were not lifted for shared memory")
    wanted = [e for e in source.events if e.guard is not t.FALSE]
    events = ordering.folded(code_terms.events)
    if not ordering.is_atomic(wanted):
        if code.retry is not None or any(e.kind == "atomic" for e in events):
            raise ordering.Disordered("an atomic access, where the source is no atomic instruction")
        ordering.check_tso(wanted, events)
        known = {s.value.attr: c.value for s, c in zip(wanted, ordering.accesses(events), strict=True)
                 if s.kind == "load" and s.value is not None and c.value is not None}  # fmt: skip
        source_terms = _Side(source, known, addresses, "undef.")
        made = [e for raw, e in zip(source.events, source_terms.events, strict=True) if raw.guard is not t.FALSE]
        pairs = zip(made, ordering.accesses(events), strict=True)
        return source_terms, [goal for n, (s, c) in enumerate(pairs) for goal in _same_access(n + 1, s, c)]
    exclusive = any(e.exclusive and e.kind == "store" for e in code_terms.events)
    ordering.check_atomic(wanted, events, code.retry is not None, exclusive)
    atomic = next(iter(ordering.accesses(events)), None)
    if atomic is None:
        return _Side(source, {}, addresses, "undef."), []
    found = ordering.part_of(_Side(source, {}, addresses, "undef.").events[0], atomic)
    halves = [v.attr for v in t.walk(wanted[0].value) if v.op == "var"] if wanted[0].value is not None else []
    width = found.width // len(halves)
    known = {name: t.extract(found, width * int(name.partition(":")[2]), width) for name in halves}
    source_terms = _Side(source, known, addresses, "undef.")
    (one,) = source_terms.events
    assert one.address is not None and atomic.address is not None and atomic.stored is not None
    goals = [Goal("address of the atomic access", one.address, atomic.address)]
    if one.size != atomic.size:
        inside = t.compare("ule", t.sub(one.address, atomic.address), t.const(atomic.size - one.size, 64))
        goals = [Goal("the atomic access holds the source's", t.TRUE, inside)]
    return source_terms, [*goals, Goal("what is stored", ordering.written_by(one, atomic), atomic.stored)]


def _same_access(number: int, source: Event, code: Event) -> list[Goal]:
    """An access of the target is the source's: made under the same condition, and if so at one address with one value."""
    goals = [Goal(f"access {number} is made", source.guard, code.guard)]
    pairs = [("address", source.address, code.address)] + [("value", source.value, code.value)] * (source.kind == "store")
    for what, a, b in pairs:
        assert a is not None and b is not None
        a, b = (t.ite(source.guard, x, t.const(0, x.width)) for x in (a, b))
        goals.append(Goal(f"{what} of access {number}", a, b))
    return goals


def _round(code: Effect, map: StateMap, live_in: Live, homes: dict[str, Term], addresses: dict[str, Term]) -> list[Goal]:
    """A round whose store-exclusive fails is made again, from a state in which all is as it was at the start."""
    assert code.retry is not None
    rounds = Effect(dict(code.retry.cells), t.memory(), condition=code.retry.condition, events=code.events, shared=True)
    fails, succeeds = (_Side(rounds, homes | {FAILS: bit}, addresses, "code.") for bit in (t.TRUE, t.FALSE))
    if any(not e.exclusive and e.guard is not t.FALSE for e in ordering.accesses(fails.events)):
        raise ordering.Disordered("an access in a failed round besides the exclusive ones")
    goals = [Goal("a failed round is made again", t.TRUE, fails.condition),
             Goal("only a failed round is made again", t.FALSE, succeeds.condition)]  # fmt: skip
    for name, bits in live_in:
        home = map.homes[name]
        if home in rounds.cells:
            width = bits if cell_term(name).width > 1 else 64
            old, new = fails.start(home), fails.cell(home)
            goals.append(Goal(f"{name} after a failed round", t.extract(old, 0, width), t.extract(new, 0, width)))
    return goals + [Goal(f"{r} (reserved)", fails.start(r), fails.cell(r)) for r in map.reserved if r in rounds.cells]


def _stays(name: str, bits: int, source: Effect, code: Effect, map: StateMap, entered: dict[str, int]) -> bool:
    """Whether a live-out is one that was live in and that neither side writes: equal with nothing to show."""
    written = map.homes[name] in code.cells or any(cell in source.cells for cell in t.variables(cell_term(name)))
    return not written and entered.get(name, 0) >= bits


def _symbol(symbol: SymbolFacts) -> Term:
    """The address with what is known of it put in: unknown bits are one variable."""
    low = symbol.align.bit_length() - 1
    if not low and not symbol.low:
        return t.var(symbol.name, 64)
    middle = t.var(f"{symbol.name}.bits", (31 if symbol.low else 64) - low)
    return t.zext(t.concat(middle, t.const(0, low)) if low else middle, 64)


def _home(name: str, bits: int) -> Term:
    """What the target's home of a live cell holds on entry."""
    term = cell_term(name)
    if term.width == 1:
        return t.zext(term, 64)
    if bits == term.width:
        return term
    return t.concat(t.var(f"code.{name}.high", 64 - bits), t.extract(term, 0, bits))


def _live_goal(name: str, bits: int, source: _Side, home: Term) -> Goal:
    term = cell_term(name)
    final = t.substitute([term], {v: source.cell(n) for n, v in t.variables(term).items()})[0]
    if final.width == 1:
        return Goal(name, t.zext(final, 64), home)
    return Goal(f"{name}:{bits}" if bits < 64 else name, t.extract(final, 0, bits), t.extract(home, 0, bits))


class _Side:
    """An effect over the common unknowns: ``known`` cells and ``symbols`` put in, the rest and ``undef`` renamed."""

    def __init__(self, effect: Effect, known: dict[str, Term], symbols: dict[str, Term], prefix: str) -> None:
        self._known = known | symbols
        self._prefix = prefix
        self._is_code = prefix == "code."
        accesses = effect.loads + effect.stores
        singles = [x for x in (effect.condition, effect.target) if x is not None]
        roots = [*effect.cells.values(), effect.memory, *singles, *effect.faults, *effect.traps, *effect.assumed]
        roots += [x for a in accesses for x in (a.address, a.guard)]
        events = effect.events if effect.shared else []
        roots += [x for e in events for x in e.terms]
        new = iter(t.substitute(roots, dict(self._replacements(roots))))
        self._cells = {name: next(new) for name in effect.cells}
        self.memory = next(new)
        self.condition = t.FALSE if effect.condition is None else next(new)
        self.target = None if effect.target is None else next(new)
        self.faults = [next(new) for _ in effect.faults]
        self.traps = [next(new) for _ in effect.traps]
        self.assumed = [next(new) for _ in effect.assumed]
        self.loads = [Access(next(new), a.size, next(new)) for a in effect.loads]
        self.stores = [Access(next(new), a.size, next(new)) for a in effect.stores]
        self.events = [e.mapped(lambda _: next(new)) for e in events]

    def _replacements(self, roots: list[Term]) -> Iterable[tuple[Term, Term]]:
        for term in t.walk(*roots):
            if term.op == "undef":
                yield term, t.var(f"{self._prefix}{term.attr}", term.width)
            elif term.op == "var" and term.width:
                yield term, self._initial(term.attr, term.width)

    def _initial(self, name: str, width: int) -> Term:
        if name in self._known:
            return self._known[name]
        return t.var(f"code.{name}" if self._is_code else name, width)

    def start(self, name: str) -> Term:
        """A 64-bit cell's value on entry."""
        return self._initial(name, 64)

    def cell(self, name: str) -> Term:
        """A cell's value at the end."""
        if name in self._cells:
            return self._cells[name]
        width = cell_term(name).width if not self._is_code else 64
        return self._initial(name, width)
