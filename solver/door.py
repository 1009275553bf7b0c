"""The one door to Z3: terms in, unsatisfiable, a model, or unknown out.

It calls the C library of the ``z3-solver`` wheel directly, because Python-level Z3 objects cost more than the proofs
themselves. Every query gets a context of its own (without reference counts: all its terms die with it), so the same
query gives the same answer whatever was asked before; the bound is Z3's own resource count, never time.

Encoding: a term of width w is a bit vector of w bits (comparisons are kept as Booleans while possible), memory an array
of bytes indexed by 64 bits, the floating comparisons bit-vector formulas. Floating arithmetic is an uninterpreted
function of its arguments' bits (``exact_floats=False``: sound for proving equalities, since both sides name the same
IEEE 754 operation, but a model may be spurious) or SMT-LIB's theory of floating point, every NaN being one value. With
``abstract_loads`` a load is an uninterpreted function of its address, one for each memory and width: as sound, faster.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from isa import terms as t
from isa.terms import Term

Ast = int  # the address of a Z3 term; also of sorts, declarations, parameters, solvers

_SIGNIFICAND: Final = {16: 10, 32: 23, 64: 52, 80: 63, 128: 112}  # stored bits of each IEEE format, by width
_BINARY: Final = {"add": "bvadd", "sub": "bvsub", "mul": "bvmul", "udiv": "bvudiv", "urem": "bvurem", "sdiv": "bvsdiv",
                  "srem": "bvsrem", "and": "bvand", "or": "bvor", "xor": "bvxor", "shl": "bvshl", "lshr": "bvlshr",
                  "ashr": "bvashr"}  # fmt: skip
_COMPARE: Final = {"eq": "eq", "ult": "bvult", "ule": "bvule", "slt": "bvslt", "sle": "bvsle"}
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


def _library() -> ctypes.PyDLL:
    spec = importlib.util.find_spec("z3")
    folders = [Path(p) / "lib" for p in (spec.submodule_search_locations or [])] if spec else []
    names = [p for folder in folders for p in sorted(folder.glob("libz3.*")) if p.suffix in (".so", ".dylib", ".dll")]
    return ctypes.PyDLL(str(names[0])) if names else ctypes.PyDLL("libz3.so")


_lib = _library()
_solving = ctypes.CDLL(_lib._name)  # releases the interpreter lock while it works
_P, _U, _I = ctypes.c_void_p, ctypes.c_uint, ctypes.c_int


def _bind(name: str, result: Any, *arguments: Any, library: Any = _lib) -> Callable[..., Any]:
    function: Any = getattr(library, "Z3_" + name)
    function.restype, function.argtypes = result, list(arguments)
    return function  # type: ignore[no-any-return]


_mk_binary = {op: _bind("mk_" + name, _P, _P, _P, _P) for op, name in (_BINARY | _COMPARE).items()}
_mk_eq = _mk_binary["eq"]
_mk_concat = _bind("mk_concat", _P, _P, _P, _P)
_mk_select = _bind("mk_select", _P, _P, _P, _P)
_mk_store = _bind("mk_store", _P, _P, _P, _P, _P)
_mk_not = _bind("mk_not", _P, _P, _P)
_mk_bvnot = _bind("mk_bvnot", _P, _P, _P)
_mk_bvneg = _bind("mk_bvneg", _P, _P, _P)
_mk_ite = _bind("mk_ite", _P, _P, _P, _P, _P)
_mk_and = _bind("mk_and", _P, _P, _U, ctypes.POINTER(_P))
_mk_or = _bind("mk_or", _P, _P, _U, ctypes.POINTER(_P))
_mk_xor = _bind("mk_xor", _P, _P, _P, _P)
_mk_extract = _bind("mk_extract", _P, _P, _U, _U, _P)
_mk_zext = _bind("mk_zero_ext", _P, _P, _U, _P)
_mk_sext = _bind("mk_sign_ext", _P, _P, _U, _P)
_mk_sort = _bind("mk_bv_sort", _P, _P, _U)
_mk_array = _bind("mk_array_sort", _P, _P, _P, _P)
_mk_numeral = _bind("mk_numeral", _P, _P, ctypes.c_char_p, _P)
_mk_int = _bind("mk_unsigned_int64", _P, _P, ctypes.c_uint64, _P)
_mk_symbol = _bind("mk_string_symbol", _P, _P, ctypes.c_char_p)
_mk_const = _bind("mk_const", _P, _P, _P, _P)
_mk_func = _bind("mk_func_decl", _P, _P, _P, _U, ctypes.POINTER(_P), _P)
_mk_app = _bind("mk_app", _P, _P, _P, _U, ctypes.POINTER(_P))
_mk_fpa_sort = _bind("mk_fpa_sort", _P, _P, _U, _U)
_fpa_of_bits = _bind("mk_fpa_to_fp_bv", _P, _P, _P, _P)
_fpa_is_nan = _bind("mk_fpa_is_nan", _P, _P, _P)
_fpa_bits = _bind("mk_fpa_to_ieee_bv", _P, _P, _P)
_fpa_rounding = {r: _bind("mk_fpa_" + r, _P, _P) for r in t.ROUNDINGS}
_fpa_binary = {op: _bind("mk_fpa_" + op[1:], _P, _P, _P, _P, _P) for op in ("fadd", "fsub", "fmul", "fdiv")}
_fpa_sqrt = _bind("mk_fpa_sqrt", _P, _P, _P, _P)
_fpa_fma = _bind("mk_fpa_fma", _P, _P, _P, _P, _P, _P)
_fpa_round = _bind("mk_fpa_round_to_integral", _P, _P, _P, _P)
_fpa_convert = {op: _bind("mk_fpa_to_fp_" + name, _P, _P, _P, _P, _P)
                for op, name in (("f2f", "float"), ("s2f", "signed"), ("u2f", "unsigned"))}  # fmt: skip
_fpa_integer = {"f2s": _bind("mk_fpa_to_sbv", _P, _P, _P, _P, _U), "f2u": _bind("mk_fpa_to_ubv", _P, _P, _P, _P, _U)}

_mk_config = _bind("mk_config", _P)
_mk_context = _bind("mk_context", _P, _P)
_del_context = _bind("del_context", None, _P)
_ERROR_HANDLER = ctypes.CFUNCTYPE(None, _P, _I)
_set_error_handler = _bind("set_error_handler", None, _P, _ERROR_HANDLER)
_error_text = _bind("get_error_msg", ctypes.c_char_p, _P, _I)
_mk_solver = _bind("mk_solver_for_logic", _P, _P, _P)
_mk_simple_solver = _bind("mk_simple_solver", _P, _P)
_mk_params = _bind("mk_params", _P, _P)
_params_uint = _bind("params_set_uint", None, _P, _P, _P, _U)
_solver_params = _bind("solver_set_params", None, _P, _P, _P)
_solver_assert = _bind("solver_assert", None, _P, _P, _P)
_solver_check = _bind("solver_check", _I, _P, _P, library=_solving)
_solver_reason = _bind("solver_get_reason_unknown", ctypes.c_char_p, _P, _P)
_solver_model = _bind("solver_get_model", _P, _P, _P)
_solver_statistics = _bind("solver_get_statistics", _P, _P, _P)
_stats_size = _bind("stats_size", _U, _P, _P)
_stats_key = _bind("stats_get_key", ctypes.c_char_p, _P, _P, _U)
_stats_uint = _bind("stats_get_uint_value", _U, _P, _P, _U)
_stats_inc = _bind("stats_inc_ref", None, _P, _P)
_model_inc = _bind("model_inc_ref", None, _P, _P)
_solver_inc = _bind("solver_inc_ref", None, _P, _P)
_params_inc = _bind("params_inc_ref", None, _P, _P)
_model_eval = _bind("model_eval", ctypes.c_bool, _P, _P, _P, ctypes.c_bool, ctypes.POINTER(_P))
_numeral_text = _bind("get_numeral_string", ctypes.c_char_p, _P, _P)

_errors: list[str] = []


def _record_error(context: int, code: int) -> None:
    _errors.append(_error_text(context, code).decode(errors="replace"))


_on_error = _ERROR_HANDLER(_record_error)


_config = _mk_config()


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

    def encode(self, *roots: Term) -> None:
        bits, bools = self._bits, self._bools
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
            found = self._bools[term.id] = _mk_eq(self.context, self._bits[term.id], self.number(1, 1))
        return found

    def bits(self, term: Term) -> Ast:
        """The encoded term as a bit vector (or an array)."""
        found = self._bits.get(term.id)
        if found is None:
            c = self.context
            found = self._bits[term.id] = _mk_ite(c, self._bools[term.id], self.number(1, 1), self.number(0, 1))
        return found

    def sort(self, width: int) -> Ast:
        if width not in self._sorts:
            self._sorts[width] = _mk_sort(self.context, width)
        return self._sorts[width]

    def number(self, value: int, width: int) -> Ast:
        if width <= 64:
            return int(_mk_int(self.context, value, self.sort(width)))
        return int(_mk_numeral(self.context, str(value).encode(), self.sort(width)))

    def _boolean(self, term: Term) -> Ast | None:
        """Width 1, if its operation gives a Boolean by nature."""
        c, op, args = self.context, term.op, term.args
        if op in t.COMPARE:
            if args[0].width == 1 and op == "eq":
                return int(_mk_eq(c, self.boolean(args[0]), self.boolean(args[1])))
            a, b = self.bits(args[0]), self.bits(args[1])
            if op in _COMPARE:
                return int(_mk_binary[op](c, a, b))
            return self._overflow(op, a, b, args[0].width)
        if op in ("and", "or"):
            return self._many(op, self.boolean(args[0]), self.boolean(args[1]))
        if op == "xor":
            return int(_mk_xor(c, self.boolean(args[0]), self.boolean(args[1])))
        if op == "not":
            return int(_mk_not(c, self.boolean(args[0])))
        if op == "ite":
            return int(_mk_ite(c, self.boolean(args[0]), self.boolean(args[1]), self.boolean(args[2])))
        if op == "fnan":
            return self._nan(self.bits(args[0]), args[0].width)
        if op in t.FLOAT_COMPARE:
            return self._float_compare(op, self.bits(args[0]), self.bits(args[1]), args[0].width)
        return None

    def _many(self, op: str, *parts: Ast) -> Ast:
        array = (_P * len(parts))(*parts)
        return int((_mk_and if op == "and" else _mk_or)(self.context, len(parts), array))

    def _overflow(self, op: str, a: Ast, b: Ast, width: int) -> Ast:
        c = self.context
        if op == "uaddo":
            return int(_mk_binary["ult"](c, _mk_binary["add"](c, a, b), a))
        result = _mk_binary["add" if op == "saddo" else "sub"](c, a, b)
        other = result if op == "saddo" else a
        # A sum overflows if its sign differs from both operands', a difference if a's differs from b's and its own.
        signs = _mk_binary["and"](c, _mk_binary["xor"](c, a, result), _mk_binary["xor"](c, b, other))
        return int(_mk_binary["slt"](c, signs, self.number(0, width)))

    def _magnitude(self, a: Ast, width: int) -> Ast:
        return int(_mk_binary["and"](self.context, a, self.number(t.mask(width - 1), width)))

    def _nan(self, a: Ast, width: int) -> Ast:
        stored = _SIGNIFICAND[width]
        infinity = self.number(t.mask(width - 1) & ~t.mask(stored), width)
        return int(_mk_binary["ult"](self.context, infinity, self._magnitude(a, width)))

    def _float_compare(self, op: str, a: Ast, b: Ast, width: int) -> Ast:
        """IEEE 754-2019 5.11, ordered: magnitudes compare as integers, both zeros are equal, NaNs are false."""
        c, zero = self.context, self.number(0, width)
        ordered = [int(_mk_not(c, self._nan(a, width))), int(_mk_not(c, self._nan(b, width)))]
        zeros = int(_mk_eq(c, self._magnitude(int(_mk_binary["or"](c, a, b)), width), zero))
        equal = self._many("or", int(_mk_eq(c, a, b)), zeros)
        if op == "feq":
            return self._many("and", *ordered, equal)
        a_negative, b_negative = int(_mk_binary["slt"](c, a, zero)), int(_mk_binary["slt"](c, b, zero))
        same_sign = _mk_ite(c, a_negative, _mk_binary["ult"](c, b, a), _mk_binary["ult"](c, a, b))
        less = int(_mk_ite(c, _mk_eq(c, a_negative, b_negative), same_sign, a_negative))
        below = self._many("and", less, int(_mk_not(c, zeros)))
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
            return int(_mk_ite(c, self.boolean(args[0]), self.bits(args[1]), self.bits(args[2])))
        if op in _FLOAT_ARITHMETIC:
            return self._float(term)
        operands = [self.bits(a) for a in args]
        if op in _BINARY:
            return int(_mk_binary[op](c, *operands))
        if op == "extract":
            return int(_mk_extract(c, term.attr + width - 1, term.attr, operands[0]))
        if op == "zext":
            return int(_mk_zext(c, width - args[0].width, operands[0]))
        if op == "sext":
            return int(_mk_sext(c, width - args[0].width, operands[0]))
        if op == "concat":
            result = operands[0]
            for part in operands[1:]:
                result = int(_mk_concat(c, result, part))
            return result
        if op == "not":
            return int(_mk_bvnot(c, operands[0]))
        if op == "neg":
            return int(_mk_bvneg(c, operands[0]))
        if op == "popcount":
            return self._popcount(operands[0], width)
        if op == "clz":
            return self._leading_zeros(operands[0], width)
        raise DoorError(f"no encoding of {op}")

    def _variable(self, term: Term) -> Ast:
        name = f"undef.{term.attr}" if term.op == "undef" else str(term.attr)
        symbol = _mk_symbol(self.context, name.encode())
        if term.width == t.MEMORY:
            if self._memory_sort is None:
                self._memory_sort = int(_mk_array(self.context, self.sort(64), self.sort(8)))
            found = self.memories[name] = int(_mk_const(self.context, symbol, self._memory_sort))
            return found
        found = self.variables[name] = int(_mk_const(self.context, symbol, self.sort(term.width)))
        return found

    def _load(self, term: Term) -> Ast:
        c, address, size = self.context, self.bits(term.args[1]), term.width // 8
        self.accesses.append((address, size))
        if self.abstract_loads:
            self.abstract = self.has_functions = True
            symbol = _mk_symbol(c, f"load.{term.args[0].id}.{term.width}".encode())
            declaration = _mk_func(c, symbol, 1, (_P * 1)(self.sort(64)), self.sort(term.width))
            return int(_mk_app(c, declaration, 1, (_P * 1)(address)))
        self.has_memory = True
        memory = self.bits(term.args[0])
        result = int(_mk_select(c, memory, address))
        for k in range(1, size):
            result = int(_mk_concat(c, _mk_select(c, memory, self._plus(address, k)), result))
        return result

    def _store(self, term: Term) -> Ast:
        c, memory, address, value = self.context, *(self.bits(a) for a in term.args)
        size = term.args[2].width // 8
        self.accesses.append((address, size))
        for k in range(size):
            byte = value if size == 1 else _mk_extract(c, 8 * k + 7, 8 * k, value)
            memory = int(_mk_store(c, memory, self._plus(address, k), byte))
        return memory

    def _plus(self, address: Ast, offset: int) -> Ast:
        return int(_mk_binary["add"](self.context, address, self.number(offset, 64))) if offset else address

    def _popcount(self, a: Ast, width: int) -> Ast:
        c, total = self.context, self.number(0, width)
        for bit in range(width):
            one = _mk_extract(c, bit, bit, a)
            total = int(_mk_binary["add"](c, total, _mk_zext(c, width - 1, one) if width > 1 else one))
        return total

    def _leading_zeros(self, a: Ast, width: int) -> Ast:
        c, result = self.context, self.number(width, width)
        for bit in range(width):  # the highest bit that is set decides, so it comes last
            is_set = _mk_eq(c, _mk_extract(c, bit, bit, a), self.number(1, 1))
            result = int(_mk_ite(c, is_set, self.number(width - 1 - bit, width), result))
        return result

    def _float(self, term: Term) -> Ast:
        operands = [self.bits(a) for a in term.args]
        if self.exact_floats:
            return self._exact_float(term, operands)
        c = self.context
        self.abstract = self.has_functions = True
        widths = [a.width for a in term.args]
        name = ".".join([term.op, *map(str, widths), str(term.width), str(term.attr)])
        domain = (_P * len(widths))(*(self.sort(w) for w in widths))
        declaration = _mk_func(c, _mk_symbol(c, name.encode()), len(widths), domain, self.sort(term.width))
        return int(_mk_app(c, declaration, len(operands), (_P * len(operands))(*operands)))

    def _exact_float(self, term: Term, operands: list[Ast]) -> Ast:
        c, op, args, rounding = self.context, term.op, term.args, _fpa_rounding[term.attr or "rne"](self.context)

        def sort(width: int) -> Ast:
            stored = _SIGNIFICAND[width]
            return int(_mk_fpa_sort(c, width - stored - 1, stored + 1))

        if op in ("s2f", "u2f"):
            return self._ieee(_fpa_convert[op](c, rounding, operands[0], sort(term.width)), term.width)
        values = [_fpa_of_bits(c, bits, sort(a.width)) for bits, a in zip(operands, args, strict=True)]
        if op in _fpa_integer:
            return int(_fpa_integer[op](c, rounding, values[0], term.width))
        if op == "f2f":
            return self._ieee(_fpa_convert[op](c, rounding, values[0], sort(term.width)), term.width)
        function = _fpa_binary.get(op) or {"fsqrt": _fpa_sqrt, "fma": _fpa_fma, "fround": _fpa_round}[op]
        return self._ieee(function(c, rounding, *values), term.width)

    def _ieee(self, value: Ast, width: int) -> Ast:
        """The bits of a floating-point value; of a NaN the positive quiet one's, where Z3 leaves them open."""
        c, stored = self.context, _SIGNIFICAND[width]
        nan = self.number(t.mask(width - stored) << (stored - 1), width)
        return int(_mk_ite(c, _fpa_is_nan(c, value), nan, _fpa_bits(c, value)))


def solve(assertions: Sequence[Term], rlimit: int, *, exact_floats: bool = False,
          abstract_loads: bool = False) -> Answer:  # fmt: skip
    """Whether some state makes all ``assertions`` (width 1 each) true.

    Unsatisfiable is final. A model with ``Answer.abstract`` set may be spurious and must be confirmed by evaluation.
    Raises DoorError if Z3 refuses a term.
    """
    _errors.clear()
    context = _mk_context(_config)
    try:
        _set_error_handler(context, _on_error)
        encoder = _Encoder(context, exact_floats, abstract_loads)
        encoder.encode(*assertions)
        answer = _ask(encoder, assertions, rlimit)
    finally:
        _del_context(context)
    if _errors:
        raise DoorError(_errors[0])
    return answer


def _ask(encoder: _Encoder, assertions: Sequence[Term], rlimit: int) -> Answer:
    c = encoder.context
    solver = _solver_for(encoder)
    _solver_inc(c, solver)
    params = _mk_params(c)
    _params_inc(c, params)
    _params_uint(c, params, _mk_symbol(c, b"rlimit"), rlimit)
    _solver_params(c, solver, params)
    for assertion in assertions:
        _solver_assert(c, solver, encoder.boolean(assertion))
    status = _solver_check(c, solver)
    spent = _spent(c, solver)
    if status == -1:
        return Answer("unsat", spent, abstract=encoder.abstract)
    if status == 0 or _errors:
        reason = _solver_reason(c, solver).decode(errors="replace")
        return Answer("unknown", spent, reason, abstract=encoder.abstract)
    return Answer("sat", spent, model=_model(encoder, solver), abstract=encoder.abstract)


def _solver_for(encoder: _Encoder) -> Ast:
    c = encoder.context
    if encoder.exact_floats:  # the logics with floats blast every operation at once; the core rewrites first
        return int(_mk_simple_solver(c))
    is_pure = not (encoder.has_memory or encoder.has_functions)
    return int(_mk_solver(c, _mk_symbol(c, b"QF_BV" if is_pure else b"QF_AUFBV")))


def _spent(c: Ast, solver: Ast) -> int:
    statistics = _solver_statistics(c, solver)
    _stats_inc(c, statistics)
    for index in range(_stats_size(c, statistics)):
        if _stats_key(c, statistics, index) == b"rlimit count":
            return int(_stats_uint(c, statistics, index))
    return 0


def _model(encoder: _Encoder, solver: Ast) -> Model:
    c = encoder.context
    model = _solver_model(c, solver)
    _model_inc(c, model)
    result = _P()

    def value(ast: Ast) -> int:
        if not _model_eval(c, model, ast, True, ctypes.byref(result)):
            raise DoorError("the model has no value for a term")
        return int(_numeral_text(c, result))

    memory: dict[int, int] = {}
    for base in encoder.memories.values():
        for address, size in encoder.accesses:
            first = value(address)
            for k in range(size):
                place = (first + k) & t.mask(64)
                if place not in memory:
                    memory[place] = value(int(_mk_select(c, base, encoder.number(place, 64))))
    return Model({name: value(ast) for name, ast in encoder.variables.items()}, memory)
