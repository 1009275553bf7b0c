"""The gate: no instruction in a proof whose form's semantics have not agreed with the emulator.

Agreement is written down in ``solver/validated/<isa>.json`` by ``python -m solver.campaign``, together with a version
of the semantics and those of the engines; if either has changed since, the table says nothing. A form that has disagreed
stands there with 0 states, and stays out of proofs. A form that is not in the table is tried when it is first met (``why_not``);
the outcome is remembered in the process and, after ``use_cache``, on disk.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from isa.forms import form
from isa.machine import Instruction
from solver import trials

STATES: Final = 2000  # trials behind a form that is met for the first time
_ISA: Final = Path(__file__).parent.parent / "isa"
_SHARED: Final = {"x86_64": ("terms.py", "pcode.py", "pcode_ops.py", "forms.py"),
                  "aarch64": ("terms.py", "flow.py", "ieee.py", "patterns.py", "pcode_ops.py", "forms.py"),
                  "riscv64": ("terms.py", "flow.py", "ieee.py", "patterns.py", "pcode_ops.py", "forms.py")}  # fmt: skip

_cache_folder: Path | None = None
_met: dict[tuple[str, str], str] = {}  # outcome of just-in-time validation: "" or why not


@functools.cache
def version(isa: str) -> str:
    """A hash over the source of the semantics of ``isa``, comments and docstrings aside."""
    files = [_ISA / name for name in _SHARED[isa]] + sorted((_ISA / isa).glob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + _code(file).encode() + b"\0")
    return digest.hexdigest()[:32]


def _code(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return _shape(tree)


def _shape(node: object) -> str:
    """A syntax tree as text, fields that are empty left out: those that newer Pythons add are, in code that does without."""
    if isinstance(node, list):
        return f"[{','.join(map(_shape, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (f"{name}={_shape(value)}" for name, value in ast.iter_fields(node) if value is not None and value != [])
    return f"{type(node).__name__}({','.join(fields)})"


@functools.cache
def engines(isa: str) -> dict[str, str]:
    """The versions of the libraries behind the semantics of ``isa`` and behind what they are compared with."""
    return {name: installed(name) for name in ("capstone", "unicorn", *(["pypcode"] if isa == "x86_64" else []))}


def engines_path() -> Path:
    """By instruction set, the ``engines`` with which the tables were made."""
    return Path(__file__).parent / "validated" / "engines.json"


@functools.cache
def _engines_of_tables() -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(engines_path().read_text())
        return found
    except (OSError, ValueError):
        return {}


def write_engines(isa: str) -> None:
    """Note that the table of ``isa`` was made with what is installed. Raises OSError."""
    content = _engines_of_tables() | {isa: engines(isa)}
    engines_path().write_text(json.dumps(dict(sorted(content.items())), indent=1) + "\n")
    _engines_of_tables.cache_clear()


def table_path(isa: str) -> Path:
    return Path(__file__).parent / "validated" / f"{isa}.json"


def encodings_path(isa: str) -> Path:
    """The encodings that the table was made with, in hexadecimal, one a line."""
    return table_path(isa).with_suffix(".txt")


def read_table(path: Path, isa: str) -> dict[str, int]:
    """Form -> states agreed, 0 if one did not; empty if there is no table for these semantics, or it is not readable."""
    try:
        table = json.loads(path.read_text())
        return {str(k): int(v) for k, v in table["forms"].items()} if table["version"] == version(isa) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def table(isa: str) -> dict[str, int]:
    """The shipped table; empty if it says nothing of these semantics or was made with other engines."""
    return read_table(table_path(isa), isa) if _engines_of_tables().get(isa) == engines(isa) else {}


def write_table(path: Path, isa: str, forms: dict[str, int]) -> None:
    """Replace the table in one step, so that a reader or a killed writer never sees half of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": version(isa), "forms": dict(sorted(forms.items()))}, indent=0) + "\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def use_cache(folder: Path) -> None:
    """Remember just-in-time validation in ``folder`` from now on."""
    global _cache_folder
    _cache_folder = folder
    _known.cache_clear()


@functools.cache
def _known(isa: str) -> dict[str, int]:
    remembered = {} if _cache_folder is None else read_table(_remembered(_cache_folder, isa), isa)
    return remembered | table(isa)


def _remembered(folder: Path, isa: str) -> Path:
    """The table of what was validated just in time with the engines that are installed."""
    used = hashlib.sha256(repr(engines(isa)).encode()).hexdigest()[:8]
    return folder / f"validated-{isa}-{used}.json"


def known(isa: str) -> frozenset[str]:
    """Forms that have agreed, in the table or in this process."""
    return frozenset(key for key, states in _known(isa).items() if states)


def validated(isa: str, key: str) -> bool:
    """Whether form ``key`` has agreed, in the table or in this process."""
    return _known(isa).get(key, 0) > 0


def why_not(isa: str, instruction: Instruction) -> str:
    """Empty if the instruction's form has agreed (perhaps only now), else what went wrong."""
    key = form(isa, instruction)
    if validated(isa, key):
        return ""
    if key in _known(isa):
        return "disagrees with the emulator"
    known = _met.get((isa, key))
    if known is None:
        outcome = trials.run(isa, instruction, STATES)
        known = _met[isa, key] = outcome.mismatch
        if not known:
            _remember(isa, key, outcome.states)
    return known


def unvalidated(isa: str, instructions: Iterable[Instruction]) -> list[str]:
    """``form: why`` for each form among ``instructions`` that must stay out of proofs."""
    reasons = {form(isa, i): why_not(isa, i) for i in instructions}
    return [f"{key}: {why}" for key, why in reasons.items() if why]


def _remember(isa: str, key: str, states: int) -> None:
    _known(isa)[key] = states
    if _cache_folder is not None:
        path = _remembered(_cache_folder, isa)
        with suppress(OSError):  # a disk that is full costs time only
            write_table(path, isa, read_table(path, isa) | {key: states})
