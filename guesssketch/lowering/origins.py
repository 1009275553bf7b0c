"""Which source instruction each term of a block comes from: the truth behind an alignment, on the side of the source."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from guesssketch.lowering.emitter import Maker
from guesssketch.lowering.ir import Roots
from guesssketch.lowering.simplify import simplify
from guesssketch.problem import Problem
from isa import terms as t
from isa.machine import Effect
from isa.separate import new_table, separate
from isa.statemap import CONDITIONS, FLAGS, cell_term
from isa.terms import MEMORY, Term
from isa.x86_64.lift import lift

_WIDTHS: Final = (8, 16, 32)
_RESIZES: Final = frozenset({"zext", "sext", "extract"})
_STACK_POINTER: Final = "rsp"  # push and pop move it, but what they access is their own work


@dataclass(frozen=True)
class Parts:
    """Source instructions, by index, that take part in what one line of IR is there for.

    work: those whose terms it is. asked: those that set the flags that it asks for, or compute what these compare. tests: the
    same, without the compares that have code of their own. copies: those that put something that there is already where it
    is read for this.
    """

    work: frozenset[int]
    tests: frozenset[int]
    asked: frozenset[int]
    copies: frozenset[int]


class Origins:
    """The terms under a block's roots by source instruction. Make it, and use it, in the table of terms of the roots.

    A term comes from the first instruction after which it is part of the state, of an address or of the way out. A compare
    that an instruction makes of flags (``jl``) is put down to those that set the flags.
    """

    def __init__(self, problem: Problem, steps: Sequence[Effect], roots: Roots) -> None:
        """steps: the effect after each instruction, whose last one the roots are of."""
        self._roots = roots
        self._under = list(t.walk(*roots.terms))
        self._last = len(problem.instructions) - 1
        self._symbols: dict[str, int] = {}
        for number, instruction in enumerate(problem.instructions):
            for relocation in instruction.relocations:
                self._symbols.setdefault(relocation.symbol, number)
        self._first: dict[int, int] = {}
        self._writers: dict[str, int] = {}
        self._held: list[dict[int, set[tuple[str, int]]]] = []  # before an instruction: term -> cells it is in, and since when
        before: dict[str, Term] = {}
        for number, effect in enumerate(steps):
            self._held.append(_holders(before, self._writers))
            for term in t.walk(*_all_terms(effect, problem)):
                self._first.setdefault(term.id, number)
            now = effect.cells | _conditions(effect)
            self._writers |= {name: number for name, value in now.items() if before.get(name, cell_term(name)) is not value}
            before = now
        with separate(new_table()):
            alone = [lift([x], problem.exit if n == self._last else "fall") for n, x in enumerate(problem.instructions)]
            self._reads = [_reads(effect) for effect in alone]
            self._immediates = [{x.attr for x in t.walk(*_roots(effect)) if x.op == "const"} for effect in alone]
            self._setters = _setters(alone, self._reads)

    def writer(self, cell: str) -> int | None:
        """The last instruction that changes ``cell`` (a cell or a condition); None if none does."""
        return self._writers.get(cell)

    def symbol(self, name: str) -> int | None:
        """The first instruction with a relocation to a placeholder."""
        return self._symbols.get(name)

    def first(self, maker: Maker) -> int | None:
        """The instruction that ``maker`` comes from; None for an input, a constant and the state map."""
        if isinstance(maker, str):
            return self._last if maker == "jump" else None
        if maker.op == "var":
            return self._symbols.get(maker.attr)
        if maker.op in ("const", "undef"):
            return None
        if maker.id in self._first:
            return self._first[maker.id]
        if maker.op in ("load", "store"):
            return self._last  # made anew by ``ir.roots_of`` for a string instruction, which is the last
        return max((n for a in maker.args if a.width != MEMORY and (n := self.first(a)) is not None), default=None)

    def parts(self, maker: Maker, apart: Collection[int]) -> Parts | None:
        """All that goes into ``maker`` down to the terms ``apart`` (ids), which have code of their own.

        None if it comes from no instruction. A value that an instruction computes again itself is its own work.
        """
        base = self.first(maker)
        if base is None:
            return None
        gathering = _Gathering(self._first, self._held, self._reads, self._immediates, self._setters, apart)
        work, tests = {base}, set[int]()
        if isinstance(maker, str):
            assert self._roots.condition is not None
            gathering.visit(self._roots.condition, base, work, tests)
        elif maker.width == 1:
            setters = self._setters[base]
            tests |= setters or {base}
            gathering.arguments(maker, max(tests), tests, tests)
            work = {base} if setters else self._users(maker)
        else:
            gathering.arguments(maker, base, work, tests)
        asked = tests | gathering.elsewhere
        return Parts(frozenset(work), frozenset(tests), frozenset(asked), frozenset(gathering.copies))

    def _users(self, test: Term) -> set[int]:
        """The first instruction that uses a test, other than to set flags."""
        users = [n for x in self._under if x.width > 1 and test in x.args and (n := self.first(x)) is not None]
        if not users and self._roots.condition is not None:
            users = [self._last]
        return {min(users)} if users else set()

    def around(self, number: int) -> set[int]:
        """Ids of the terms that instruction ``number`` makes, and of their arguments: where its work may be hidden."""
        made = [x for x in self._under if self.first(x) == number]
        return {x.id for term in made for x in (term, *term.args) if x.width != MEMORY}

    def neighbours(self, access: Maker, apart: Collection[int]) -> set[Term]:
        """Loads or stores, without code of their own, of the same size right before or after ``access``."""
        if isinstance(access, str) or access.op not in ("load", "store"):
            return set()
        size = _size(access)
        near = {t.add(access.args[1], t.const(step, 64)).id for step in (size, -size)}
        others = [x for x in self._under if x.op == access.op and x.id not in apart and _size(x) == size]
        return {x for x in others if x.args[1].id in near}


@dataclass
class _Gathering:
    """A walk from a term down to what has code of its own."""

    first: dict[int, int]
    held: list[dict[int, set[tuple[str, int]]]]
    reads: list[frozenset[str]]
    immediates: list[set[int]]
    setters: list[set[int]]
    apart: Collection[int]

    def __post_init__(self) -> None:
        self.copies: set[int] = set()
        self.elsewhere: set[int] = set()  # compares with code of their own
        self._seen: set[tuple[int, int]] = set()

    def arguments(self, term: Term, user: int, work: set[int], tests: set[int]) -> None:
        for argument in term.args:
            self.visit(argument, user, work, tests)

    def visit(self, term: Term, user: int, work: set[int], tests: set[int]) -> None:
        """Note what goes into ``term``, which instruction ``user`` needs."""
        if term.width == MEMORY or (term.id, user) in self._seen:
            return
        self._seen.add((term.id, user))
        holders = {number for cell, number in self.held[user].get(term.id, ()) if cell in self.reads[user]}
        origin = self.first.get(term.id, user)
        if term.op != "const" or (term.width > 1 and term.attr not in self.immediates[user]):
            self.copies |= holders if _is_leaf(term) else holders - {origin}
        if _is_leaf(term) or term.op == "held":
            return
        setters: set[int] = set()
        if term.width == 1:
            setters = self.setters[origin] or ({origin} if origin < user else set())
        if term.id in self.apart:
            self.elsewhere |= setters
            return
        if term.width == 1:
            tests |= setters
            self.arguments(term, max(setters, default=user), tests, tests)
            return
        if origin < user and holders:
            inner = term
            while inner.op in _RESIZES:
                inner = inner.args[0]
            if inner.id in self.apart and (inner.op == "load" or self.first.get(inner.id) == origin):
                return  # what loads can extend, and the line of the load has done it
            work.add(origin)
            user = origin
        self.arguments(term, user, work, tests)


def _is_leaf(term: Term) -> bool:
    """An input or part of one, or a constant: nothing is done to make it."""
    if term.op == "extract" and term.attr == 0:
        term = term.args[0]
    return term.op in ("var", "undef", "const")


def _size(access: Term) -> int:
    return (access.width if access.op == "load" else access.args[2].width) // 8


def _holders(cells: dict[str, Term], writers: dict[str, int]) -> dict[int, set[tuple[str, int]]]:
    holders: dict[int, set[tuple[str, int]]] = {}
    for name, value in cells.items():
        if name in writers and name != _STACK_POINTER:
            for term in _views(value):
                holders.setdefault(term.id, set()).add((name, writers[name]))
    return holders


def _views(value: Term) -> list[Term]:
    """A cell's value at every width."""
    return [value, *(t.extract(value, 0, width) for width in _WIDTHS if value.width == 64)]


def _all_terms(effect: Effect, problem: Problem) -> list[Term]:
    """The roots of an effect at every width, as lifted and as ``ir.roots_of`` rewrites them."""
    roots = [*_roots(effect), *(x for value in effect.cells.values() for x in _views(value)), *_conditions(effect).values()]
    low = {s.name for s in problem.symbols if s.low}
    return roots + simplify(roots, [name for name, _ in problem.live_in], low)


def _roots(effect: Effect) -> list[Term]:
    accesses = [x for a in (*effect.loads, *effect.stores) for x in (a.address, a.guard)]
    return [*effect.cells.values(), effect.memory, *accesses, *_exits(effect)]


def _exits(effect: Effect) -> list[Term]:
    return [x for x in (effect.condition, effect.target) if x is not None]


def _conditions(effect: Effect) -> dict[str, Term]:
    flags = {t.var(name, 1): value for name, value in effect.cells.items() if name in FLAGS}
    return {name: t.substitute([cell_term(name)], flags)[0] for name in CONDITIONS}


def _reads(effect: Effect) -> frozenset[str]:
    """The cells that an instruction reads; what it leaves as it is does not count."""
    changed = {name: value for name, value in effect.cells.items() if value is not cell_term(name)}
    accesses = [x for a in (*effect.loads, *effect.stores) for x in (a.address, a.guard)]
    terms = t.walk(*changed.values(), effect.memory, *accesses, *_exits(effect))
    return frozenset(x.attr for x in terms if x.op == "var" and x.width != MEMORY)


def _setters(alone: list[Effect], reads: list[frozenset[str]]) -> list[set[int]]:
    """For each instruction the earlier ones that set the flags that it reads."""
    result: list[set[int]] = []
    last: dict[str, int] = {}
    for number, (effect, read) in enumerate(zip(alone, reads, strict=True)):
        result.append({last[name] for name in read if name in FLAGS and name in last})
        last |= {name: number for name, value in effect.cells.items() if name in FLAGS and value is not cell_term(name)}
    return result
