"""The translation as an image: the linker of the ziglang wheel does the relocations, from a script that this module writes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from elftools.elf.elffile import ELFFile

from guesssketch.assembler import zig
from guesssketch.errors import ToolError
from guesssketch.program import ObjectFile
from guesssketch.testing import layout
from guesssketch.testing.image import Image, pages
from guesssketch.testing.plan import ALLOC, EXEC, GUARD, TLS, Plan, TargetObject

_GOT: Final = "_GLOBAL_OFFSET_TABLE_"  # the linker defines it itself; some objects name it without using it


def link(target: TargetObject, plan: Plan, isa: str, file: ObjectFile) -> tuple[Image, dict[str, int]]:
    """The image, and the address of every symbol in it. Raises ToolError if the linker refuses.

    file: the original, whose objects in sections of another layout are matched by name and size.
    """
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as name:
        folder = Path(name)
        (folder / "in.o").write_bytes(target.content)
        (folder / "script").write_text("\n".join(_script(target, plan)) + "\n")
        # -O0: pieces of mergeable sections stay where they are
        command = [zig(), "ld.lld", "-O0", "-z", "norelro", "-e", "0", "-T", "script", "in.o", "-o", "out"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(f"{target.name}: the linker failed: {done.stderr.strip()}")
        elf = ELFFile(BytesIO((folder / "out").read_bytes()))
    table: Any = elf.get_section_by_name(".symtab")
    addresses = {s.name: int(s["st_value"]) for s in table.iter_symbols() if s.name and s["st_shndx"] != "SHN_UNDEF"}
    extents = {s.name: (int(s["st_value"]), int(s["st_size"])) for s in table.iter_symbols()
               if s["st_info"]["type"] == "STT_FUNC" and s["st_shndx"] != "SHN_UNDEF"}  # fmt: skip
    functions = {name: address for name, (address, _) in extents.items()}
    externals = {address: symbol for symbol, address in plan.externals.items() if symbol != GUARD}
    data = pages(iter([*_contents(elf, code=False), *plan.thread_words()]))
    image = Image(isa, pages(_contents(elf, code=True)), data, functions, externals, {}, _thread(target, plan, isa), extents,
                  addresses, tuple(_moved(target, plan, addresses, file)))  # fmt: skip
    return image, addresses


def _contents(elf: Any, code: bool) -> Iterator[tuple[int, bytes]]:
    for section in elf.iter_sections():
        if section["sh_flags"] & ALLOC and bool(section["sh_flags"] & EXEC) == code and section["sh_size"]:
            size = section["sh_size"]
            yield int(section["sh_addr"]), bytes(size) if section["sh_type"] == "SHT_NOBITS" else section.data()


def _script(target: TargetObject, plan: Plan) -> Iterator[str]:
    yield from (f'"{name}" = {address:#x};' for name, address in plan.externals.items() if name != _GOT)
    yield "SECTIONS {"
    yield f". = {layout.TARGET_CODE:#x};"
    for section in target.sections:
        if section.flags & EXEC:
            yield f'"{section.name}" : {{ *("{section.name}") }}'
    yield f".got {layout.TARGET_SLOTS:#x} : {{ *(.got) *(.got.plt) }}"
    for name, address in sorted(plan.target.items(), key=lambda item: item[1]):
        yield f'"{name}" {address:#x} : {{ *("{name}") }}'
    yield f".gs_common {layout.COMMON:#x} : {{ *(COMMON) }}"
    yield "/DISCARD/ : { *(.eh_frame) *(.comment) *(.note*) *(.debug*) }"
    yield "}"


def _thread(target: TargetObject, plan: Plan, isa: str) -> int:
    """The thread pointer from which the linker counts: AArch64 keeps two words between it and the data (TLS variant I)."""
    sections = [s for s in target.sections if s.flags & TLS and s.size]
    if not sections:
        return plan.thread
    start = min(plan.target[s.name] for s in sections)
    align = max(s.align for s in sections)
    return start - (-(-16 // align) * align if isa == "aarch64" else 0)


def _moved(target: TargetObject, plan: Plan, addresses: dict[str, int], file: ObjectFile) -> Iterator[tuple[int, int, int]]:
    """Named objects that lie at other addresses than in the original."""
    theirs = {s.name: s.size for s in target.symbols if s.type == "STT_OBJECT" and s.section}
    for symbol in file.symbols:
        if symbol.type == "object" and symbol.section in plan.source and symbol.size and theirs.get(symbol.name) == symbol.size:
            ours = plan.source[symbol.section] + symbol.value
            if addresses.get(symbol.name, ours) != ours:
                yield addresses[symbol.name], symbol.size, ours
