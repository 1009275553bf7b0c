"""128 bits divided by 64 without a call: Knuth's algorithm D with two digits of 32 bits (The Art of Computer Programming,
vol. 2, 3rd ed., 4.3.1; H. S. Warren, Hacker's Delight, 2nd ed., 9-4). The quotient fits in 64 bits."""

from __future__ import annotations

from collections.abc import Callable

Emit = Callable[[str], str]


def divide(emit: Emit, high: str, low: str, divisor: str, is_signed: bool) -> tuple[str, str]:
    """Names of quotient and remainder (i64 each) of ``high:low`` by ``divisor``.

    emit: appends an IR instruction and gives its name.
    """
    if not is_signed:
        return _unsigned(emit, high, low, divisor)
    negative, other = (emit(f"icmp slt i64 {x}, 0") for x in (high, divisor))
    inverse = emit(f"sub i64 0, {low}")
    borrow = emit(f"zext i1 {emit(f'icmp ne i64 {low}, 0')} to i64")
    upper = emit(f"sub i64 {emit(f'sub i64 0, {high}')}, {borrow}")
    top, bottom = (emit(f"select i1 {negative}, i64 {a}, i64 {b}") for a, b in ((upper, high), (inverse, low)))
    size = emit(f"select i1 {other}, i64 {emit(f'sub i64 0, {divisor}')}, i64 {divisor}")
    quotient, remainder = _unsigned(emit, top, bottom, size)
    differ = emit(f"xor i1 {negative}, {other}")
    signed = emit(f"select i1 {differ}, i64 {emit(f'sub i64 0, {quotient}')}, i64 {quotient}")
    return signed, emit(f"select i1 {negative}, i64 {emit(f'sub i64 0, {remainder}')}, i64 {remainder}")


def _unsigned(emit: Emit, high: str, low: str, divisor: str) -> tuple[str, str]:
    shift = emit(f"call i64 @llvm.ctlz.i64(i64 {divisor}, i1 false)")
    normal = emit(f"shl i64 {divisor}, {shift}")
    top = emit(f"lshr i64 {normal}, 32")
    back = emit(f"xor i64 {shift}, 63")  # by 63 - shift and 1: a shift by 64 would be undefined
    moved = emit(f"lshr i64 {emit(f'lshr i64 {low}, 1')}, {back}")
    upper = emit(f"or i64 {emit(f'shl i64 {high}, {shift}')}, {moved}")
    rest = emit(f"shl i64 {low}, {shift}")
    digits = (emit(f"lshr i64 {rest}, 32"), emit(f"and i64 {rest}, 4294967295"))
    found = []
    for digit in digits:
        guess = _digit(emit, upper, digit, normal, top)
        found.append(guess)
        shifted = emit(f"or i64 {emit(f'shl i64 {upper}, 32')}, {digit}")
        upper = emit(f"sub i64 {shifted}, {emit(f'mul i64 {guess}, {normal}')}")
    quotient = emit(f"add i64 {emit(f'shl i64 {found[0]}, 32')}, {found[1]}")
    return quotient, emit(f"lshr i64 {upper}, {shift}")


def _digit(emit: Emit, upper: str, digit: str, normal: str, top: str) -> str:
    """One digit of the quotient: a guess by the divisor's upper half, which is too great by two at most."""
    second = emit(f"and i64 {normal}, 4294967295")
    guess = emit(f"udiv i64 {upper}, {top}")
    rest = emit(f"sub i64 {upper}, {emit(f'mul i64 {guess}, {top}')}")
    before = "true"
    for _ in range(2):
        large = emit(f"icmp ugt i64 {guess}, 4294967295")
        wanted = emit(f"or i64 {emit(f'shl i64 {rest}, 32')}, {digit}")
        over = emit(f"icmp ugt i64 {emit(f'mul i64 {guess}, {second}')}, {wanted}")
        small = emit(f"icmp ult i64 {rest}, 4294967296")
        wrong = emit(f"and i1 {emit(f'and i1 {before}, {small}')}, {emit(f'or i1 {large}, {over}')}")
        guess = emit(f"sub i64 {guess}, {emit(f'zext i1 {wrong} to i64')}")
        rest = emit(f"add i64 {rest}, {emit(f'select i1 {wrong}, i64 {top}, i64 0')}")
        before = wrong
    return guess
