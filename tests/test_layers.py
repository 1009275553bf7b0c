"""Imports point one way, isa <- solver <- guesssketch, and the heavy ones stay behind the doors that need them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOLVER_ONLY = {"z3", "unicorn"}
FORBIDDEN = {"isa": {"solver", "guesssketch"} | SOLVER_ONLY, "solver": {"guesssketch"}, "guesssketch": SOLVER_ONLY}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in imports(path)
        if name.split(".")[0] in FORBIDDEN[package]
    ]
    assert not wrong


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom guesssketch.cli import run\nassert run(['--help']) == 0\n"
        "print('LOADED', *(m for m in ('torch', 'transformers', 'z3', 'unicorn', 'llvmlite', 'pypcode') if m in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED"
