"""<fenv.h>: the machines number floating-point exceptions and rounding modes apart (glibc, bits/fenv.h of each)."""

from __future__ import annotations

from typing import Final

Bits = tuple[tuple[int, int], ...]  # (from, to): each bit ``to`` is the exclusive or of the bits ``from``

_EXCEPTIONS: Final[dict[str, Bits]] = {"aarch64": ((0, 0), (2, 1), (3, 2), (4, 3), (5, 4)),
                                       "riscv64": ((0, 4), (2, 3), (3, 2), (4, 1), (5, 0))}  # fmt: skip
_ROUNDING: Final[dict[str, Bits]] = {"aarch64": ((10, 23), (11, 22)), "riscv64": ((10, 1), (11, 1), (11, 0))}
_ROUNDING_BACK: Final[dict[str, Bits]] = {"aarch64": ((23, 10), (22, 11)), "riscv64": ((0, 11), (0, 10), (1, 10))}

ARGUMENT: Final = {"fesetround": _ROUNDING,
                   "feclearexcept": _EXCEPTIONS, "fetestexcept": _EXCEPTIONS, "feraiseexcept": _EXCEPTIONS,
                   "feenableexcept": _EXCEPTIONS, "fedisableexcept": _EXCEPTIONS}  # fmt: skip
_EXCEPTIONS_BACK: Final = {target: tuple((to, source) for source, to in bits) for target, bits in _EXCEPTIONS.items()}
RESULT: Final = {"fegetround": _ROUNDING_BACK, "fetestexcept": _EXCEPTIONS_BACK, "feenableexcept": _EXCEPTIONS_BACK,
                 "fedisableexcept": _EXCEPTIONS_BACK, "fegetexcept": _EXCEPTIONS_BACK}  # fmt: skip


def argument(name: str, target: str) -> list[str]:
    """The first argument of ``name`` in the target's numbers, in place."""
    return _renumbered({"aarch64": "x0", "riscv64": "x10"}[target], ARGUMENT[name][target], target) if name in ARGUMENT else []


def result(name: str, target: str) -> list[str]:
    """The result of ``name`` in x86-64's numbers, in rax's home; -1 stays."""
    if name not in RESULT:
        return []
    register, skip = {"aarch64": ("x8", "tbnz w8, #31, 1f"), "riscv64": ("x16", "bltz x16, 1f")}[target]
    return [skip, *_renumbered(register, RESULT[name][target], target), "1:"]


def _renumbered(register: str, bits: Bits, target: str) -> list[str]:
    if target == "aarch64":
        moves = [line for source, to in bits for line in (f"ubfx x17, {register}, #{source}, #1", f"eor x16, x16, x17, lsl #{to}")]
        return ["mov x16, #0", *moves, f"mov {register}, x16"]
    moves = [line for source, to in bits for line in (f"srli x7, {register}, {source}", "andi x7, x7, 1", f"slli x7, x7, {to}",
                                                      "xor x6, x6, x7")]  # fmt: skip
    return ["li x6, 0", *moves, f"mv {register}, x6"]
