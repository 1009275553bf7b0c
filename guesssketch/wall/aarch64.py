"""The wall on AArch64. Odd about it: rsp's home x28 is not sp, which stays at least 256 bytes below it and 16-aligned.

AAPCS64's va_list is x86-64's with other origins: both have a general and a vector save area with running offsets (48 and
128 bytes) and 8-byte stack slots, so a variadic call into the library goes to the function's ``v`` form with no regard
to the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from guesssketch.prototypes import Signature
from guesssketch.wall.moves import Move, argument_moves, carried, ordered, parts, renamed, result_moves
from guesssketch.wall.places import AddressOf, Behind, Joined, Location, Register, Slot, Source, Upper, a64_places, x86_places
from isa.statemap import AARCH64

RED: Final = 256  # bytes kept free between rsp and sp: the red zone, and the frame of a function that does not move sp
MARK: Final = "eor x17, x17, xzr, ror #53"  # first instruction of every native entry made here, and of nothing else
MARK_WORD: Final = 0xCADFD631
UNKNOWN_SLOTS: Final = 8  # stack slots copied where the number of stack arguments is not known
_EXTEND: Final = {"char": "sxtb", "i8": "sxtb", "u8": "uxtb", "i16": "sxth", "u16": "uxth"}
MANY: Final = 62  # stack slots of a call whose arguments end with a null pointer
_FRAME: Final = 64  # of a native entry: x29, x30, x25-x28


_HOMES: Final[dict[Source, Location]] = {
    Register(cell): Register(home.removesuffix(".lo")) for cell, home in AARCH64.homes.items() if not cell.endswith(".hi")
}


def _view(name: str) -> str:
    return "d" + name[1:] if name[0] == "v" else name


def _memory(base: str, offset: int) -> str:
    """``base``: a register, or ``register+displacement``."""
    register, _, displacement = base.partition("+")
    return f"[{register}, #{int(displacement or 0) + offset}]"


def _loaded(work: str, source: Source, base: str) -> list[str]:
    """Any place's 64 bits in register ``work`` (of either kind). May use x17 on the way."""
    match source:
        case Register(name=name):
            if _view(name) == work:
                return []
            return [f"{'mov' if work[0] + name[0] == 'xx' else 'fmov'} {work}, {_view(name)}"]
        case Slot(offset=offset):
            return [f"ldr {work}, {_memory(base, offset)}"]
        case AddressOf(offset=offset):
            return [f"add {work}, {base}, #{offset}"]
        case Behind(pointer=Register(name=name), offset=offset, drop=drop):
            far = [f"add x17, {name}, #{offset}"] if offset > 255 else []
            place = "[x17]" if far else f"[{name}, #{offset}]"
            return [*far, f"ldur {work}, {place}", *([f"lsr {work}, {work}, #{8 * drop}"] if drop else [])]
        case Behind(pointer=pointer, offset=offset, drop=drop):
            return [*_loaded("x17", pointer, base), *_loaded(work, Behind(Register("x17"), offset, drop), base)]
        case Upper(whole=whole):
            return [*_loaded("x17", whole, base), "lsr x17, x17, #32", *_loaded(work, Register("x17"), base)]
        case Joined(low=low, high=high):
            joined = [*_loaded("x16", low, base), *_loaded("x17", high, base), "bfi x16, x17, #32, #32"]
            return [*joined, *_loaded(work, Register("x16"), base)]


def _move(move: Move, source_base: str, target_base: str, extend: bool = False) -> list[str]:
    """One move; a slot's offset counts from the base of its side."""
    target = move.target
    work = _view(target.name) if isinstance(target, Register) else "x16"
    if isinstance(target, Slot) and isinstance(move.source, Register) and not (extend and move.code in _EXTEND):
        return [f"str {_view(move.source.name)}, {_memory(target_base, target.offset)}"]
    lines = _loaded(work, move.source, source_base)
    if extend and move.code in _EXTEND:
        lines.append(f"{_EXTEND[move.code]} w{work[1:]}, w{work[1:]}")
    if isinstance(target, Slot):
        lines.append(f"str x16, {_memory(target_base, target.offset)}")
    return lines


def _moves(moves: list[Move], source_base: str, target_base: str, extend: bool = False) -> list[str]:
    """All moves of a call: into memory first, then to registers."""
    moves = [Move(_HOMES.get(m.target, m.target), renamed(m.source, _HOMES), m.code) for m in moves]
    into_memory = [m for m in moves if isinstance(m.target, Slot)]
    rest = ordered([m for m in moves if not isinstance(m.target, Slot)], {"x": "x7", "v": "v31"})
    return [line for m in (*into_memory, *rest) for line in _move(m, source_base, target_base, extend)]


def is_simple(signature: Signature) -> bool:
    """Whether the call needs no frame of its own: nothing to put on the native stack, no hidden pointer."""
    return not signature.variadic and not a64_places(signature).stack and not x86_places(signature).hidden


def simple_call(symbol: str, signature: Signature) -> list[str]:
    """The call in place of x86-64's. Raises Unsupported."""
    return [*_moves(argument_moves(signature, "aarch64", "out"), "x28", "sp"), f"bl {symbol}",
            *_moves(result_moves(signature, "aarch64", "out"), "x28", "sp")]  # fmt: skip


def _frame(size: int, body: Sequence[str]) -> list[str]:
    """A stub: ``size`` bytes at sp for its use, the return address above them."""
    total = -(-(size + 16) // 16) * 16
    before = [f"sub sp, sp, #{total}", f".cfi_def_cfa sp, {total}", f"str x30, [sp, #{total - 16}]", ".cfi_offset 30, -16"]
    after = [f"ldr x30, [sp, #{total - 16}]", f"add sp, sp, #{total}", ".cfi_def_cfa sp, 0", ".cfi_restore 30", "ret"]
    return [*before, *body, *after]


def call_stub(symbol: str, signature: Signature, before: Sequence[str] = (), after: Sequence[str] = (),
              space: int = 0) -> list[str]:  # fmt: skip
    """A call with a frame. ``before`` and ``after``: conversions on x86-64's side of the moves; they may use x16, x17, the
    8 bytes at sp + 8, and ``space`` more from sp + 16 on, where nothing is passed on the stack. Raises Unsupported."""
    places = a64_places(signature)
    size = -(-places.stack // 16) * 16 + 16 + space
    hidden = x86_places(signature).hidden
    body = [*before, *_moves(argument_moves(signature, "aarch64", "out"), "x28", "sp"), f"bl {symbol}"]
    if hidden is not None:
        body[:0] = [f"str x0, [sp, #{size - 16}]"]
        body += [f"ldr x8, [sp, #{size - 16}]", *_stored(signature, "x8")]
    body += _moves(result_moves(signature, "aarch64", "out"), "x28", "sp")
    return _frame(size, [*body, *after])


def _stored(signature: Signature, pointer: str) -> list[str]:
    """The result that native code has in registers, to memory. x16 is used."""
    lines: list[str] = []
    for piece in carried(signature, "aarch64"):
        assert isinstance(piece.location, Register)
        name = piece.location.name
        if name[0] == "v":
            lines.append(f"str {'s' if piece.code == 'f32' else 'd'}{name[1:]}, [{pointer}, #{piece.offset}]")
            continue
        for at, width in parts(piece, signature.result.size):
            operation, view = {8: ("str", "x"), 4: ("str", "w"), 2: ("strh", "w"), 1: ("strb", "w")}[width]
            lines += [f"lsr x16, {name}, #{8 * at}", f"{operation} {view}16, [{pointer}, #{piece.offset + at}]"]
    return lines


def _fetched(signature: Signature, base: str, offset: int) -> list[str]:
    """The result that native code wants in registers, from ``offset`` at ``base``, where whole eightbytes can be read."""
    lines: list[str] = []
    for piece in carried(signature, "aarch64"):
        assert isinstance(piece.location, Register)
        name, single = piece.location.name, piece.code == "f32"
        lines.append(f"ldr {('s' if single else 'd') + name[1:] if name[0] == 'v' else name}, [{base}, #{offset + piece.offset}]")
    return lines


def unknown_stub(symbol: str, slots: int = UNKNOWN_SLOTS) -> list[str]:
    """A call without a prototype: scalars in registers agree already; integers 7 and 8 and the next stack slots are copied."""
    return _frame(8 * slots, [*_unknown_arguments(slots), f"bl {symbol}", "mov x8, x0", "mov x2, x1"])


def formatted_stub(symbol: str, fixed: Signature, name: str) -> list[str]:
    """A variadic call to a function that has a format, but no ``v`` form."""
    return unknown_stub(symbol)


def plain_variadic_stub(symbol: str, fixed: Signature) -> list[str]:
    """A variadic call to a function that has neither."""
    return unknown_stub(symbol)


def pointers_stub(symbol: str) -> list[str]:
    """A call whose arguments are all pointers or 64-bit integers, up to MANY on the stack."""
    return unknown_stub(symbol, MANY)


def _unknown_arguments(slots: int) -> list[str]:
    lines = ["ldp x6, x7, [x28]"]
    for offset in range(0, 8 * slots, 16):
        lines += [f"ldp x8, x17, [x28, #{16 + offset}]", f"stp x8, x17, [sp, #{offset}]"]
    return lines


def indirect_call(label: str) -> list[str]:
    """The helper behind every indirect call: x16 is the address. A native entry made here starts with MARK and has a branch
    to the inner entry as its third instruction; anything else is called by the native convention."""
    return [
        "ldr w17, [x16]", f"mov w6, #{MARK_WORD & 0xFFFF:#x}", f"movk w6, #{MARK_WORD >> 16:#x}, lsl #16", "cmp w17, w6",
        f"b.ne {label}_native", "add x16, x16, #8", "br x16", f"{label}_native:",
        *_frame(8 * UNKNOWN_SLOTS, [*_unknown_arguments(UNKNOWN_SLOTS), "blr x16", "mov x8, x0", "mov x2, x1"]),
    ]  # fmt: skip


def variadic_stub(symbol: str, fixed: Signature, name: str) -> list[str]:
    """A variadic call that goes to ``symbol``, the ``v`` form; ``fixed``: the variadic function's signature."""
    integers, floats = _registers(fixed)
    body = ["stp x0, x1, [sp]", "stp x2, x3, [sp, #16]", "stp x4, x5, [sp, #32]"]
    body += [f"stp q{n}, q{n + 1}, [sp, #{48 + 16 * n}]" for n in range(0, 8, 2)]
    body += ["add x16, sp, #48", "add x17, sp, #176", "str x28, [x17]", "stp x16, x17, [x17, #8]",
             f"mov w16, #{8 * integers - 48}", "str w16, [x17, #24]", f"mov w16, #{16 * floats - 128}", "str w16, [x17, #28]",
             f"mov x{integers}, x17", f"bl {symbol}", "mov x8, x0"]  # fmt: skip
    return _frame(208, body)


def va_list_stub(symbol: str, signature: Signature, name: str) -> list[str]:
    """A call that hands on x86-64's va_list, in the register of the last parameter: {gp, fp, overflow, save area}."""
    integers, _ = _registers(signature)
    given = f"x{integers - 1}"
    body = [f"ldp w16, w17, [{given}]", "sub w16, w16, #48", "sub w17, w17, #176", "stp w16, w17, [sp, #24]",
            f"ldr x16, [{given}, #8]", "str x16, [sp]", f"ldr x16, [{given}, #16]", "add x17, x16, #176", "add x16, x16, #48",
            "stp x16, x17, [sp, #8]", f"mov {given}, sp", f"bl {symbol}", "mov x8, x0"]  # fmt: skip
    return _frame(32, body)


def _registers(signature: Signature) -> tuple[int, int]:
    floats = sum(p.is_float for p in signature.parameters)
    return len(signature.parameters) - floats, floats


def _marked(inner: str) -> list[str]:
    """Start of a native entry: the mark, a branch on, and at a fixed place a branch to the inner entry."""
    return [MARK, "b 1f", f"b {inner}", "1:"]


def pointer(symbol: str, stub: str) -> list[str]:
    """What stands for a library function's address: native code goes on to it, translated code to its stub."""
    return [*_marked(stub), f"b {symbol}"]


def closed_entry(inner: str) -> list[str]:
    """An entry for indirect calls of translated code only: native callers are stopped."""
    return [*_marked(inner), "brk #1"]


def native_entry(inner: str, signature: Signature | None, floats: Sequence[str]) -> list[str]:
    """The entry for callers of the native convention, behind its label. Raises Unsupported."""
    known = signature is not None and not signature.variadic
    scratch = 0
    if signature is not None and signature.variadic:
        x86_places(signature)  # what cannot be carried
    if known:
        assert signature is not None
        stack = -(-x86_places(signature).stack // 16) * 16
        arguments = _moves(argument_moves(signature, "aarch64", "in"), f"x29+{_FRAME}", "sp", extend=True)
        results = [*_moves(result_moves(signature, "aarch64", "in"), "x28", "sp"), *_fetched(signature, "x28", stack)]
        if carried(signature, "aarch64"):
            arguments.append(f"add x0, sp, #{stack}")
            scratch = -(-signature.result.size // 16) * 16
    else:
        stack = 16 + 8 * UNKNOWN_SLOTS
        arguments = ["stp x6, x7, [sp]"]
        for offset in range(0, 8 * UNKNOWN_SLOTS, 16):
            arguments += [f"ldp x16, x17, [x29, #{_FRAME + offset}]", f"stp x16, x17, [sp, #{16 + offset}]"]
        arguments.append("mov x8, #8")
        results = ["mov x0, x8", "mov x1, x2"]
    return [
        *_marked(inner),
        f"stp x29, x30, [sp, #-{_FRAME}]!", f".cfi_def_cfa_offset {_FRAME}", ".cfi_offset 29, -64", ".cfi_offset 30, -56",
        "mov x29, sp", f".cfi_def_cfa x29, {_FRAME}",
        "stp x25, x26, [sp, #16]", "stp x27, x28, [sp, #32]",
        *(f".cfi_offset {n}, {-48 + 8 * i}" for i, n in enumerate((25, 26, 27, 28))),
        *([f"sub sp, sp, #{stack + scratch}"] if stack + scratch else []), *arguments, "mov x28, sp", f"sub sp, sp, #{RED + 16}",
        f"bl {inner}", *results,
        "mov sp, x29", "ldp x25, x26, [sp, #16]", "ldp x27, x28, [sp, #32]", f"ldp x29, x30, [sp], #{_FRAME}",
        ".cfi_def_cfa sp, 0", "ret",
    ]  # fmt: skip
