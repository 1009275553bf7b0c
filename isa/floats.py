"""IEEE 754 arithmetic on bit patterns, exactly rounded (to nearest, ties to even), for ``isa.evaluate``.

Formats: binary32 and binary64. Every NaN result is the positive quiet NaN without payload; subnormals are kept.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Final

NAN: Final = {32: 0x7FC0_0000, 64: 0x7FF8_0000_0000_0000}
_FRACTION: Final = {32: 23, 64: 52}
_BIAS: Final = {32: 127, 64: 1023}


def decode(bits: int, width: int) -> float:
    """The number that ``bits`` stand for (binary32 fits in a Python float)."""
    data = bits.to_bytes(width // 8, "little")
    return float(struct.unpack("<f" if width == 32 else "<d", data)[0])


def encode(value: float, width: int) -> int:
    """``value`` rounded to the format."""
    if value != value:
        return NAN[width]
    if width == 64:
        return int.from_bytes(struct.pack("<d", value), "little")
    try:
        return int.from_bytes(struct.pack("<f", value), "little")
    except OverflowError:
        return 0xFF80_0000 if value < 0 else 0x7F80_0000


def encode_exact(value: Fraction, width: int, negative_zero: bool = False) -> int:
    """An exact number rounded once to the format."""
    fraction, bias = _FRACTION[width], _BIAS[width]
    sign = int(value < 0 or (value == 0 and negative_zero)) << (width - 1)
    value = abs(value)
    if value == 0:
        return sign
    exponent = max(value.numerator.bit_length() - value.denominator.bit_length() - 1, -bias)
    while value >= Fraction(2) ** (exponent + 1):
        exponent += 1
    exponent = max(exponent, 1 - bias)
    scaled = round(value / Fraction(2) ** (exponent - fraction))  # ties to even
    if scaled >= 2 << fraction:
        scaled, exponent = scaled >> 1, exponent + 1
    if exponent > bias:
        return sign | (2 * bias + 1) << fraction
    if scaled < 1 << fraction:
        return sign | scaled  # subnormal
    return sign | ((exponent + bias) << fraction) + scaled - (1 << fraction)


def add(a: int, b: int, width: int) -> int:
    return encode(decode(a, width) + decode(b, width), width)


def sub(a: int, b: int, width: int) -> int:
    return encode(decode(a, width) - decode(b, width), width)


def mul(a: int, b: int, width: int) -> int:
    return encode(decode(a, width) * decode(b, width), width)


def div(a: int, b: int, width: int) -> int:
    x, y = decode(a, width), decode(b, width)
    if y == 0:
        infinite = math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1.0, y)
        return encode(infinite, width)
    return encode(x / y, width)


def sqrt(a: int, width: int) -> int:
    x = decode(a, width)
    return encode(math.sqrt(x) if x >= 0 else math.nan, width)


def fma(a: int, b: int, c: int, width: int) -> int:
    """a*b + c, rounded once."""
    x, y, z = decode(a, width), decode(b, width), decode(c, width)
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        return encode(x * y + z if math.isinf(x) or math.isinf(y) or x != x or y != y else z, width)
    product = Fraction(x) * Fraction(y)
    negative = math.copysign(1.0, x) * math.copysign(1.0, y) < 0
    return encode_exact(product + Fraction(z), width, negative and math.copysign(1.0, z) < 0 and product == 0)


def from_integer(value: int, width: int) -> int:
    return encode_exact(Fraction(value), width)


def convert(a: int, source: int, width: int) -> int:
    return encode(decode(a, source), width)


def integral(x: float, rounding: str) -> int:
    """A finite ``x`` rounded to an integer."""
    if rounding == "rtz":
        return math.trunc(x)
    if rounding == "rne":
        return round(x)
    if rounding == "rtp":
        return math.ceil(x)
    if rounding == "rtn":
        return math.floor(x)
    below = math.floor(abs(x))
    return int(math.copysign(below + (abs(x) - below >= 0.5), x))


def to_integer(a: int, source: int, width: int, rounding: str) -> int:
    """To an integer modulo 2**width; 0 for what has no integer (the operation leaves it open)."""
    x = decode(a, source)
    return integral(x, rounding) & ((1 << width) - 1) if math.isfinite(x) else 0


def round_integral(a: int, width: int, rounding: str) -> int:
    x = decode(a, width)
    return encode(math.copysign(float(integral(x, rounding)), x) if math.isfinite(x) else x, width)


def is_nan(a: int, width: int) -> bool:
    return a & ((1 << (width - 1)) - 1) > NAN[width] & ~(1 << (_FRACTION[width] - 1))
