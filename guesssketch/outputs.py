"""Where outputs go, checked before the work begins, and written so that a name appears only when its file is whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from guesssketch import archive
from guesssketch.errors import InputError, UsageError

Kind = Literal["obj", "asm"]


class Slot(NamedTuple):
    """The place of one output object. ``member``: its name in the archive ``path``, None if it is the file itself."""

    path: Path
    member: str | None


def plan(inputs: Sequence[Path], output: Path, kind: Kind) -> list[Slot]:
    """The slot of each object in ``inputs``, in the order in which ``objfile.read`` gives them.

    output: a file for one object (or one archive, which becomes an archive), else a directory. ``asm`` of an archive is a file a
    member. Raises UsageError if the outputs cannot go there (two of one name, an input in the way, nowhere to write) and
    InputError for an unreadable input.
    """
    seen: dict[Path, Path] = {}
    for path in inputs:
        if path.resolve() in seen:
            raise UsageError(f"{path}: given twice")
        seen[path.resolve()] = path
    members = [_members(path) for path in inputs]
    if len(inputs) == 1 and (kind == "obj" or members[0] is None):
        check_file(output, inputs)
        return [Slot(output, None)] if members[0] is None else [Slot(output, name) for name in members[0]]
    _check_directory(output)
    slots: list[Slot] = []
    owners: dict[Path, str] = {}
    for path, names in zip(inputs, members, strict=True):
        if names is None:
            new = [(f"{path}", Slot(output / f"{path.stem}{'.s' if kind == 'asm' else '.o'}", None))]
        elif kind == "asm":
            new = [(f"{path}({name})", Slot(output / f"{Path(name).stem}.s", None)) for name in names]
        else:
            new = [(f"{path}", Slot(output / path.name, name)) for name in names]
        for owner, slot in new:
            if owners.setdefault(slot.path, owner) != owner or (slot.member is None and slot in slots):
                raise UsageError(f"{owners[slot.path]} and {owner} would both become {slot.path}")
            slots.append(slot)
    for path in owners:
        if path.is_dir():
            raise UsageError(f"{path}: is a directory")
        _check_not_input(path, inputs)
    return slots


def _members(path: Path) -> list[str] | None:
    """Names of an archive's members, None for another file."""
    try:
        with path.open("rb") as file:
            if file.read(len(archive.MAGIC)) != archive.MAGIC:
                return None
            file.seek(0)
            return [name for name, _ in archive.read(file.read(), str(path))]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def check_files(paths: Sequence[Path], inputs: Sequence[Path] = ()) -> None:
    """Raise UsageError unless a file can be written at each of ``paths``, no two of them the same, and none of ``inputs``."""
    for number, path in enumerate(paths):
        check_file(path, inputs)
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise UsageError(f"{path}: asked for twice, for different outputs")


def check_file(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Raise UsageError unless a file can be written at ``path`` that is none of ``inputs``."""
    if path == Path("-"):
        raise UsageError("-: only --json goes to standard output; name a file (./- is one, too)")
    if path.is_dir():
        raise UsageError(f"{path}: is a directory; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: no directory {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{path}: no permission to write in {path.parent}")
    _check_not_input(path, inputs)


def _check_not_input(path: Path, inputs: Sequence[Path]) -> None:
    if path.resolve() in [i.resolve() for i in inputs]:
        raise UsageError(f"{path}: this would overwrite the input")


def _check_directory(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: several outputs need a directory, and this is a file")
    nearest = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UsageError(f"{path}: cannot be made or written to")


def files(slots: Sequence[Slot], contents: Sequence[bytes]) -> list[tuple[Path, bytes]]:
    """The files that the slots make: objects of one archive together."""
    grouped: dict[Path, list[tuple[str | None, bytes]]] = {}
    for slot, data in zip(slots, contents, strict=True):
        grouped.setdefault(slot.path, []).append((slot.member, data))
    return [(path, _content(parts)) for path, parts in grouped.items()]


def _content(parts: Sequence[tuple[str | None, bytes]]) -> bytes:
    members = [(name, data) for name, data in parts if name is not None]
    return archive.pack(members) if members else parts[0][1]


def write(contents: Sequence[tuple[Path, bytes]]) -> list[Path]:
    """Write all the files or none: each under another name first, renamed when all are whole. Raises OSError.

    What a link leads to is replaced, not the link. A device (``/dev/stdout``) is written to, last.
    """
    through = [(path, data) for path, data in contents if path.exists() and not path.is_file()]
    temporaries: list[tuple[Path, Path]] = []
    try:
        for path, data in contents:
            if (path, data) not in through:
                place = path.resolve() if path.is_symlink() else path
                place.parent.mkdir(parents=True, exist_ok=True)
                temporary = place.with_name(f".{place.name[:200]}.{os.getpid()}")
                temporaries.append((temporary, place))
                temporary.write_bytes(data)
        for temporary, place in temporaries:
            temporary.replace(place)
        for path, data in through:
            path.write_bytes(data)
    finally:
        for temporary, _ in temporaries:
            temporary.unlink(missing_ok=True)
    return [path for path, _ in contents]
