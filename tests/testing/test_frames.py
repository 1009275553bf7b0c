"""What no proof sees of a function, run whole beside the original: its native entry, prologue, calls, frame and epilogue.

Both run in Unicorn over frames of chance: where the stack is, what it holds at first, what the registers hold that carry nothing.
"""

from __future__ import annotations

import functools
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from guesssketch import emit, objfile, pipeline
from guesssketch.program import ObjectFile
from guesssketch.testing import pair as pairs
from guesssketch.testing.inputs import Input
from guesssketch.testing.pair import Pair, prepare
from guesssketch.testing.values import Values

SOURCE = Path(__file__).with_name("frames.c")
PROTOTYPES = (SOURCE.with_suffix(".h"),)
FUNCTIONS = {"saved", "floats", "stacked", "passes", "array", "dynamic", "aligned", "deep", "leaf", "large", "pair"}
RUNS = 30  # of each function


@functools.cache
def translated(level: str, target: str) -> tuple[ObjectFile, str]:
    """``frames.c`` compiled for x86-64, and its translation's assembly."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.o"
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            "-target",
            "x86_64-linux-gnu",
            "-c",
            str(SOURCE),
            "-o",
            str(path),
            "-g",
            "-w",
        ]
        subprocess.run([*command, "-fno-sanitize=all", "-fno-stack-protector", level], check=True, capture_output=True)
        options = pipeline.Options(target, jobs=1, proposers=("lowering",), prototypes=PROTOTYPES)
        return objfile.read(path)[0], pipeline.translate([path], options).assembly[0]


def statuses(level: str, target: str, names: set[str], pattern: str = "", instead: str = "") -> dict[str, Counter[str]]:
    """By function, how many random inputs in random frames showed what; ``pattern`` in the assembly replaced."""
    file, text = translated(level, target)
    if pattern:
        before, text = text, re.sub(pattern, instead, text)
        assert text != before
    pair = Pair(prepare(file, emit.assemble(text.replace(".Lgs_b", "gs_b"), target), "translation", target, PROTOTYPES))
    return {tested.name: _statuses(pair, tested) for tested in pair.prepared.functions if tested.name in names}


def _statuses(pair: Pair, tested: pairs.Tested) -> Counter[str]:
    source = random.Random(tested.name)
    values, found, usual = Values(source, []), Counter[str](), pair.environment
    for seed in range(RUNS):
        pair.environment = replace(usual, shift=source.randrange(200), fill=source.randrange(256), junk=source.getrandbits(32))
        arguments = tuple(values.argument(kind, n) for n, kind in enumerate(tested.signature.parameters))
        found[pair.judge(tested, Input(seed, arguments)).status] += 1
    pair.environment = usual
    return found


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_functions_do_what_the_originals_do_in_frames_of_chance(level: str, target: str) -> None:
    found = statuses(level, target, FUNCTIONS)
    assert found.keys() == FUNCTIONS
    assert all(counts["equal"] > 0.9 * RUNS and not counts["different"] for counts in found.values()), found


# Where the glue between blocks is wrong: pattern, replacement, a function that shows it.
WRONG = {
    "aarch64": {
        "result": (r"mov x0, x8\n\tmov sp, x29", r"mov sp, x29", "saved"),
        "answer": (r"bl outside\n\tmov x8, x0\n", r"bl outside\n", "saved"),
        "saved register": (r"ldp x25, x26, \[sp, #16\]", r"ldp x26, x25, [sp, #16]", "leaf"),
        "stack argument": (r"ldr x16, \[x29, #72\]", r"ldr x16, [x29, #64]", "stacked"),
        "return address": (r"str x30, \[x28, #-8\]!", r"str x29, [x28, #-8]!", "deep"),
    },
    "riscv64": {
        "result": (r"mv x10, x16\n\taddi sp, s0", r"addi sp, s0", "saved"),
        "answer": (r"call outside\n\tmv x16, x10\n", r"call outside\n", "saved"),
        "saved register": (r"ld x23, 64\(sp\)", r"ld x23, 56(sp)", "leaf"),
        "stack argument": (r"ld x7, 8\(s0\)", r"ld x7, 0(s0)", "stacked"),
        "saved float": (r"fld f18, 8\(sp\)", r"fld f18, 0(sp)", "leaf"),
    },
}  # fmt: skip


@pytest.mark.parametrize(("target", "fault"), [(target, fault) for target, faults in WRONG.items() for fault in faults])
def test_a_fault_of_the_glue_is_seen(target: str, fault: str) -> None:
    pattern, instead, name = WRONG[target][fault]
    assert statuses("-O2", target, {name}, pattern, instead)[name]["different"]
