"""Each p-code operation without side effects as a function of its inputs' terms: ``PURE[name](output width, *inputs)``.

Booleans are bytes that hold 0 or 1. Signed and unsigned comparisons are rebuilt from the flags they were spread over,
so that ``cmp a, b; jle`` becomes one ``sle a b``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from isa import terms as t
from isa.terms import Term

Pure = Callable[..., Term]


def _boolean(bit: Term) -> Term:
    return t.zext(bit, 8)


def _bit(value: Term) -> Term:
    return t.extract(value, 0, 1)


def equal(a: Term, b: Term) -> Term:
    """``a == b``, and ``x == y`` for a difference compared with zero."""
    if a.width > 1 and b.op == "const" and b.attr == 0:
        if a.op == "sub":
            return t.eq(*a.args)
        if a.op == "add" and a.args[1].op == "const":
            return t.eq(a.args[0], t.neg(a.args[1]))
    return t.eq(a, b)


def exclusive(a: Term, b: Term) -> Term:
    """``a ^ b`` of two bits; sign of a difference ^ its overflow is signed less-than."""
    for sign, overflow in ((a, b), (b, a)):
        if overflow.op == "ssubo" and sign is t.slt(t.sub(*overflow.args), t.const(0, overflow.args[0].width)):
            return t.compare("slt", *overflow.args)
    if a.op == "not" or b.op == "not":
        inverted = (a.op == "not") != (b.op == "not")
        inner = exclusive(a.args[0] if a.op == "not" else a, b.args[0] if b.op == "not" else b)
        return t.not_(inner) if inverted else inner
    return t.xor(a, b)


def either(a: Term, b: Term) -> Term:
    """``a | b`` of two bits; less-than or equal becomes one comparison."""
    for less, same in ((a, b), (b, a)):
        if less.op in ("ult", "slt") and same.op == "eq" and set(less.args) == set(same.args):
            return t.compare("ule" if less.op == "ult" else "sle", *less.args)
    return t.or_(a, b)


def both(a: Term, b: Term) -> Term:
    """``a & b`` of two bits; greater-than becomes one comparison."""
    if a.op == "not" and b.op == "not":
        return t.not_(either(a.args[0], b.args[0]))
    return t.and_(a, b)


def shift(op: str, value: Term, amount: Term) -> Term:
    """``shl``, ``lshr`` or ``ashr`` where the amount may have another width than the value."""
    if amount.op == "const":
        return t.binary(op, value, t.const(min(amount.attr, value.width), value.width))  # whole bytes: no wrap
    if amount.width <= value.width:
        return t.binary(op, value, t.zext(amount, value.width))
    wide = t.sext(value, amount.width) if op == "ashr" else t.zext(value, amount.width)
    return t.extract(t.binary(op, wide, amount), 0, value.width)


def _resize(value: Term, width: int) -> Term:
    return t.extract(value, 0, width) if width <= value.width else t.zext(value, width)


def _subpiece(width: int, value: Term, skip: Term) -> Term:
    low = 8 * skip.attr
    return _resize(t.extract(value, low, min(width, value.width - low)), width)


def _integer_equal(width: int, a: Term, b: Term) -> Term:
    if a.op == "zext" and b.op == "zext" and a.args[0].width == b.args[0].width == 1:
        return _boolean(t.not_(exclusive(a.args[0], b.args[0])))
    return _boolean(equal(a, b))


def _negated(operation: Pure) -> Pure:
    return lambda width, *args: _boolean(t.not_(_bit(operation(width, *args))))


def _binary(op: str) -> Pure:
    return lambda width, a, b: t.binary(op, a, b)


def _compare(op: str) -> Pure:
    return lambda width, a, b: _boolean(t.compare(op, a, b))


def _shift(op: str) -> Pure:
    return lambda width, a, b: shift(op, a, b)


def _logic(op: Callable[[Term, Term], Term]) -> Pure:
    return lambda width, a, b: _boolean(op(_bit(a), _bit(b)))


def _float(op: str, rounding: str | None = None) -> Pure:
    return lambda width, *args: t.float_op(op, width, *args, rounding=rounding)


def _float_test(op: str) -> Pure:
    return lambda width, *args: _boolean(t.float_op(op, 1, *args))


def _sign_bit(value: Term) -> Term:
    return t.const(1 << (value.width - 1), value.width)


PURE: Final[dict[str, Pure]] = {
    "COPY": lambda width, a: a,
    "PIECE": lambda width, high, low: t.concat(high, low),
    "SUBPIECE": _subpiece,
    "INT_EQUAL": _integer_equal,
    "INT_NOTEQUAL": _negated(_integer_equal),
    "INT_LESS": _compare("ult"),
    "INT_LESSEQUAL": _compare("ule"),
    "INT_SLESS": _compare("slt"),
    "INT_SLESSEQUAL": _compare("sle"),
    "INT_CARRY": _compare("uaddo"),
    "INT_SCARRY": _compare("saddo"),
    "INT_SBORROW": _compare("ssubo"),
    "INT_ZEXT": lambda width, a: t.zext(a, width),
    "INT_SEXT": lambda width, a: t.sext(a, width),
    "INT_ADD": _binary("add"),
    "INT_SUB": _binary("sub"),
    "INT_MULT": _binary("mul"),
    "INT_DIV": _binary("udiv"),
    "INT_REM": _binary("urem"),
    "INT_SDIV": _binary("sdiv"),
    "INT_SREM": _binary("srem"),
    "INT_AND": _binary("and"),
    "INT_OR": _binary("or"),
    "INT_XOR": _binary("xor"),
    "INT_NEGATE": lambda width, a: t.not_(a),
    "INT_2COMP": lambda width, a: t.neg(a),
    "INT_LEFT": _shift("shl"),
    "INT_RIGHT": _shift("lshr"),
    "INT_SRIGHT": _shift("ashr"),
    "POPCOUNT": lambda width, a: _resize(t.popcount(a), width),
    "LZCOUNT": lambda width, a: _resize(t.clz(a), width),
    "BOOL_NEGATE": lambda width, a: _boolean(t.not_(_bit(a))),
    "BOOL_AND": _logic(both),
    "BOOL_OR": _logic(either),
    "BOOL_XOR": _logic(exclusive),
    "FLOAT_ADD": _float("fadd"),
    "FLOAT_SUB": _float("fsub"),
    "FLOAT_MULT": _float("fmul"),
    "FLOAT_DIV": _float("fdiv"),
    "FLOAT_SQRT": _float("fsqrt"),
    "FLOAT_EQUAL": _float_test("feq"),
    "FLOAT_NOTEQUAL": _negated(_float_test("feq")),
    "FLOAT_LESS": _float_test("flt"),
    "FLOAT_LESSEQUAL": _float_test("fle"),
    "FLOAT_NAN": _float_test("fnan"),
    "FLOAT_NEG": lambda width, a: t.xor(a, _sign_bit(a)),
    "FLOAT_ABS": lambda width, a: t.and_(a, t.not_(_sign_bit(a))),
    "FLOAT_INT2FLOAT": _float("s2f"),
    "FLOAT_FLOAT2FLOAT": _float("f2f"),
    "FLOAT_TRUNC": _float("f2s", "rtz"),
    "FLOAT_CEIL": _float("fround", "rtp"),
    "FLOAT_FLOOR": _float("fround", "rtn"),
    "FLOAT_ROUND": _float("fround", "rne"),
}

# Their result may be a NaN, whose sign and payload the terms leave open.
NAN_RESULT: Final = frozenset(
    {"FLOAT_ADD", "FLOAT_SUB", "FLOAT_MULT", "FLOAT_DIV", "FLOAT_SQRT", "FLOAT_FLOAT2FLOAT",
     "FLOAT_CEIL", "FLOAT_FLOOR", "FLOAT_ROUND"})  # fmt: skip
