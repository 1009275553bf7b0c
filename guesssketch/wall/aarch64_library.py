"""Library calls whose structs or numbers differ between x86-64 and AArch64: stubs that convert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from guesssketch.prototypes import SYSCALL, UNKNOWN, Signature
from guesssketch.wall.aarch64 import call_stub

EVENTS: Final = 100  # of one epoll_wait


def initialiser_stub(symbol: str, signature: Signature, parameter: int, size: int) -> list[str]:
    """A call that fills what ``parameter`` points to, ``size`` bytes on x86-64 and more natively: through the frame."""
    work = "x17" if size % 8 == 0 else "w17"
    copy = [line for at in range(0, size, 8) for line in (f"ldr {work}, [sp, #{16 + at}]", f"str {work}, [x16, #{at}]")]
    return call_stub(symbol, signature, before=[f"str x{parameter}, [sp, #8]", f"add x{parameter}, sp, #16"],
                     after=["cbnz w8, 1f", "ldr x16, [sp, #8]", *copy, "1:"], space=80)  # fmt: skip


def open_flags(parameter: int) -> list[str]:
    """The same flags of open() in AArch64's numbers; ``parameter``: which one they are.

    O_DIRECT and O_LARGEFILE (bits 14, 15 on x86-64) and O_DIRECTORY and O_NOFOLLOW (16, 17) change places.
    """
    register = f"x{parameter}"
    return [f"ubfx x16, {register}, #14, #2", f"ubfx x17, {register}, #16, #2", f"bfi {register}, x17, #14, #2",
            f"bfi {register}, x16, #16, #2"]  # fmt: skip


def stat_stub(symbol: str, signature: Signature, buffer: int) -> list[str]:
    """``struct stat``: 128 bytes natively, 144 on x86-64, apart only between offsets 16 and 64. ``buffer``: its parameter."""
    convert = ["cbnz w0, 1f", "ldr x16, [sp, #8]", "ldp w3, w4, [x16, #16]", "ldp w5, w6, [x16, #24]", "ldr x7, [x16, #32]",
               "ldrsw x17, [x16, #56]", "str x4, [x16, #16]", "stp w3, w5, [x16, #24]", "stp w6, wzr, [x16, #32]",
               "str x7, [x16, #40]", "str x17, [x16, #56]", "stp xzr, xzr, [x16, #120]", "str xzr, [x16, #136]", "1:"]  # fmt: skip
    return call_stub(symbol, signature, before=[f"str x{buffer}, [sp, #8]"], after=convert)


def epoll_event() -> list[str]:
    """The event that ``epoll_ctl`` gets, from x86-64's 12 packed bytes to 16, in the frame."""
    return ["cbz x3, 1f", "ldr w16, [x3]", "ldur x17, [x3, #4]", "stp x16, x17, [sp, #16]", "add x3, sp, #16", "1:"]


def epoll_wait_stub(symbol: str, signature: Signature) -> list[str]:
    """At most EVENTS events, which the kernel allows at any time, are got in the frame and packed."""
    return call_stub(symbol, signature, space=16 * EVENTS, before=[
        "str x1, [sp, #8]", "add x1, sp, #16", f"mov w16, #{EVENTS}", "cmp w2, w16", "csel w2, w2, w16, lt",
    ], after=[
        "cmp w8, #0", "b.le 2f", "ldr x0, [sp, #8]", "add x1, sp, #16", "mov w2, w8", "1:",
        "ldr w16, [x1]", "ldr x17, [x1, #8]", "str w16, [x0], #4", "str x17, [x0], #8", "add x1, x1, #16", "subs w2, w2, #1",
        "b.ne 1b", "2:",
    ])  # fmt: skip


def stopped_by(parameter: int, bit: int) -> list[str]:
    """The program stops if this bit of an argument is set."""
    return [f"tbz x{parameter}, #{bit}, 1f", "brk #1", "1:"]


def syscall_stub(symbol: str, numbers: Sequence[int]) -> list[str]:
    """``syscall()``: its number is looked up in ``numbers``, where UNKNOWN stops the program."""
    before = [f"mov w16, #{len(numbers)}", "cmp x0, x16", "b.hs 1f", "adr x16, 3f", "ldrh w0, [x16, x0, lsl #1]",
              f"mov w16, #{UNKNOWN}", "cmp w0, w16", "b.ne 2f", "1:", "brk #1", "2:"]  # fmt: skip
    return [*call_stub(symbol, SYSCALL, before=before), "3:", *(f".hword {n}" for n in numbers), ".p2align 2"]
