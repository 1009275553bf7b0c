"""Instructions of a translation: which were run, and whether a native entry of guesssketch's begins a function."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Final

import capstone

from guesssketch.wall import aarch64, riscv64

_MARKS: Final = {"aarch64": aarch64.MARK_WORD, "riscv64": riscv64.MARK_WORD}


def marked(code: bytes, target: str) -> bool:
    """Whether ``code`` begins as every native entry does that guesssketch makes."""
    return code[:4] == _MARKS[target].to_bytes(4, "little")


def placed(code: bytes, start: int, target: str, pieces: Collection[tuple[int, int]]) -> tuple[int, int]:
    """How many instructions of ``code``, at ``start``, lie in ``pieces`` (address, size), and how many there are."""
    places = [address for address, *_ in _disassembler(target).disasm_lite(code, start)]
    ran = {address for low, length in pieces if low < start + len(code) and low + length > start
           for address in range(low, low + length, 2)}  # fmt: skip
    return sum(address in ran for address in places), len(places)


@functools.cache
def _disassembler(target: str) -> capstone.Cs:
    if target == "aarch64":
        engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    else:
        engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
    engine.skipdata = True
    return engine
