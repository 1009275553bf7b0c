"""Unix archives (``ar``) in GNU's form, as bytes: reading members, writing a new one with a symbol index.

Format: System V ABI / GNU binutils ``ar(5)``: ``!<arch>\\n``, then members: 60-byte header, data padded to 2 bytes.
Member ``/`` is the symbol index (big-endian count, offsets, names), ``//`` holds names longer than 15 characters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from guesssketch.errors import InputError

MAGIC: Final = b"!<arch>\n"
THIN_MAGIC: Final = b"!<thin>\n"
_HEADER: Final = 60


def read(data: bytes, name: str = "archive") -> list[tuple[str, bytes]]:
    """(name, content) of each member of the archive ``data``, symbol indexes left out; InputError if it is corrupt."""
    if data.startswith(THIN_MAGIC):
        raise InputError(f"{name}: a thin archive only names other files; give those files instead")
    if not data.startswith(MAGIC):
        raise InputError(f"{name}: not an archive")
    members: list[tuple[str, bytes]] = []
    long_names = b""
    at = len(MAGIC)
    while at < len(data):
        header = data[at : at + _HEADER]
        if len(header) < _HEADER or header[58:] != b"`\n":
            raise InputError(f"{name}: corrupt archive: no member header at offset {at:#x}")
        size = _number(header[48:58], name)
        content = data[at + _HEADER : at + _HEADER + size]
        if len(content) < size:
            raise InputError(f"{name}: truncated archive: {size} bytes at {at:#x}, of which {len(content)} are there")
        label = header[:16].rstrip()
        if label == b"//":
            long_names = content
        elif label.startswith(b"#1/"):  # BSD: the name stands before the content
            length = _number(label[3:], name)
            if length > size:
                raise InputError(f"{name}: corrupt archive: a name of {length} bytes in a member of {size}")
            members.append((_text(content[:length].rstrip(b"\0"), name), content[length:]))
        elif label not in (b"/", b"/SYM64/"):
            members.append((_member_name(label, long_names, name), content))
        at += _HEADER + size + size % 2
    return [(label, content) for label, content in members if not label.startswith("__.SYMDEF")]


def _number(text: bytes, name: str) -> int:
    digits = text.strip()
    if not digits.isdigit():
        raise InputError(f"{name}: corrupt archive: {text!r} is not a number")
    return int(digits)


def _member_name(label: bytes, long_names: bytes, name: str) -> str:
    if label.startswith(b"/"):
        start = _number(label[1:], name)
        end = long_names.find(b"\n", start)
        if end < 0:
            raise InputError(f"{name}: corrupt archive: no long name at {start}")
        label = long_names[start:end]
    return _text(label.removesuffix(b"/"), name)


def _text(label: bytes, name: str) -> str:
    """A member's name, which messages show and files may be called."""
    text = label.decode(errors="replace")
    if not text.isprintable():
        raise InputError(f"{name}: corrupt archive: a member is called {text[:80]!r}")
    return text


def pack(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An archive of ``members`` in that order, with the symbol index that linkers look for. Dates and owners are 0."""
    long_names = b""
    labels: list[str] = []
    for name, _ in members:
        encoded = name.encode()
        if len(encoded) < 16 and "/" not in name:
            labels.append(f"{name}/")
        else:
            labels.append(f"/{len(long_names)}")
            long_names += encoded + b"/\n"
    symbols = [(index, name) for index, (_, content) in enumerate(members) for name in _defined(content)]
    names = b"".join(name + b"\0" for _, name in symbols)
    index_size = 4 + 4 * len(symbols) + len(names)
    at = len(MAGIC) + _HEADER + index_size + index_size % 2
    if long_names:
        at += _HEADER + len(long_names) + len(long_names) % 2
    offsets: list[int] = []
    for _, content in members:
        offsets.append(at)
        at += _HEADER + len(content) + len(content) % 2
    index = struct.pack(f">{len(symbols) + 1}I", len(symbols), *(offsets[member] for member, _ in symbols)) + names
    parts = [MAGIC, _entry("/", index)]
    if long_names:
        parts.append(_entry("//", long_names))
    parts += [_entry(label, content) for label, (_, content) in zip(labels, members, strict=True)]
    return b"".join(parts)


def write(path: str | Path, members: Sequence[tuple[str, bytes]]) -> None:
    """Write ``pack(members)`` to ``path``."""
    Path(path).write_bytes(pack(members))


def _entry(label: str, content: bytes) -> bytes:
    header = f"{label:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)


def _defined(content: bytes) -> Iterator[bytes]:
    """Names of the global and weak symbols that an ELF file defines (common ones included)."""
    try:
        file = ELFFile(BytesIO(content))
    except ELFError:
        return
    for section in file.iter_sections(type="SHT_SYMTAB"):
        if isinstance(section, SymbolTableSection):
            for symbol in section.iter_symbols():
                if symbol["st_info"]["bind"] != "STB_LOCAL" and symbol["st_shndx"] != "SHN_UNDEF":
                    yield symbol.name.encode()
