"""A number in the code solved for: what it must be so that given states end as the source's do.

The code is lifted with a few values of the number. Where the effects differ in constants only, and these are linear in the number,
one term in a variable stands for all (anti-unification: Plotkin 1970, Machine Intelligence 5). Initial states are put in as
constants, and Z3 is asked for a number that makes the results equal in all of them. Nothing is proved here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from isa import terms as t
from isa.machine import Effect
from isa.statemap import MAPS
from isa.terms import Term
from solver import door
from solver.emulate import ProblemLike, Source
from solver.memory import byte
from solver.ordering import Disordered
from solver.relation import Relation, relate

_NUMBER: Final = "number"
_RLIMIT: Final = 200_000


def solve_number(problem: ProblemLike, source: Effect, codes: Sequence[tuple[int, Effect]], states: Source,
                 numbers: Sequence[int], bounds: tuple[int, int]) -> int | None:  # fmt: skip
    """The number, read as signed; None if there is none, or nobody knows.

    codes: values of the number (three at least), each with the effect of the code that has it. states, numbers: which states to
    use. bounds: the least and the greatest number that may come out. All terms must be of one table (``isa.separate``).
    """
    try:
        related = [relate(source, code, MAPS[problem.target], problem.live_in, problem.live_out, problem.exit,  # type: ignore[arg-type]
                          problem.symbols) for _, code in codes]  # fmt: skip
        claims = _claims(related, [value for value, _ in codes])
    except (ValueError, Disordered):
        return None
    number = t.var(_NUMBER, 64)
    asked = [t.compare("sle", t.const(bounds[0], 64), number), t.compare("sle", number, t.const(bounds[1], 64))]
    asked += [claim for n in numbers for claim in _put_in(claims, states, n)]
    answer = door.solve(asked, _RLIMIT)
    return None if answer.model is None else t.signed(answer.model.values.get(_NUMBER, 0), 64)


def _claims(related: Sequence[Relation], values: Sequence[int]) -> list[Term]:
    """Results equal, stored values among them, and each access of the code where the source has one.

    Raises ValueError if the codes differ in more than numbers that are linear in the values.
    """
    first = related[0]
    names = [[goal.what for goal in one.goals] for one in related]
    accesses = [[*one.loads, *one.stores] for one in related]
    if any(other != names[0] for other in names) or any(len(other) != len(accesses[0]) for other in accesses):
        raise ValueError("codes of different shapes")
    joined = _Joined(values)
    claims = []
    for goals in zip(*(one.goals for one in related), strict=True):
        wanted, code = goals[0].source, joined.term(tuple(goal.code for goal in goals))
        if wanted.width == t.MEMORY:
            places = [(access.address, 8 * access.size) for access in first.source_stores]
            claims += [t.eq(t.load(wanted, place, width), t.load(code, place, width)) for place, width in places]
        else:
            claims.append(t.eq(wanted, code))
    for access in zip(*accesses, strict=True):
        address = joined.term(tuple(version.address for version in access))
        if _NUMBER in t.variables(address):
            meets = t.FALSE
            for known in (*first.source_loads, *first.source_stores):
                meets = t.or_(meets, t.eq(address, known.address))
            claims.append(meets)
    return claims


class _Joined:
    """Terms that differ in constants, as one term in the variable ``number``."""

    def __init__(self, values: Sequence[int]) -> None:
        self._values = values
        self._done: dict[tuple[int, ...], Term] = {}

    def term(self, versions: tuple[Term, ...]) -> Term:
        """Raises ValueError if there is none."""
        stack = [versions]
        while stack:
            now = stack[-1]
            key = tuple(x.id for x in now)
            if key in self._done:
                stack.pop()
                continue
            first = now[0]
            if all(x is first for x in now):
                self._done[key] = first
            elif all(x.op == "const" and x.width == first.width for x in now):
                self._done[key] = self._linear([x.attr for x in now], first.width)
            elif shift := self._shift(now):
                inner, made = shift
                if tuple(x.id for x in inner) not in self._done:
                    stack.append(inner)
                    continue
                self._done[key] = made(self._done[tuple(x.id for x in inner)])
            else:
                if any((x.op, x.width, len(x.args)) != (first.op, first.width, len(first.args)) for x in now):
                    raise ValueError("terms of different shapes")
                parts = [tuple(x.args[n] for x in now) for n in range(len(first.args))]
                open_parts = [part for part in parts if tuple(x.id for x in part) not in self._done]
                if open_parts:
                    stack += open_parts
                    continue
                self._done[key] = self._built(now, tuple(self._done[tuple(x.id for x in part)] for part in parts))
            stack.pop()
        return self._done[tuple(x.id for x in versions)]

    def _shift(self, now: tuple[Term, ...]) -> tuple[tuple[Term, ...], Callable[[Term], Term]] | None:
        """Where ``now`` are shifts by the number, written as fields of a term that depend on it: that term, and the shift of it."""
        width = now[0].width
        if any((x.op, x.width) != (now[0].op, width) for x in now):
            return None
        fields = [x.args[0] for x in now if x.op in ("zext", "sext")]
        if fields and all(f.op == "extract" and f.attr + f.width == f.args[0].width <= width for f in fields):
            signed = now[0].op == "sext"
            down = self._linear([f.attr for f in fields], fields[0].args[0].width)
            return (tuple(f.args[0] for f in fields),
                    lambda a: t.sext(t.ashr(a, down), width) if signed else t.zext(t.lshr(a, down), width))  # fmt: skip
        wide = [x.args[0].args[0] for x in now if x.op == "shl" and x.args[0].op == "zext" and x.args[1].op == "const"]
        if len(wide) == len(now) and all(f.op == "extract" and f.attr == 0 and f.args[0].width >= width for f in wide):
            up = self._linear([x.args[1].attr for x in now], width)
            if all(f.width + x.args[1].attr == width for f, x in zip(wide, now, strict=True)):
                return tuple(f.args[0] for f in wide), lambda a: t.shl(t.extract(a, 0, width), up)
        return None

    def _built(self, now: Sequence[Term], parts: tuple[Term, ...]) -> Term:
        first = now[0]
        if all(x.attr == first.attr for x in now):
            return t.rebuild(first, parts)
        if first.op != "extract":
            raise ValueError("terms of different shapes")
        low = self._linear([x.attr for x in now], parts[0].width)
        return t.extract(t.lshr(parts[0], low), 0, first.width)

    def _linear(self, found: Sequence[int], width: int) -> Term:
        """``factor * number + rest``, if that is what ``found`` is for the values."""
        ones = t.mask(width)
        number = t.var(_NUMBER, 64)
        number = t.extract(number, 0, width) if width <= 64 else t.sext(number, width)
        for shift in range(min(width, 64)):
            for factor in (1 << shift, -(1 << shift)):
                rest = found[0] - factor * self._values[0]
                if all((factor * value + rest - wanted) & ones == 0 for value, wanted in zip(self._values, found, strict=True)):
                    return t.add(t.mul(number, t.const(factor, width)), t.const(rest, width))
        raise ValueError("constants that are not linear in the number")


def _put_in(claims: Sequence[Term], states: Source, number: int) -> list[Term]:
    """The claims in one state: its cells, symbols, and what memory holds at known addresses; what stands for nothing stays open."""
    state = states.state(number)
    known: dict[Term, Term] = {}
    for name, variable in t.variables(*claims).items():
        symbol = name.removesuffix(".bits")
        if name in state:
            known[variable] = t.const(state[name], variable.width)
        elif symbol in states.placement.values:
            address = states.placement.values[symbol]
            known[variable] = t.const(address >> (_low_bits(address, variable.width) if symbol != name else 0), variable.width)
    found = t.substitute(list(claims), known)
    return _read(found, states.memory_of(number))


def _low_bits(address: int, width: int) -> int:
    """How many bits of an address were known to be 0, of which ``width`` others are a variable."""
    return max(0, (64 if address >> 31 else 31) - width)


def _read(claims: Sequence[Term], memory: Mapping[int, int]) -> list[Term]:
    """Loads from known addresses put out for what is there."""
    done: dict[int, Term] = {}
    for term in t.walk(*claims):
        args = tuple(done[a.id] for a in term.args)
        new = term if args == term.args else t.rebuild(term, args)
        if new.op == "load" and new.args[0].op == "var" and new.args[1].op == "const":
            start = new.args[1].attr
            content = bytes(memory.get(start + k, byte(start + k)) for k in range(new.width // 8))
            new = t.const(int.from_bytes(content, "little"), new.width)
        done[term.id] = new
    return [done[claim.id] for claim in claims]
