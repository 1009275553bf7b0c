"""RISC-V floating point against qemu-riscv64, which is right where Unicorn is not: singles are boxed, and in fmin and fmax a number
beats a signaling NaN (docs/trust.md).

One instruction that computes from registers alone runs in a loop over states, in a program of its own (user mode). Needs
``qemu-riscv64`` and ``riscv64-linux-gnu-gcc``.
"""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from isa import terms as t
from isa.evaluate import Program
from isa.machine import Effect, Instruction
from solver.emulate import same_but_nan
from solver.machine import machine
from solver.memory import byte
from solver.states import half, integer
from solver.trials import Trials, lift

_TOOLS: Final = ("riscv64-linux-gnu-gcc", "qemu-riscv64")
_SECONDS: Final = 300
_FLOATS: Final = re.compile(r"f(?!ence|[ls][wd]$)")
_BOX: Final = 0xFFFF_FFFF << 32
_SIGNALING: Final = (0x7F80_0001, 0xFF80_0001, 0x7FBF_FFFF)
_SIGNALING_DOUBLES: Final = (0x7FF0_0000_0000_0001, 0xFFF7_FFFF_FFFF_FFFF)


def missing() -> list[str]:
    """The tools that are needed and not installed."""
    return [tool for tool in _TOOLS if shutil.which(tool) is None]


def can_try(instruction: Instruction) -> bool:
    """Whether it computes with floats from registers alone."""
    return _FLOATS.match(instruction.mnemonic) is not None


def run(isa: str, instruction: Instruction, states: int, seed: int = 0) -> Trials:
    """As ``trials.run``. Raises OSError and subprocess.SubprocessError if a tool fails."""
    effect = lift(isa, [instruction])
    if effect.opaque:
        return Trials(0, f"opaque: {effect.opaque[0]}")
    cells = machine(isa).cells
    inputs = [name for name in t.variables(*effect.cells.values()) if name in cells and name != "x0"] or ["x31"]
    outputs = sorted({*inputs, *effect.cells} - {"x0"})
    source = random.Random(seed)
    given = [[_value(source, name) for name in inputs] for _ in range(states)]
    results = _executed(instruction, inputs, outputs, given)
    program = Program([effect.cells.get(name, t.var(name, 64)) for name in outputs])
    for values, got in zip(given, results, strict=True):
        env = {**dict.fromkeys(outputs, 0), **dict(zip(inputs, values, strict=True)), "x0": 0}
        for name, wanted, found in zip(outputs, program.run(env, byte), got, strict=True):
            if wanted != found and not _alike(effect, name, wanted, found):
                shown = " ".join(f"{n}={v:#x}" for n, v in zip(inputs, values, strict=True))
                return Trials(0, f"{instruction.text}: {name} is {wanted:#x} by the semantics, {found:#x} by qemu on {shown}")
    return Trials(states)


def _alike(effect: Effect, name: str, a: int, b: int) -> bool:
    if a >> 32 == b >> 32 == _BOX >> 32:  # boxed singles, which are NaNs as doubles
        a, b = a & ~_BOX, b & ~_BOX
    return name.startswith("f") and bool(effect.approximations) and same_but_nan(a, b)


def _value(source: random.Random, cell: str) -> int:
    if cell.startswith("x"):
        return integer(source)
    kind = source.random()
    if kind < 0.06:
        return _BOX | source.choice(_SIGNALING)
    if kind < 0.1:
        return source.choice(_SIGNALING_DOUBLES)
    return half(source) | (_BOX if kind < 0.6 else 0)


def _executed(instruction: Instruction, inputs: Sequence[str], outputs: Sequence[str], given: Sequence[Sequence[int]]
              ) -> list[tuple[int, ...]]:  # fmt: skip
    """What ``outputs`` hold after the instruction, for each state of ``inputs``."""
    free = [f"x{n}" for n in range(5, 32) if f"x{n}" not in outputs]
    at, to, end = free[:3]
    steps = [
        *(f"{'ld' if name.startswith('x') else 'fld'} {name}, {8 * n}({at})" for n, name in enumerate(inputs)),
        f".byte {', '.join(map(str, instruction.code))}",
        *(f"{'sd' if name.startswith('x') else 'fsd'} {name}, {8 * n}({to})" for n, name in enumerate(outputs)),
        f"addi {at}, {at}, {8 * len(inputs)}",
        f"addi {to}, {to}, {8 * len(outputs)}",
        f"bltu {at}, {end}, 1b",
        "li a0, 1; la a1, results; la a2, finish; sub a2, a2, a1; li a7, 64; ecall",  # write
        "li a0, 0; li a7, 93; ecall",  # exit
    ]
    size = 8 * len(outputs) * len(given)
    text = [".globl _start", "_start:", f"la {at}, states; la {to}, results; la {end}, behind", "1:", *steps,
            ".data", ".balign 8", "states:", '.incbin "states"', "behind:",
            ".bss", ".balign 8", "results:", f".zero {size}", "finish:"]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as name:
        folder = Path(name)
        (folder / "states").write_bytes(b"".join(struct.pack(f"<{len(values)}Q", *values) for values in given))
        (folder / "program.s").write_text("\n".join(text) + "\n")
        compiler = ["riscv64-linux-gnu-gcc", "-nostdlib", "-static", "-o", "program", "program.s"]
        subprocess.run(compiler, cwd=folder, check=True, capture_output=True, timeout=_SECONDS)
        done = subprocess.run(["qemu-riscv64", "./program"], cwd=folder, check=True, capture_output=True, timeout=_SECONDS)
    return list(struct.iter_unpack(f"<{len(outputs)}Q", done.stdout))
