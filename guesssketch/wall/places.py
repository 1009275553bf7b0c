"""Where a call's arguments and result travel under the three conventions, and what must move between them.

x86-64: System V psABI 3.2.3. AArch64: AAPCS64 6.8 (Linux variant: variadic arguments like named ones). RISC-V: psABI,
calling convention, LP64D. A place is a 64-bit register or an 8-byte stack slot; x86-64 registers are called by their cell
(``rdi``, ``xmm3.lo``), the target's by its own (``x0``, ``v3``, ``f10``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from guesssketch.prototypes import Signature, Type


class Unsupported(Exception):
    """A signature that cannot be carried across; the text says why."""


@dataclass(frozen=True)
class Register:
    name: str


@dataclass(frozen=True)
class Slot:
    """Eight bytes at ``offset`` from the first stack argument."""

    offset: int


@dataclass(frozen=True)
class AddressOf:
    """The address of stack argument bytes from ``offset`` on: a large struct, which x86-64 passes inline, by reference."""

    offset: int


@dataclass(frozen=True)
class Behind:
    """Eight bytes at ``offset`` from where ``pointer`` points, without the lowest ``drop``: a large struct that native code
    passes by reference."""

    pointer: Register | Slot
    offset: int
    drop: int = 0


@dataclass(frozen=True)
class Upper:
    """The upper half of a register or slot: the second member of a struct of two 32-bit members."""

    whole: Register | Slot


@dataclass(frozen=True)
class Joined:
    """Two 32-bit members, each in a place of its own, as one eightbyte."""

    low: Register | Slot
    high: Register | Slot


Location = Register | Slot
Source = Register | Slot | AddressOf | Behind | Upper | Joined


@dataclass(frozen=True)
class Piece:
    """Bytes ``offset`` .. of one argument, in one place. ``code``: the scalar there (``u64`` for a struct's raw bytes)."""

    offset: int
    code: str
    location: Location


@dataclass(frozen=True)
class Places:
    """All arguments (a list of pieces each), the result's pieces, and the bytes of stack that the arguments take.

    memory: the result is in memory, whose address the caller passes in ``hidden``.
    """

    arguments: tuple[tuple[Piece, ...], ...]
    result: tuple[Piece, ...]
    stack: int
    hidden: Register | None = None


STACK: Final = 2000  # bytes of stack arguments: with what stands around them, RISC-V's offsets (12 bits, signed) reach them all
X86_INTEGERS: Final = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
X86_FLOATS: Final = tuple(f"xmm{n}.lo" for n in range(8))


def _check(kind: Type) -> None:
    codes = {kind.code, *(member.code for _, member in kind.members)}
    if "f80" in codes:
        raise Unsupported("long double")
    if kind.code == "struct" and kind.size == 0:
        raise Unsupported("an empty struct by value")
    if "other" in codes:
        raise Unsupported("a vector, an over-aligned struct, a class only declared, or another type whose passing is not known")


def _wide(kind: Type) -> bool:
    """Whether it is a struct aligned to 16 bytes."""
    return any(member.code == "i128" for _, member in kind.members)


def _raw(kind: Type) -> Iterator[tuple[int, str]]:
    return ((offset, "u64") for offset in range(0, kind.size, 8))


def _check_tiled(kind: Type, members: list[tuple[int, Type]]) -> None:
    """``members``, of a struct that travels by its floats, must account for all of it but alignment (none where it is packed):
    bit-fields without a name are not told of, and gcc and clang differ on RISC-V where a float lies in a bit-field's unit."""
    end = 0
    for offset, member in members:
        if offset not in (end, -(-end // member.size) * member.size):
            raise Unsupported("a struct by value of floats and bit-fields")
        end = offset + member.size
    align = max(member.size for _, member in members)
    if kind.size not in (end, -(-end // align) * align):
        raise Unsupported("a struct by value of floats and bit-fields")


def _is_empty(kind: Type) -> bool:
    """A C++ class without members: x86-64 does not pass it at all, the targets leave a place for it."""
    return kind.code == "struct" and not kind.members


class _Allocator:
    """Registers of two kinds handed out in order, then stack slots. Raises Unsupported for more than STACK bytes of these."""

    def __init__(self, integers: tuple[str, ...], floats: tuple[str, ...]) -> None:
        self.integers = list(integers)
        self.floats = list(floats)
        self.stack = 0

    def integer(self) -> Location:
        return Register(self.integers.pop(0)) if self.integers else self.slot()

    def float(self) -> Location:
        return Register(self.floats.pop(0)) if self.floats else self.slot()

    def slot(self) -> Slot:
        return Slot(self._taken(8, 8))

    def block(self, kind: Type, codes: Iterable[tuple[int, str]], align: int = 8) -> tuple[Piece, ...]:
        start = self._taken(kind.size, align)
        return tuple(Piece(offset, code, Slot(start + offset)) for offset, code in codes)

    def _taken(self, size: int, align: int) -> int:
        start = -(-self.stack // align) * align
        self.stack = start + -(-size // 8) * 8
        if self.stack > STACK:
            what = f"a struct by value of {size} bytes" if size > 16 else "an argument"
            raise Unsupported(f"{what}: {self.stack} bytes of arguments on the stack, where at most {STACK} can be carried")
        return start


# --- x86-64 -----------------------------------------------------------------------------------------------------------


def _eightbytes(kind: Type) -> list[str] | None:
    """Class of each eightbyte of a struct, ``integer`` or ``float``; None if it travels in memory."""
    if kind.size > 16:
        return None
    classes = [""] * (-(-kind.size // 8))
    for offset, member in kind.members:
        if offset % max(member.size, 1):
            return None  # unaligned members
        for eightbyte in range(offset // 8, (offset + member.size - 1) // 8 + 1):
            classes[eightbyte] = classes[eightbyte] or "float" if member.is_float else "integer"
    if "" in classes:
        raise Unsupported("a struct by value with eight bytes of padding")
    return classes


def _x86_argument(kind: Type, free: _Allocator) -> tuple[Piece, ...]:
    _check(kind)
    if _is_empty(kind):
        return ()
    if kind.code == "i128":
        if len(free.integers) < 2:
            raise Unsupported("a 128-bit integer on the stack, where clang before 18 does not put it as gcc does")
        return tuple(Piece(offset, "u64", free.integer()) for offset in (0, 8))
    if kind.code != "struct":
        return (Piece(0, kind.code, free.float() if kind.is_float else free.integer()),)
    classes = _eightbytes(kind)
    if classes is None or classes.count("integer") > len(free.integers) or classes.count("float") > len(free.floats):
        return free.block(kind, _raw(kind), 16 if _wide(kind) else 8)
    return tuple(Piece(8 * i, "u64", free.float() if c == "float" else free.integer()) for i, c in enumerate(classes))


def x86_places(signature: Signature) -> Places:
    """Raises Unsupported."""
    if signature.variadic and any(kind.code == "struct" for kind in (signature.result, *signature.parameters)):
        raise Unsupported("a struct by value in a variadic function")
    free = _Allocator(X86_INTEGERS, X86_FLOATS)
    kind = signature.result
    _check(kind)
    hidden = None
    result: tuple[Piece, ...] = ()
    if kind.code == "struct" and not _is_empty(kind) and _eightbytes(kind) is None:
        hidden = Register(free.integers.pop(0))
    elif kind.code != "void":
        result = _x86_argument(kind, _Allocator(("rax", "rdx"), ("xmm0.lo", "xmm1.lo")))
    arguments = tuple(_x86_argument(p, free) for p in signature.parameters)
    return Places(arguments, result, free.stack, hidden)


# --- AArch64 ----------------------------------------------------------------------------------------------------------


def _homogeneous(kind: Type) -> bool:
    """Up to four members of one floating-point type (AAPCS64 5.9.5); those of a union share their places."""
    codes = {member.code for _, member in kind.members}
    return codes in ({"f32"}, {"f64"}) and kind.size <= 4 * kind.members[0][1].size


def _a64_argument(kind: Type, free: _Allocator) -> tuple[Piece, ...]:
    if _is_empty(kind):
        free.integer()
        return ()
    if kind.code == "i128" or (_wide(kind) and kind.size <= 16):
        if len(free.integers) % 2:
            free.integers.pop(0)
        if len(free.integers) < 2:
            free.integers.clear()
            return free.block(kind, _raw(kind), 16)
        return tuple(Piece(offset, "u64", free.integer()) for offset in (0, 8))
    if kind.code != "struct":
        return (Piece(0, kind.code, free.float() if kind.is_float else free.integer()),)
    if _homogeneous(kind):
        _check_tiled(kind, sorted(dict(kind.members).items()))
        element = kind.members[0][1]
        codes = [(offset, element.code) for offset in range(0, kind.size, element.size)]
        if len(codes) > len(free.floats):
            free.floats.clear()
            return free.block(kind, codes)
        return tuple(Piece(offset, code, free.float()) for offset, code in codes)
    if kind.size > 16:
        return (Piece(0, "reference", free.integer()),)
    if -(-kind.size // 8) > len(free.integers):
        free.integers.clear()
        return free.block(kind, _raw(kind))
    return tuple(Piece(offset, code, free.integer()) for offset, code in _raw(kind))


def a64_places(signature: Signature) -> Places:
    """Raises Unsupported."""
    free = _Allocator(tuple(f"x{n}" for n in range(8)), tuple(f"v{n}" for n in range(8)))
    kind = signature.result
    hidden = None
    result: tuple[Piece, ...] = ()
    if kind.code == "struct" and kind.size > 16 and not _homogeneous(kind):
        hidden = Register("x8")
    elif kind.code != "void":
        result = _a64_argument(kind, _Allocator(("x0", "x1"), ("v0", "v1", "v2", "v3")))
    arguments = tuple(_a64_argument(p, free) for p in signature.parameters)
    return Places(arguments, result, free.stack, hidden)


# --- RISC-V -----------------------------------------------------------------------------------------------------------


def _rv_argument(kind: Type, free: _Allocator) -> tuple[Piece, ...]:
    if _is_empty(kind):
        free.integer()
        return ()
    if kind.is_float:
        return (Piece(0, kind.code, free.float() if free.floats else free.integer()),)
    if kind.code == "i128" or (_wide(kind) and kind.size <= 16):
        if not free.integers:
            return free.block(kind, _raw(kind), 16)
        return tuple(Piece(offset, "u64", free.integer()) for offset in (0, 8))
    if kind.code != "struct":
        return (Piece(0, kind.code, free.integer()),)
    if kind.size > 16:
        return (Piece(0, "reference", free.integer()),)
    members = kind.members
    floats = sum(member.is_float for _, member in members)
    pointers = any(member.code == "ptr" for _, member in members)  # are no integers here (gcc, clang)
    is_union = len({offset for offset, _ in members}) < len(members)
    flat = 1 <= len(members) <= 2 and floats and not pointers and not is_union
    if flat:
        _check_tiled(kind, list(members))
    if flat and floats <= len(free.floats) and (floats == len(members) or free.integers):
        return tuple(Piece(o, m.code, free.float() if m.is_float else free.integer()) for o, m in members)
    return tuple(Piece(offset, code, free.integer()) for offset, code in _raw(kind))


def rv_places(signature: Signature) -> Places:
    """Raises Unsupported."""
    free = _Allocator(tuple(f"x{n}" for n in range(10, 18)), tuple(f"f{n}" for n in range(10, 18)))
    kind = signature.result
    hidden = None
    result: tuple[Piece, ...] = ()
    if kind.code == "struct" and kind.size > 16:
        hidden = Register(free.integers.pop(0))
    elif kind.code != "void":
        result = _rv_argument(kind, _Allocator(("x10", "x11"), ("f10", "f11")))
    arguments = tuple(_rv_argument(p, free) for p in signature.parameters)
    return Places(arguments, result, free.stack, hidden)


TARGET_PLACES: Final = {"aarch64": a64_places, "riscv64": rv_places}
