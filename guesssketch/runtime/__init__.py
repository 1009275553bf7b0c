"""Code that translations carry with them. ``python -m guesssketch.runtime`` makes the assembly from the C source."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

NAME: Final = "riscv64_varargs"
_ONCE: Final = re.compile(r"\.(file|attribute|ident|globl|type|size|addrsig|section|text|p2align|cfi_sections|option)\b")


def varargs() -> list[str]:
    """The RISC-V helper for variadic calls as assembly lines, one local function."""
    return resources.files("guesssketch.runtime").joinpath(f"{NAME}.s").read_text().splitlines()


def localized(text: str, entry: str) -> list[str]:
    """A compiler's output without directives that an object has once, with the function ``gs_varargs`` called ``entry``."""
    lines: list[str] = []
    for line in text.splitlines():
        stripped = re.sub(r"\s*#.*", "", line).strip()
        if not stripped or _ONCE.match(stripped):
            continue
        lines.append(re.sub(r"\bgs_varargs\b", entry, re.sub(r"\.L(\w+)", r".Lgs_v_\1", stripped)))
    return lines
