"""Inputs kept between runs: a file for each function, and one for a difference, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from guesssketch.errors import InputError
from guesssketch.testing.inputs import Input, from_json
from guesssketch.testing.pair import Tested


def _file(folder: Path, name: str, kind: str = "") -> Path:
    return folder / (re.sub(r"[^\w.@+-]", lambda m: f"%{ord(m[0]):02x}", name) + kind + ".json")


def load(folder: Path | None, tested: Tested) -> list[Input]:
    """What was saved for this function under this signature; nothing if there is none, or none that can be read."""
    if folder is None or not (path := _file(folder, tested.name)).is_file():
        return []
    try:
        found = json.loads(path.read_text())
        if found["signature"] != str(tested.signature):
            return []
        return [from_json(given) for given in found["inputs"]]
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        return []


def save(folder: Path, tested: Tested, inputs: Sequence[Input]) -> None:
    """Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"function": tested.name, "signature": str(tested.signature), "inputs": [given.to_json() for given in inputs]}
    _write(_file(folder, tested.name), content)


def save_difference(folder: Path, tested: Tested, given: Input) -> Path:
    """The file that ``--replay`` takes. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _file(folder, tested.name, ".difference")
    _write(path, {"function": tested.name, "signature": str(tested.signature), "input": given.to_json()})
    return path


def load_difference(path: Path) -> tuple[str, Input]:
    """Name of the function, and the input. Raises InputError."""
    try:
        found = json.loads(path.read_text())
        return str(found["function"]), from_json(found["input"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not an input that a test has saved") from error


def _write(path: Path, content: object) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(content) + "\n")
    temporary.replace(path)
