"""Calls out of the program: which conversion each external function needs, by its name and its signature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from guesssketch.prototypes import Signature, Table, parse_signature, scalar
from guesssketch.quoting import quoted
from guesssketch.wall import aarch64, riscv64
from guesssketch.wall.places import Unsupported

TARGETS: Final[dict[str, ModuleType]] = {"aarch64": aarch64, "riscv64": riscv64}

# Called by compilers and never declared in a header: libgcc's routines (GCC internals manual, ch. 4), the stack protector,
# the C++ runtime's (Itanium C++ ABI, 2.7, 2.9.7, 3.3), and the checked forms that _FORTIFY_SOURCE reaches through builtins.
COMPILER: Final = {
    "__stack_chk_fail": "void()", "__chk_fail": "void()",
    **{f"__{op}ti3": "i128(i128,i128)" for op in ("div", "mod", "udiv", "umod", "mul")},
    **{f"__{op}ti3": "i128(i128,i32)" for op in ("ashl", "ashr", "lshr")},
    **{f"__{op}di2": "i32(i64)" for op in ("popcount", "clz", "ctz", "ffs", "parity")},
    "__bswapdi2": "u64(u64)", "__bswapsi2": "u32(u32)",
    **{f"__fix{s}dfti": "i128(f64)" for s in ("", "uns")}, **{f"__fix{s}sfti": "i128(f32)" for s in ("", "uns")},
    **{f"__float{s}tidf": "f64(i128)" for s in ("", "un")}, **{f"__float{s}tisf": "f32(i128)" for s in ("", "un")},
    **{f"__{op}sc3": "{8:0=f32,4=f32}(f32,f32,f32,f32)" for op in ("mul", "div")},
    "__muldc3": "{16:0=f64,8=f64}(f64,f64,f64,f64)", "__divdc3": "{16:0=f64,8=f64}(f64,f64,f64,f64)",
    "__powidf2": "f64(f64,i32)", "__powisf2": "f32(f32,i32)", "__cxa_finalize": "void(ptr)", "__gmon_start__": "void()",
    "__cxa_atexit": "i32(*void(ptr),ptr,ptr)", "__cxa_thread_atexit": "i32(*void(ptr),ptr,ptr)",
    "__cxa_guard_acquire": "i32(ptr)", "__cxa_guard_release": "void(ptr)", "__cxa_guard_abort": "void(ptr)",
    "__cxa_pure_virtual": "void()", "__cxa_deleted_virtual": "void()", "__dynamic_cast": "ptr(ptr,ptr,ptr,i64)",
    "__cxa_bad_cast": "void()", "__cxa_bad_typeid": "void()", "__cxa_throw_bad_array_new_length": "void()",
    "__cxa_allocate_exception": "ptr(u64)", "__cxa_free_exception": "void(ptr)", "__cxa_begin_catch": "ptr(ptr)",
    "__cxa_end_catch": "void()",
    **{f"__{f}_chk": "ptr(ptr,ptr,u64,u64)" for f in ("memcpy", "memmove", "mempcpy", "strncpy", "strncat", "stpncpy")},
    **{f"__{f}_chk": "ptr(ptr,ptr,u64)" for f in ("strcpy", "stpcpy", "strcat")}, "__memset_chk": "ptr(ptr,i32,u64,u64)",
}  # fmt: skip

# Variadic functions whose further arguments are integers or pointers, at most one: POSIX and Linux manual pages. What libstdc++
# formats for std::out_of_range are strings and sizes.
_INTEGER_VARIADIC: Final = frozenset({"open", "open64", "openat", "openat64", "fcntl", "fcntl64", "ioctl", "prctl", "semctl",
                                      "mremap", "ulimit", "sem_open", "mq_open", "_ZSt24__throw_out_of_range_fmtPKcz"})  # fmt: skip
_OPEN_FLAGS: Final = {"open": 1, "open64": 1, "openat": 2, "openat64": 2, "__open_2": 1, "__open64_2": 1, "__openat_2": 2,
                      "__openat64_2": 2}  # fmt: skip
_STAT: Final = {name + wide: buffer for wide in ("", "64") for name, buffer in
                (("stat", 1), ("fstat", 1), ("lstat", 1), ("fstatat", 2))}  # fmt: skip
_REFUSED: Final = {"syscall": "system call numbers differ between the machines",
                   "vfork": "it returns twice into the same frame",
    **dict.fromkeys(("__cxa_throw", "__cxa_rethrow", "_Unwind_Resume", "_Unwind_RaiseException"),
                    "C++ exceptions have no translation; compile with -fno-exceptions"),
    **dict.fromkeys(("__fentry__", "mcount", "_mcount"), "it keeps all registers, by a convention of its own")}  # fmt: skip


@dataclass(frozen=True)
class Glue:
    """How to call an external function. inline: lines in place of the call, or None if only the stub will do. stub: a
    function under the same calling convention as translated ones, its body. assumption: said in the report."""

    inline: tuple[str, ...] | None
    stub: tuple[str, ...]
    assumption: str = ""


def signature_of(name: str, tables: list[Table]) -> Signature | None:
    """The first of ``tables`` that knows ``name``, else the compiler's own routines."""
    for table in tables:
        found = table.get(name)
        if found is not None:
            return found
    return parse_signature(COMPILER[name]) if name in COMPILER else None


def with_list(name: str, signature: Signature, tables: list[Table]) -> str | None:
    """The function that takes a va_list in place of ``...``: ``printf`` -> ``vprintf``, ``__printf_chk`` -> ``__vprintf_chk``."""
    candidate = re.sub(r"^(__isoc\d\d_|__|obstack_)?", lambda m: m[0] + "v", name, count=1)
    found = signature_of(candidate, tables)
    if found is None or found.variadic or [p.code for p in found.parameters[-1:]] != ["va_list"]:
        return None
    return candidate if found.parameters[:-1] == signature.parameters else None


def glue(name: str, signature: Signature | None, tables: list[Table], target: str) -> Glue:
    """Raises Unsupported."""
    wall = TARGETS[target]
    symbol = quoted(name)
    if name in _REFUSED:
        raise Unsupported(_REFUSED[name])
    if signature is None and name.startswith("_Z"):
        raise Unsupported("a C++ function of unknown type: compile with -g (clang: -fstandalone-debug too), "
                          "or translate the object that defines it along")  # fmt: skip
    if signature is None:
        assumption = f"unprototyped call to {name}: at most 14 integers and 8 floats, no structs by value, result in registers"
        return Glue(None, tuple(wall.unknown_stub(symbol)), assumption)
    layout = next((structs for table in tables if (structs := table.layouts.get((name, target)))), ())
    if layout and name not in _STAT:
        raise Unsupported(f"{target} lays out struct {layout[0]} otherwise")
    if name in _STAT:
        return Glue(None, tuple(wall.stat_stub(symbol, signature, _STAT[name])))
    if signature.variadic:
        return _variadic(name, signature, tables, target)
    if signature.parameters and signature.parameters[-1].code == "va_list":
        return Glue(None, tuple(wall.va_list_stub(symbol, signature, name)))
    stub = tuple(wall.call_stub(symbol, signature, before=_flags(name, wall)))
    simple = wall.is_simple(signature) and name not in _OPEN_FLAGS
    return Glue(tuple(wall.simple_call(symbol, signature)) if simple else None, stub)


def _flags(name: str, wall: ModuleType) -> list[str]:
    if name not in _OPEN_FLAGS:
        return []
    lines: list[str] = wall.open_flags(_OPEN_FLAGS[name])
    return lines


def _variadic(name: str, signature: Signature, tables: list[Table], target: str) -> Glue:
    wall = TARGETS[target]
    symbol = quoted(name)
    if name in _INTEGER_VARIADIC:
        more = [scalar("u64")] * (6 - len(signature.parameters))
        plain = Signature(signature.result, (*signature.parameters, *more))
        return Glue(None, tuple(wall.call_stub(symbol, plain, before=_flags(name, wall))))
    listed = with_list(name, signature, tables)
    if listed is not None:
        return Glue(None, tuple(wall.variadic_stub(quoted(listed), signature, listed)))
    return Glue(None, tuple(wall.unknown_stub(symbol)), f"variadic call to {name}: at most 16 arguments of one kind")
