"""Concrete evaluation of terms.

``Program(roots)`` is prepared once and run on many states; ``evaluate`` does both. Floats are exact (``isa.floats``),
NaN results are the format's positive quiet NaN: who compares with a processor must let any NaN stand for any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from isa import floats
from isa.terms import MEMORY, Term, mask, signed, walk

Memory = Callable[[int], int]
_Step = Callable[[list[Any]], Any]

_ADDRESS_MASK: Final = mask(64)


def evaluate(roots: Sequence[Term], env: Mapping[str, int], memory: Memory, undef: int = 0) -> list[Any]:
    """The values of ``roots``: int each, for a memory the dict of bytes written. See ``Program.run``."""
    return Program(roots).run(env, memory, undef)


class Program:
    """Terms prepared for evaluation. Raises ``ValueError`` for a float format that is not binary32 or binary64."""

    def __init__(self, roots: Sequence[Term]) -> None:
        self._steps: list[_Step] = []
        self._index: dict[int, int] = {}
        self.undefined: set[str] = set()
        for term in walk(*roots):
            self._index[term.id] = len(self._steps)
            self._steps.append(self._step(term))
        self._roots = [self._index[root.id] for root in roots]

    def run(self, env: Mapping[str, int], memory: Memory, undef: int = 0) -> list[Any]:
        """Evaluate on one state.

        env: value of every variable (``KeyError`` if one is missing), 0 <= value < 2**width. memory: initial byte at
        an address. undef: what every undefined value's bits are taken from. A root that is a memory gives ``{address:
        byte}`` of what was stored.
        """
        self._env, self._memory, self._undef = env, memory, undef
        values: list[Any] = []
        put = values.append
        for step in self._steps:
            put(step(values))
        return [values[i] for i in self._roots]

    def _step(self, term: Term) -> _Step:
        op, w, m = term.op, term.width, mask(term.width) if term.width else 0
        if op == "const":
            value = term.attr
            return lambda v: value
        if op == "var":
            name = term.attr
            return (lambda v: self._env[name]) if w != MEMORY else (lambda v: {})
        if op == "undef":
            self.undefined.add(term.attr)
            return lambda v: self._undef & m
        arguments = [self._index[a.id] for a in term.args]
        if op in _SPECIAL:
            return _SPECIAL[op](term, arguments)
        if op == "load":
            return self._load(arguments, w // 8)
        if op in _FLOAT:
            if any(a.width not in (1, 32, 64) for a in term.args) and op not in ("s2f", "u2f"):
                raise ValueError(f"no evaluation of {op} on {term.args[0].width} bits")
            return _FLOAT[op](term, arguments)
        make = _INTEGER[op]
        return make(arguments, m, w, term.args[0].width)

    def _load(self, arguments: list[int], size: int) -> _Step:
        a, b = arguments

        def step(v: list[Any]) -> int:
            written, address, value = v[a], v[b], 0
            for k in range(size):
                where = (address + k) & _ADDRESS_MASK
                byte = written.get(where)
                value |= (self._memory(where) if byte is None else byte) << 8 * k
            return value

        return step


def _binary(compute: Callable[[int, int, int, int], int]) -> Callable[..., _Step]:
    """``compute(x, y, mask, argument width)``."""

    def make(arguments: list[int], m: int, w: int, source: int) -> _Step:
        a, b = arguments
        return lambda v: compute(v[a], v[b], m, source)

    return make


def _unary(compute: Callable[[int, int, int, int], int]) -> Callable[..., _Step]:
    """``compute(x, mask, width, argument width)``."""

    def make(arguments: list[int], m: int, w: int, source: int) -> _Step:
        (a,) = arguments
        return lambda v: compute(v[a], m, w, source)

    return make


def _divide(x: int, y: int, m: int, w: int) -> int:
    a, b = signed(x, w), signed(y, w)
    if b == 0:
        return m if a >= 0 else 1
    return (abs(a) // abs(b) if (a < 0) == (b < 0) else -(abs(a) // abs(b))) & m


def _remainder(x: int, y: int, m: int, w: int) -> int:
    a, b = signed(x, w), signed(y, w)
    return x if b == 0 else (abs(a) % abs(b) if a >= 0 else -(abs(a) % abs(b))) & m


def _in_range(value: int, w: int) -> bool:
    return -(1 << (w - 1)) <= value < 1 << (w - 1)


_INTEGER: Final[dict[str, Callable[..., _Step]]] = {
    "add": _binary(lambda x, y, m, w: (x + y) & m),
    "sub": _binary(lambda x, y, m, w: (x - y) & m),
    "mul": _binary(lambda x, y, m, w: (x * y) & m),
    "udiv": _binary(lambda x, y, m, w: x // y if y else m),
    "urem": _binary(lambda x, y, m, w: x % y if y else x),
    "sdiv": _binary(_divide),
    "srem": _binary(_remainder),
    "and": _binary(lambda x, y, m, w: x & y),
    "or": _binary(lambda x, y, m, w: x | y),
    "xor": _binary(lambda x, y, m, w: x ^ y),
    "shl": _binary(lambda x, y, m, w: (x << y) & m if y < w else 0),
    "lshr": _binary(lambda x, y, m, w: x >> y if y < w else 0),
    "ashr": _binary(lambda x, y, m, w: (signed(x, w) >> min(y, w)) & m),
    "eq": _binary(lambda x, y, m, w: int(x == y)),
    "ult": _binary(lambda x, y, m, w: int(x < y)),
    "ule": _binary(lambda x, y, m, w: int(x <= y)),
    "slt": _binary(lambda x, y, m, w: int(signed(x, w) < signed(y, w))),
    "sle": _binary(lambda x, y, m, w: int(signed(x, w) <= signed(y, w))),
    "uaddo": _binary(lambda x, y, m, w: (x + y) >> w),
    "saddo": _binary(lambda x, y, m, w: int(not _in_range(signed(x, w) + signed(y, w), w))),
    "ssubo": _binary(lambda x, y, m, w: int(not _in_range(signed(x, w) - signed(y, w), w))),
    "not": _unary(lambda x, m, w, s: x ^ m),
    "neg": _unary(lambda x, m, w, s: -x & m),
    "popcount": _unary(lambda x, m, w, s: x.bit_count()),
    "clz": _unary(lambda x, m, w, s: w - x.bit_length()),
    "zext": _unary(lambda x, m, w, s: x),
    "sext": _unary(lambda x, m, w, s: signed(x, s) & m),
}


def _ite(term: Term, arguments: list[int]) -> _Step:
    c, a, b = arguments
    return lambda v: v[a] if v[c] else v[b]


def _extract(term: Term, arguments: list[int]) -> _Step:
    (a,), low, m = arguments, term.attr, mask(term.width)
    return lambda v: (v[a] >> low) & m


def _concat(term: Term, arguments: list[int]) -> _Step:
    parts = [(index, part.width) for index, part in zip(arguments, term.args, strict=True)]

    def step(v: list[Any]) -> int:
        value = 0
        for index, width in parts:
            value = value << width | v[index]
        return value

    return step


def _store(term: Term, arguments: list[int]) -> _Step:
    (a, b, c), size = arguments, term.args[2].width // 8

    def step(v: list[Any]) -> dict[int, int]:
        written, address = dict(v[a]), v[b]
        for k, byte in enumerate(v[c].to_bytes(size, "little")):
            written[(address + k) & _ADDRESS_MASK] = byte
        return written

    return step


_SPECIAL: Final[dict[str, Callable[[Term, list[int]], _Step]]] = {
    "ite": _ite, "extract": _extract, "concat": _concat, "store": _store,
}  # fmt: skip


def _arithmetic(function: Callable[..., int]) -> Callable[[Term, list[int]], _Step]:
    def make(term: Term, arguments: list[int]) -> _Step:
        w = term.width
        return lambda v: function(*(v[i] for i in arguments), w)

    return make


def _ordered(function: Callable[[float, float], bool]) -> Callable[[Term, list[int]], _Step]:
    def make(term: Term, arguments: list[int]) -> _Step:
        (a, b), w = arguments, term.args[0].width
        return lambda v: int(function(floats.decode(v[a], w), floats.decode(v[b], w)))

    return make


def _converted(function: Callable[[int, Term, int], int]) -> Callable[[Term, list[int]], _Step]:
    """``function(value, term, argument width)``."""

    def make(term: Term, arguments: list[int]) -> _Step:
        (a,), s = arguments, term.args[0].width
        return lambda v: function(v[a], term, s)

    return make


_FLOAT: Final[dict[str, Callable[[Term, list[int]], _Step]]] = {
    "fadd": _arithmetic(floats.add),
    "fsub": _arithmetic(floats.sub),
    "fmul": _arithmetic(floats.mul),
    "fdiv": _arithmetic(floats.div),
    "fsqrt": _arithmetic(floats.sqrt),
    "fma": _arithmetic(floats.fma),
    "feq": _ordered(lambda x, y: x == y),
    "flt": _ordered(lambda x, y: x < y),
    "fle": _ordered(lambda x, y: x <= y),
    "fnan": _converted(lambda x, term, s: int(floats.is_nan(x, s))),
    "f2f": _converted(lambda x, term, s: floats.convert(x, s, term.width)),
    "s2f": _converted(lambda x, term, s: floats.from_integer(signed(x, s), term.width)),
    "u2f": _converted(lambda x, term, s: floats.from_integer(x, term.width)),
    "f2s": _converted(lambda x, term, s: floats.to_integer(x, s, term.width, term.attr)),
    "f2u": _converted(lambda x, term, s: floats.to_integer(x, s, term.width, term.attr)),
    "fround": _converted(lambda x, term, s: floats.round_integral(x, term.width, term.attr)),
}
