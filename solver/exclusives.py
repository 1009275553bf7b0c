"""Store-exclusives on trial: each is run behind the load-exclusive that lets it succeed, and alone, where it must fail."""

from __future__ import annotations

from isa.machine import Instruction

_STORE, _LOAD = 0b00011, 0b00010  # SC, LR: bits 31..27 on RISC-V


def load_for(isa: str, store: Instruction) -> Instruction | None:
    """The load-exclusive that pairs with ``store``, into registers that it does not use; None if ``store`` is not one."""
    word = int.from_bytes(store.code, "little")
    if isa == "aarch64" and word >> 24 & 0x3F == 0b001000 and not word >> 22 & 3:
        pair = word >> 21 & 1
        used = {word & 31, word >> 5 & 31, word >> 16 & 31, word >> 10 & 31}
        first, second = [n for n in range(8) if n not in used][:2]
        word = word & ~(31 | 31 << 16 | 31 << 10) | 1 << 22 | 31 << 16 | first | (second if pair else 31) << 10
    elif isa == "riscv64" and word & 0x7F == 0b0101111 and word >> 27 == _STORE:
        used = {0, word >> 7 & 31, word >> 15 & 31, word >> 20 & 31}
        into = next(n for n in range(5, 32) if n not in used)
        word = word & ~(127 << 25 | 31 << 20 | 31 << 7) | _LOAD << 27 | into << 7
    else:
        return None
    return Instruction(0, word.to_bytes(4, "little"), "load-exclusive")
