"""Single instructions that put a given value into a register, in a given state: what may stand where the value is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

_ALL: Final = (1 << 64) - 1
_SCALES: Final = (1, 2, 3, 4)
_FIELDS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32)  # widths of bit fields
CONDITIONS: Final = ("eq", "ne", "lt", "ge", "le", "gt", "lo", "hs", "ls", "hi", "mi", "pl", "vs", "vc")


@dataclass(frozen=True)
class Setting:
    """Where a value is missed.

    registers: names of the target, of 64 bits, and what they hold. numbers: that the source knows. loads: address, bytes and
    content (unsigned) of what the source reads. symbols, slots: addresses of the symbols, and of their slots in the global offset
    table. labels: numbers of the labels before.
    """

    registers: Mapping[str, int]
    numbers: Sequence[int]
    loads: Sequence[tuple[int, int, int]]
    symbols: Mapping[str, int]
    slots: Mapping[str, int]
    labels: Sequence[str]


def makers(target: str, register: str, value: int, setting: Setting) -> Iterator[str]:
    """Instructions that set ``register`` to ``value``: first those of addresses, then one of each family in turn."""
    known = list(setting.registers.items())
    yield from _addresses(target, register, value, setting)
    if target == "aarch64":
        number = register[1:]
        short = [("w" + number, 32)] if value >> 32 == 0 else []
        views = [*short, ("x" + number, 64)]
        families = [
            _movk(register, value, setting),
            *(_aarch64_unary(d, w, value, known, setting) for d, w in views),
            *(_aarch64_loads(d, w, value, setting) for d, w in views),
            *(_aarch64_binary(d, w, value, known) for d, w in views),
            *(_aarch64_choice(d, w, value, known) for d, w in views),
        ]
    else:
        families = [_riscv64_unary(register, value, known, setting), _riscv64_loads(register, value, known, setting),
                    _riscv64_binary(register, value, known)]  # fmt: skip
    yield from in_turn(families)


def in_turn(sources: Sequence[Iterator[str]]) -> Iterator[str]:
    """One from each in turn."""
    return (text for turn in zip_longest(*sources) for text in turn if text is not None)


def _addresses(target: str, d: str, value: int, setting: Setting) -> Iterator[str]:
    for symbol, address in setting.symbols.items():
        if target == "aarch64":
            if value == address & -4096:
                yield f"adrp {d}, {symbol}"
            if value == address:
                yield from (f"add {d}, {a}, :lo12:{symbol}" for a in _holding(address & -4096, setting))
                slot = setting.slots.get(symbol, 0)
                yield from (f"ldr {d}, [{a}, :got_lo12:{symbol}]" for a in _holding(slot & -4096, setting))
        elif value == address:
            yield from (f"addi {d}, {a}, {low}" for a, low in low_parts(address, setting))
            yield from (f"ld {d}, {low}({a})" for a, low in low_parts(setting.slots.get(symbol, 0), setting))


def _holding(value: int, setting: Setting) -> list[str]:
    return [a for a, held in setting.registers.items() if held == value]


def low_parts(address: int, setting: Setting) -> Iterator[tuple[str, str]]:
    """RISC-V's registers that may hold the upper part of a symbol's ``address``, with the lower part that may belong to it."""
    near = [a for a, held in setting.registers.items() if -4096 < signed(address - held, 64) < 4096]
    yield from ((a, f"%pcrel_lo({label}b)") for a in near for label in setting.labels)


def signed(value: int, width: int) -> int:
    """The two's complement reading of the low ``width`` bits."""
    value &= (1 << width) - 1
    return value - (1 << width) if value >> width - 1 else value


# What the operations give, of operands of ``w`` bits.
_OPERATIONS: Final[Mapping[str, Callable[[int, int, int], int]]] = {
    "add": lambda a, b, w: a + b,
    "sub": lambda a, b, w: a - b,
    "and": lambda a, b, w: a & b,
    "orr": lambda a, b, w: a | b,
    "eor": lambda a, b, w: a ^ b,
    "bic": lambda a, b, w: a & ~b,
    "mul": lambda a, b, w: a * b,
    "lsl": lambda a, b, w: a << b % w,
    "lsr": lambda a, b, w: a >> b % w,
    "asr": lambda a, b, w: signed(a, w) >> b % w,
    "ror": lambda a, b, w: a >> b % w | a << w - b % w,
    "udiv": lambda a, b, w: a // b if b else 0,
    "sdiv": lambda a, b, w: _quotient(signed(a, w), signed(b, w)),
    "urem": lambda a, b, w: a % b if b else a,
    "srem": lambda a, b, w: signed(a, w) - _quotient(signed(a, w), signed(b, w)) * signed(b, w),
    "slt": lambda a, b, w: int(signed(a, w) < signed(b, w)),
    "sltu": lambda a, b, w: int(a < b),
}


def _quotient(a: int, b: int) -> int:
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _is(operation: str, a: int, b: int, width: int, value: int) -> bool:
    ones = (1 << width) - 1
    return (_OPERATIONS[operation](a & ones, b & ones, width) ^ value) & ones == 0


# --- AArch64

_PLAIN: Final = ("add", "sub", "and", "orr", "eor", "bic", "mul", "lsl", "lsr", "asr", "ror", "udiv", "sdiv")


def view(register: str, width: int) -> str:
    """AArch64's name of a general register's low ``width`` bits."""
    return ("x" if width == 64 else "w") + register[1:]


def _aarch64_unary(d: str, w: int, value: int, known: Sequence[tuple[str, int]], setting: Setting) -> Iterator[str]:
    ones = (1 << w) - 1
    yield f"mov {d}, #{signed(value, w)}"
    for name, held in known:
        a, held = view(name, w), held & ones
        if held == value & ones:
            yield f"mov {d}, {a}"
        if held ^ ones == value & ones:
            yield f"mvn {d}, {a}"
        if -held & ones == value & ones:
            yield f"neg {d}, {a}"
        if 0 < abs(n := signed(value - held, w)) < 4096 or (n and n % 4096 == 0 and abs(n) < 1 << 24):
            yield f"{'add' if n > 0 else 'sub'} {d}, {a}, #{abs(n)}"
        for operation in ("and", "orr", "eor"):
            yield from (f"{operation} {d}, {a}, #{n}" for n in setting.numbers if _is(operation, held, n, w, value))
        for operation in ("lsl", "lsr", "asr", "ror"):
            yield from (f"{operation} {d}, {a}, #{k}" for k in range(1, w) if held and _is(operation, held, k, w, value))
        for field in _FIELDS:
            for low in range(w - field):
                part = held >> low & (1 << field) - 1
                if part == value & ones:
                    yield f"ubfx {d}, {a}, #{low}, #{field}"
                if signed(part, field) & ones == value & ones:
                    yield f"sbfx {d}, {a}, #{low}, #{field}"
                if low and (held & (1 << field) - 1) << low == value:
                    yield f"ubfiz {d}, {a}, #{low}, #{field}"


def _movk(register: str, value: int, setting: Setting) -> Iterator[str]:
    held = setting.registers.get(register, ~value)
    for shift in (0, 16, 32, 48):
        if (held ^ value) & ~(0xFFFF << shift) & _ALL == 0:
            yield f"movk {view(register, 64 if value >> 32 else 32)}, #{value >> shift & 0xFFFF}, lsl #{shift}"


def _aarch64_loads(d: str, w: int, value: int, setting: Setting) -> Iterator[str]:
    for address, size, content in setting.loads:
        names = {1: ("ldrb", "ldrsb"), 2: ("ldrh", "ldrsh"), 4: ("ldr", "ldrsw"), 8: ("ldr", "")}.get(size, ("", ""))
        fits = [names[0]] if content == value and (w == 64) == (size == 8) else []
        fits += [names[1]] if (signed(content, 8 * size) ^ value) & (1 << w) - 1 == 0 and size < w // 8 else []
        for name in filter(None, fits):
            yield from (f"{name} {d}, {place}" for place in places(address, size, setting))


def places(address: int, size: int, setting: Setting) -> Iterator[str]:
    """AArch64's ways to say ``address`` in a load or store of ``size`` bytes."""
    for symbol in (name for name, value in setting.symbols.items() if value == address):
        yield from (f"[{a}, :lo12:{symbol}]" for a in _holding(address & -4096, setting))
    known = setting.registers.items()
    for a, held in known:
        n = signed(address - held, 64)
        if -256 <= n < 256 or (0 <= n < 4096 * size and n % size == 0):
            yield f"[{a}, #{n}]"
    for a, base in known:
        for b, index in known:
            if base + index & _ALL == address:
                yield f"[{a}, {b}]"
            elif (base + index * size) & _ALL == address:
                yield f"[{a}, {b}, lsl #{size.bit_length() - 1}]"


def _aarch64_binary(d: str, w: int, value: int, known: Sequence[tuple[str, int]]) -> Iterator[str]:
    for name, a in known:
        for other, b in known:
            first, second = view(name, w), view(other, w)
            yield from (f"{op} {d}, {first}, {second}" for op in _PLAIN if _is(op, a, b, w, value))
            for k in _SCALES:
                yield from (f"{op} {d}, {first}, {second}, lsl #{k}" for op in ("add", "sub") if _is(op, a, b << k, w, value))
            if w == 64:
                low = b & 0xFFFF_FFFF
                for k in (0, *_SCALES):
                    for extension, extended in (("sxtw", signed(low, 32)), ("uxtw", low)):
                        if _is("add", a, extended << k, w, value):
                            yield f"add {d}, {first}, w{other[1:]}, {extension}{f' #{k}' if k else ''}"


def _aarch64_choice(d: str, w: int, value: int, known: Sequence[tuple[str, int]]) -> Iterator[str]:
    ones = (1 << w) - 1
    if value <= 1:
        yield from (f"cset {d}, {condition}" for condition in CONDITIONS)
    same = [name for name, held in known if held & ones == value & ones] + (["xzr"] if value == 0 else [])
    for a in same:
        for b in (*(name for name, _ in known), "xzr"):
            if a != b:
                yield from (f"csel {d}, {view(a, w)}, {view(b, w)}, {condition}" for condition in CONDITIONS)


# --- RISC-V

_RISCV64: Final = {"add": "add", "sub": "sub", "and": "and", "orr": "or", "eor": "xor", "mul": "mul", "lsl": "sll", "lsr": "srl",
                   "asr": "sra", "udiv": "divu", "sdiv": "div", "urem": "remu", "srem": "rem", "slt": "slt",
                   "sltu": "sltu"}  # fmt: skip
_WORDS: Final = {"add": "addw", "sub": "subw", "mul": "mulw", "lsl": "sllw", "lsr": "srlw", "asr": "sraw", "udiv": "divuw",
                 "sdiv": "divw", "urem": "remuw", "srem": "remw"}  # fmt: skip


def _word_is(operation: str, a: int, b: int, value: int) -> bool:
    return signed(value, 32) & _ALL == value and _is(operation, a, b, 32, value)


def _riscv64_unary(d: str, value: int, known: Sequence[tuple[str, int]], setting: Setting) -> Iterator[str]:
    yield f"li {d}, {signed(value, 64)}"
    for a, held in known:
        if held == value:
            yield f"mv {d}, {a}"
        if held ^ _ALL == value:
            yield f"not {d}, {a}"
        if -held & _ALL == value:
            yield f"neg {d}, {a}"
        if -2048 <= (n := signed(value - held, 64)) < 2048 and n:
            yield f"addi {d}, {a}, {n}"
        if -2048 <= (n := signed(value - held, 32)) < 2048 and signed(value, 32) & _ALL == value:
            yield f"addiw {d}, {a}, {n}"
        for operation, name in (("and", "andi"), ("orr", "ori"), ("eor", "xori"), ("slt", "slti"), ("sltu", "sltiu")):
            fits = (n for n in setting.numbers if -2048 <= n < 2048 and _is(operation, held, n, 64, value))
            yield from (f"{name} {d}, {a}, {n}" for n in fits)
        for operation, name in (("lsl", "slli"), ("lsr", "srli"), ("asr", "srai")):
            yield from (f"{name} {d}, {a}, {k}" for k in range(1, 64) if held and _is(operation, held, k, 64, value))
            yield from (f"{name}w {d}, {a}, {k}" for k in range(1, 32) if held and _word_is(operation, held, k, value))
        if value == int(held == 0):
            yield f"seqz {d}, {a}"
        if value == int(held != 0):
            yield f"snez {d}, {a}"


def _riscv64_loads(d: str, value: int, known: Sequence[tuple[str, int]], setting: Setting) -> Iterator[str]:
    for address, size, content in setting.loads:
        names = {1: ("lbu", "lb"), 2: ("lhu", "lh"), 4: ("lwu", "lw"), 8: ("", "ld")}.get(size, ("", ""))
        fits = [names[0]] if content == value else []
        fits += [names[1]] if signed(content, 8 * size) & _ALL == value else []
        lows = low_parts(address, setting) if address in setting.symbols.values() else ()
        yield from (f"{name} {d}, {low}({a})" for a, low in lows for name in fits if name)
        for a, held in known:
            if -2048 <= (n := signed(address - held, 64)) < 2048:
                yield from (f"{name} {d}, {n}({a})" for name in fits if name)


def _riscv64_binary(d: str, value: int, known: Sequence[tuple[str, int]]) -> Iterator[str]:
    for a, first in known:
        for b, second in known:
            yield from (f"{name} {d}, {a}, {b}" for op, name in _RISCV64.items() if _is(op, first, second, 64, value))
            yield from (f"{name} {d}, {a}, {b}" for op, name in _WORDS.items() if _word_is(op, first, second, value))
