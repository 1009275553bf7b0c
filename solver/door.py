"""The one door to Z3: terms in, unsatisfiable, a model, or unknown out.

It calls the C library (``solver.libz3``) directly, because Python-level Z3 objects cost more than the proofs
themselves. Every query gets a context of its own (without reference counts: all its terms die with it), so the same
query gives the same answer whatever was asked before; the bound is Z3's own resource count, never time.

Encoding: a term of width w is a bit vector of w bits (comparisons are kept as Booleans while possible), memory an array
of bytes indexed by 64 bits, the floating comparisons bit-vector formulas. Floating arithmetic is an uninterpreted
function of its arguments' bits (``exact_floats=False``: sound for proving equalities, since both sides name the same
IEEE 754 operation, but a model may be spurious; what is told of the functions is that rounding keeps what is a NaN, and
that no integer of a float is the greatest one) or SMT-LIB's theory of floating point, every NaN being one value. With
``abstract_loads`` a load is an uninterpreted function of its address, one for each memory: as sound, faster.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from isa import terms as t
from isa.terms import Term
from solver import libz3 as z

Ast = int  # the address of a Z3 term; also of sorts, declarations, parameters, solvers

_SIGNIFICAND: Final = {16: 10, 32: 23, 64: 52, 80: 63, 128: 112}  # stored bits of each IEEE format, by width
# The remainder that goes with a quotient, and the extension that it commutes with.
_REMAINDER: Final = {"udiv": ("urem", "zext"), "sdiv": ("srem", "sext")}
_COMMUTATIVE: Final = frozenset({"fadd", "fmul", "fma"})  # in their first two operands
_FLOAT_ARITHMETIC: Final = t.FLOAT_BINARY | {"fsqrt", "fma", "f2f", "s2f", "u2f", "f2s", "f2u", "fround"}


class DoorError(Exception):
    """Z3 rejected a call: a fault of this module or a malformed term, never of the user."""


@dataclass(frozen=True)
class Model:
    """A satisfying state. values: each variable (``undef`` ones as ``undef.NAME``). memory: the bytes touched."""

    values: dict[str, int]
    memory: dict[int, int]


@dataclass(frozen=True)
class Answer:
    """status: of the conjunction asked for. rlimit: resources spent. reason: why unknown. model: present if sat."""

    status: Literal["unsat", "sat", "unknown"]
    rlimit: int
    reason: str = ""
    model: Model | None = None
    abstract: bool = field(default=False)
    """Whether uninterpreted floats or abstracted loads took part, so that a model may be spurious."""


Listener = Callable[[str, str, bool], None]
"""Told of each query as SMT-LIB 2 text, the answer to it, and whether a model may be spurious."""

_errors: list[str] = []
_listener: Listener | None = None


def _record_error(context: int, code: int) -> None:
    _errors.append(z.error_text(context, code).decode(errors="replace"))


_on_error = z.ERROR_HANDLER(_record_error)
_config = z.mk_config()


class _Encoder:
    """Terms to Z3 terms of one context, each node once."""

    def __init__(self, context: Ast, exact_floats: bool, abstract_loads: bool) -> None:
        self.context = context
        self.exact_floats = exact_floats
        self.abstract_loads = abstract_loads
        self.abstract = False
        self.has_memory = False
        self.has_functions = False
        self._bits: dict[int, Ast] = {}
        self._bools: dict[int, Ast] = {}
        self._sorts: dict[int, Ast] = {}
        self._memory_sort: Ast | None = None
        self.variables: dict[str, Ast] = {}
        self.accesses: list[tuple[Ast, int]] = []  # address, bytes
        self.memories: dict[str, Ast] = {}
        self.facts: list[Ast] = []  # of the functions that stand for floating arithmetic
        self._contents: dict[int, tuple[Ast, int]] = {}  # memory -> the function that loads from it, and its width

    def encode(self, *roots: Term) -> None:
        """Encode all terms of a query (in one call: an abstracted load's function depends on the others)."""
        bits, bools = self._bits, self._bools
        if self.abstract_loads:
            self._declare_loads(roots)
        for term in t.walk(*roots):
            if term.id in bits or term.id in bools or (self.abstract_loads and term.width == t.MEMORY):
                continue
            if term.width == 1 and (boolean := self._boolean(term)) is not None:
                bools[term.id] = boolean
            else:
                bits[term.id] = self._vector(term)

    def boolean(self, term: Term) -> Ast:
        """The encoded term, of width 1, as a Boolean."""
        found = self._bools.get(term.id)
        if found is None:
            found = self._bools[term.id] = z.mk_eq(self.context, self._bits[term.id], self.number(1, 1))
        return found

    def bits(self, term: Term) -> Ast:
        """The encoded term as a bit vector (or an array)."""
        found = self._bits.get(term.id)
        if found is None:
            c = self.context
            found = self._bits[term.id] = z.mk_ite(c, self._bools[term.id], self.number(1, 1), self.number(0, 1))
        return found

    def sort(self, width: int) -> Ast:
        if width not in self._sorts:
            self._sorts[width] = z.mk_sort(self.context, width)
        return self._sorts[width]

    def number(self, value: int, width: int) -> Ast:
        if width <= 64:
            return int(z.mk_int(self.context, value, self.sort(width)))
        return int(z.mk_numeral(self.context, str(value).encode(), self.sort(width)))

    def _boolean(self, term: Term) -> Ast | None:
        """Width 1, if its operation gives a Boolean by nature."""
        c, op, args = self.context, term.op, term.args
        if op in t.COMPARE:
            if args[0].width == 1 and op == "eq":
                return int(z.mk_eq(c, self.boolean(args[0]), self.boolean(args[1])))
            a, b = self.bits(args[0]), self.bits(args[1])
            if op in z.COMPARE:
                return int(z.mk_binary[op](c, a, b))
            return self._overflow(op, a, b, args[0].width)
        if op in ("and", "or"):
            return self._many(op, self.boolean(args[0]), self.boolean(args[1]))
        if op == "xor":
            return int(z.mk_xor(c, self.boolean(args[0]), self.boolean(args[1])))
        if op == "not":
            return int(z.mk_not(c, self.boolean(args[0])))
        if op == "ite":
            return int(z.mk_ite(c, self.boolean(args[0]), self.boolean(args[1]), self.boolean(args[2])))
        if op == "fnan":
            return self._nan(self.bits(args[0]), args[0].width)
        if op in t.FLOAT_COMPARE:
            return self._float_compare(op, self.bits(args[0]), self.bits(args[1]), args[0].width)
        return None

    def _many(self, op: str, *parts: Ast) -> Ast:
        array = (z.P * len(parts))(*parts)
        return int((z.mk_and if op == "and" else z.mk_or)(self.context, len(parts), array))

    def _overflow(self, op: str, a: Ast, b: Ast, width: int) -> Ast:
        c = self.context
        if op == "uaddo":
            return int(z.mk_binary["ult"](c, z.mk_binary["add"](c, a, b), a))
        result = z.mk_binary["add" if op == "saddo" else "sub"](c, a, b)
        other = result if op == "saddo" else a
        # A sum overflows if its sign differs from both operands', a difference if a's differs from b's and its own.
        signs = z.mk_binary["and"](c, z.mk_binary["xor"](c, a, result), z.mk_binary["xor"](c, b, other))
        return int(z.mk_binary["slt"](c, signs, self.number(0, width)))

    def _magnitude(self, a: Ast, width: int) -> Ast:
        return int(z.mk_binary["and"](self.context, a, self.number(t.mask(width - 1), width)))

    def _nan(self, a: Ast, width: int) -> Ast:
        stored = _SIGNIFICAND[width]
        infinity = self.number(t.mask(width - 1) & ~t.mask(stored), width)
        return int(z.mk_binary["ult"](self.context, infinity, self._magnitude(a, width)))

    def _float_compare(self, op: str, a: Ast, b: Ast, width: int) -> Ast:
        """IEEE 754-2019 5.11, ordered: magnitudes compare as integers, both zeros are equal, NaNs are false."""
        c, zero = self.context, self.number(0, width)
        ordered = [int(z.mk_not(c, self._nan(a, width))), int(z.mk_not(c, self._nan(b, width)))]
        zeros = int(z.mk_eq(c, self._magnitude(int(z.mk_binary["or"](c, a, b)), width), zero))
        equal = self._many("or", int(z.mk_eq(c, a, b)), zeros)
        if op == "feq":
            return self._many("and", *ordered, equal)
        a_negative, b_negative = int(z.mk_binary["slt"](c, a, zero)), int(z.mk_binary["slt"](c, b, zero))
        same_sign = z.mk_ite(c, a_negative, z.mk_binary["ult"](c, b, a), z.mk_binary["ult"](c, a, b))
        less = int(z.mk_ite(c, z.mk_eq(c, a_negative, b_negative), same_sign, a_negative))
        below = self._many("and", less, int(z.mk_not(c, zeros)))
        return self._many("and", *ordered, below if op == "flt" else self._many("or", below, equal))

    def _vector(self, term: Term) -> Ast:
        c, op, args, width = self.context, term.op, term.args, term.width
        if op == "const":
            return self.number(term.attr, width)
        if op in ("var", "undef"):
            return self._variable(term)
        if op in ("load", "store"):
            return self._load(term) if op == "load" else self._store(term)
        if op == "ite":
            return int(z.mk_ite(c, self.boolean(args[0]), self.bits(args[1]), self.bits(args[2])))
        if op in _FLOAT_ARITHMETIC:
            return self._float(term)
        if op == "sub" and (remainder := self._remainder(*args)) is not None:
            return remainder
        operands = [self.bits(a) for a in args]
        if op in z.BINARY:
            return int(z.mk_binary[op](c, *operands))
        if op == "extract":
            return int(z.mk_extract(c, term.attr + width - 1, term.attr, operands[0]))
        if op == "zext":
            return int(z.mk_zext(c, width - args[0].width, operands[0]))
        if op == "sext":
            return int(z.mk_sext(c, width - args[0].width, operands[0]))
        if op == "concat":
            result = operands[0]
            for part in operands[1:]:
                result = int(z.mk_concat(c, result, part))
            return result
        if op == "not":
            return int(z.mk_bvnot(c, operands[0]))
        if op == "neg":
            return int(z.mk_bvneg(c, operands[0]))
        if op == "popcount":
            return self._popcount(operands[0], width)
        if op == "clz":
            return self._leading_zeros(operands[0], width)
        raise DoorError(f"no encoding of {op}")

    def _variable(self, term: Term) -> Ast:
        name = f"undef.{term.attr}" if term.op == "undef" else str(term.attr)
        symbol = z.mk_symbol(self.context, name.encode())
        if term.width == t.MEMORY:
            if self._memory_sort is None:
                self._memory_sort = int(z.mk_array(self.context, self.sort(64), self.sort(8)))
            found = self.memories[name] = int(z.mk_const(self.context, symbol, self._memory_sort))
            return found
        found = self.variables[name] = int(z.mk_const(self.context, symbol, self.sort(term.width)))
        return found

    def _load(self, term: Term) -> Ast:
        c, address, size = self.context, self.bits(term.args[1]), term.width // 8
        self.accesses.append((address, size))
        if self.abstract_loads:
            content, width = self._contents[term.args[0].id]
            parts = [z.mk_app(c, content, 1, (z.P * 1)(self._plus(address, k))) for k in range(0, size, width // 8)]
        else:
            self.has_memory = True
            memory = self.bits(term.args[0])
            parts = [z.mk_select(c, memory, self._plus(address, k)) for k in range(size)]
        result = parts[0]
        for part in parts[1:]:
            result = z.mk_concat(c, part, result)
        return int(result)

    def _declare_loads(self, roots: Sequence[Term]) -> None:
        """A function for each memory that is loaded from: of the loads' width if they have one, else of one byte."""
        widths: dict[int, int] = {}
        for term in t.walk(*roots):
            if term.op == "load":
                memory = term.args[0].id
                widths[memory] = term.width if widths.get(memory, term.width) == term.width else 8
        for number, (memory, width) in enumerate(widths.items()):
            self.abstract = self.has_functions = True
            symbol = z.mk_symbol(self.context, f"load.{number}".encode())
            declaration = int(z.mk_func(self.context, symbol, 1, (z.P * 1)(self.sort(64)), self.sort(width)))
            self._contents[memory] = declaration, width

    def _store(self, term: Term) -> Ast:
        c, memory, address, value = self.context, *(self.bits(a) for a in term.args)
        size = term.args[2].width // 8
        self.accesses.append((address, size))
        for k in range(size):
            byte = value if size == 1 else z.mk_extract(c, 8 * k + 7, 8 * k, value)
            memory = int(z.mk_store(c, memory, self._plus(address, k), byte))
        return memory

    def _plus(self, address: Ast, offset: int) -> Ast:
        return int(z.mk_binary["add"](self.context, address, self.number(offset, 64))) if offset else address

    def _remainder(self, dividend: Term, product: Term) -> Ast | None:
        """a - b * (a / b) as Z3's remainder, which by zero is a too; of extended operands as the extended remainder.

        Also where only the low bits of a wider division are computed with: they are those of its remainder.
        """
        c, width = self.context, dividend.width
        for divisor, quotient in (product.args, product.args[::-1]) if product.op == "mul" else ():
            division = quotient.args[0] if quotient.op == "extract" and quotient.attr == 0 else quotient
            if division.op not in _REMAINDER:
                continue
            a, b = division.args
            if not (_is_low_part(dividend, a) and _is_low_part(divisor, b)):
                continue
            remainder, extend = _REMAINDER[division.op]
            if a.op == b.op == extend and a.args[0].width == b.args[0].width <= width:
                a, b = a.args[0], b.args[0]
                found = z.mk_binary[remainder](c, self.bits(a), self.bits(b))
                return int(z.mk_extension[extend](c, width - a.width, found))
            return int(z.mk_extract(c, width - 1, 0, z.mk_binary[remainder](c, self.bits(a), self.bits(b))))
        return None

    def _popcount(self, a: Ast, width: int) -> Ast:
        c, total = self.context, self.number(0, width)
        for bit in range(width):
            one = z.mk_extract(c, bit, bit, a)
            total = int(z.mk_binary["add"](c, total, z.mk_zext(c, width - 1, one) if width > 1 else one))
        return total

    def _leading_zeros(self, a: Ast, width: int) -> Ast:
        c, result = self.context, self.number(width, width)
        for bit in range(width):  # the highest bit that is set decides, so it comes last
            is_set = z.mk_eq(c, z.mk_extract(c, bit, bit, a), self.number(1, 1))
            result = int(z.mk_ite(c, is_set, self.number(width - 1 - bit, width), result))
        return result

    def _float(self, term: Term) -> Ast:
        arguments = term.args
        if term.op in _COMMUTATIVE:  # up to the NaN, which has neither sign nor payload here
            arguments = (*sorted(arguments[:2], key=lambda a: a.id), *arguments[2:])
        operands = [self.bits(a) for a in arguments]
        if self.exact_floats:
            return self._exact_float(term, operands)
        c = self.context
        self.abstract = self.has_functions = True
        widths = [a.width for a in arguments]
        name = ".".join([term.op, *map(str, widths), str(term.width), str(term.attr)])
        domain = (z.P * len(widths))(*(self.sort(w) for w in widths))
        declaration = z.mk_func(c, z.mk_symbol(c, name.encode()), len(widths), domain, self.sort(term.width))
        result = int(z.mk_app(c, declaration, len(operands), (z.P * len(operands))(*operands)))
        if term.op == "fround":  # gives a NaN for a NaN and for nothing else
            self.facts.append(z.mk_eq(c, self._nan(result, term.width), self._nan(operands[0], term.width)))
        elif term.op == "f2s" and term.width >= widths[0]:  # no float is 2**n - 1 here; what does not fit is unspecified
            highest = self.number(t.mask(term.width - 1), term.width)
            self.facts.append(z.mk_not(c, z.mk_eq(c, result, highest)))
        return result

    def _exact_float(self, term: Term, operands: list[Ast]) -> Ast:
        c, op, args, rounding = self.context, term.op, term.args, z.fpa_rounding[term.attr or "rne"](self.context)

        def sort(width: int) -> Ast:
            stored = _SIGNIFICAND[width]
            return int(z.mk_fpa_sort(c, width - stored - 1, stored + 1))

        if op in ("s2f", "u2f"):
            return self._ieee(z.fpa_convert[op](c, rounding, operands[0], sort(term.width)), term.width)
        values = [z.fpa_of_bits(c, bits, sort(a.width)) for bits, a in zip(operands, args, strict=True)]
        if op in z.fpa_integer:
            return int(z.fpa_integer[op](c, rounding, values[0], term.width))
        if op == "f2f":
            return self._ieee(z.fpa_convert[op](c, rounding, values[0], sort(term.width)), term.width)
        function = z.fpa_binary.get(op) or {"fsqrt": z.fpa_sqrt, "fma": z.fpa_fma, "fround": z.fpa_round}[op]
        return self._ieee(function(c, rounding, *values), term.width)

    def _ieee(self, value: Ast, width: int) -> Ast:
        """The bits of a floating-point value; of a NaN the positive quiet one's, where Z3 leaves them open."""
        c, stored = self.context, _SIGNIFICAND[width]
        nan = self.number(t.mask(width - stored) << (stored - 1), width)
        return int(z.mk_ite(c, z.fpa_is_nan(c, value), nan, z.fpa_bits(c, value)))


def _is_low_part(part: Term, whole: Term) -> bool:
    """Whether ``part`` is plainly the low bits of ``whole``; of a load, memory being little-endian, a narrower load."""
    return part is t.extract(whole, 0, part.width) or (part.op == whole.op == "load" and part.args == whole.args)


def solve(assertions: Sequence[Term], rlimit: int, *, exact_floats: bool = False,
          abstract_loads: bool = False) -> Answer:  # fmt: skip
    """Whether some state makes all ``assertions`` (width 1 each) true.

    Unsatisfiable is final. A model with ``Answer.abstract`` set may be spurious and must be confirmed by evaluation.
    Raises DoorError if Z3 refuses a term.
    """
    _errors.clear()
    context = z.mk_context(_config)
    try:
        z.set_error_handler(context, _on_error)
        encoder = _Encoder(context, exact_floats, abstract_loads)
        encoder.encode(*assertions)
        answer = _ask(encoder, assertions, rlimit)
    finally:
        z.del_context(context)
    if _errors:
        raise DoorError(_errors[0])
    return answer


def listen(listener: Listener | None) -> None:
    """Have ``listener`` told of all that is asked from now on (``solver.second``); None: nobody."""
    global _listener
    _listener = listener


def is_heard() -> bool:
    return _listener is not None


def tell(assertions: Sequence[Term]) -> None:
    """Tell the listener that ``assertions`` were found unsatisfiable without Z3."""
    context = z.mk_context(_config)
    try:
        encoder = _Encoder(context, exact_floats=False, abstract_loads=False)
        encoder.encode(*assertions)
        if _listener is not None:
            _listener(_text(encoder, _filled(encoder, assertions)), "unsat", encoder.abstract)
    finally:
        z.del_context(context)


def _text(encoder: _Encoder, solver: Ast) -> str:
    """The query as it is asked, if anybody listens: once Z3 has answered, it writes down what it made of it."""
    return z.solver_text(encoder.context, solver).decode() if _listener is not None and not encoder.exact_floats else ""


def _filled(encoder: _Encoder, assertions: Sequence[Term]) -> Ast:
    """A solver with ``assertions`` and what is known of the functions in them."""
    c = encoder.context
    solver = _solver_for(encoder)
    z.solver_inc(c, solver)
    for assertion in assertions:
        z.solver_assert(c, solver, encoder.boolean(assertion))
    for fact in encoder.facts:
        z.solver_assert(c, solver, fact)
    return solver


def _ask(encoder: _Encoder, assertions: Sequence[Term], rlimit: int) -> Answer:
    c = encoder.context
    solver = _filled(encoder, assertions)
    params = z.mk_params(c)
    z.params_inc(c, params)
    z.params_uint(c, params, z.mk_symbol(c, b"rlimit"), rlimit)
    z.solver_params(c, solver, params)
    text = _text(encoder, solver)
    status = z.solver_check(c, solver)
    spent = _spent(c, solver)
    if _listener is not None and text and status and not _errors:
        _listener(text, "unsat" if status == -1 else "sat", encoder.abstract)
    if status == -1:
        return Answer("unsat", spent, abstract=encoder.abstract)
    if status == 0 or _errors:
        reason = z.solver_reason(c, solver).decode(errors="replace")
        return Answer("unknown", spent, reason, abstract=encoder.abstract)
    return Answer("sat", spent, model=_model(encoder, solver), abstract=encoder.abstract)


def _solver_for(encoder: _Encoder) -> Ast:
    c = encoder.context
    if encoder.exact_floats:  # the logics with floats blast every operation at once; the core rewrites first
        return int(z.mk_simple_solver(c))
    is_pure = not (encoder.has_memory or encoder.has_functions)
    return int(z.mk_solver(c, z.mk_symbol(c, b"QF_BV" if is_pure else b"QF_AUFBV")))


def _spent(c: Ast, solver: Ast) -> int:
    statistics = z.solver_statistics(c, solver)
    z.stats_inc(c, statistics)
    for index in range(z.stats_size(c, statistics)):
        if z.stats_key(c, statistics, index) == b"rlimit count":
            return int(z.stats_uint(c, statistics, index))
    return 0


def _model(encoder: _Encoder, solver: Ast) -> Model:
    c = encoder.context
    model = z.solver_model(c, solver)
    z.model_inc(c, model)
    result = z.P()

    def value(ast: Ast) -> int:
        if not z.model_eval(c, model, ast, True, ctypes.byref(result)):
            raise DoorError("the model has no value for a term")
        return int(z.numeral_text(c, result))

    memory: dict[int, int] = {}
    for base in encoder.memories.values():
        for address, size in encoder.accesses:
            first = value(address)
            for k in range(size):
                place = (first + k) & t.mask(64)
                if place not in memory:
                    memory[place] = value(int(z.mk_select(c, base, encoder.number(place, 64))))
    return Model({name: value(ast) for name, ast in encoder.variables.items()}, memory)
