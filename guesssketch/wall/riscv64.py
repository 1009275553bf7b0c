"""The wall on RISC-V. Odd about it: every integer argument of 32 bits or less must be extended by the caller (so a call needs
a prototype), a 32-bit float must be NaN-boxed, and variadic floats travel in integer registers.

RISC-V's va_list is a bare pointer into 8-byte slots in argument order, x86-64's keeps integers and floats apart: which slot
is which, only the format says, so ``runtime/riscv64_varargs.c`` walks it when the call is made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from guesssketch.prototypes import Signature
from guesssketch.wall.moves import Move, argument_moves, carried, ordered, parts, renamed, result_moves
from guesssketch.wall.places import (
    AddressOf,
    Behind,
    Joined,
    Location,
    Register,
    Slot,
    Source,
    Unsupported,
    Upper,
    rv_places,
    x86_places,
)
from isa.statemap import RISCV64

RED: Final = 256  # bytes kept free between rsp and sp: the red zone, and the frame of a function that does not move sp
MARK_WORD: Final = 0x5A9D3037  # ``lui zero, ...``, a hint: first word of every native entry made here, and of nothing else
UNKNOWN_SLOTS: Final = 8  # stack slots copied where the number of stack arguments is not known
SAVED_FLOATS: Final = (8, 9, *range(18, 28))  # fs0-fs11, homes of high halves
VARIADIC_SLOTS: Final = 24  # stack slots copied for a variadic function of unknown arguments
MANY: Final = 96  # stack slots of a call whose arguments end with a null pointer
SLOTS: Final = 128  # arguments of one variadic call; runtime/riscv64_varargs.c has the same number
VARARGS: Final = ".Lgs_varargs"
_SAVED: Final = tuple(range(22, 28))  # s6-s11; s0 and ra besides
_FRAME: Final = 64
_FORMATTED: Final = re.compile(r"printf|scanf|syslog|warn|err|argp")


_HOMES: Final[dict[Source, Location]] = {Register(cell): Register(home) for cell, home in RISCV64.homes.items()}


def _extended(target: str, source: str, code: str) -> list[str]:
    """``source``, an integer register, in ``target`` as the convention wants a value of type ``code``."""
    if code in ("i32", "u32"):
        return [f"sext.w {target}, {source}"]
    if code in ("char", "u8"):
        return [f"andi {target}, {source}, 255"]
    if code in ("i8", "i16", "u16"):
        bits = 56 if code == "i8" else 48
        return [f"slli {target}, {source}, {bits}", f"{'srli' if code == 'u16' else 'srai'} {target}, {target}, {bits}"]
    return [] if target == source else [f"mv {target}, {source}"]


def _integer(work: str, source: Source, base: str, code: str) -> list[str]:
    """Any place's bits in integer register ``work``, extended as ``code`` says. May use x7 on the way."""
    match source:
        case Register(name=name) if name[0] == "f":
            return [f"fmv.x.{'w' if code == 'f32' else 'd'} {work}, {name}"]
        case Register(name=name):
            return _extended(work, name, code)
        case Slot(offset=offset):
            return [f"ld {work}, {offset}({base})", *_extended(work, work, code)]
        case AddressOf(offset=offset):
            return [f"addi {work}, {base}, {offset}"]
        case Behind(pointer=pointer, offset=offset, drop=drop):
            shift = [f"srli {work}, {work}, {8 * drop}"] if drop else []
            return [*_integer("x7", pointer, base, "u64"), f"ld {work}, {offset}(x7)", *shift]
        case Upper(whole=whole):
            return [*_integer("x7", whole, base, "u64"), "srai x7, x7, 32", *_extended(work, "x7", code)]
        case Joined(low=low, high=high):
            return [*_integer("x6", low, base, "u64"), *_integer("x7", high, base, "u64"), "slli x6, x6, 32", "srli x6, x6, 32",
                    "slli x7, x7, 32", f"or {work}, x6, x7"]  # fmt: skip


def _move(move: Move, source_base: str, target_base: str, native: bool) -> list[str]:
    """``native``: the value goes to native code, extended and boxed as that expects."""
    target, source = move.target, move.source
    code = move.code if native else "i8" if move.code == "char" else "u64"
    if isinstance(target, Slot):
        return [*_integer("x7", source, source_base, code), f"sd x7, {target.offset}({target_base})"]
    if target.name[0] == "x":
        return _integer(target.name, source, source_base, code)
    if code != "f32" and isinstance(source, Register) and source.name[0] == "f":
        return [] if source == target else [f"fmv.d {target.name}, {source.name}"]
    return [*_integer("x6", source, source_base, code), f"fmv.{'w' if code == 'f32' else 'd'}.x {target.name}, x6"]


def _moves(moves: list[Move], source_base: str, target_base: str, native: bool) -> list[str]:
    """All moves of a call: into memory first, then to registers."""
    moves = [Move(_HOMES.get(m.target, m.target), renamed(m.source, _HOMES), m.code) for m in moves]
    into_memory = [m for m in moves if isinstance(m.target, Slot)]
    rest = ordered([m for m in moves if not isinstance(m.target, Slot)], {"x": "x5", "f": "f7"})
    return [line for m in (*into_memory, *rest) for line in _move(m, source_base, target_base, native)]


def is_simple(signature: Signature) -> bool:
    """Whether the call needs no frame of its own: nothing to put on the native stack, no hidden pointer."""
    places = rv_places(signature)
    return not signature.variadic and not places.stack and not x86_places(signature).hidden


def simple_call(symbol: str, signature: Signature) -> list[str]:
    """The call in place of x86-64's. Raises Unsupported."""
    return [*_moves(argument_moves(signature, "riscv64", "out"), "x22", "sp", True), f"call {symbol}",
            *_moves(result_moves(signature, "riscv64", "out"), "x22", "sp", False)]  # fmt: skip


def _frame(size: int, body: Sequence[str]) -> list[str]:
    """A stub: ``size`` bytes at sp for its use, the return address above them."""
    total = -(-(size + 16) // 16) * 16
    return [f"addi sp, sp, -{total}", f".cfi_def_cfa 2, {total}", f"sd ra, {total - 16}(sp)", ".cfi_offset 1, -16",
            *body, f"ld ra, {total - 16}(sp)", f"addi sp, sp, {total}", ".cfi_def_cfa 2, 0", ".cfi_restore 1", "ret"]  # fmt: skip


def call_stub(symbol: str, signature: Signature, before: Sequence[str] = (), after: Sequence[str] = (),
              space: int = 0) -> list[str]:  # fmt: skip
    """A call with a frame. ``before`` and ``after``: conversions on x86-64's side of the moves; they may use x5-x7, the 8 bytes
    at sp + 8, and ``space`` more from sp + 16 on, where nothing is passed on the stack. Raises Unsupported."""
    places = rv_places(signature)
    size = -(-places.stack // 16) * 16 + 16 + space
    body = [*before, *_moves(argument_moves(signature, "riscv64", "out"), "x22", "sp", True), f"call {symbol}"]
    if x86_places(signature).hidden is not None:
        body[:0] = [f"sd x10, {size - 16}(sp)"]
        body += [f"ld x16, {size - 16}(sp)", *_stored(signature, "x16")]
    body += _moves(result_moves(signature, "riscv64", "out"), "x22", "sp", False)
    return _frame(size, [*body, *after])


def _stored(signature: Signature, pointer: str) -> list[str]:
    """The result that native code has in registers, to memory. x7 is used."""
    lines: list[str] = []
    for piece in carried(signature, "riscv64"):
        assert isinstance(piece.location, Register)
        name = piece.location.name
        lines += [f"fmv.x.d x6, {name}"] if name[0] == "f" else []
        for at, width in parts(piece, signature.result.size):
            store = {8: "sd", 4: "sw", 2: "sh", 1: "sb"}[width]
            lines += [f"srli x7, {'x6' if name[0] == 'f' else name}, {8 * at}", f"{store} x7, {piece.offset + at}({pointer})"]
    return lines


def _fetched(signature: Signature, base: str, offset: int) -> list[str]:
    """The result that native code wants in registers, from ``offset`` at ``base``, where whole eightbytes can be read."""
    lines: list[str] = []
    for piece in carried(signature, "riscv64"):
        assert isinstance(piece.location, Register)
        name = piece.location.name
        lines.append(f"ld x6, {offset + piece.offset}({base})")
        single = piece.code == "f32"
        lines += [f"fmv.{'w' if single else 'd'}.x {name}, x6"] if name[0] == "f" else _extended(name, "x6", piece.code)
    return lines


def unknown_stub(symbol: str) -> list[str]:
    """Raises Unsupported: without a prototype nobody knows which arguments have 32 bits."""
    raise Unsupported("its arguments are not known: compile with -g or give --prototypes FILE.h")


def formatted_stub(symbol: str, fixed: Signature, name: str) -> list[str]:
    """A variadic call to a function that has a format, but no ``v`` form. Raises Unsupported."""
    return variadic_stub(symbol, fixed, name, listed=False)


def plain_variadic_stub(symbol: str, fixed: Signature) -> list[str]:
    """A variadic call to a function that has neither. No further argument may be a floating-point number: the program stops if
    al says that there is one. Raises Unsupported."""
    if any(not p.is_integer for p in fixed.parameters) or len(fixed.parameters) > 6:
        raise Unsupported("it is variadic, and its named arguments are not all integers")
    checked = ["andi x7, x16, 255", "beqz x7, 1f", "ebreak", "1:"]
    for n, parameter in enumerate(fixed.parameters):
        checked += _extended(f"x{10 + n}", f"x{10 + n}", parameter.code) if parameter.code[1:] != "64" else []
    return _spread(symbol, VARIADIC_SLOTS, checked)


def pointers_stub(symbol: str) -> list[str]:
    """A call whose arguments are all pointers or 64-bit integers, up to MANY on the stack."""
    return _spread(symbol, MANY, [])


def _spread(symbol: str, slots: int, before: list[str]) -> list[str]:
    lines = [*before, "ld x16, 0(x22)", "ld x17, 8(x22)"]
    for offset in range(0, 8 * slots, 8):
        lines += [f"ld x7, {16 + offset}(x22)", f"sd x7, {offset}(sp)"]
    return _frame(8 * slots, [*lines, f"call {symbol}", "mv x16, x10", "mv x12, x11"])


def indirect_call(label: str) -> list[str]:
    """The helper behind every indirect call: x6 is the address. A native entry made here starts with MARK_WORD and has a jump
    to the inner entry as its third word; anything else is called by the native convention, where an integer argument below
    2**32 is taken for one of 32 bits."""
    arguments = ["ld x16, 0(x22)", "ld x17, 8(x22)"]
    for offset in range(0, 8 * UNKNOWN_SLOTS, 8):
        arguments += [f"ld x7, {16 + offset}(x22)", f"sd x7, {offset}(sp)"]
    for number in range(10, 18):
        arguments += [f"srli x7, x{number}, 32", "bnez x7, 1f", f"sext.w x{number}, x{number}", "1:"]
    return [
        "andi x5, x6, 15", f"bnez x5, {label}_native", "lw x5, 0(x6)", f"li x7, {MARK_WORD:#x}", f"bne x5, x7, {label}_native",
        "addi x6, x6, 8", "jr x6", f"{label}_native:",
        *_frame(8 * UNKNOWN_SLOTS, [*arguments, "jalr x6", "mv x16, x10", "mv x12, x11"]),
    ]  # fmt: skip


def _kind(name: str) -> int:
    """What the run-time helper must know of the format: 1 if wide, plus 2 if a scanf format (all pointers)."""
    if not _FORMATTED.search(name):
        raise Unsupported("it is variadic, and where its floating arguments are is not known")
    return (1 if re.search(r"w(printf|scanf)", name) else 0) + (2 if "scanf" in name else 0)


_AREA: Final = 8 * SLOTS + 16  # offset of the register save area in the frame; the va_list lies behind it
_LIST: Final = _AREA + 176


def _formatted(symbol: str, fixed: Signature, name: str, given: str, prepare: Sequence[str], listed: bool = True) -> list[str]:
    """``listed``: the function takes a va_list; else the arguments are spread over registers and stack."""
    count = len(fixed.parameters)
    if any(not p.is_integer for p in fixed.parameters) or not 1 <= count <= 5:
        raise Unsupported("its named arguments are not all integers")
    base = 0 if listed else count % 2 * 8
    body = [f"sd x{10 + n}, {_AREA + 8 * n}(sp)" for n in range(6)]
    body += [*prepare, f"ld x12, {_AREA + 8 * (count - 1)}(sp)", given, f"addi x10, sp, {base}", f"li x13, {_kind(name)}",
             f"call {VARARGS}"]  # fmt: skip
    for n, parameter in enumerate(fixed.parameters):
        body += [f"ld x{10 + n}, {_AREA + 8 * n}(sp)", *_extended(f"x{10 + n}", f"x{10 + n}", parameter.code)]
    if listed:
        return _frame(_LIST + 24, [*body, f"mv x{10 + count}, sp", f"call {symbol}", "mv x16, x10"])
    gone = base + 8 * (8 - count)
    body += [f"ld x{10 + n}, {base + 8 * (n - count)}(sp)" for n in range(count, 8)]
    return _frame(_LIST + 24, [*body, f"addi sp, sp, {gone}", f"call {symbol}", f"addi sp, sp, -{gone}", "mv x16, x10"])


def variadic_stub(symbol: str, fixed: Signature, name: str, listed: bool = True) -> list[str]:
    """A variadic call. ``fixed``: the variadic function's signature; listed: it goes to ``symbol``, the ``v`` form. Raises
    Unsupported."""
    prepare = [f"fsd f{10 + n}, {_AREA + 48 + 16 * n}(sp)" for n in range(8)]
    prepare += [f"li x7, {8 * len(fixed.parameters)}", f"sw x7, {_LIST}(sp)", "li x7, 48", f"sw x7, {_LIST + 4}(sp)",
                f"sd x22, {_LIST + 8}(sp)", f"addi x7, sp, {_AREA}", f"sd x7, {_LIST + 16}(sp)"]  # fmt: skip
    return _formatted(symbol, fixed, name, f"addi x11, sp, {_LIST}", prepare, listed)


def va_list_stub(symbol: str, signature: Signature, name: str) -> list[str]:
    """A call that hands on x86-64's va_list, in the register of the last parameter. Raises Unsupported."""
    count = len(signature.parameters) - 1
    fixed = Signature(signature.result, signature.parameters[:-1])
    return _formatted(symbol, fixed, name, f"ld x11, {_AREA + 8 * count}(sp)", ())


def _marked(inner: str) -> list[str]:
    """Start of a native entry: the mark, a jump on, and at a fixed place a jump to the inner entry."""
    return [f".word {MARK_WORD:#x}", ".option push", ".option norelax", ".option norvc", "j 1f", f"j {inner}", ".option pop", "1:"]


def pointer(symbol: str, stub: str) -> list[str]:
    """What stands for a library function's address: native code goes on to it, translated code to its stub."""
    start = [f".word {MARK_WORD:#x}", ".option push", ".option norelax", ".option norvc", "j 1f", ".option pop"]
    return [*start, f"tail {stub}", "1:", f"tail {symbol}"]


def closed_entry(inner: str) -> list[str]:
    """An entry for indirect calls of translated code only: native callers are stopped."""
    return [*_marked(inner), "ebreak"]


def native_entry(inner: str, signature: Signature | None, floats: Sequence[str]) -> list[str]:
    """The entry for callers of the native convention, behind its label. ``floats``: the saved float registers that
    translated code may change. Raises Unsupported."""
    if signature is not None and signature.variadic:
        raise Unsupported("it is variadic: native code passes floating-point arguments among the integers")
    scratch = 0
    if signature is not None:
        stack = -(-x86_places(signature).stack // 16) * 16
        arguments = _moves(argument_moves(signature, "riscv64", "in"), "s0", "sp", False)
        if carried(signature, "riscv64"):
            arguments.append(f"addi x10, sp, {stack}")
            scratch = -(-signature.result.size // 16) * 16
    else:
        stack = 16 + 8 * UNKNOWN_SLOTS
        arguments = ["sd x16, 0(sp)", "sd x17, 8(sp)"]
        for offset in range(0, 8 * UNKNOWN_SLOTS, 8):
            arguments += [f"ld x7, {offset}(s0)", f"sd x7, {16 + offset}(sp)"]
        arguments.append("li x16, 0")
    if signature is not None:
        results = _moves(result_moves(signature, "riscv64", "in"), "x22", "sp", True)
        results += _fetched(signature, "x22", stack)
    else:
        results = ["srli x5, x16, 31", "li x7, 1", "bne x5, x7, 2f", "ebreak", "2:", "mv x10, x16", "mv x11, x12"]
    frame = _FRAME + -(-8 * len(floats) // 16) * 16
    saved = [("sd", "ld", number, f"x{number}") for number in (1, 8, *_SAVED)]
    saved += [("fsd", "fld", 32 + int(name[1:]), name) for name in floats]
    slots = [(store, load, number, name, frame - 8 - 8 * i) for i, (store, load, number, name) in enumerate(saved)]
    return [
        *_marked(inner),
        f"addi sp, sp, -{frame}", f".cfi_def_cfa_offset {frame}",
        *(f"{store} {name}, {at}(sp)" for store, _, _, name, at in slots),
        *(f".cfi_offset {number}, {at - frame}" for _, _, number, _, at in slots),
        f"addi s0, sp, {frame}", ".cfi_def_cfa 8, 0",
        *([f"addi sp, sp, -{stack + scratch}"] if stack + scratch else []), *arguments, "mv x22, sp", f"addi sp, sp, -{RED + 16}",
        f"call {inner}", *results,
        f"addi sp, s0, -{frame}", f".cfi_def_cfa 2, {frame}", *(f"{load} {name}, {at}(sp)" for _, load, _, name, at in slots),
        f"addi sp, sp, {frame}", ".cfi_def_cfa_offset 0", "ret",
    ]  # fmt: skip
