"""LLVM's back end: IR text in, assembly text out, many functions in one run of the clang inside ``ziglang``."""

from __future__ import annotations

import subprocess
from typing import Final, Literal

from guesssketch.assembler import zig
from guesssketch.errors import ToolError

Style = Literal["best", "canonical", "ordered"]

# GVN would put one of two registers for the other where a branch has shown them equal, at the price of a move.
_COMMON: Final = ("-S", "-O2", "-x", "ir", "-mrelocation-model", "pic", "-pic-level", "2", "-Wno-override-module",
                  "-ffp-contract=off", "-mllvm", "-opt-disable=gvn", "-mllvm", "-disable-machine-sink")  # fmt: skip


def _features(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("-target-feature", name))


def _options(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("-mllvm", name))


# x18 and x30 (AArch64) and ra (RISC-V) are kept from the allocator, x29 by being the frame pointer. Scalar misaligned
# access is taken to work on RISC-V: x86 code makes such accesses, and byte by byte is no translation of them.
_TARGET: Final = {
    "aarch64": ("-triple", "aarch64-unknown-linux-gnu", "-mframe-pointer=all",
                *_features("+v8a", "+reserve-x18", "+reserve-lr-for-ra"), *_options("-lower-interleaved-accesses=false")),
    "riscv64": ("-triple", "riscv64-unknown-linux-gnu", "-target-abi", "lp64d", "-mcmodel=medium",
                *_features("+64bit", "+m", "+a", "+f", "+d", "+c", "+unaligned-scalar-mem", "+reserve-x1"),
                *_options("-riscv-disable-using-constant-pool-for-large-ints")),
}  # fmt: skip
_SOURCE_ORDER: Final = _options("-enable-misched=false", "-enable-post-misched=false", "-pre-RA-sched=source",
                                "-disable-block-placement")  # fmt: skip
_STYLE: Final = {
    ("aarch64", "best"): _options("-enable-post-misched=false"),
    ("riscv64", "best"): (),
    **{(target, style): _SOURCE_ORDER for target in ("aarch64", "riscv64") for style in ("ordered", "canonical")},
}  # fmt: skip


def compile_ir(module: str, target: str, style: Style, seconds: float = 120) -> str | None:
    """Assembly text of an IR module; None if LLVM refuses or crashes on it (then ask for fewer functions at once).

    Raises ToolError if LLVM cannot be run.
    """
    command = [zig(), "clang", "-cc1", *_TARGET[target], *_COMMON, *_STYLE[target, style], "-o", "-", "-"]
    try:
        done = subprocess.run(command, input=module, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise ToolError(f"LLVM: {error}") from error
    return done.stdout if done.returncode == 0 else None
