"""Code that translations carry with them. ``python -m guesssketch.runtime`` makes the assembly from the C source."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

NAME: Final = "riscv64_varargs"
SETJMP: Final = {"setjmp": "setjmp.x86", "_setjmp": "_setjmp.x86", "sigsetjmp": "sigsetjmp.x86", "__sigsetjmp": "sigsetjmp.x86"}
LONGJMP: Final = dict.fromkeys(("longjmp", "_longjmp", "siglongjmp", "__longjmp_chk"), "longjmp.x86")
_ONCE: Final = re.compile(r"\.(file|attribute|ident|globl|type|size|addrsig|section|text|p2align|cfi_sections|option)\b")


def varargs() -> list[str]:
    """The RISC-V helper for variadic calls as assembly lines, one local function."""
    return resources.files("guesssketch.runtime").joinpath(f"{NAME}.s").read_text().splitlines()


def setjmp(target: str) -> list[str]:
    """The routines that ``SETJMP`` and ``LONGJMP`` name, in a section that a link holds once."""
    return resources.files("guesssketch.runtime").joinpath(f"{target}_setjmp.s").read_text().splitlines()


def localized(text: str, entry: str) -> list[str]:
    """A compiler's output without directives that an object has once, with the function ``gs_varargs`` called ``entry``."""
    lines: list[str] = []
    for line in text.splitlines():
        stripped = re.sub(r"\s*#.*", "", line).strip()
        if not stripped or _ONCE.match(stripped):
            continue
        lines.append(re.sub(r"\bgs_varargs\b", entry, re.sub(r"\.L(\w+)", r".Lgs_v_\1", stripped)))
    return lines
