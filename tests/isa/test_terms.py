"""Z3 checks the trusted rewriting: what the constructors of ``isa.terms`` and the solver's normal form make of a term equals it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from isa import ieee
from isa import terms as t
from isa.evaluate import Program, evaluate
from isa.terms import Term
from solver.door import solve
from solver.normal import Normalizer

WIDTHS = (1, 2, 3, 4, 6)  # small, so that Z3 decides products and divisions too


class Maker:
    """Random small terms, each made twice: by the constructors, and raw (only interned, never simplified)."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def make(self, width: int, depth: int) -> tuple[Term, Term]:
        """(simplified, raw)."""
        pick = self.random
        if depth == 0 or pick.random() < 0.1:
            return self.leaf(width)
        if width == 1 and pick.random() < 0.5:
            return self.condition(depth)
        rules: list[Callable[[int, int], tuple[Term, Term]]] = [self.binary, self.binary, self.unary, self.ite, self.slice]
        if width > 1:
            rules += [self.extension, self.concat, self.concat]
        return pick.choice(rules)(width, depth - 1)

    def leaf(self, width: int) -> tuple[Term, Term]:
        pick = self.random
        if pick.random() < 0.4:
            value = pick.choice((0, 1, 2, 5, t.mask(width), 1 << (width - 1), t.mask(width - 1), pick.getrandbits(width)))
            leaf = t.const(value, width)
        else:
            leaf = t.var(f"{pick.choice('ab')}{width}", width)
        return leaf, leaf

    def binary(self, width: int, depth: int) -> tuple[Term, Term]:
        op = self.random.choice(sorted(t.BINARY))
        (a, x), (b, y) = self.make(width, depth), self.make(width, depth)
        return t.binary(op, a, b), t._make(op, width, (x, y))

    def unary(self, width: int, depth: int) -> tuple[Term, Term]:
        op = self.random.choice(("not", "neg", "popcount", "clz"))
        a, x = self.make(width, depth)
        return {"not": t.not_, "neg": t.neg, "popcount": t.popcount, "clz": t.clz}[op](a), t._make(op, width, (x,))

    def ite(self, width: int, depth: int) -> tuple[Term, Term]:
        (c, z), (a, x), (b, y) = self.make(1, depth), self.make(width, depth), self.make(width, depth)
        return t.ite(c, a, b), t._make("ite", width, (z, x, y))

    def slice(self, width: int, depth: int) -> tuple[Term, Term]:
        wide = self.random.choice([w for w in WIDTHS if w >= width])
        low = self.random.choice((0, wide - width, self.random.randint(0, wide - width)))
        a, x = self.make(wide, depth)
        return t.extract(a, low, width), t._make("extract", width, (x,), low)

    def extension(self, width: int, depth: int) -> tuple[Term, Term]:
        narrow = self.random.choice([w for w in WIDTHS if w <= width])
        a, x = self.make(narrow, depth)
        if self.random.random() < 0.5:
            return t.zext(a, width), t._make("zext", width, (x,))
        return t.sext(a, width), t._make("sext", width, (x,))

    def concat(self, width: int, depth: int) -> tuple[Term, Term]:
        high = self.random.randint(1, width - 1)
        (a, x), (b, y) = self.make(high, depth), self.make(width - high, depth)
        return t.concat(a, b), t._make("concat", width, (x, y))

    def condition(self, depth: int) -> tuple[Term, Term]:
        op, width = self.random.choice(sorted(t.COMPARE)), self.random.choice(WIDTHS)
        (a, x), (b, y) = self.make(width, depth - 1), self.make(width, depth - 1)
        return t.compare(op, a, b), t._make(op, 1, (x, y))


def different(a: Term, b: Term) -> Term:
    """``a`` != ``b``, not simplified."""
    return t._make("not", 1, (t._make("eq", 1, (a, b)),))


def no_memory(address: int) -> int:
    return 0


def is_unsat(assertions: list[Term], exact_floats: bool = False) -> bool:
    return solve(assertions, 50_000_000, exact_floats=exact_floats).status == "unsat"


def assert_equal(pairs: list[tuple[Term, Term]]) -> None:
    """Z3: no state makes one of the pairs differ."""
    pairs = [(a, b) for a, b in pairs if a is not b]
    if not pairs:
        return
    anywhere = t.FALSE
    for a, b in pairs:
        anywhere = t._make("or", 1, (anywhere, different(a, b)))
    if is_unsat([anywhere]):
        return
    for a, b in pairs:  # name the culprit
        assert is_unsat([different(a, b)]), f"{a}\n  is not\n{b}"


@pytest.mark.parametrize("seed", range(8))
def test_constructors_and_normal_form_keep_the_meaning(seed: int) -> None:
    maker = Maker(seed)
    made = [maker.make(maker.random.choice(WIDTHS), 4) for _ in range(60)]
    normal = Normalizer()(*(simple for simple, _ in made))
    assert_equal(made + [(n, raw) for n, (_, raw) in zip(normal, made, strict=True)])


def test_normal_conditions_keep_the_meaning() -> None:
    """Every compare of what is extended or small, and every two compares of two values joined: random terms seldom have these."""
    a, b, c = t.var("a3", 3), t.var("b3", 3), t.var("c2", 2)
    operands = [a, b, t.zext(c, 3), t.sext(c, 3), *(t.const(value, 3) for value in range(8))]
    compares = [t.compare(op, x, y) for op in sorted(t.COMPARE) for x in operands for y in operands]
    parts = [t.compare(op, *pair) for op in sorted(t.COMPARE) for pair in ((a, b), (b, a))]
    parts += [t.not_(part) for part in parts]
    joined = [t.binary(op, x, y) for op in ("and", "or") for x in parts for y in parts]
    terms = compares + joined
    assert_equal(list(zip(terms, Normalizer()(*terms), strict=True)))


def test_a_shift_of_fields_has_a_normal_form() -> None:
    fields = t.concat(t.var("a", 32), t.var("b", 32))
    term = t.extract(t.shl(fields, t.zext(t.var("c", 4), 64)), 0, 48)
    normal = Normalizer()
    (once,) = normal(term)
    assert normal(once) == [once]
    assert_equal([(term, once)])


@pytest.mark.parametrize("seed", range(4))
def test_evaluation_agrees_with_z3(seed: int) -> None:
    maker = Maker(1000 + seed)
    for _ in range(40):
        _, raw = maker.make(maker.random.choice(WIDTHS), 3)
        variables = t.variables(raw)
        state = {name: maker.random.getrandbits(v.width) for name, v in variables.items()}
        value = t.const(evaluate([raw], state, no_memory)[0], raw.width)
        where = [t.eq(v, t.const(state[name], v.width)) for name, v in variables.items()]
        assert is_unsat([*where, different(raw, value)]), f"{raw} at {state}"


@pytest.mark.parametrize("seed", range(6))
def test_normal_memory_keeps_the_meaning(seed: int) -> None:
    pick = random.Random(seed)
    bases = [t.var("p", 64), t.var("q", 64)]
    memory = raw = t.memory()
    for n in range(6):
        address = t.add(bases[pick.random() < 0.2], t.const(pick.randint(-6, 6), 64))
        width = pick.choice((8, 16, 32, 128))
        value = t.var(f"v{n}", width)
        memory, raw = t.store(memory, address, value), t._make("store", 0, (raw, address, value))
    place = t.add(t.var("p", 64), t.const(pick.randint(-4, 4), 64))
    loads = [(t.load(memory, place, width), t._make("load", width, (raw, place))) for width in (8, 16, 32, 128)]
    (_, wide), low = loads[-1], pick.randint(0, 100)
    loads.append((t.extract(t.load(memory, place, 128), low, 20), t._make("extract", 20, (wide,), low)))
    anywhere = t.var("any address", 64)
    normal = Normalizer()(memory, *(a for a, _ in loads))
    assert_equal([(t._make("load", 8, (normal[0], anywhere)), t._make("load", 8, (raw, anywhere)))])
    assert_equal([(n, r) for n, (_, r) in zip(normal[1:], loads, strict=True)])


@pytest.mark.parametrize("op", ["udiv", "urem", "sdiv", "srem"])
def test_division_of_extended_operands(op: str) -> None:
    a, b = t.var("a", 4), t.var("b", 4)
    for extend in (t.zext, t.sext):
        wide = t.extract(t.binary(op, extend(a, 8), extend(b, 8)), 0, 4)
        (normal,) = Normalizer()(wide)
        assert_equal([(normal, wide)])
    extend = t.sext if op[0] == "s" else t.zext
    (normal,) = Normalizer()(t.extract(t.binary("udiv" if op[0] == "u" else "sdiv", extend(a, 8), extend(b, 8)), 0, 4))
    assert normal.width == 4 and normal.op in ("udiv", "sdiv")


SPECIAL = (0, 1 << 31, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFC00000, 1, 0x80000001, 0x3F800000, 0xBF800000, 0x7F7FFFFF)


@pytest.mark.parametrize("op", ["feq", "flt", "fle", "fnan"])
def test_float_comparisons_as_bit_vectors(op: str) -> None:
    count = 1 if op == "fnan" else 2
    term = t.float_op(op, 1, *(t.var(name, 32) for name in "ab"[:count]))
    program = Program([term])
    pick = random.Random(1)
    for _ in range(30):
        state = {name: pick.choice([*SPECIAL, pick.getrandbits(32)]) for name in "ab"[:count]}
        value = t.const(program.run(state, no_memory)[0], 1)
        assert is_unsat([*(t.eq(t.var(n, 32), t.const(v, 32)) for n, v in state.items()), different(term, value)]), state


@pytest.mark.parametrize("op", ["fadd", "fsub", "fmul", "fdiv", "fsqrt", "fma", "f2f", "s2f", "u2f", "f2s", "f2u", "fround"])
def test_exact_floats_agree_with_evaluation(op: str) -> None:
    pick = random.Random(op)
    count = {"fsqrt": 1, "f2f": 1, "s2f": 1, "u2f": 1, "f2s": 1, "f2u": 1, "fround": 1, "fma": 3}.get(op, 2)
    width = {"f2f": 64, "f2s": 8, "f2u": 8}.get(op, 32)
    for n in range(10):
        rounding = t.ROUNDINGS[n % 5] if op in ("f2s", "f2u", "fround") else None
        bits = [pick.choice([*SPECIAL, pick.getrandbits(32), 0x40000000 | pick.getrandbits(23)]) for _ in range(count)]
        if rounding:
            bits = [0x3F000000 + (pick.getrandbits(25) & ~0x7FFFF)]  # 0.5 to 7.9, with ties: in range
        term = t._make(op, width, tuple(t.const(x, 32) for x in bits), rounding)
        value = t.const(evaluate([term], {}, no_memory)[0], width)
        wrong = different(term, value)
        if op not in ("f2s", "f2u") and evaluate([t.float_op("fnan", 1, value)], {}, no_memory)[0]:
            wrong = t.not_(t.float_op("fnan", 1, term))  # any NaN will do
        assert is_unsat([wrong], exact_floats=True), (op, [hex(x) for x in bits], rounding, value)


def test_normal_forms_of_conversions_hold() -> None:
    """An integer's extension does not matter to the float it becomes; rounding first and cutting off then is rounding."""
    short = t.var("i", 8)
    for raw in (t.float_op(op, 16, extended) for op, extended in
                (("u2f", t.zext(short, 16)), ("s2f", t.zext(short, 16)), ("s2f", t.sext(short, 16)))):  # fmt: skip
        (normal,) = Normalizer()(raw)
        assert normal.args == (short,) and is_unsat([different(raw, normal)], exact_floats=True)
    a = t.var("a", 16)
    for rounding in sorted(set(t.ROUNDINGS) - {"rtz"}):
        raw = t.float_op("f2s", 16, a, rounding=rounding)
        (normal,) = Normalizer()(raw)
        fits = ieee.less(ieee.magnitude(a), t.const(0x7800, 16))  # 2**15
        assert normal.attr == "rtz" and is_unsat([fits, different(raw, normal)], exact_floats=True), rounding


@pytest.mark.parametrize("op", ["fadd", "fmul", "fma"])
def test_the_order_of_operands_changes_no_number(op: str) -> None:
    a, b, c = (t.var(name, 32) for name in "abc")
    one, other = (t._make(op, 32, (*pair, *([c] if op == "fma" else []))) for pair in ((a, b), (b, a)))
    assert is_unsat([different(one, other)])  # as it is told
    pick, both = random.Random(op), Program([one, other])
    special = [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00000, 0x3F800000, 0xBF800000, 1, 0x007FFFFF, 0x7F7FFFFF]
    for _ in range(500):
        x, y = both.run({name: pick.choice([*special, pick.getrandbits(32)]) for name in "abc"}, no_memory)
        nan = evaluate([ieee.is_nan(t.const(x, 32)), ieee.is_nan(t.const(y, 32))], {}, no_memory)
        assert x == y or all(nan)


def test_what_is_told_of_uninterpreted_floats_holds() -> None:
    """Rounding gives a NaN for a NaN only; no integer of a float that is no wider is the greatest one, if it fits."""
    a = t.var("a", 32)
    for rounding in t.ROUNDINGS:
        kept = t.eq(ieee.is_nan(t.float_op("fround", 32, a, rounding=rounding)), ieee.is_nan(a))
        assert is_unsat([t.not_(kept)], exact_floats=True), rounding
        assert is_unsat([t.not_(kept)]), rounding
    for width in (32, 64):
        greatest = t.eq(t.float_op("f2s", width, a, rounding="rtz"), t.const(t.mask(width - 1), width))
        limit = ieee.number(2.0 ** (width - 1), 32)
        fits = [ieee.less_equal(ieee.negate(limit), a), ieee.less(a, limit)]
        assert is_unsat([*fits, greatest], exact_floats=True), width
        assert is_unsat([greatest]), width
    b = t.var("b", 64)  # a wider float gives every integer, so nothing is told of it
    assert not is_unsat([t.eq(t.float_op("f2s", 32, b, rounding="rtz"), t.const(t.mask(31), 32))])


def through_integer(a: Term, rounding: str, limit: float) -> Term:
    """``a`` rounded by way of an integer where its magnitude is below ``limit``, as the normal form knows it."""
    integer = ieee.to_integer(a, 64, True, rounding, nan=t.mask(63))
    back = ieee.magnitude(t.float_op("s2f", a.width, integer))
    signed = t.or_(back, t.and_(a, ieee.sign_bit(a.width)))
    return t.ite(ieee.less(ieee.magnitude(a), ieee.number(limit, a.width)), signed, a)


@pytest.mark.parametrize("rounding", t.ROUNDINGS)
def test_rounding_through_an_integer_is_rounding(rounding: str) -> None:
    pick = random.Random(rounding)
    for width, stored in ieee.MANTISSA.items():
        a = t.var("a", width)
        raw = through_integer(a, rounding, 2.0**stored)
        (normal,) = Normalizer()(raw)
        assert normal.op == "fround" and normal.attr == rounding and normal.args == (a,)
        for wrong in (2.0 ** (stored - 2), 2.0 ** (stored + 1)):
            assert Normalizer()(through_integer(a, rounding, wrong))[0].op != "fround"
        both = Program([raw, normal])
        top = ieee.number(2.0**stored, width).attr
        special = [0, 1, top - 1, top, top + 1, top - (1 << stored), ieee.number(0.5, width).attr]
        for _ in range(200):
            value = pick.choice([*special, pick.randrange(ieee.number(0.25, width).attr, top + (1 << stored + 2)), pick.getrandbits(width - 1)])
            value |= pick.getrandbits(1) << (width - 1)
            one, other = both.run({"a": value}, no_memory)
            nan = [evaluate([ieee.is_nan(t.const(x, width))], {}, no_memory)[0] for x in (one, other)]
            assert one == other or all(nan), (hex(value), rounding)
