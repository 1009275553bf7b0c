"""What the door knows that a plain translation to Z3 would not, each on a query that must stay cheap."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from isa import terms as t
from isa.terms import Term
from solver.door import solve

RLIMIT = 20_000
MEMORY = t.memory()
X, Y, A, B = t.var("x", 64), t.var("y", 64), t.var("a", 16), t.var("b", 16)


def _different(a: Term, b: Term) -> Term:
    return t.not_(t.eq(a, b))


def test_an_abstracted_load_has_the_bytes_of_wider_and_of_neighbouring_ones() -> None:
    same = t.eq(X, Y)
    low = _different(t.extract(t.load(MEMORY, X, 32), 0, 8), t.load(MEMORY, Y, 8))
    high = _different(t.extract(t.load(MEMORY, X, 32), 8, 16), t.load(MEMORY, t.add(Y, t.const(1, 64)), 16))
    assert solve([same, t.or_(low, high)], RLIMIT, abstract_loads=True).status == "unsat"
    assert solve([low], RLIMIT, abstract_loads=True).status == "sat"


def test_loads_from_different_memories_are_not_related() -> None:
    written = t.store(MEMORY, Y, t.const(7, 8))
    assert solve([_different(t.load(MEMORY, X, 8), t.load(written, X, 8))], RLIMIT, abstract_loads=True).status == "sat"


@pytest.mark.parametrize(("division", "extend"), [("udiv", t.zext), ("sdiv", t.sext)])
def test_a_remainder_of_extended_operands_is_the_extended_remainder(division: str, extend: Callable[[Term, int], Term]) -> None:
    def remainder(a: Term, b: Term) -> Term:
        return t.sub(a, t.mul(b, t.binary(division, a, b)))

    wide = remainder(extend(A, 32), extend(B, 32))
    assert solve([_different(wide, extend(remainder(A, B), 32))], RLIMIT).status == "unsat"
    low = t.sub(A, t.mul(B, t.extract(t.binary(division, extend(A, 32), extend(B, 32)), 0, 16)))
    assert solve([_different(low, remainder(A, B))], RLIMIT).status == "unsat"


@pytest.mark.parametrize("division", ["udiv", "sdiv"])
def test_what_is_not_quite_a_remainder_is_not_taken_for_one(division: str) -> None:
    a, b = t.var("a", 8), t.var("b", 8)
    quotient = t.binary(division, a, b)
    for other in (t.sub(b, t.mul(b, quotient)), t.sub(a, t.mul(a, quotient)), t.sub(a, t.mul(b, t.binary(division, b, a)))):
        assert solve([_different(other, t.sub(a, t.mul(b, quotient)))], 2_000_000).status == "sat"


def test_a_remainder_by_zero_is_the_dividend() -> None:
    for division in ("udiv", "sdiv"):
        remainder = t.sub(A, t.mul(B, t.binary(division, A, B)))
        assert solve([t.eq(B, t.const(0, 16)), _different(remainder, A)], RLIMIT).status == "unsat"


def test_a_product_of_floats_does_not_depend_on_the_order() -> None:
    one, two, other = (t.float_op("fma", 64, *args, rounding="rne") for args in ((X, Y, X), (Y, X, X), (X, X, Y)))
    assert solve([_different(one, two)], RLIMIT).status == "unsat"
    assert solve([_different(one, other)], RLIMIT).status == "sat"
