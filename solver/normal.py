"""A normal form for terms, so that two ways to write the same thing become one hash-consed term and need no solver.

Normalised are sums (any nesting of ``add``, ``sub``, ``neg`` and products with constants becomes one sorted sum),
shifts, masks and bit fields (``fields``), memory (a load skips the stores that it provably misses and takes the value
of the one that it provably hits; stores to one base are sorted by offset; accesses are of 64 bits at most), conditions
(``compare_rules``) and divisions of extended operands. Every rule is an identity of the theory for all inputs, and
``tests/isa/test_terms.py`` has Z3 check it; what is not recognised stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from isa import ieee
from isa import terms as t
from isa.terms import Term
from solver import compare_rules, fields

_MAX_ATOMS: Final = 12  # longer sums stay nested: a chain of n additions would otherwise grow to n*n/2 nodes
_LINEAR: Final = frozenset({"add", "sub", "neg", "mul", "shl", "not"})
_DIVISIONS: Final = frozenset({"udiv", "sdiv"})  # remainders are written with these


class Sum:
    """A linear combination modulo 2**width: coefficients by atom, and a constant."""

    __slots__ = ("coefficients", "constant", "key")

    def __init__(self, coefficients: dict[Term, int], constant: int) -> None:
        self.coefficients = coefficients
        self.constant = constant
        self.key = frozenset((a.id, c) for a, c in coefficients.items())


class Normalizer:
    """Normalises terms, remembering what it has done; one for both sides of a proof."""

    def __init__(self) -> None:
        self._done: dict[int, Term] = {}
        self._sums: dict[int, Sum] = {}

    def __call__(self, *roots: Term) -> list[Term]:
        done = self._done
        stack = [(root, False) for root in roots]
        while stack:
            term, ready = stack.pop()
            if term.id in done:
                continue
            if not term.args:
                done[term.id] = term
            elif ready:
                args = tuple(done[a.id] for a in term.args)
                new = self._rule(term if args == term.args else t.rebuild(term, args))
                done[term.id] = done[new.id] = new
            else:
                stack.append((term, True))
                stack.extend((a, False) for a in term.args if a.id not in done)
        return [done[root.id] for root in roots]

    def sum(self, term: Term) -> Sum:
        """``term``, already normal, as a linear combination."""
        found = self._sums.get(term.id)
        if found is None:
            found = self._sums[term.id] = self._decompose(term)
        return found

    def _rule(self, term: Term) -> Term:
        op = term.op
        if op in ("add", "sub", "neg", "mul", "shl"):
            if op in ("mul", "shl") and term.args[1].op != "const":
                return term
            return self._joined(self._recompose(self.sum(term), term))
        if op == "or" and term.width > 1:
            return self._joined(term)
        if op == "ite" and term.width > 1:
            return self._rounded(_narrow_choice(term))
        if op == "zext" and term.args[0].op == "concat":
            return t.concat(t.const(0, term.width - term.args[0].width), term.args[0])
        if op in ("urem", "srem"):  # a - b * (a / b): true by zero too, where SMT-LIB has a rem 0 = a
            a, b = term.args
            quotient = t.binary("udiv" if op == "urem" else "sdiv", a, b)
            return self._rule(t.sub(a, self._rule(t.mul(b, quotient))))
        if op == "load":
            return self._load(term.args[0], term.args[1], term.width)
        if op == "store":
            return self._store(*term.args)
        if op in ("lshr", "ashr") and term.args[1].op == "const" and term.args[1].attr < term.width:
            kept = self._rule(t.extract(term.args[0], term.args[1].attr, term.width - term.args[1].attr))
            return t.zext(kept, term.width) if op == "lshr" else t.sext(kept, term.width)
        if op == "and" and term.width > 1 and term.args[1].op == "const":
            return self._mask(term)
        if op in ("zext", "sext") and term.args[0].op in _LINEAR:
            return self._extended_multiple(term)
        if op == "concat":
            return self._adjacent_loads(term)
        if op == "extract":
            return self._extract(term)
        if op in ("s2f", "u2f"):
            return _of_narrow_integer(term)
        if op == "f2s" and term.attr != "rtz":  # rounded to an integral float first, which truncation leaves alone
            integral = t.float_op("fround", term.args[0].width, term.args[0], rounding=term.attr)
            return t.float_op("f2s", term.width, integral, rounding="rtz")
        if term.width == 1:
            return self._condition(term)
        return term

    def _joined(self, term: Term) -> Term:
        """A sum or disjunction of fields that do not overlap, as their concatenation."""
        if term.op not in ("add", "or") or (parts := fields.together(*term.args)) is None:
            return term
        return self._again(fields.concatenation(parts, term.width))

    def _extract(self, term: Term) -> Term:
        """Bits of an operation as an operation on fewer bits."""
        (inner,), low, width = term.args, term.attr, term.width
        if inner.op in _DIVISIONS and low == 0:
            return _narrow_division(term)
        if inner.op in ("and", "or", "xor"):
            return self._again(t.binary(inner.op, *(t.extract(a, low, width) for a in inner.args)))
        if inner.op == "ite" and all(x.op == "concat" for x in inner.args[1:]):
            return self._again(t.ite(inner.args[0], *(t.extract(x, low, width) for x in inner.args[1:])))
        if inner.op == "shl" and low == 0:  # the upper bits of what is shifted up never matter
            shifted = self._again(t.zext(t.extract(inner.args[0], 0, width), inner.width))
            return term if shifted is inner.args[0] else t.extract(t.shl(shifted, inner.args[1]), 0, width)
        if inner.op == "load":
            first, bytes_ = low // 8, _bytes_for(low % 8 + width)
            if first + bytes_ <= inner.width // 8 and 8 * bytes_ < inner.width:
                place = t.add(inner.args[1], t.const(first, 64))
                return self._again(t.extract(t.load(inner.args[0], place, 8 * bytes_), low - 8 * first, width))
        if inner.op in _LINEAR and low and (quotient := self._quotient(inner, low)) is not None:
            return self._again(t.extract(quotient, 0, width))
        return term

    def _again(self, term: Term) -> Term:
        return self(term)[0]

    def _quotient(self, multiple: Term, bits: int) -> Term | None:
        """A sum of multiples of 2**bits, divided by that, ``bits`` narrower; None if it is not such a sum."""
        total, width = self.sum(multiple), multiple.width - bits
        if any(c & t.mask(bits) for c in (*total.coefficients.values(), total.constant)):
            return None
        quotient = t.const(total.constant >> bits, width)
        for atom, c in total.coefficients.items():
            quotient = t.add(quotient, t.mul(t.extract(atom, 0, width), t.const(c >> bits, width)))
        return quotient

    def _extended_multiple(self, term: Term) -> Term:
        """An extension of 2**k * x as 2**k times that of x, where x is k bits narrower."""
        multiple = term.args[0]
        total = self.sum(multiple)
        together = total.constant | (1 << multiple.width)
        for c in total.coefficients.values():
            together |= c
        bits = (together & -together).bit_length() - 1
        if not 0 < bits < multiple.width or (quotient := self._quotient(multiple, bits)) is None:
            return term
        extended = t.zext(quotient, term.width) if term.op == "zext" else t.sext(quotient, term.width)
        return self._again(t.shl(extended, t.const(bits, term.width)))

    def _mask(self, term: Term) -> Term:
        """and with a constant, on the bits that it keeps."""
        a, constant = term.args
        bits = constant.attr.bit_length()
        if bits == term.width:
            return term
        return t.zext(self._again(t.and_(t.extract(a, 0, bits), t.const(constant.attr, bits))), term.width)

    def _rounded(self, term: Term) -> Term:
        """A float put through an integer of 64 bits and given its sign again, if it is small enough to have a fraction, is
        that float rounded. Up to the NaN: a rounded float's is any."""
        if term.op != "ite" or term.args[0].op != "flt" or term.width not in ieee.MANTISSA:
            return term
        value = term.args[2]
        for rounding in t.ROUNDINGS if self._again(ieee.magnitude(value)) is term.args[0].args[0] else ():
            if self._again(_through_integer(value, rounding)) is term.args[1]:
                limit = ieee.number(2.0 ** ieee.MANTISSA[term.width], term.width)
                rounded = t.float_op("fround", term.width, value, rounding=rounding)
                return rounded if term.args[0].args[1] is limit else term
        return term

    def _adjacent_loads(self, term: Term) -> Term:
        """A concatenation with loads of neighbouring bytes in it joined."""
        parts = list(term.args[:1])
        for part in term.args[1:]:
            last = parts[-1]
            if part.op == last.op == "load" and part.args[0] is last.args[0]:
                is_next = self.distance(last.args[1], part.args[1]) == part.width // 8
                if is_next and last.width + part.width <= 64:
                    parts[-1] = t.load(part.args[0], part.args[1], last.width + part.width)
                    continue
            parts.append(part)
        return term if len(parts) == len(term.args) else t.concat(*parts)

    def _condition(self, term: Term) -> Term:
        op, args = term.op, term.args
        if op == "eq":
            return self._equal(*args)
        if op == "xor":
            return _signed_less(term, lambda a, b: self._rule(t.sub(a, b)))
        if op == "uaddo":
            return self._settled(compare_rules.less("ult", self._rule(t.add(*args)), args[0]))
        return self._settled(compare_rules.rule(term))

    def _settled(self, condition: Term) -> Term:
        """A condition that a rule has made, with the comparison of sums in it brought to its own normal form."""
        op, args = condition.op, condition.args
        if op == "not":
            return t.not_(self._settled(args[0]))
        if op == "eq":
            return self._equal(*args)
        return self._carry(condition) if op == "ult" and args[0].op in _LINEAR else condition

    def _carry(self, less: Term) -> Term:
        """total < part: whether part + (total - part) carries. Either summand will do, so the simpler one stays."""
        total, part = less.args
        other = self._rule(t.sub(total, part))
        simpler = min(part, other, key=lambda x: (len(self.sum(x).coefficients), x.id))
        return less if simpler is part else self._settled(compare_rules.less("ult", total, simpler))

    def _equal(self, a: Term, b: Term) -> Term:
        """Both sides as one sum, its terms sorted to the sides so that the oldest atom stands positive on the left."""
        term = compare_rules.narrow("eq", a, b)
        if term.op != "eq" or not any(x.op in _LINEAR for x in term.args):
            return term
        width = term.args[0].width
        difference = self.sum(self._rule(t.sub(*term.args)))
        if not difference.coefficients:
            return t.const(difference.constant == 0, 1)
        half, oldest = 1 << (width - 1), min(difference.coefficients, key=lambda atom: atom.id)
        sign = 1 if difference.coefficients[oldest] <= half else -1
        left, right = Sum({}, 0), Sum({}, -sign * difference.constant & t.mask(width))
        for atom, coefficient in difference.coefficients.items():
            c = sign * coefficient & t.mask(width)
            (left if c <= half else right).coefficients[atom] = c if c <= half else (1 << width) - c
        return t.eq(self._build(left, width), self._build(right, width))

    def _decompose(self, term: Term) -> Sum:
        width = term.width
        if term.op == "const":
            return Sum({}, term.attr)
        parts = _parts(term)
        if not parts:
            return Sum({term: 1}, 0)
        total: dict[Term, int] = {}
        constant = -1 if term.op == "not" else 0
        for factor, part in parts:
            inner = self.sum(self._without_lost_bits(part, factor))
            constant += factor * inner.constant
            for atom, coefficient in inner.coefficients.items():
                total[atom] = (total.get(atom, 0) + factor * coefficient) & t.mask(width)
        total = {atom: coefficient for atom, coefficient in total.items() if coefficient}
        return Sum(total, constant & t.mask(width)) if len(total) <= _MAX_ATOMS else Sum({term: 1}, 0)

    def _without_lost_bits(self, part: Term, factor: int) -> Term:
        """``part``, to be multiplied by ``factor``, without what only changes bits that the product shifts out."""
        width = part.width
        kept = width - (factor & -factor).bit_length() + 1
        if kept >= width:
            return part
        if part.op == "and" and part.args[1].op == "const" and part.args[1].attr & t.mask(kept) == t.mask(kept):
            return part.args[0]
        inner = part.args[0] if part.op in ("zext", "sext") else part
        if inner.op == "load" and 8 * _bytes_for(kept) <= inner.width:
            return t.zext(self._load(inner.args[0], inner.args[1], 8 * _bytes_for(kept)), width)
        if inner.op == "extract" and inner.attr == 0 and inner.width >= kept and inner.args[0].width >= width:
            return t.extract(inner.args[0], 0, width)
        return part

    def _recompose(self, total: Sum, original: Term) -> Term:
        if total.coefficients == {original: 1}:
            return original
        result = self._build(total, original.width)
        self._sums[result.id] = total
        return result

    def _build(self, total: Sum, width: int) -> Term:
        """The sum as a term: positive atoms first, then negative ones, each by age; then the constant."""
        half = 1 << (width - 1)
        positive = sorted((a.id, a, c) for a, c in total.coefficients.items() if c <= half)
        negative = sorted((a.id, a, (1 << width) - c) for a, c in total.coefficients.items() if c > half)
        result: Term | None = None
        for _, atom, c in positive:
            part = t.mul(atom, t.const(c, width))
            result = part if result is None else t.add(result, part)
        for _, atom, c in negative:
            part = t.mul(atom, t.const(c, width))
            result = t.neg(part) if result is None else t.sub(result, part)
        constant = t.const(total.constant, width)
        return constant if result is None else t.add(result, constant)

    def distance(self, a: Term, b: Term) -> int | None:
        """``a - b`` modulo 2**64 if it is the same in every state, for normal addresses."""
        x, y = self.sum(a), self.sum(b)
        return (x.constant - y.constant) & t.mask(64) if x.key == y.key else None

    def _load(self, memory: Term, address: Term, width: int) -> Term:
        if width > 64:
            upper = self._again(t.add(address, t.const(8, 64)))
            return t.concat(self._load(memory, upper, width - 64), self._load(memory, address, 64))
        size = width // 8
        while memory.op == "store":
            below, place, value = memory.args
            gap = self.distance(address, place)
            if gap is None:
                break
            if gap + size <= value.width // 8:
                return t.extract(value, 8 * gap, width)
            if not _disjoint(gap, size, value.width // 8):
                break
            memory = below
        return t.load(memory, address, width)

    def _store(self, memory: Term, address: Term, value: Term) -> Term:
        if value.width > 64:
            lower, upper = self(t.extract(value, 0, 64), t.extract(value, 64, value.width - 64))
            memory = self._store(memory, address, lower)
            return self._store(memory, self._again(t.add(address, t.const(8, 64))), upper)
        if memory.op != "store":
            return t.store(memory, address, value)
        below, place, old = memory.args
        gap = self.distance(address, place)
        if gap is None:
            return t.store(memory, address, value)
        size, old_size = value.width // 8, old.width // 8
        if (gap == 0 and size >= old_size) or (gap and (1 << 64) - gap + old_size <= size):
            return self._store(below, address, value)  # the old bytes are all overwritten
        if gap >> 63 and _disjoint(gap, size, old_size):
            return t.store(self._store(below, address, value), place, old)
        return t.store(memory, address, value)


def _parts(term: Term) -> list[tuple[int, Term]]:
    """The operands of a linear operation with their factors (``not`` a is -a - 1); empty if it is not linear."""
    op, args = term.op, term.args
    if op == "concat":
        return [(1 << low, t.zext(value, term.width)) for low, value in fields.fields(term)]
    if op not in _LINEAR:
        return []
    if op == "add":
        return [(1, args[0]), (1, args[1])]
    if op == "sub":
        return [(1, args[0]), (-1, args[1])]
    if op in ("neg", "not"):
        return [(-1, args[0])]
    if args[1].op != "const" or (op == "shl" and args[1].attr >= term.width):
        return []
    factor = args[1].attr if op == "mul" else 1 << args[1].attr
    return [(factor, args[0])]


def _narrow_choice(term: Term) -> Term:
    """An ``ite`` between zero extensions as the extension of an ``ite``."""
    condition, *sides = term.args
    width = max((x.args[0].width for x in sides if x.op == "zext"), default=term.width)
    narrow = [t.extract(x, 0, width) for x in sides]
    if width == term.width or any(t.zext(a, term.width) is not x for a, x in zip(narrow, sides, strict=True)):
        return term
    return t.zext(t.ite(condition, *narrow), term.width)


def _bytes_for(bits: int) -> int:
    """The size of the smallest load that gets ``bits`` bits."""
    return next((size for size in (1, 2, 4) if bits <= 8 * size), (bits + 7) // 8)


def _disjoint(gap: int, size: int, other: int) -> bool:
    """Whether ``size`` bytes at distance ``gap`` (modulo 2**64) after a place miss the ``other`` bytes there."""
    return gap >= other and gap + size <= 1 << 64


def _of_narrow_integer(term: Term) -> Term:
    """An integer as a float depends on the number alone, not on how wide it was extended before."""
    (value,) = term.args
    if value.op == "zext":
        return t.float_op("u2f", term.width, value.args[0], rounding=term.attr)
    if value.op == "sext" and term.op == "s2f":
        return t.float_op("s2f", term.width, value.args[0], rounding=term.attr)
    return term


def _through_integer(value: Term, rounding: str) -> Term:
    """``value`` as an integer and back, with its sign: a negative fraction may become a negative zero."""
    integer = ieee.to_integer(value, 64, True, rounding, nan=t.mask(63))
    whole = t.float_op("s2f", value.width, integer)
    return t.or_(ieee.magnitude(whole), t.and_(value, ieee.sign_bit(value.width)))


def _narrow_division(term: Term) -> Term:
    """Low bits of a division of extended operands are those of the narrow division (by zero too, as SMT-LIB has it)."""
    division = term.args[0]
    extend = t.sext if division.op == "sdiv" else t.zext
    width = max((a.args[0].width for a in division.args if a.op in ("zext", "sext")), default=division.width)
    if not term.width <= width < division.width:
        return term
    narrow = [t.extract(a, 0, width) for a in division.args]
    if any(a is not extend(b, division.width) for a, b in zip(division.args, narrow, strict=True)):
        return term
    return t.extract(t.binary(division.op, *narrow), 0, term.width)


def _signed_less(term: Term, subtract: Callable[[Term, Term], Term]) -> Term:
    """sign(a - b) xor overflow(a - b) is a < b, signed."""
    for sign, overflow in (term.args, term.args[::-1]):
        if overflow.op == "ssubo":
            a, b = overflow.args
            if sign is t.extract(subtract(a, b), a.width - 1, 1):
                return compare_rules.rule(t.slt(a, b))
    return term
