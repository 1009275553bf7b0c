"""The report as a page: one HTML file that needs nothing else, neither a network nor a server.

The data lies in it as JSON, and the scripts beside this file draw what is looked at. Names and candidates are hostile text: they
become text nodes and nothing else, and a content security policy lets no other script run than these, by their hash.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from guesssketch.errors import UsageError
from guesssketch.page.data import gathered

__all__ = ["gathered", "rendered", "tests"]

_SCRIPTS: Final = ("model.js", "parts.js", "graph.js", "block.js", "overview.js", "page.js")  # what is needed comes first
_SLOT: Final = re.compile(r"\{\{(\w+)\}\}")


def rendered(data: Mapping[str, Any]) -> str:
    """The page for ``data`` (``gathered``), as HTML."""
    style, script = _read("page.css"), "'use strict';\n" + "\n".join(map(_read, _SCRIPTS))
    policy = f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'; form-action 'none'"
    slots = {"style": style, "script": script, "policy": policy, "data": _inert(data)}
    return _SLOT.sub(lambda slot: slots[slot[1]], _read("page.html"))


def tests(path: Path) -> dict[str, Any]:
    """The JSON report that ``guesssketch test`` wrote. Raises UsageError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for function in found["functions"]:
            _ = [function[name] for name in ("name", "verdict", "why", "runs")], sum(function["blocks"])
            _ = [u["block"] for u in function["uncovered"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: not a report of `guesssketch test --json`: {error}") from error
    return dict(found)


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """How a content security policy names ``text``."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _inert(data: Mapping[str, Any]) -> str:
    """JSON that no HTML parser finds a tag or a comment in, in ASCII."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
