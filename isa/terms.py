"""Terms: the one expression language that all three instruction sets are lifted to.

A term is an immutable, hash-consed node of a directed acyclic graph. Its ``width`` is in bits; width 0 is the sort of
memory (64-bit address -> byte, little-endian). Operations mean what SMT-LIB's theory of bit vectors says (a shift by
the width or more gives 0, or the sign for ``ashr``), and IEEE 754 with round-to-nearest-even for the floating ones.
Three consumers read terms: ``solver.door`` (proof), ``guesssketch.lowering`` (LLVM IR) and ``evaluate`` in
``isa.evaluate`` (concrete states).

The constructors fold constants and remove the noise that p-code makes (slices of concatenations, extensions of
extensions). They are part of the trusted base, so each rule is local, and ``tests/isa/test_terms.py`` has Z3 check them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

MEMORY: Final = 0  # the width of a memory term

COMMUTATIVE: Final = frozenset({"add", "mul", "and", "or", "xor", "eq", "fadd", "fmul", "feq"})
BINARY: Final = frozenset({"add", "sub", "mul", "udiv", "urem", "sdiv", "srem", "and", "or", "xor", "shl", "lshr", "ashr"})
COMPARE: Final = frozenset({"eq", "ult", "ule", "slt", "sle", "uaddo", "saddo", "ssubo"})
FLOAT_BINARY: Final = frozenset({"fadd", "fsub", "fmul", "fdiv"})
FLOAT_COMPARE: Final = frozenset({"feq", "flt", "fle"})  # ordered: false if an argument is a NaN
ROUNDINGS: Final = ("rne", "rtz", "rtp", "rtn", "rna")


class Term:
    """One node. Never construct it directly: the functions of this module intern and simplify.

    op: ``const`` (attr: value), ``var`` (attr: name), ``undef`` (attr: name; an unspecified value, never provable);
        bit vectors: BINARY, ``not`` ``neg`` ``popcount`` ``clz`` ``ite`` (condition of width 1, then, else), ``zext``
        ``sext``, ``extract`` (attr: lowest bit), ``concat`` (most significant first), COMPARE (width 1; ``uaddo``
        ``saddo`` ``ssubo`` are carry out, signed overflow of a sum and of a difference);
        floats (IEEE bits in a bit vector): FLOAT_BINARY, ``fsqrt``, ``fma`` (a*b+c, fused), FLOAT_COMPARE, ``fnan``
        (width 1), ``f2f`` (change of format), ``s2f`` ``u2f`` (integer to float), ``f2s`` ``f2u`` (attr: rounding; the
        result is unspecified when out of range or NaN, so guard it), ``fround`` (attr: rounding; to an integral float);
        memory: ``load`` (memory, address), ``store`` (memory, address, value).
    """

    __slots__ = ("op", "width", "args", "attr", "id")  # noqa: RUF023 (in the order of the fields)
    op: str
    width: int
    args: tuple[Term, ...]
    attr: Any
    id: int

    def __repr__(self) -> str:
        return show(self)


_table: dict[tuple[Any, ...], Term] = {}
_next_id = 0


def _make(op: str, width: int, args: tuple[Term, ...] = (), attr: Any = None) -> Term:
    global _next_id
    key = (op, width, attr, *(a.id for a in args))
    term = _table.get(key)
    if term is None:
        term = Term()
        term.op, term.width, term.args, term.attr, term.id = op, width, args, attr, _next_id
        _next_id += 1
        _table[key] = term
    return term


def mask(width: int) -> int:
    return (1 << width) - 1


def signed(value: int, width: int) -> int:
    """The two's complement reading of ``value``, 0 <= value < 2**width."""
    return value - (1 << width) if value >> (width - 1) else value


def const(value: int, width: int) -> Term:
    return _make("const", width, (), value & mask(width))


def var(name: str, width: int) -> Term:
    return _make("var", width, (), name)


def undef(name: str, width: int) -> Term:
    """A value that the manual leaves undefined; each name is one unknown value."""
    return _make("undef", width, (), name)


TRUE: Final = const(1, 1)
FALSE: Final = const(0, 1)


def _fold(op: str, a: int, b: int, w: int) -> int | None:
    if op == "add":
        return a + b
    if op == "sub":
        return a - b
    if op == "mul":
        return a * b
    if op == "and":
        return a & b
    if op == "or":
        return a | b
    if op == "xor":
        return a ^ b
    if op == "shl":
        return a << b if b < w else 0
    if op == "lshr":
        return a >> b if b < w else 0
    if op == "ashr":
        return signed(a, w) >> min(b, w - 1)
    if b == 0:
        return None  # division by zero stays a term
    if op == "udiv":
        return a // b
    if op == "urem":
        return a % b
    sa, sb = signed(a, w), signed(b, w)
    quotient = abs(sa) // abs(sb)
    if (sa < 0) != (sb < 0):
        quotient = -quotient
    return quotient if op == "sdiv" else sa - quotient * sb


def binary(op: str, a: Term, b: Term) -> Term:
    assert a.width == b.width > 0, (op, a.width, b.width)
    w = a.width
    if op in COMMUTATIVE and (a.op == "const" or (b.op != "const" and a.id > b.id)):
        a, b = b, a
    if a.op == "const" and b.op == "const":
        value = _fold(op, a.attr, b.attr, w)
        if value is not None:
            return const(value, w)
    if b.op == "const":
        n = b.attr
        if n == 0:
            if op in ("add", "sub", "or", "xor", "shl", "lshr", "ashr"):
                return a
            if op in ("and", "mul"):
                return b
        if n == mask(w):
            if op == "and":
                return a
            if op == "or":
                return b
            if op == "xor":
                return not_(a)
        if n == 1 and op in ("mul", "udiv"):
            return a
        if op == "sub":
            return binary("add", a, const(-n, w))
        if op == "add" and a.op == "add" and a.args[1].op == "const":
            return binary("add", a.args[0], const(a.args[1].attr + n, w))
        if op == "and" and a.op == "and" and a.args[1].op == "const":
            return binary("and", a.args[0], const(a.args[1].attr & n, w))
        if op in ("shl", "lshr") and n >= w:
            return const(0, w)
    if a is b:
        if op in ("and", "or"):
            return a
        if op in ("sub", "xor"):
            return const(0, w)
    if w == 1 and a.op == "not" and b.op == "not" and op in ("and", "or"):
        return not_(binary("or" if op == "and" else "and", a.args[0], b.args[0]))  # de Morgan
    if w == 1 and op == "xor" and "not" in (a.op, b.op):
        inverted = (a.op == "not") != (b.op == "not")
        result = binary("xor", *(x.args[0] if x.op == "not" else x for x in (a, b)))
        return not_(result) if inverted else result
    return _make(op, w, (a, b))


def add(a: Term, b: Term) -> Term:
    return binary("add", a, b)


def sub(a: Term, b: Term) -> Term:
    return binary("sub", a, b)


def mul(a: Term, b: Term) -> Term:
    return binary("mul", a, b)


def and_(a: Term, b: Term) -> Term:
    return binary("and", a, b)


def or_(a: Term, b: Term) -> Term:
    return binary("or", a, b)


def xor(a: Term, b: Term) -> Term:
    return binary("xor", a, b)


def shl(a: Term, b: Term) -> Term:
    return binary("shl", a, b)


def lshr(a: Term, b: Term) -> Term:
    return binary("lshr", a, b)


def ashr(a: Term, b: Term) -> Term:
    return binary("ashr", a, b)


def not_(a: Term) -> Term:
    if a.op == "const":
        return const(~a.attr, a.width)
    if a.op == "not":
        return a.args[0]
    return _make("not", a.width, (a,))


def neg(a: Term) -> Term:
    if a.op == "const":
        return const(-a.attr, a.width)
    return _make("neg", a.width, (a,))


def compare(op: str, a: Term, b: Term) -> Term:
    """One of COMPARE; the result has width 1."""
    assert a.width == b.width > 0, (op, a.width, b.width)
    w = a.width
    if op == "eq":
        if a is b:
            return TRUE
        if a.op == "const" or (b.op != "const" and a.id > b.id):
            a, b = b, a
        if w == 1:
            return not_(xor(a, b))
        if a.op == "const" and b.op == "const":
            return const(a.attr == b.attr, 1)
        if b.op == "const" and a.op == "zext":
            narrow = a.args[0]
            return compare("eq", narrow, const(b.attr, narrow.width)) if b.attr <= mask(narrow.width) else FALSE
        return _make("eq", 1, (a, b))
    if a.op == "const" and b.op == "const":
        x, y, sx, sy = a.attr, b.attr, signed(a.attr, w), signed(b.attr, w)
        low, high = -(1 << (w - 1)), (1 << (w - 1)) - 1
        return const(
            {"ult": x < y, "ule": x <= y, "slt": sx < sy, "sle": sx <= sy, "uaddo": x + y > mask(w),
             "saddo": not low <= sx + sy <= high, "ssubo": not low <= sx - sy <= high}[op], 1)  # fmt: skip
    if op in ("uaddo", "saddo") and a.op == "const":
        a, b = b, a
    if op == "ult" and b.op == "const" and b.attr == 0:
        return FALSE
    if op in ("uaddo", "saddo", "ssubo") and b.op == "const" and b.attr == 0:
        return FALSE
    if op in ("ule", "sle") and a is b:
        return TRUE
    if op in ("ult", "slt") and a is b:
        return FALSE
    return _make(op, 1, (a, b))


def eq(a: Term, b: Term) -> Term:
    return compare("eq", a, b)


def ne(a: Term, b: Term) -> Term:
    return not_(compare("eq", a, b))


def ult(a: Term, b: Term) -> Term:
    return compare("ult", a, b)


def slt(a: Term, b: Term) -> Term:
    return compare("slt", a, b)


def ite(condition: Term, then: Term, other: Term) -> Term:
    assert condition.width == 1 and then.width == other.width, (condition.width, then.width, other.width)
    if condition.op == "const":
        return then if condition.attr else other
    if then is other:
        return then
    if condition.op == "not":
        return ite(condition.args[0], other, then)
    if then.width == 1 and then is TRUE and other is FALSE:
        return condition
    if then.width == 1 and then is FALSE and other is TRUE:
        return not_(condition)
    return _make("ite", then.width, (condition, then, other))


def zext(a: Term, width: int) -> Term:
    assert width >= a.width > 0, (a.width, width)
    if width == a.width:
        return a
    if a.op == "const":
        return const(a.attr, width)
    if a.op == "zext":
        a = a.args[0]
    return _make("zext", width, (a,))


def sext(a: Term, width: int) -> Term:
    assert width >= a.width > 0, (a.width, width)
    if width == a.width:
        return a
    if a.op == "const":
        return const(signed(a.attr, a.width), width)
    if a.op == "zext":
        return zext(a, width)
    if a.op == "sext":
        a = a.args[0]
    return _make("sext", width, (a,))


_extracts: dict[tuple[int, int, int], Term] = {}  # shared sums are cut once, not once a path


def extract(a: Term, low: int, width: int) -> Term:
    """Bits low .. low+width-1 of ``a``."""
    assert low >= 0 and width > 0 and low + width <= a.width, (low, width, a.width)
    if low == 0 and width == a.width:
        return a
    if a.op == "const":
        return const(a.attr >> low, width)
    key = (a.id, low, width)
    found = _extracts.get(key)
    if found is None:
        found = _extracts[key] = _extract(a, low, width)
    return found


def _extract(a: Term, low: int, width: int) -> Term:
    if a.op == "extract":
        return extract(a.args[0], a.attr + low, width)
    if a.op == "concat":
        end = a.width
        for part in a.args:  # most significant first
            end -= part.width
            if low >= end:
                if low + width <= end + part.width:
                    return extract(part, low - end, width)
                break
        pieces, end = [], a.width
        for part in a.args:
            end -= part.width
            first, last = max(low, end), min(low + width, end + part.width)
            if first < last:
                pieces.append(extract(part, first - end, last - first))
        return concat(*pieces)
    if a.op in ("zext", "sext"):
        inner = a.args[0]
        if low + width <= inner.width:
            return extract(inner, low, width)
        if a.op == "zext" and low >= inner.width:
            return const(0, width)
        if low == 0:
            return zext(inner, width) if a.op == "zext" else sext(inner, width)
    if a.op in ("and", "or", "xor") and a.args[1].op == "const":
        return binary(a.op, extract(a.args[0], low, width), extract(a.args[1], low, width))
    if a.op == "not":
        return not_(extract(a.args[0], low, width))
    if low == 0 and a.op in ("add", "sub", "mul"):
        return binary(a.op, extract(a.args[0], 0, width), extract(a.args[1], 0, width))
    if low == 0 and a.op == "shl" and a.args[1].op == "const":
        amount = a.args[1].attr
        return const(0, width) if amount >= width else shl(extract(a.args[0], 0, width), const(amount, width))
    if a.op == "lshr" and a.args[1].op == "const" and low + width + a.args[1].attr <= a.width:
        return extract(a.args[0], low + a.args[1].attr, width)
    if a.op == "ite" and (a.args[1].op == "const" or a.args[2].op == "const"):
        return ite(a.args[0], extract(a.args[1], low, width), extract(a.args[2], low, width))
    return _make("extract", width, (a,), low)


def concat(*parts: Term) -> Term:
    """Most significant part first."""
    flat: list[Term] = []
    for part in (p for q in parts for p in (q.args if q.op == "concat" else (q,))):
        if flat:
            last = flat[-1]
            if last.op == "const" and part.op == "const":
                flat[-1] = const(last.attr << part.width | part.attr, last.width + part.width)
                continue
            if (last.op == "extract" and part.op == "extract" and last.args[0] is part.args[0]
                    and part.attr + part.width == last.attr):  # fmt: skip
                flat[-1] = extract(part.args[0], part.attr, last.width + part.width)
                continue
        flat.append(part)
    if len(flat) == 1:
        return flat[0]
    width = sum(p.width for p in flat)
    if len(flat) == 2 and flat[0].op == "const" and flat[0].attr == 0:
        return zext(flat[1], width)
    return _make("concat", width, tuple(flat))


def popcount(a: Term) -> Term:
    return const(a.attr.bit_count(), a.width) if a.op == "const" else _make("popcount", a.width, (a,))


def clz(a: Term) -> Term:
    return const(a.width - a.attr.bit_length(), a.width) if a.op == "const" else _make("clz", a.width, (a,))


def lanes(value: Term, width: int) -> list[Term]:
    """The elements of a vector, lowest first."""
    return [extract(value, low, width) for low in range(0, value.width, width)]


def vector(elements: Sequence[Term]) -> Term:
    """The vector of ``elements``, lowest first."""
    return concat(*reversed(elements))


def float_op(op: str, width: int, *args: Term, rounding: str | None = None) -> Term:
    """Any of the floating operations of the class docstring; ``width`` is the result's."""
    if op in COMMUTATIVE and args[0].id > args[1].id:
        args = (args[1], args[0])
    return _make(op, width, args, rounding)


def load(memory: Term, address: Term, width: int) -> Term:
    """``width`` bits (a multiple of 8), little-endian, from ``address``."""
    assert memory.width == MEMORY and address.width == 64 and width % 8 == 0
    if memory.op == "store" and memory.args[1] is address and memory.args[2].width == width:
        return memory.args[2]
    return _make("load", width, (memory, address))


def store(memory: Term, address: Term, value: Term) -> Term:
    assert memory.width == MEMORY and address.width == 64 and value.width % 8 == 0
    return _make("store", MEMORY, (memory, address, value))


def memory(name: str = "memory") -> Term:
    return _make("var", MEMORY, (), name)


def walk(*roots: Term) -> Iterator[Term]:
    """Every node under ``roots`` once, arguments before their users."""
    seen: set[int] = set()
    stack: list[tuple[Term, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        term, ready = stack.pop()
        if ready:
            yield term
        elif term.id not in seen:
            seen.add(term.id)
            stack.append((term, True))
            stack.extend((a, False) for a in reversed(term.args) if a.id not in seen)


def rebuild(term: Term, args: tuple[Term, ...]) -> Term:
    """``term`` with other arguments, through the simplifying constructors."""
    op = term.op
    if op in BINARY:
        return binary(op, *args)
    if op in COMPARE:
        return compare(op, *args)
    if op == "extract":
        return extract(args[0], term.attr, term.width)
    if op == "concat":
        return concat(*args)
    if op == "load":
        return load(args[0], args[1], term.width)
    if op == "store":
        return store(*args)
    if op == "ite" and term.width:
        return ite(*args)
    if op in ("not", "neg", "popcount", "clz"):
        return {"not": not_, "neg": neg, "popcount": popcount, "clz": clz}[op](args[0])
    if op in ("zext", "sext"):
        return zext(args[0], term.width) if op == "zext" else sext(args[0], term.width)
    return _make(op, term.width, args, term.attr)


def substitute(roots: list[Term], replace: dict[Term, Term]) -> list[Term]:
    """``roots`` with each key of ``replace`` (any node, not only a variable) put out for its value, all at once."""
    done: dict[int, Term] = {k.id: v for k, v in replace.items()}
    stack = [(r, False) for r in roots]
    while stack:
        term, ready = stack.pop()
        if term.id in done:
            continue
        if not term.args:
            done[term.id] = term
        elif ready:
            args = tuple(done[a.id] for a in term.args)
            done[term.id] = term if args == term.args else rebuild(term, args)
        else:
            stack.append((term, True))
            stack.extend((a, False) for a in term.args)
    return [done[r.id] for r in roots]


def variables(*roots: Term) -> dict[str, Term]:
    """The ``var`` nodes under ``roots`` by name, memory left out."""
    return {t.attr: t for t in walk(*roots) if t.op == "var" and t.width}


def show(term: Term, depth: int = 12) -> str:
    """A readable, parenthesised text; deeper nodes are cut to ``...``."""
    if term.op == "const":
        return f"{term.attr:#x}:{term.width}"
    if term.op in ("var", "undef"):
        return str(term.attr) if term.op == "var" else f"undef({term.attr})"
    if depth == 0:
        return "..."
    attr = "" if term.attr is None else f"[{term.attr}]"
    return f"({term.op}{attr}:{term.width} {' '.join(show(a, depth - 1) for a in term.args)})"
