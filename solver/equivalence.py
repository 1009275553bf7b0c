"""Is target code equal to a source block under the state map? The judgement that everything else rests on.

``check`` goes from cheap to dear, and every step is sound alone: claims that became one term are proved; a few concrete
states refute; Z3 with loads as functions (after the two chains of stores were laid side by side); Z3 with memory as an
array; Z3 with exact floating point. A model is believed only when evaluation confirms it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Final

from isa import terms as t
from isa.machine import Access, Effect
from isa.statemap import StateMap
from isa.terms import Term
from solver import door
from solver.counterexample import Counterexample, Difference, Search
from solver.normal import Normalizer
from solver.ordering import Disordered
from solver.relation import ANY_ADDRESS, FLOAT_RESULTS, Exit, Goal, Live, MemoryOrder, Relation, SymbolFacts, relate
from solver.verdict import Proved, Refuted, Unknown

RLIMIT: Final = 5_000_000  # one to two seconds of Z3 on a machine of 2023
_SAMPLES: Final = 7
_FLOAT_SAMPLES: Final = 31  # Z3 seldom finds floating-point results that differ in time
_VACUITY_SAMPLES: Final = 16


def check(source: Effect, code: Effect, map: StateMap, live_in: Live, live_out: Live, exit: Exit,
          symbols: Sequence[SymbolFacts] = (), *, order: MemoryOrder = "relaxed",
          rlimit: int = RLIMIT) -> Proved | Refuted | Unknown:  # fmt: skip
    """Judges ``code`` (terms over target cells) against ``source`` (over x86-64 cells).

    live_in, live_out: (cell or condition, low bits). The claim: from related states both leave states related in
    ``live_out``, equal memory, the same way out, and untouched reserved registers, and the code accesses no byte that
    the source does not. With ``order`` tso, and where the source is atomic, the same accesses, as ordered (``solver.ordering``).
    rlimit: bound on each Z3 query. The gate (``solver.gate``) is the caller's. Raises ValueError if the effects do not
    fit ``exit``.
    """
    start = time.perf_counter()
    opaque = [*source.opaque, *code.opaque]
    if opaque:
        return Unknown(f"no semantics: {', '.join(opaque)}")
    try:
        relation = relate(source, code, map, live_in, live_out, exit, symbols, order)
    except Disordered as error:
        return Refuted(Counterexample((), (), (Difference(str(error), 1, 0, 1),)))
    proof = _Proof(relation, rlimit)
    try:
        failure = proof.decide()
    except ValueError as error:
        return Unknown(f"no concrete meaning: {error}", ordered=True)
    if failure is not None:
        return replace(failure, ordered=True) if isinstance(failure, Unknown) else failure
    seconds = time.perf_counter() - start
    if door.is_heard() and not proof.spent:
        door.tell([*relation.assumptions, t.not_(reduce(t.and_, (_claim(g) for g in relation.goals), t.TRUE))])
    return Proved(tuple(relation.notes), tuple(relation.approximations), seconds, proof.spent)


class _Proof:
    """One judgement under way; ``spent``: Z3 resources so far."""

    def __init__(self, relation: Relation, rlimit: int) -> None:
        self._rlimit = rlimit
        self.spent = 0
        self._initial = relation.initial
        self._normal = Normalizer()
        self._assumptions = self._normal(*relation.assumptions)
        self._bounds = [bound for bound in self._normal(*relation.bounds) if bound is not t.TRUE]
        sides = self._under_assumptions([x for g in relation.goals for x in (g.source, g.code)])
        goals = [Goal(g.what, *sides[2 * n : 2 * n + 2]) for n, g in enumerate(relation.goals)]
        readable = self._accesses([*relation.source_loads, *relation.source_stores])
        writable = self._accesses(relation.source_stores)
        goals += self._inside("load", self._accesses(relation.loads), readable)
        goals += self._inside("store", self._accesses(relation.stores), writable)
        self._open = [g for g in goals if g.source is not g.code]

    def decide(self) -> Refuted | Unknown | None:
        """None if everything is proved."""
        if self._bounds and (failure := self._beyond_bounds()):
            return failure
        if self._assumptions and (reason := self._vacuous()):
            return Unknown(reason)
        if not self._open:
            return None
        lemmas, aligned = align(self._open)
        claims = [_claim(g) if g.enough is None else g.enough for g in [*lemmas, *aligned]]
        cheap = self._normal(*claims)
        if all(c is t.TRUE for c in cheap):
            return None
        # An equation brought to normal form may tear a remainder apart, which the door would know as one.
        cheap = [c if c is t.TRUE or not _divides(c) else claim for c, claim in zip(cheap, claims, strict=True)]
        search = Search(self._open, self._assumptions, self._initial)
        found = search.sample(_FLOAT_SAMPLES if _rounds(self._open) else _SAMPLES)
        if found is not None:
            return self._refuted(found)
        answer = self._ask(cheap, abstract_loads=True)
        if answer.status == "unsat":
            return None
        if answer.status == "sat" and (found := self._confirmed(answer, search)):
            return self._refuted(found)
        if lemmas and self._ask([_claim(g) for g in (*lemmas, *aligned)]).status == "unsat":
            return None
        return self._decide_exactly(search)

    def _decide_exactly(self, search: Search) -> Refuted | Unknown | None:
        claims = [_claim(g) for g in self._open]
        answer = self._ask(claims)
        if answer.status == "sat" and answer.abstract and not self._confirmed(answer, search):
            answer = self._ask(claims, exact_floats=True)
        if answer.status == "unsat":
            return None
        if answer.status == "unknown":
            return Unknown(f"Z3 gave up within rlimit {self._rlimit}: {answer.reason}")
        found = self._confirmed(answer, search)
        if found is None:
            return Unknown("abstraction: Z3's model is not a counterexample when evaluated")
        return self._refuted(found)

    def _under_assumptions(self, roots: list[Term]) -> list[Term]:
        """The roots, normal, with every condition that the assumptions decide put in as true or false."""
        roots = self._normal(*roots)
        if not self._assumptions:
            return roots
        facts: dict[Term, Term] = {}
        pending = [(a, True) for a in self._assumptions]
        while pending:
            term, holds = pending.pop()
            if term.op == "not":
                pending.append((term.args[0], not holds))
            elif term.op == ("and" if holds else "or"):
                pending += [(x, holds) for x in term.args]
            else:
                facts[term] = t.TRUE if holds else t.FALSE
        return self._normal(*t.substitute(roots, facts))

    def _beyond_bounds(self) -> Refuted | Unknown | None:
        """None if the target stops the program only where that is assumed not to happen."""
        answer = door.solve([t.not_(reduce(t.and_, self._bounds))], self._rlimit)
        self.spent += answer.rlimit
        if answer.status == "sat" and not answer.abstract:
            return Refuted(Counterexample((), (), (Difference("a trap where the source's access is aligned", 1, 0, 1),)))
        return None if answer.status == "unsat" else Unknown("whether the target traps where the source's access is aligned")

    def _vacuous(self) -> str:
        """Why the assumptions could not be shown satisfiable; empty if they are."""
        if Search([], self._assumptions, {}).satisfies_assumptions(_VACUITY_SAMPLES):
            return ""
        answer = door.solve(self._assumptions, self._rlimit)
        self.spent += answer.rlimit
        if answer.status == "sat" and answer.model is not None:
            model = answer.model
            search = Search([], self._assumptions, {})
            if not answer.abstract or search.assumptions_hold(model.values, lambda a: model.memory.get(a, 0)):
                return ""
        return "the assumptions (no division fault, conversions in range) may be unsatisfiable: the block may fault always"

    def _ask(self, claims: list[Term], **how: bool) -> door.Answer:
        violated = t.FALSE
        for claim in claims:
            violated = t.or_(violated, t.not_(claim))
        answer = door.solve([*self._assumptions, violated], self._rlimit, **how)
        self.spent += answer.rlimit
        return answer

    def _confirmed(self, answer: door.Answer, search: Search) -> Counterexample | None:
        assert answer.model is not None
        model = answer.model
        return search.confirm(model.values, lambda a: model.memory.get(a, 0))

    def _refuted(self, found: Counterexample) -> Refuted | Unknown:
        different = {d.what for d in found.differences}
        for goal in self._open:
            if goal.what in different:
                undefined = [n for n in t.variables(goal.source) if n.startswith("undef.")]
                if undefined:
                    return Unknown(f"{goal.what} depends on {', '.join(undefined)}, which x86-64 leaves undefined")
        return Refuted(found)

    def _accesses(self, accesses: Sequence[Access]) -> list[Access]:
        parts = self._normal(*(x for a in accesses for x in (a.address, a.guard)))
        return [Access(parts[2 * n], a.size, parts[2 * n + 1]) for n, a in enumerate(accesses)]

    def _inside(self, kind: str, accesses: list[Access], allowed: list[Access]) -> list[Goal]:
        """For each access that is not plainly inside an allowed one, the goal that each of its bytes is in some."""
        goals = []
        for access in accesses:
            if not self._plainly_inside(access, allowed):
                bytes_ = [self._byte_inside(t.add(access.address, t.const(k, 64)), allowed) for k in range(access.size)]
                covered = t.TRUE
                for inside in bytes_:
                    covered = t.and_(covered, inside)
                unguarded = t.not_(access.guard)
                enough = t.or_(unguarded, self._within_one(access, allowed))
                claim = t.or_(unguarded, covered)
                what = f"{kind} of {access.size} bytes only where the source does"
                goals.append(Goal(what, t.TRUE, claim, enough))
        return goals

    def _plainly_inside(self, access: Access, allowed: list[Access]) -> bool:
        missing = set(range(access.size))
        for other in allowed:
            gap = self._normal.distance(access.address, other.address)
            if gap is not None and other.guard in (t.TRUE, access.guard):
                missing -= {k for k in missing if (gap + k) & t.mask(64) < other.size}
        return not missing

    def _within_one(self, access: Access, allowed: list[Access]) -> Term:
        found = t.FALSE
        for other in allowed:
            if other.size >= access.size:
                near = t.compare("ule", t.sub(access.address, other.address), t.const(other.size - access.size, 64))
                found = t.or_(found, t.and_(other.guard, near))
        return found

    def _byte_inside(self, address: Term, allowed: list[Access]) -> Term:
        found = t.FALSE
        for other in allowed:
            near = t.ult(t.sub(address, other.address), t.const(other.size, 64))
            found = t.or_(found, t.and_(other.guard, near))
        return found


def _rounds(goals: Sequence[Goal]) -> bool:
    """Whether floating arithmetic is among what must still be shown equal."""
    return any(x.op in FLOAT_RESULTS for x in t.walk(*(side for g in goals for side in (g.source, g.code))))


def _divides(claim: Term) -> bool:
    return any(x.op in ("udiv", "sdiv") for x in t.walk(claim))


def _claim(goal: Goal) -> Term:
    """The goal as a term of width 1. Equal memories are those with equal bytes at one arbitrary address."""
    if goal.source.width != t.MEMORY:
        return t.eq(goal.source, goal.code)
    place = t.var(ANY_ADDRESS, 64)
    return t.eq(t.load(goal.source, place, 8), t.load(goal.code, place, 8))


def align(goals: Sequence[Goal]) -> tuple[list[Goal], list[Goal]]:
    """Lays the code's stores beside the source's: (lemmas, goals with matched stores of the code put as the source's).

    A store of the code upon memory that already matches is taken for the source's store upon that memory of the same
    width; that its address and value are equal is a lemma. If every lemma holds in every state, each term of the code
    equals what it was rebuilt to, by induction over its size: a matched store does by its two lemmas.
    """
    known: dict[tuple[int, int], list[Term]] = {}
    for term in t.walk(*(g.source for g in goals)):
        if term.op == "store":
            known.setdefault((term.args[0].id, term.args[2].width), []).append(term)
    lemmas: list[Goal] = []
    done: dict[int, Term] = {}
    for term in t.walk(*(x for g in goals for x in (g.code, g.enough) if x is not None)):
        args = tuple(done[a.id] for a in term.args)
        new = term if args == term.args else t.rebuild(term, args)
        if new.op == "store":
            candidates = known.get((new.args[0].id, new.args[2].width), [])
            match = next((s for s in candidates if s.args[1] is new.args[1]), candidates[0] if candidates else new)
            lemmas += [Goal("stored", a, b) for a, b in zip(match.args[1:], new.args[1:], strict=True) if a is not b]
            new = match
        done[term.id] = new
    aligned = [Goal(g.what, g.source, done[g.code.id], None if g.enough is None else done[g.enough.id]) for g in goals]
    return lemmas, aligned
