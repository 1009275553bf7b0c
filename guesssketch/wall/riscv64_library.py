"""Library calls whose structs or numbers differ between x86-64 and RISC-V: stubs that convert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from guesssketch.prototypes import SYSCALL, UNKNOWN, Signature
from guesssketch.wall.riscv64 import call_stub

EVENTS: Final = 100  # of one epoll_wait


def open_flags(parameter: int) -> list[str]:
    """Nothing: RISC-V Linux has x86-64's numbers."""
    return []


def stat_stub(symbol: str, signature: Signature, buffer: int) -> list[str]:
    """``struct stat``: 128 bytes natively, 144 on x86-64, apart only between offsets 16 and 64. ``buffer``: its parameter."""
    convert = ["bnez x10, 1f", "ld x5, 8(sp)", "lwu x11, 16(x5)", "lwu x12, 20(x5)", "lwu x13, 24(x5)", "lwu x14, 28(x5)",
               "ld x15, 32(x5)", "lw x17, 56(x5)", "sd x12, 16(x5)", "sw x11, 24(x5)", "sw x13, 28(x5)", "sd x14, 32(x5)",
               "sd x15, 40(x5)", "sd x17, 56(x5)", "sd zero, 120(x5)", "sd zero, 128(x5)", "sd zero, 136(x5)", "1:"]  # fmt: skip
    return call_stub(symbol, signature, before=[f"sd x{10 + buffer}, 8(sp)"], after=convert)


def epoll_event() -> list[str]:
    """The event that ``epoll_ctl`` gets, from x86-64's 12 packed bytes to 16, in the frame."""
    return ["beqz x13, 1f", "lw x5, 0(x13)", "lwu x6, 4(x13)", "lwu x7, 8(x13)", "sd x5, 16(sp)", "sw x6, 24(sp)", "sw x7, 28(sp)",
            "addi x13, sp, 16", "1:"]  # fmt: skip


def epoll_wait_stub(symbol: str, signature: Signature) -> list[str]:
    """At most EVENTS events, which the kernel allows at any time, are got in the frame and packed."""
    return call_stub(symbol, signature, space=16 * EVENTS, before=[
        "sd x11, 8(sp)", "addi x11, sp, 16", f"li x5, {EVENTS}", "sext.w x12, x12", "blt x12, x5, 1f", "mv x12, x5", "1:",
    ], after=[
        "blez x16, 2f", "ld x10, 8(sp)", "addi x11, sp, 16", "mv x12, x16", "1:",
        "lw x5, 0(x11)", "lw x6, 8(x11)", "lw x7, 12(x11)", "sw x5, 0(x10)", "sw x6, 4(x10)", "sw x7, 8(x10)",
        "addi x10, x10, 12", "addi x11, x11, 16", "addi x12, x12, -1", "bnez x12, 1b", "2:",
    ])  # fmt: skip


def stopped_by(parameter: int, bit: int) -> list[str]:
    """The program stops if this bit of an argument is set."""
    return [f"srli x5, x{10 + parameter}, {bit}", "andi x5, x5, 1", "beqz x5, 1f", "ebreak", "1:"]


def syscall_stub(symbol: str, numbers: Sequence[int]) -> list[str]:
    """``syscall()``: its number is looked up in ``numbers``, where UNKNOWN stops the program."""
    before = [f"li x5, {len(numbers)}", "bgeu x10, x5, 1f", "lla x5, 3f", "slli x10, x10, 1", "add x5, x5, x10", "lhu x10, 0(x5)",
              f"li x5, {UNKNOWN}", "bne x10, x5, 2f", "1:", "ebreak", "2:"]  # fmt: skip
    return [*call_stub(symbol, SYSCALL, before=before), "3:", *(f".half {n}" for n in numbers)]
