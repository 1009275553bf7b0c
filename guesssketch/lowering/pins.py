"""How cells enter and leave a block's LLVM function: values pinned to registers by empty inline assembly.

The marker at the entry defines every register that is read or must survive; a marker at each exit uses all that is live
out. LLVM is free with every other register, and what it may hoist above the entry marker cannot touch a pinned one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from guesssketch.lowering.emitter import Emitter
from isa.demand import low_bits
from isa.statemap import CONDITIONS, FLAGS, StateMap
from isa.terms import mask

BOOLEANS = frozenset((*FLAGS, *CONDITIONS))


def part(bits: int) -> int:
    """The smallest of 1, 8, 16, 32 and 64 bits that holds ``bits``: what a register can be asked for."""
    return bits if bits == 1 else max(8, low_bits(mask(bits)))


@dataclass(frozen=True)
class Pin:
    """One register at a marker. ``cells``: the x86-64 cell it holds, or both halves of a vector, low first."""

    register: str
    type: str
    cells: tuple[str, ...]


def _float_register(home: str) -> str:
    return home.split(".")[0].lstrip("vf")


def entry_pins(state: StateMap, cells: Collection[str]) -> list[Pin]:
    """Pins that bring ``cells`` (x86-64 cells and conditions) in, as i64, double or <2 x i64>."""
    return _pins(state, dict.fromkeys(cells, 64), narrow=False)


def exit_pins(state: StateMap, widths: Mapping[str, int]) -> list[Pin]:
    """Pins that take ``widths`` (cell or condition -> live bits) out; dead upper bits are not in the type."""
    return _pins(state, widths, narrow=True)


def _pins(state: StateMap, widths: Mapping[str, int], narrow: bool) -> list[Pin]:
    pins: list[Pin] = []
    for cell in sorted(widths):
        home = state.homes[cell]
        if not cell.startswith("xmm"):
            bits = widths[cell] if narrow and cell not in BOOLEANS else 64
            pins.append(Pin(home, f"i{bits}", (cell,)))
            continue
        number, half = _float_register(home), cell[-2:]
        single = narrow and widths[cell] <= 32
        if state.target == "riscv64":
            pins.append(Pin(f"f{number}", "float" if single else "double", (cell,)))
        elif half == "hi":
            pins.append(Pin(f"v{number}", "<2 x i64>", (cell[:-2] + "lo", cell)))
        elif cell[:-2] + "hi" not in widths:
            pins.append(Pin(f"{'s' if single else 'd'}{number}", "float" if single else "double", (cell,)))
    return pins


class Inputs:
    """Where cells are inside the function. homes: cell -> i64. vectors: cell -> the vector or double that it came in with."""

    def __init__(self, emitter: Emitter) -> None:
        self.homes: dict[str, str] = {}
        self.vectors: dict[str, str] = {}
        self._new = emitter.new

    def bind(self, mark: str, pins: Sequence[Pin]) -> None:
        """The entry marker: defines every pinned register."""
        if not pins:
            return
        types = [pin.type for pin in pins]
        result = types[0] if len(types) == 1 else "{ " + ", ".join(types) + " }"
        constraints = ",".join(f"={{{pin.register}}}" for pin in pins)
        entry = self._new(f'call {result} asm sideeffect "{mark}", "{constraints}"()')
        values = [entry] if len(types) == 1 else [self._new(f"extractvalue {result} {entry}, {n}") for n in range(len(types))]
        for pin, value in zip(pins, values, strict=True):
            if pin.type == "<2 x i64>":
                for lane, cell in enumerate(pin.cells):
                    self.homes[cell] = self._new(f"extractelement <2 x i64> {value}, i64 {lane}")
                    self.vectors[cell] = value
            elif pin.type == "double":
                self.homes[pin.cells[0]] = self._new(f"bitcast double {value} to i64")
                self.vectors[pin.cells[0]] = value
            else:
                self.homes[pin.cells[0]] = value

    def whole(self, cell: str) -> tuple[str, str, int, int]:
        """(name, type, first bit, bits) of the vector or double that ``cell`` came in with."""
        if cell[:-2] + "hi" in self.vectors:
            return self.vectors[cell], "<2 x i64>", 64 if cell.endswith("hi") else 0, 128
        return self.vectors[cell], "double", 0, 64

    def lane(self, cell: str, low: int, width: int) -> str:
        """Bits of a vector cell, at a multiple of their number, without passing through a general register."""
        vector, kind, first, bits = self.whole(cell)
        lanes = f"<{bits // width} x i{width}>"
        cast = self._new(f"bitcast {kind} {vector} to {lanes}")
        return self._new(f"extractelement {lanes} {cast}, i64 {(first + low) // width}")
