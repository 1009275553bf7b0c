"""Compile the run-time helpers to assembly: ``python -m guesssketch.runtime``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from guesssketch.assembler import zig
from guesssketch.runtime import NAME, localized
from guesssketch.wall.riscv64 import VARARGS


def main() -> int:
    folder = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "out.s")
        subprocess.run([zig(), "cc", "-target", "riscv64-linux-musl", "-O2", "-S", "-ffreestanding", "-fno-builtin", "-fno-pic", "-g0",
                        "-fno-sanitize=all", "-fno-stack-protector", "-fno-jump-tables", "-fno-vectorize", "-fno-slp-vectorize", "-mcmodel=medany",
                        str(folder / f"{NAME}.c"), "-o", str(output)], check=True)  # fmt: skip
        lines = localized(output.read_text(), VARARGS)
    (folder / f"{NAME}.s").write_text("\n".join(lines) + "\n")
    print(f"wrote {folder / NAME}.s, {len(lines)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
