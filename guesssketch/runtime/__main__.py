"""Compile the run-time helpers to assembly: ``python -m guesssketch.runtime``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from guesssketch.assembler import zig
from guesssketch.runtime import NAME, localized
from guesssketch.wall.riscv64 import VARARGS

_OPTIONS: Final = ("-O2", "-g0", "-ffreestanding", "-fno-builtin", "-fno-pic", "-mcmodel=medany", "-fno-sanitize=all",
                   "-fno-stack-protector", "-fno-jump-tables", "-fno-vectorize", "-fno-slp-vectorize")  # fmt: skip


def main() -> int:
    folder = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "out.s")
        source = folder / f"{NAME}.c"
        subprocess.run([zig(), "cc", "-target", "riscv64-linux-musl", *_OPTIONS, "-S", str(source), "-o", str(output)], check=True)
        lines = localized(output.read_text(), VARARGS)
    (folder / f"{NAME}.s").write_text("\n".join(lines) + "\n")
    print(f"wrote {folder / NAME}.s, {len(lines)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
