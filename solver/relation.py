"""From two effects and a state map to the claims that make them equal: the initial relation and the goals.

The relation is put in by substitution (every target cell that is the home of something live becomes that term,
everything else on the target a fresh unknown), so that equal results become the same hash-consed term. What the
source does not find live is unknown too, and unrelated: a proof can use no dead bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from isa import terms as t
from isa.machine import Access, Effect
from isa.statemap import StateMap, cell_term
from isa.terms import Term

Exit = Literal["fall", "branch", "indirect"]
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
    say them, and what was put in as known, in words.
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


def relate(source: Effect, code: Effect, map: StateMap, live_in: Live, live_out: Live, exit: Exit,
           symbols: Sequence[SymbolFacts]) -> Relation:  # fmt: skip
    """The claims of one proof. Raises ValueError if the effects do not fit ``exit``."""
    if (source.condition is not None) != (exit == "branch"):
        raise ValueError(f"the source {'has no' if exit == 'branch' else 'has a'} condition, but its exit is {exit}")
    if exit == "indirect" and source.target is None:
        raise ValueError("the source has no target address, but its exit is indirect")
    addresses = {s.name: _symbol(s) for s in symbols}
    source_terms = _Side(source, {}, addresses, "undef.")
    entered = dict(live_in)
    homes = {map.homes[name]: _home(name, bits) for name, bits in live_in}
    # The thread pointer is one unknown under each name that the instruction sets have for it.
    homes |= {name: t.var("fs_base", 64) for name in ("tp", *(["x4"] if map.target == "riscv64" else []))}
    code_terms = _Side(code, homes, addresses, "code.")

    goals = [
        _live_goal(name, bits, source_terms, code_terms.cell(map.homes[name]))
        for name, bits in live_out
        if not _stays(name, bits, source, code, map, entered)
    ]
    goals.append(Goal("memory", source_terms.memory, code_terms.memory))
    if exit == "indirect":
        assert source_terms.target is not None
        goals.append(Goal("branch target", source_terms.target, code_terms.cell(map.branch_target)))
    goals.append(Goal("branch taken", source_terms.condition, code_terms.condition))
    goals += [Goal(f"{r} (reserved)", code_terms.start(r), code_terms.cell(r)) for r in map.reserved if r in code.cells]
    goals += [Goal("no fault of its own", t.FALSE, fault) for fault in code_terms.faults]

    notes = ["no division fault"] if source.faults else []
    notes += ["conversions to integers are in range"] if source.assumed else []
    notes += [f"{s.name} is a multiple of {s.align}" for s in symbols if s.align > 1]
    notes += [f"{s.name} is below 2**31" for s in symbols if s.low]
    approximations = source.approximations | code.approximations
    computed = any(x.op in FLOAT_RESULTS for x in t.walk(*(g.source for g in goals), *(g.code for g in goals)))
    if computed and not any("NaN" in text for text in approximations):
        approximations = approximations | {"sign and payload of a NaN result"}
    shown = {name: cell_term(name) for name, _ in live_in} | addresses
    return Relation(goals, code_terms.loads, code_terms.stores, source_terms.loads, source_terms.stores, shown,
                    [*(t.not_(f) for f in source_terms.faults), *source_terms.assumed], notes, sorted(approximations))  # fmt: skip


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
        roots = [*effect.cells.values(), effect.memory, *singles, *effect.faults, *effect.assumed]
        roots += [x for a in accesses for x in (a.address, a.guard)]
        new = iter(t.substitute(roots, dict(self._replacements(roots))))
        self._cells = {name: next(new) for name in effect.cells}
        self.memory = next(new)
        self.condition = t.FALSE if effect.condition is None else next(new)
        self.target = None if effect.target is None else next(new)
        self.faults = [next(new) for _ in effect.faults]
        self.assumed = [next(new) for _ in effect.assumed]
        self.loads = [Access(next(new), a.size, next(new)) for a in effect.loads]
        self.stores = [Access(next(new), a.size, next(new)) for a in effect.stores]

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
