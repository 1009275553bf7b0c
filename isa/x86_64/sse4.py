"""SSE3, SSSE3, SSE4.1 and SSE4.2 instructions that p-code leaves opaque, lane by lane. Source: Intel SDM volume 2.

The string comparisons of SSE4.2 and ``maskmovdqu`` have no semantics here. Rounding by MXCSR is to nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from isa import terms as t
from isa.machine import Instruction
from isa.terms import Term
from isa.x86_64.lifter import X86Lifter, X86Override
from isa.x86_64.vectors import Lanes, each, is_xmm, limits, may_be_nan, pack, packed, saturate

_ROUNDINGS: Final = ("rne", "rtn", "rtp", "rtz")
_CASTAGNOLI: Final = 0x82F6_3B78  # the polynomial of crc32, bits reversed

Choice = Callable[[Term, Term, int], Term]  # both operands, the immediate


def _with_immediate(choose: Choice) -> X86Override:
    """``op xmm, xmm/m128, imm8``."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        order = lifter.decoded(instruction).operands[2].value & 0xFF
        first, second = lifter.decoded(instruction).operands[:2]
        if not is_xmm(first):
            lifter.refuse(f"MMX: {instruction.text}")
            return True
        value = choose(lifter.vector(first.register), lifter.get(instruction, second, 128), order)
        lifter.set_vector(first.register, value)
        return True

    return override


# Bytes and words.


def shuffled_byte(table: Term, index: Term) -> Term:
    """Byte ``index`` (8 bits, the low four count) of a table of 128 bits, 0 if the index is negative."""
    low, high = t.lanes(table, 64)
    half = t.ite(t.extract(index, 3, 1), high, low)
    place = t.concat(t.extract(index, 0, 3), t.const(0, 3))
    byte = t.extract(t.lshr(half, t.zext(place, 64)), 0, 8)
    return t.ite(t.extract(index, 7, 1), t.const(0, 8), byte)


def _shuffle_bytes(a: Term, b: Term) -> Term:
    return t.vector([shuffled_byte(a, index) for index in t.lanes(b, 8)])


def _horizontal(width: int, combine: Lanes) -> Lanes:
    """Neighbouring lanes of the first operand, then of the second, combined."""

    def compute(a: Term, b: Term) -> Term:
        parts = t.lanes(a, width) + t.lanes(b, width)
        return t.vector([combine(x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)])

    return compute


def _saturated(op: str, a: Term, b: Term) -> Term:
    wide = t.binary(op, t.sext(a, 32), t.sext(b, 32))
    return saturate(wide, 16, *limits(16, True))


def _multiply_add_bytes(a: Term, b: Term) -> Term:
    products = [t.mul(t.zext(x, 32), t.sext(y, 32)) for x, y in zip(t.lanes(a, 8), t.lanes(b, 8), strict=True)]
    sums = [t.add(x, y) for x, y in zip(products[::2], products[1::2], strict=True)]
    return t.vector([saturate(x, 16, *limits(16, True)) for x in sums])


def _multiply_round(a: Term, b: Term) -> Term:
    product = t.ashr(t.mul(t.sext(a, 32), t.sext(b, 32)), t.const(14, 32))
    return t.extract(t.add(product, t.const(1, 32)), 1, 16)


def _signed_as(a: Term, b: Term) -> Term:
    zero = t.const(0, a.width)
    return t.ite(t.slt(b, zero), t.neg(a), t.ite(t.eq(b, zero), zero, a))


def _magnitude(a: Term, b: Term) -> Term:
    return t.ite(t.slt(b, t.const(0, b.width)), t.neg(b), b)


def _even_products(a: Term, b: Term) -> Term:
    factors = (t.lanes(x, 64) for x in (a, b))
    return t.vector([t.mul(*(t.sext(t.extract(x, 0, 32), 64) for x in pair)) for pair in zip(*factors, strict=True)])


def _differences(a: Term, b: Term, order: int) -> Term:
    """Sums of differences of four bytes of ``b`` and every four neighbours among eleven bytes of ``a``."""
    first, block = 4 * (order >> 2 & 1), t.lanes(b, 8)[4 * (order & 3) :][:4]
    source = t.lanes(a, 8)
    sums = []
    for n in range(8):
        total = t.const(0, 16)
        for x, y in zip(source[first + n : first + n + 4], block, strict=True):
            total = t.add(total, t.zext(t.ite(t.ult(x, y), t.sub(y, x), t.sub(x, y)), 16))
        sums.append(total)
    return t.vector(sums)


def _smallest_word(a: Term, b: Term) -> Term:
    """The smallest word and, above it, the place of the first that is as small."""
    words = t.lanes(b, 16)
    least, place = words[0], t.const(0, 3)
    for n, word in enumerate(words[1:], 1):
        less = t.ult(word, least)
        least, place = t.ite(less, word, least), t.ite(less, t.const(n, 3), place)
    return t.zext(t.concat(place, least), 128)


# Choices of lanes.


def _blend(width: int) -> Choice:
    def choose(a: Term, b: Term, order: int) -> Term:
        pairs = zip(t.lanes(a, width), t.lanes(b, width), strict=True)
        return t.vector([y if order >> n & 1 else x for n, (x, y) in enumerate(pairs)])

    return choose


def _blend_by_mask(width: int) -> X86Override:
    """By the signs of xmm0's lanes."""

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second = lifter.decoded(instruction).operands[:2]
        triples = (lifter.vector(first.register), lifter.get(instruction, second, 128), lifter.vector("xmm0"))
        both = zip(*(t.lanes(x, width) for x in triples), strict=True)
        value = t.vector([t.ite(t.slt(m, t.const(0, width)), y, x) for x, y, m in both])
        lifter.set_vector(first.register, value)
        return True

    return override


def _extended(width: int, to: int, is_signed: bool) -> X86Override:
    """The low lanes of ``width`` bits of the second operand, each extended to ``to`` bits."""
    extend = t.sext if is_signed else t.zext

    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second = lifter.decoded(instruction).operands
        value = lifter.get(instruction, second, 128 * width // to)
        lifter.set_vector(first.register, t.vector([extend(x, to) for x in t.lanes(value, width)]))
        return True

    return override


def _insert_single(lifter: X86Lifter, instruction: Instruction) -> bool:
    first, second, immediate = lifter.decoded(instruction).operands
    order = immediate.value & 0xFF
    lane = order >> 6 if second.kind == "reg" else 0
    source = lifter.vector(second.register) if second.kind == "reg" else lifter.get(instruction, second, 32)
    parts = t.lanes(lifter.vector(first.register), 32)
    parts[order >> 4 & 3] = t.extract(source, 32 * lane, 32)
    lifter.set_vector(first.register, t.vector([t.const(0, 32) if order >> n & 1 else x for n, x in enumerate(parts)]))
    return True


def _extract_single(lifter: X86Lifter, instruction: Instruction) -> bool:
    first, second, immediate = lifter.decoded(instruction).operands
    single = t.extract(lifter.vector(second.register), 32 * (immediate.value & 3), 32)
    lifter.put(instruction, first, single if first.kind == "mem" else t.zext(single, 8 * first.size))
    return True


def _load(lifter: X86Lifter, instruction: Instruction) -> bool:
    first, second = lifter.decoded(instruction).operands
    lifter.set_vector(first.register, lifter.get(instruction, second, 128))
    return True


# Floats.


def _rounding(order: int) -> str:
    return "rne" if order & 4 else _ROUNDINGS[order & 3]


def _round(width: int) -> X86Override:
    def choose(a: Term, b: Term, order: int) -> Term:
        return t.vector([t.float_op("fround", width, x, rounding=_rounding(order)) for x in t.lanes(b, width)])

    return may_be_nan(_with_immediate(choose))


def _round_scalar(width: int) -> X86Override:
    def override(lifter: X86Lifter, instruction: Instruction) -> bool:
        first, second, immediate = lifter.decoded(instruction).operands
        value = lifter.get(instruction, second, width)
        lifter.set_vector(first.register, t.float_op("fround", width, value, rounding=_rounding(immediate.value)))
        return True

    return may_be_nan(override)


def _dot_product(width: int) -> X86Override:
    """The sum is made of two sums of neighbours."""

    def choose(a: Term, b: Term, order: int) -> Term:
        zero = t.const(0, width)
        sums = [
            t.float_op("fmul", width, x, y) if order >> 4 + n & 1 else zero
            for n, (x, y) in enumerate(zip(t.lanes(a, width), t.lanes(b, width), strict=True))
        ]
        while len(sums) > 1:
            sums = [t.float_op("fadd", width, x, y) for x, y in zip(sums[::2], sums[1::2], strict=True)]
        return t.vector([sums[0] if order >> n & 1 else zero for n in range(128 // width)])

    return may_be_nan(_with_immediate(choose))


# General registers.


def _crc(lifter: X86Lifter, instruction: Instruction) -> bool:
    """One bit at a time: what falls out decides whether the polynomial is added."""
    first, second = lifter.decoded(instruction).operands
    data = lifter.get(instruction, second)
    value = lifter.get(instruction, first, 32)
    for low in range(0, data.width, 32):
        part = t.extract(data, low, min(32, data.width))
        value = t.xor(value, t.zext(part, 32))
        for _ in range(part.width):
            rest = t.lshr(value, t.const(1, 32))
            value = t.xor(rest, t.and_(t.sext(t.extract(value, 0, 1), 32), t.const(_CASTAGNOLI, 32)))
    lifter.set_general(first.register, t.zext(value, 8 * first.size))
    return True


_SUFFIXES: Final = {"b": 8, "w": 16, "d": 32, "q": 64}
_FLOATS: Final = {"s": 32, "d": 64}

OVERRIDES: Final[dict[str, X86Override]] = {
    "pshufb": packed(_shuffle_bytes),
    **{f"ph{op}{suffix}": packed(_horizontal(width, partial(t.binary, op)))
       for op in ("add", "sub") for suffix, width in (("w", 16), ("d", 32))},
    **{f"ph{op}sw": packed(_horizontal(16, partial(_saturated, op))) for op in ("add", "sub")},
    "pmaddubsw": packed(_multiply_add_bytes), "pmulhrsw": packed(each(16, _multiply_round)),
    **{f"psign{suffix}": packed(each(_SUFFIXES[suffix], _signed_as)) for suffix in "bwd"},
    **{f"pabs{suffix}": packed(each(_SUFFIXES[suffix], _magnitude)) for suffix in "bwd"},
    "packusdw": packed(pack(16, False)),
    "pmulld": packed(each(32, t.mul)), "pmuldq": packed(_even_products),
    "mpsadbw": _with_immediate(_differences), "phminposuw": packed(_smallest_word),
    "pblendw": _with_immediate(_blend(16)), "blendps": _with_immediate(_blend(32)), "blendpd": _with_immediate(_blend(64)),
    "pblendvb": _blend_by_mask(8), "blendvps": _blend_by_mask(32), "blendvpd": _blend_by_mask(64),
    **{f"pmov{sign}x{a}{b}": _extended(_SUFFIXES[a], _SUFFIXES[b], sign == "s")
       for sign in "sz" for a, b in ("bw", "bd", "bq", "wd", "wq", "dq")},
    "insertps": _insert_single, "extractps": _extract_single, "lddqu": _load, "movntdqa": _load,
    **{f"roundp{suffix}": _round(width) for suffix, width in _FLOATS.items()},
    **{f"rounds{suffix}": _round_scalar(width) for suffix, width in _FLOATS.items()},
    **{f"dpp{suffix}": _dot_product(width) for suffix, width in _FLOATS.items()},
    "crc32": _crc,
}  # fmt: skip
