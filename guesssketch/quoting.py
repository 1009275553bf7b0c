"""Symbol names, and text that says something to people, as the assembler takes them."""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z_.$][\w.$]*", re.ASCII)
_REGISTER: Final = re.compile(r"([abcdfhpqstvwxz]|f[ast])\d\d?|zero|ra|[sgtf]p|lr|[xw]zr|wsp|[np]zcv|" + "|".join(
    ("eq", "ne", "cs", "hs", "cc", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al")), re.IGNORECASE)


def quoted(name: str) -> str:
    """``name`` as a symbol, never a register: such names are put in quotes."""
    return f'"{name}"' if not _PLAIN.fullmatch(name) or _REGISTER.fullmatch(name) else name


def printable(text: str) -> str:
    """``text`` on one line, for a comment or a string."""
    return "".join(c if c.isprintable() else "?" for c in text)
