"""Calls out of the program: which conversion each external function needs, by its name and its signature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from guesssketch.prototypes import Signature, Table, parse_signature, scalar, system_calls
from guesssketch.quoting import quoted
from guesssketch.runtime import LONGJMP, SETJMP
from guesssketch.wall import aarch64, aarch64_library, fenv, riscv64, riscv64_library
from guesssketch.wall.places import Unsupported, x86_places

TARGETS: Final[dict[str, ModuleType]] = {"aarch64": aarch64, "riscv64": riscv64}
_LIBRARIES: Final[dict[str, ModuleType]] = {"aarch64": aarch64_library, "riscv64": riscv64_library}

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
    **{f"__cxa_{f}atexit{s}": "i32(*void(ptr),ptr,ptr)" for f, s in (("", ""), ("thread_", ""), ("thread_", "_impl"))},
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
_FORMATTED: Final = frozenset({"error", "error_at_line", "argp_error", "argp_failure", "__asprintf", "__obstack_printf_chk"})
_POINTER_VARIADIC: Final = frozenset({"execl", "execlp", "execle"})
_OPEN_FLAGS: Final = {"open": 1, "open64": 1, "openat": 2, "openat64": 2, "__open_2": 1, "__open64_2": 1, "__openat_2": 2,
                      "__openat64_2": 2}  # fmt: skip
_STAT: Final = {name + wide: buffer for wide in ("", "64") for name, buffer in
                (("stat", 1), ("fstat", 1), ("lstat", 1), ("fstatat", 2))}  # fmt: skip
# What initialises an object that AArch64 has larger than x86-64: the parameter, and x86-64's size (bits/pthreadtypes-arch.h).
_INITIALISERS: Final = {
    "pthread_mutex_init": (0, 40), "mtx_init": (0, 40), "pthread_attr_init": (0, 56), "pthread_getattr_np": (1, 56),
    "pthread_getattr_default_np": (0, 56), "pthread_mutexattr_init": (0, 4), "pthread_condattr_init": (0, 4),
    "pthread_barrierattr_init": (0, 4),
}  # fmt: skip
_EPOLL: Final = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
_GLOB: Final = ("glob", "glob64", "globfree", "globfree64")
_REFUSED: Final = {**dict.fromkeys(("fegetexceptflag", "fesetexceptflag"), "it stores the machine's own exception flags"),
                   "ptrace": "it speaks of the x86 processor's registers",
                   "__tls_get_addr": "not in the sequence of a thread-local storage model",
                   "vfork": "it returns twice into the same frame",
    **dict.fromkeys(("__cxa_throw", "__cxa_rethrow", "_Unwind_Resume", "_Unwind_RaiseException"),
                    "C++ exceptions have no translation; compile with -fno-exceptions"),
    **dict.fromkeys(("__fentry__", "mcount", "_mcount"), "it keeps all registers, by a convention of its own")}  # fmt: skip


@dataclass(frozen=True)
class Glue:
    """How to call an external function. inline: lines in place of the call, or None if only the stub will do. stub: a
    function under the same calling convention as translated ones, its body. assumption: said in the report. reads_al: it
    asks how many floating-point arguments there are."""

    inline: tuple[str, ...] | None
    stub: tuple[str, ...]
    assumption: str = ""
    reads_al: bool = False


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
    wall, library = TARGETS[target], _LIBRARIES[target]
    symbol = quoted(name)
    if name in _REFUSED:
        raise Unsupported(_REFUSED[name])
    if own := (SETJMP | LONGJMP).get(name):
        return Glue((f"{'bl' if target == 'aarch64' else 'call'} {own}",), (f"{'b' if target == 'aarch64' else 'tail'} {own}",))
    if signature is None and name.startswith("_Z"):
        raise Unsupported("a C++ function of unknown type: compile with -g (clang: -fstandalone-debug too), "
                          "or translate the object that defines it along")  # fmt: skip
    if signature is None:
        assumption = f"unprototyped call to {name}: at most 14 integers and 8 floats, no structs by value, result in registers"
        return Glue(None, tuple(wall.unknown_stub(symbol)), assumption)
    layout = next((structs for table in tables if (structs := table.layouts.get((name, target)))), ())
    if layout and name not in _CONVERTED:
        raise Unsupported(f"{target} lays out struct {layout[0]} otherwise")
    if layout and name in _INITIALISERS:
        return Glue(None, tuple(library.initialiser_stub(symbol, signature, *_INITIALISERS[name])))
    if name in _EPOLL:
        return Glue(None, tuple(library.epoll_wait_stub(symbol, signature)))
    if name == "epoll_ctl":
        return Glue(None, tuple(wall.call_stub(symbol, signature, before=library.epoll_event(), space=16)))
    if name in ("glob", "glob64"):
        return Glue(None, tuple(wall.call_stub(symbol, signature, before=library.stopped_by(1, 6))))  # GLOB_ALTDIRFUNC
    if name in _STAT:
        return Glue(None, tuple(library.stat_stub(symbol, signature, _STAT[name])))
    if name in fenv.ARGUMENT | fenv.RESULT:
        return Glue(None, tuple(wall.call_stub(symbol, signature, fenv.argument(name, target), fenv.result(name, target))))
    if name == "syscall":
        return Glue(None, tuple(library.syscall_stub(symbol, system_calls(target))))
    if signature.variadic:
        return _variadic(name, signature, tables, target)
    if signature.parameters and signature.parameters[-1].code == "va_list":
        return Glue(None, tuple(wall.va_list_stub(symbol, signature, name)))
    stub = tuple(wall.call_stub(symbol, signature, before=_flags(name, target)))
    simple = wall.is_simple(signature) and name not in _OPEN_FLAGS
    return Glue(tuple(wall.simple_call(symbol, signature)) if simple else None, stub)


_CONVERTED: Final = frozenset((*_STAT, *_INITIALISERS, *_EPOLL, *_GLOB, "epoll_ctl"))
_WITH_TYPES: Final = _CONVERTED.union(_OPEN_FLAGS, fenv.ARGUMENT, fenv.RESULT)


def needs_types(name: str, signature: Signature, target: str) -> bool:
    """Whether a call through a pointer, which does not know the callee's types, would go wrong natively."""
    codes = [kind.code for kind in signature.parameters]
    if name in _WITH_TYPES or signature.variadic or "va_list" in codes or len(codes) > 14:
        return True
    if target == "riscv64" and not {"ptr", "i32", "u32", "f64"}.issuperset(codes):
        return True
    return bool({"struct", "i128"}.intersection([signature.result.code, *codes]))


def _flags(name: str, target: str) -> list[str]:
    if name not in _OPEN_FLAGS:
        return []
    lines: list[str] = _LIBRARIES[target].open_flags(_OPEN_FLAGS[name])
    return lines


def _variadic(name: str, signature: Signature, tables: list[Table], target: str) -> Glue:
    wall = TARGETS[target]
    symbol = quoted(name)
    x86_places(signature)  # what cannot be carried
    if name in _INTEGER_VARIADIC:
        more = [scalar("u64")] * (6 - len(signature.parameters))
        plain = Signature(signature.result, (*signature.parameters, *more))
        return Glue(None, tuple(wall.call_stub(symbol, plain, before=_flags(name, target))))
    listed = with_list(name, signature, tables)
    if listed is not None:
        return Glue(None, tuple(wall.variadic_stub(quoted(listed), signature, listed)))
    if name in _POINTER_VARIADIC:
        return Glue(None, tuple(wall.pointers_stub(symbol)))
    limits = f"variadic call to {name}: at most 16 arguments of one kind"
    if name in _FORMATTED:
        return Glue(None, tuple(wall.formatted_stub(symbol, signature, name)), "" if target == "riscv64" else limits)
    stub = tuple(wall.plain_variadic_stub(symbol, signature))
    if target == "riscv64":
        limits = f"variadic call to {name}: at most 32 arguments; it stops the program if one of them is a floating-point number"
    return Glue(None, stub, limits, reads_al=target == "riscv64")
