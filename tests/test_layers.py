"""Imports point one way, isa <- solver <- guesssketch; the heavy ones stay behind the doors that need them; and what is imported
is what pyproject.toml requires.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
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


SCRIPTS = ("tests", "benchmarks", "datasets", "examples", "docs")  # they import neighbours by their bare names


def distributions(folder: str) -> dict[str, str]:
    """Third-party distributions that code under ``folder`` imports, each with a place."""
    own = {*FORBIDDEN, *SCRIPTS, *(path.stem for folder in SCRIPTS for path in (ROOT / folder).rglob("*.py"))}
    owners = packages_distributions()
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name in imports(path):
            top = name.split(".")[0]
            if top not in own | sys.stdlib_module_names:
                found[owners.get(top, [top])[0].lower()] = f"{path.relative_to(ROOT)} imports {name}"
    return found


def test_what_is_imported_is_required_and_what_is_required_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required, tools = (
        {re.split(r"[<>=]", line)[0].strip() for line in lines}
        for lines in (project["dependencies"], project["optional-dependencies"]["dev"])
    )
    used = {name: place for package in FORBIDDEN for name, place in distributions(package).items()}
    used.pop("pytest")  # imported by the plugin, which only pytest loads
    assert {name: place for name, place in used.items() if name not in required} == {}
    assert required - set(used) == {"z3-solver"}  # whose C library solver/libz3.py opens without importing it
    for folder in SCRIPTS:
        missing = {name: place for name, place in distributions(folder).items() if name not in required | tools}
        assert missing == {}


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom guesssketch.cli import run\nassert run(['--help']) == 0\n"
        "print('LOADED', *(m for m in ('torch', 'transformers', 'z3', 'unicorn', 'llvmlite', 'pypcode') if m in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED"
