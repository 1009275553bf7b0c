"""The C library of the ``z3-solver`` wheel: its functions as Python callables, named as there without ``Z3_``.

Terms, sorts, declarations, solvers and models are addresses. Those tables whose keys are operations of ``isa.terms``
are named after what they make.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from isa import terms as t

BINARY: Final = {"add": "bvadd", "sub": "bvsub", "mul": "bvmul", "udiv": "bvudiv", "urem": "bvurem", "sdiv": "bvsdiv",
                  "srem": "bvsrem", "and": "bvand", "or": "bvor", "xor": "bvxor", "shl": "bvshl", "lshr": "bvlshr",
                  "ashr": "bvashr"}  # fmt: skip
COMPARE: Final = {"eq": "eq", "ult": "bvult", "ule": "bvule", "slt": "bvslt", "sle": "bvsle"}
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _KEPT_BYTES = -1, -3, 32 << 20  # glibc's <malloc.h>


def _library() -> ctypes.PyDLL:
    spec = importlib.util.find_spec("z3")
    folders = [Path(p) / "lib" for p in (spec.submodule_search_locations or [])] if spec else []
    names = [p for folder in folders for p in sorted(folder.glob("libz3.*")) if p.suffix in (".so", ".dylib", ".dll")]
    return ctypes.PyDLL(str(names[0])) if names else ctypes.PyDLL("libz3.so")


_lib = _library()
_solving = ctypes.CDLL(_lib._name)  # releases the interpreter lock while it works
P, U, _INT = ctypes.c_void_p, ctypes.c_uint, ctypes.c_int


def _bind(name: str, result: Any, *arguments: Any, library: Any = _lib) -> Callable[..., Any]:
    function: Any = getattr(library, "Z3_" + name)
    function.restype, function.argtypes = result, list(arguments)
    return function  # type: ignore[no-any-return]


mk_binary = {op: _bind("mk_" + name, P, P, P, P) for op, name in (BINARY | COMPARE).items()}
mk_eq = mk_binary["eq"]
mk_concat = _bind("mk_concat", P, P, P, P)
mk_select = _bind("mk_select", P, P, P, P)
mk_store = _bind("mk_store", P, P, P, P, P)
mk_not = _bind("mk_not", P, P, P)
mk_bvnot = _bind("mk_bvnot", P, P, P)
mk_bvneg = _bind("mk_bvneg", P, P, P)
mk_ite = _bind("mk_ite", P, P, P, P, P)
mk_and = _bind("mk_and", P, P, U, ctypes.POINTER(P))
mk_or = _bind("mk_or", P, P, U, ctypes.POINTER(P))
mk_xor = _bind("mk_xor", P, P, P, P)
mk_extract = _bind("mk_extract", P, P, U, U, P)
mk_zext = _bind("mk_zero_ext", P, P, U, P)
mk_sext = _bind("mk_sign_ext", P, P, U, P)
mk_extension = {"zext": mk_zext, "sext": mk_sext}
mk_sort = _bind("mk_bv_sort", P, P, U)
mk_array = _bind("mk_array_sort", P, P, P, P)
mk_numeral = _bind("mk_numeral", P, P, ctypes.c_char_p, P)
mk_int = _bind("mk_unsigned_int64", P, P, ctypes.c_uint64, P)
mk_symbol = _bind("mk_string_symbol", P, P, ctypes.c_char_p)
mk_const = _bind("mk_const", P, P, P, P)
mk_func = _bind("mk_func_decl", P, P, P, U, ctypes.POINTER(P), P)
mk_app = _bind("mk_app", P, P, P, U, ctypes.POINTER(P))
mk_fpa_sort = _bind("mk_fpa_sort", P, P, U, U)
fpa_of_bits = _bind("mk_fpa_to_fp_bv", P, P, P, P)
fpa_is_nan = _bind("mk_fpa_is_nan", P, P, P)
fpa_bits = _bind("mk_fpa_to_ieee_bv", P, P, P)
fpa_rounding = {r: _bind("mk_fpa_" + r, P, P) for r in t.ROUNDINGS}
fpa_binary = {op: _bind("mk_fpa_" + op[1:], P, P, P, P, P) for op in ("fadd", "fsub", "fmul", "fdiv")}
fpa_sqrt = _bind("mk_fpa_sqrt", P, P, P, P)
fpa_fma = _bind("mk_fpa_fma", P, P, P, P, P, P)
fpa_round = _bind("mk_fpa_round_to_integral", P, P, P, P)
fpa_convert = {op: _bind("mk_fpa_to_fp_" + name, P, P, P, P, P)
                for op, name in (("f2f", "float"), ("s2f", "signed"), ("u2f", "unsigned"))}  # fmt: skip
fpa_integer = {"f2s": _bind("mk_fpa_to_sbv", P, P, P, P, U), "f2u": _bind("mk_fpa_to_ubv", P, P, P, P, U)}

mk_config = _bind("mk_config", P)
mk_context = _bind("mk_context", P, P)
del_context = _bind("del_context", None, P)
ERROR_HANDLER = ctypes.CFUNCTYPE(None, P, _INT)
set_error_handler = _bind("set_error_handler", None, P, ERROR_HANDLER)
error_text = _bind("get_error_msg", ctypes.c_char_p, P, _INT)
mk_solver = _bind("mk_solver_for_logic", P, P, P)
mk_simple_solver = _bind("mk_simple_solver", P, P)
mk_params = _bind("mk_params", P, P)
params_uint = _bind("params_set_uint", None, P, P, P, U)
solver_params = _bind("solver_set_params", None, P, P, P)
solver_assert = _bind("solver_assert", None, P, P, P)
solver_text = _bind("solver_to_string", ctypes.c_char_p, P, P)
solver_check = _bind("solver_check", _INT, P, P, library=_solving)
solver_reason = _bind("solver_get_reason_unknown", ctypes.c_char_p, P, P)
solver_model = _bind("solver_get_model", P, P, P)
solver_statistics = _bind("solver_get_statistics", P, P, P)
stats_size = _bind("stats_size", U, P, P)
stats_key = _bind("stats_get_key", ctypes.c_char_p, P, P, U)
stats_uint = _bind("stats_get_uint_value", U, P, P, U)
stats_inc = _bind("stats_inc_ref", None, P, P)
model_inc = _bind("model_inc_ref", None, P, P)
solver_inc = _bind("solver_inc_ref", None, P, P)
params_inc = _bind("params_inc_ref", None, P, P)
model_eval = _bind("model_eval", ctypes.c_bool, P, P, P, ctypes.c_bool, ctypes.POINTER(P))
numeral_text = _bind("get_numeral_string", ctypes.c_char_p, P, P)


def _keep_freed_memory() -> None:
    """Let the allocator keep what a context frees for the next one: asking the system anew costs most of a query.

    A setting of glibc; other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)


_keep_freed_memory()
