"""Packed bytes and words in a 64-bit register, for a target without vectors (H. S. Warren, Hacker's Delight, 2nd ed., 2-18).

A row is eight bytes or four words, low first. Sums keep their carries inside a lane because its top bit is added apart;
comparisons leave their outcome in the lanes' top bits, which are then spread over the lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from guesssketch.lowering.idioms import rounded_mean, saturating, saturation
from isa import terms as t
from isa.terms import Term

Row = tuple[Term, ...]
_BITWISE: Final = frozenset({"and", "or", "xor"})
_WIDTHS: Final = (8, 16)


class Swar:
    """emit: appends an IR instruction and gives its name. scalar: the operand for a term. opaque: the same i64, but nothing that
    LLVM knows of."""

    def __init__(self, emit: Callable[[str], str], scalar: Callable[[Term], str], opaque: Callable[[str, int], str]) -> None:
        self._emit, self._scalar, self._opaque = emit, scalar, opaque
        self._constants: dict[int, str] = {}

    def build(self, whole: Term) -> str | None:
        """The name of an i64 that holds ``whole``, a concatenation of lanes; None if no operation makes them all."""
        parts = tuple(reversed(whole.args))
        width = min(x.width for x in parts)
        if width not in _WIDTHS or any(x.width % width for x in parts):
            return None
        row = tuple(t.extract(x, low, width) for x in parts for low in range(0, x.width, width))
        return self._made(row)

    def sign_mask(self, bits: Row) -> str | None:
        """The name of an i64 whose low bits are eight or sixteen ``bits``."""
        halves = [self._top(bits[at : at + 8], 8) for at in range(0, len(bits), 8)] if len(bits) in (8, 16) else [None]
        total = None
        for number, half in enumerate(halves):
            if half is None:
                return None
            value = self._op("lshr", half, 7)
            for distance in (7, 14, 28):
                value = self._op("or", value, self._op("lshr", value, distance))
            value = self._op("and", value, 255)
            total = value if total is None else self._op("or", total, self._op("shl", value, 8 * number))
        return total

    # --- values ------------------------------------------------------------------------------------------------------

    def _op(self, op: str, a: str | int, b: str | int) -> str:
        return self._emit(f"{op} i64 {a}, {b}")

    def _not(self, a: str) -> str:
        return self._op("xor", a, -1)

    def _splat(self, value: int, width: int) -> str:
        """Each lane holds ``value``."""
        whole = sum(value << low for low in range(0, 64, width))
        if whole not in self._constants:
            inverse = self._constants.get(t.mask(64) ^ whole)
            made = self._opaque(str(t.signed(whole, 64)), 64) if inverse is None else self._not(inverse)
            self._constants[whole] = made
        return self._constants[whole]

    def _below(self, width: int) -> str:
        """All bits of a lane but the top one."""
        return self._splat(t.mask(width - 1), width)

    def _tops(self, width: int) -> str:
        self._below(width)
        return self._splat(1 << (width - 1), width)

    def _value(self, row: Row) -> str:
        made = self._made(row)
        return self._scalar(t.concat(*reversed(row))) if made is None else made

    def _made(self, row: Row) -> str | None:
        whole, first, w = t.concat(*reversed(row)), row[0], row[0].width
        if whole.op != "concat":
            return None
        mixed = self._interleaved(row)
        if mixed is not None or any(x.op != first.op or x.attr != first.attr for x in row):
            return mixed
        for known in (self._saturating, self._average, self._packed):
            found = known(row)
            if found is not None:
                return found
        op = first.op
        operands = [tuple(x.args[k] for x in row) for k in range(len(first.args))]
        if op in ("zext", "sext"):
            return self._extended(op, operands[0], w)
        if op == "ite":
            return self._chosen(operands, w)
        if op in ("shl", "lshr", "ashr"):
            return self._shifted(op, operands, w)
        if op in _BITWISE:
            return self._op(op, self._value(operands[0]), self._value(operands[1]))
        if op == "not":
            return self._not(self._value(operands[0]))
        if op == "neg":
            return self._difference("0", self._value(operands[0]), w)
        if op in ("add", "sub"):
            a, b = (self._value(x) for x in operands)
            return self._sum(a, b, w) if op == "add" else self._difference(a, b, w)
        return None

    def _sum(self, a: str, b: str, w: int) -> str:
        low = self._op("add", self._op("and", a, self._below(w)), self._op("and", b, self._below(w)))
        return self._op("xor", low, self._op("and", self._op("xor", a, b), self._tops(w)))

    def _difference(self, a: str, b: str, w: int) -> str:
        low = self._op("sub", self._op("or", a, self._tops(w)), self._op("and", b, self._below(w)))
        return self._op("xor", low, self._op("and", self._not(self._op("xor", a, b)), self._tops(w)))

    def _shifted(self, op: str, operands: Sequence[Row], w: int) -> str | None:
        amount = operands[1][0]
        if amount.op != "const" or not 0 < amount.attr < w or any(x is not amount for x in operands[1]):
            return None
        by = amount.attr
        value = self._value(operands[0])
        if op == "shl":
            return self._op("and", self._op("shl", value, by), self._splat(t.mask(w) << by & t.mask(w), w))
        moved = self._op("and", self._op("lshr", value, by), self._splat(t.mask(w) >> by, w))
        if op == "lshr":
            return moved
        signs = self._spread(self._op("and", value, self._tops(w)), w)
        return self._op("or", moved, self._op("and", signs, self._splat(t.mask(w) & ~(t.mask(w) >> by), w)))

    def _chosen(self, operands: Sequence[Row], w: int) -> str | None:
        mask = self._mask(operands[0], w)
        if mask is None:
            return None
        then, other = (t.concat(*reversed(x)) for x in operands[1:])
        zero, ones = t.const(0, 64), t.const(-1, 64)
        if then is zero or other is ones:
            mask, operands, then, other = self._not(mask), (operands[0], operands[2], operands[1]), other, then
        if other is zero:
            return mask if then is ones else self._op("and", mask, self._value(operands[1]))
        a, b = self._value(operands[1]), self._value(operands[2])
        return self._op("xor", b, self._op("and", self._op("xor", a, b), mask))

    # --- lanes of other widths ---------------------------------------------------------------------------------------

    def _far_apart(self, row: Row) -> str | None:
        """Lanes that follow each other in a 32-bit value, each at the bottom of a lane of twice the width."""
        whole, w = t.concat(*reversed(row)), row[0].width
        if whole.width != 32 or whole.op == "concat":
            return None
        value = self._emit(f"zext i32 {self._scalar(whole)} to i64")
        for distance in (16, 8)[: 1 if w == 16 else 2]:
            moved = self._op("or", value, self._op("shl", value, distance))
            value = self._op("and", moved, self._splat(t.mask(distance), 2 * distance))
        return value

    def _extended(self, op: str, row: Row, w: int) -> str | None:
        if row[0].width == 1:
            mask = self._mask(row, w)
            return mask if mask is None or op == "sext" else self._op("and", mask, self._splat(1, w))
        value = self._far_apart(row) if 2 * row[0].width == w else None
        if value is None or op == "zext":
            return value
        signs = self._op("and", value, self._splat(1 << (w // 2 - 1), w))
        upper = self._op("sub", self._op("shl", signs, w // 2 + 1), self._op("shl", signs, 1))
        return self._op("or", value, upper)

    def _interleaved(self, row: Row) -> str | None:
        low, high = (self._far_apart(row[k::2]) if len(row) * row[0].width == 64 else None for k in (0, 1))
        return None if low is None or high is None else self._op("or", low, self._op("shl", high, row[0].width))

    def _packed(self, row: Row) -> str | None:
        """Words cut to bytes."""
        found = [saturation(x) for x in row]
        signed = {x[0] for x in found if x is not None}
        if row[0].width != 8 or None in found or len(signed) != 1:
            return None
        halves = []
        for at in (0, 4):
            value = self._value(tuple(x[1] for x in found[at : at + 4] if x is not None))
            halves.append(self._cut(value, signed == {True}))
        return self._op("or", halves[0], self._op("shl", halves[1], 32))

    def _cut(self, value: str, is_signed: bool) -> str:
        """Four signed words cut to bytes, in the low 32 bits."""
        signs = self._spread(self._op("and", value, self._tops(16)), 16)
        value = self._op("xor", value, signs) if is_signed else self._op("and", value, self._not(signs))
        too_much = self._splat(0x7F80 if is_signed else 0x7F00, 16)
        above = self._op("add", self._op("and", value, too_much), too_much)
        value = self._op("or", value, self._spread(self._op("and", above, self._tops(16)), 16))
        if is_signed:
            value = self._op("xor", self._op("and", value, self._splat(0x7F, 16)), signs)
        value = self._op("and", value, self._splat(0xFF, 16))
        value = self._op("and", self._op("or", value, self._op("lshr", value, 8)), self._splat(0xFFFF, 32))
        return self._op("and", self._op("or", value, self._op("lshr", value, 16)), t.mask(32))

    # --- saturation and averages -------------------------------------------------------------------------------------

    def _average(self, row: Row) -> str | None:
        found = [rounded_mean(x) for x in row]
        if None in found:
            return None
        a, b = (self._value(x) for x in zip(*(x for x in found if x is not None), strict=True))
        half = self._op("lshr", self._op("and", self._op("xor", a, b), self._splat(t.mask(row[0].width) - 1, row[0].width)), 1)
        return self._op("sub", self._op("or", a, b), half)

    def _saturating(self, row: Row) -> str | None:
        found = [saturating(x) for x in row]
        names = {x[0] for x in found if x is not None}
        if None in found or len(names) != 1:
            return None
        w, name = row[0].width, names.pop()
        a, b = (self._value(x) for x in zip(*(x[1] for x in found if x is not None), strict=True))
        total = self._sum(a, b, w) if name.endswith("add") else self._difference(a, b, w)
        if name.startswith("s"):  # of the operand's sign, where it overflows
            different = self._op("xor", a, b) if name == "ssub" else self._not(self._op("xor", a, b))
            beyond = self._op("and", different, self._op("xor", a, total))
            mask = self._spread(self._op("and", beyond, self._tops(w)), w)
            sign = self._op("lshr", self._op("and", a, self._tops(w)), w - 1)
            limit = self._op("add", sign, self._below(w))
            return self._op("xor", total, self._op("and", self._op("xor", total, limit), mask))
        if name == "uadd":
            carry = self._op("or", self._op("and", a, b), self._op("and", self._op("or", a, b), self._not(total)))
            return self._op("or", total, self._spread(self._op("and", carry, self._tops(w)), w))
        borrow = self._less(a, b, w, is_signed=False)
        return self._op("and", total, self._not(self._spread(borrow, w)))

    # --- comparisons -------------------------------------------------------------------------------------------------

    def _spread(self, tops: str, w: int) -> str:
        """Lanes of ones where the top bit is set, of zeros elsewhere; all other bits are zero."""
        return self._op("or", tops, self._op("sub", tops, self._op("lshr", tops, w - 1)))

    def _mask(self, row: Row, w: int) -> str | None:
        tops = self._top(row, w)
        return None if tops is None else self._spread(tops, w)

    def _top(self, row: Row, w: int) -> str | None:
        """The conditions of ``row`` in the top bits of lanes of ``w`` bits, zeros elsewhere."""
        first = row[0]
        if any(x.op != first.op or len(x.args) != len(first.args) for x in row):
            return None
        op, operands = first.op, [tuple(x.args[k] for x in row) for k in range(len(first.args))]
        if op == "not":
            inner = self._top(operands[0], w)
            return None if inner is None else self._op("xor", inner, self._tops(w))
        if op in _BITWISE:
            sides = [self._top(x, w) for x in operands]
            return None if None in sides else self._op(op, sides[0] or "", sides[1] or "")
        if op == "extract":
            if any(x.attr % w != w - 1 for x in row):
                return None
            lanes = tuple(t.extract(x.args[0], x.attr - w + 1, w) for x in row)
            return self._op("and", self._value(lanes), self._tops(w))
        if op not in ("eq", "ult", "ule", "slt", "sle") or any(a.width != w for x in row for a in x.args):
            return None
        if op == "slt" and all(x.op == "const" and x.attr == 0 for x in operands[1]):
            return self._op("and", self._value(operands[0]), self._tops(w))
        a, b = (self._value(x) for x in operands)
        if op == "eq":
            c = self._op("xor", a, b)
            some = self._op("or", c, self._op("add", self._op("and", c, self._below(w)), self._below(w)))
            return self._op("and", self._not(some), self._tops(w))
        if op in ("ule", "sle"):
            return self._op("xor", self._less(b, a, w, op == "sle"), self._tops(w))
        return self._less(a, b, w, op == "slt")

    def _less(self, a: str, b: str, w: int, is_signed: bool) -> str:
        no_borrow = self._op("sub", self._op("or", a, self._tops(w)), self._op("and", b, self._below(w)))
        differ = self._op("xor", a, b)
        not_less = self._op("or", self._not(a), b) if is_signed else self._op("or", a, self._not(b))
        return self._op("and", self._not(self._op("and", not_less, self._op("or", differ, no_borrow))), self._tops(w))
