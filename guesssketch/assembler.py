"""Target text -> machine code: one interface over keystone (in process) and LLVM's assembler (in batches).

AArch64 instructions without symbols go through keystone, memoised by text; all else (RISC-V, relocations, what
keystone does not know) goes through the clang inside the ``ziglang`` package, many blocks in one run. Candidates are
hostile text: ``guesssketch.allowed`` says what is let through.

Each block stands alone: ``taken`` is at its start + TAKEN, ``fall`` at the end of its code, labels are local to it.
"""

from __future__ import annotations

import functools
import io
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import capstone
import keystone
from elftools.elf.elffile import ELFFile

from guesssketch.allowed import LABEL, PLACEHOLDER, REFERENCE, refused
from guesssketch.errors import InputError, ToolError
from isa.machine import TAKEN, Instruction, Relocation, RelocKind

BATCH: Final = 512  # blocks in one run of the assembler
_SECONDS: Final = 300  # for one run, which takes well below one
_FEATURES: Final = {
    "aarch64": ["-triple", "aarch64-unknown-linux-gnu", "-target-feature", "+v8a", "-target-feature", "+lse"],
    "riscv64": ["-triple", "riscv64-unknown-linux-gnu", "-target-abi", "lp64d",
                *(word for feature in "mafdc" for word in ("-target-feature", "+" + feature))],
    "x86_64": ["-triple", "x86_64-unknown-linux-gnu"],
}  # fmt: skip
_PROLOGUE: Final = {"aarch64": "", "riscv64": ".option norelax", "x86_64": ".intel_syntax noprefix"}

_KINDS: Final[dict[str, dict[int, RelocKind]]] = {
    "aarch64": {275: "page", 276: "page", 277: "lo12", 278: "lo12", 284: "lo12", 285: "lo12", 286: "lo12", 299: "lo12",
                311: "got_page", 312: "got_lo12", 541: "tlsie_page", 542: "tlsie_lo12", 549: "tprel_hi12",
                **dict.fromkeys((550, 551, *range(552, 560), 570, 571), "tprel_lo12")},
    "riscv64": {20: "got_pcrel_hi", 21: "tlsie_pcrel_hi", 23: "pcrel_hi", 24: "pcrel_lo", 25: "pcrel_lo", 26: "hi20",
                27: "lo12_i", 28: "lo12_i", 29: "tprel_hi", 30: "tprel_lo", 31: "tprel_lo", 32: "tprel_add"},
    "x86_64": {1: "abs64", 2: "pc", 4: "pc", 9: "got", 10: "abs32", 11: "abs32s", 22: "gottpoff", 23: "tpoff",
               41: "got", 42: "got"},
}  # fmt: skip
_PC_RELATIVE: Final = frozenset({"pc", "got", "gottpoff"})

_MENTION: Final = re.compile(r"\b(?:S\d|guard\b)")
_TARGET: Final = re.compile(r"\b(taken|fall)\b")
_MESSAGE: Final = re.compile(r"^[^\n:]*:(\d+):\d+: error: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Assembled:
    """The code of one block; offsets are from its start. ``size``: bytes."""

    instructions: tuple[Instruction, ...]
    size: int


@dataclass(frozen=True)
class AssemblyError:
    """Why a block has no encoding. ``line``: index into its lines, None if it is the block as a whole."""

    message: str
    line: int | None = None


def zig() -> str:
    """Path of the ``zig`` binary, whose ``clang -cc1`` and ``clang -cc1as`` are LLVM with every target."""
    import ziglang

    return str(Path(ziglang.__file__).parent / "zig")


def assemble(target: str, blocks: Sequence[Sequence[str]]) -> list[Assembled | AssemblyError]:
    """Assemble each block for ``aarch64`` or ``riscv64``; one bad block does not touch the others.

    Raises ToolError if the assembler itself fails.
    """
    results: dict[int, Assembled | AssemblyError] = {}
    batch: dict[int, list[str]] = {}
    for index, block in enumerate(blocks):
        lines = [line.strip(" \t") for line in block]
        error = _check(target, lines)
        if error is not None:
            results[index] = error
            continue
        code = _in_process(tuple(lines)) if target == "aarch64" else None
        if code is None:
            batch[index] = lines
        else:
            results[index] = _disassembled(target, code, {})
    results |= _run_batches(target, batch)
    return [results[index] for index in range(len(blocks))]


def confirmed(target: str, blocks: Sequence[tuple[Sequence[str], Assembled]]) -> list[bool]:
    """Whether LLVM, which writes the object, gives each block's lines the code that ``assemble`` gave them.

    Raises ToolError if the assembler itself fails.
    """
    if target != "aarch64":
        return [True] * len(blocks)
    texts = [[line.strip(" \t") for line in lines] for lines, _ in blocks]
    again = _run_batches(target, {n: lines for n, lines in enumerate(texts) if _in_process(tuple(lines)) is not None})
    return [n not in again or again[n] == code for n, (_, code) in enumerate(blocks)]


def assemble_x86(text: str) -> list[Instruction]:
    """Assemble Intel-syntax x86-64 text, one instruction a line (or ``;`` between), ``S0``... being placeholders.

    A branch to ``taken`` has displacement zero, as in a Problem. Raises InputError that names the line.
    """
    lines = [line.strip(" \t") for line in re.split(r"[;\n]", text) if line.strip(" \t")]
    error = _check("x86_64", lines)
    if error is None:
        code = None if _needs_names(lines) else _keystone("x86_64", "\n".join(lines))
        result = _disassembled("x86_64", code, {}) if code else _run_batch("x86_64", {0: lines})[0]
        if isinstance(result, Assembled):
            return list(result.instructions)
        error = result
    where = "" if error.line is None else f"{lines[error.line]!r}: "
    raise InputError(f"x86-64 text: {where}{error.message}")


def _check(target: str, lines: Sequence[str]) -> AssemblyError | None:
    found = refused(target, lines)
    return AssemblyError(*found) if found else None


def _needs_names(lines: Sequence[str]) -> bool:
    return any(LABEL.fullmatch(line) or _TARGET.search(line) or _MENTION.search(line) for line in lines)


# --- in process: keystone ---------------------------------------------------------------------------------------------


@functools.cache
def _engine(target: str) -> Any:
    if target == "aarch64":
        return keystone.Ks(keystone.KS_ARCH_ARM64, keystone.KS_MODE_LITTLE_ENDIAN)
    return keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64)


@functools.lru_cache(maxsize=1 << 17)
def _keystone(target: str, text: str) -> bytes | None:
    """Encoding of ``text`` at address 0, or None if keystone does not take it."""
    try:
        code, _ = _engine(target).asm(text, 0, True)
    except keystone.KsError:
        return None
    return bytes(code) if code else None


def _in_process(lines: tuple[str, ...]) -> bytes | None:
    """AArch64 code of a block, branches resolved here; None if it must go through LLVM."""
    offsets: list[int] = []
    size = 0
    for line in lines:
        offsets.append(size)
        size += 0 if LABEL.fullmatch(line) else 4
    if size > TAKEN:
        return None
    code = bytearray()
    for number, line in enumerate(lines):
        if LABEL.fullmatch(line):
            continue
        here = offsets[number]
        text = line
        if match := _TARGET.search(line):
            exit_offset = {"taken": TAKEN, "fall": size}[match[1]]
            text = line[: match.start()] + f"#{exit_offset - here}" + line[match.end() :]
        elif REFERENCE.search(line) or _MENTION.search(line):
            return None
        encoding = _keystone("aarch64", text)
        if encoding is None or len(encoding) != 4:
            return None
        code += encoding
    return bytes(code)


# --- in batches: LLVM -------------------------------------------------------------------------------------------------


def _run_batches(target: str, blocks: dict[int, list[str]]) -> dict[int, Assembled | AssemblyError]:
    pending, results = list(blocks), dict[int, Assembled | AssemblyError]()
    for start in range(0, len(pending), BATCH):
        results |= _run_batch(target, {index: blocks[index] for index in pending[start : start + BATCH]})
    return results


def _run_batch(target: str, blocks: dict[int, list[str]]) -> dict[int, Assembled | AssemblyError]:
    results: dict[int, Assembled | AssemblyError] = {}
    blocks = dict(blocks)
    while blocks:
        text, origin = _source(target, blocks, results)
        outcome = _llvm(target, text)
        if isinstance(outcome, bytes):
            return results | _read_back(target, outcome, blocks)
        bad = {origin[line]: message for line, message in reversed(outcome) if line in origin}
        failed = {index: AssemblyError(message, line) for (index, line), message in bad.items()}
        if not failed:
            return results | _blamed(target, outcome[0][1], blocks)
        results |= failed
        for index in failed:
            blocks.pop(index)
    return results


def _blamed(target: str, message: str, blocks: dict[int, list[str]]) -> dict[int, Assembled | AssemblyError]:
    """The results of blocks of which one, it is not said which, makes the assembler fail. Raises ToolError if it always does."""
    if len(blocks) > 1:
        indices = list(blocks)
        halves = indices[: len(indices) // 2], indices[len(indices) // 2 :]
        return {i: r for half in halves for i, r in _run_batch(target, {index: blocks[index] for index in half}).items()}
    if not isinstance(_llvm(target, _PROLOGUE[target] + "\n"), bytes):
        raise ToolError(f"assembler: {message}")
    return {index: AssemblyError(f"the assembler fails: {message}") for index in blocks}


def _source(
    target: str, blocks: dict[int, list[str]], results: dict[int, Assembled | AssemblyError]
) -> tuple[str, dict[int, tuple[int, int | None]]]:
    """The batch's text and, for each of its lines (from 1), the block and line it is from.

    A block that refers to a label it does not have is moved from ``blocks`` to ``results``.
    """
    output = [_PROLOGUE[target], ".text"]
    origin: dict[int, tuple[int, int | None]] = {}
    for index, lines in list(blocks.items()):
        try:
            renamed = list(_renamed(index, lines, target))
        except LookupError as error:
            results[index] = AssemblyError(f"no label {error.args[0]}")
            del blocks[index]
            continue
        output.append(f"B{index}S:")
        for number, line in enumerate(renamed):
            output.append(line)
            origin[len(output)] = index, number
        output += [f"B{index}F:", ".balign 4" if target != "x86_64" else ""]
        if target != "x86_64":
            output.append(f".set B{index}T, B{index}S + {TAKEN}")
    return "\n".join(output) + "\n", origin


def _renamed(index: int, lines: Sequence[str], target: str) -> Iterator[str]:
    """The lines with labels made unique to the block. Raises LookupError for a reference without its label."""
    places: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        if match := LABEL.fullmatch(line):
            places.setdefault(match[1], []).append(number)
    for number, line in enumerate(lines):
        if match := LABEL.fullmatch(line):
            yield f".L{index}_{number}:"
            continue

        def local(match: re.Match[str], here: int = number) -> str:
            known = places.get(match[1], [])
            found = [p for p in known if p > here][:1] if match[2] == "f" else [p for p in known if p < here][-1:]
            if not found:
                raise LookupError(match[0])
            return f".L{index}_{found[0]}"

        text = re.sub(r"\btaken\b", f"B{index}T", REFERENCE.sub(local, line))
        yield re.sub(r"\bfall\b", f"B{index}F", text)


def _llvm(target: str, text: str) -> bytes | list[tuple[int, str]]:
    """The object file, or the errors as (line number from 1, message); 0 is no line."""
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as folder:
        source, output = Path(folder, "batch.s"), Path(folder, "batch.o")
        source.write_text(text)
        command = [zig(), "clang", "-cc1as", *_FEATURES[target], "-filetype", "obj", "-o", str(output), str(source)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except OSError as error:
            raise ToolError(f"assembler: {error}") from error
        except subprocess.TimeoutExpired:
            return [(0, f"no answer in {_SECONDS} s")]
        if done.returncode == 0:
            return output.read_bytes()
    errors = [(int(line), message) for line, message in _MESSAGE.findall(done.stderr)]
    return errors or [(0, done.stderr.strip()[:500] or f"exit status {done.returncode}")]


def _read_back(target: str, data: bytes, blocks: dict[int, list[str]]) -> dict[int, Assembled | AssemblyError]:
    elf = ELFFile(io.BytesIO(data))
    code: bytes = elf.get_section_by_name(".text").data()
    table = elf.get_section_by_name(".symtab")
    strings: bytes = elf.get_section(table["sh_link"]).data()
    names: list[str] = []
    values: list[int] = []
    for name, _, _, _, value, _ in struct.iter_unpack("<IBBHQQ", table.data()):
        names.append(strings[name : strings.index(0, name)].decode())
        values.append(value)
    address = dict(zip(names, values, strict=True))
    section = elf.get_section_by_name(".rela.text")
    entries = list(struct.iter_unpack("<QQq", section.data())) if section else []
    entries.sort()
    results: dict[int, Assembled | AssemblyError] = {}
    position = 0
    for index in blocks:
        start, end = address[f"B{index}S"], address[f"B{index}F"]
        relocations: dict[int, tuple[int, str, int]] = {}
        while position < len(entries) and entries[position][0] < end:
            offset, info, addend = entries[position]
            symbol = info >> 32
            name = names[symbol]
            relocations[offset - start] = info & 0xFFFFFFFF, name, addend if name else values[symbol] - start
            if target == "riscv64" and not PLACEHOLDER.fullmatch(name):
                relocations[offset - start] = info & 0xFFFFFFFF, "", values[symbol] - start
            position += 1
        if end - start > TAKEN:
            results[index] = AssemblyError(f"{end - start} bytes, more than {TAKEN}")
        else:
            results[index] = _disassembled(target, code[start:end], relocations)
    return results


# --- reading the code back --------------------------------------------------------------------------------------------


@functools.cache
def _capstone(target: str) -> Any:
    if target == "aarch64":
        return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    if target == "riscv64":
        return capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


def _disassembled(target: str, code: bytes, entries: dict[int, tuple[int, str, int]]) -> Assembled | AssemblyError:
    """Instructions of ``code``; ``entries``: field offset -> (ELF type, symbol, addend or offset of the high part)."""
    instructions: list[Instruction] = []
    starts: dict[int, int] = {}
    highs: dict[int, str] = {}
    pending = sorted(entries.items(), reverse=True)
    for offset, size, mnemonic, operands in _capstone(target).disasm_lite(code, 0):
        starts[offset] = len(instructions)
        relocations: list[Relocation] = []
        while pending and pending[-1][0] < offset + size:
            field, (kind_number, symbol, addend) = pending.pop()
            kind = _KINDS[target].get(kind_number)
            if target == "x86_64" and re.fullmatch(r"B\d+T", symbol):
                continue
            if kind is None:
                return AssemblyError(f"relocation {kind_number} against {symbol or 'a label'} is not supported")
            pair = None
            if kind == "pcrel_lo":
                if addend not in highs:
                    return AssemblyError("%pcrel_lo without its high part")
                symbol, pair, addend = highs[addend], starts[addend], 0
            if target == "x86_64" and kind in _PC_RELATIVE:
                addend += offset + size - field
            if not PLACEHOLDER.fullmatch(symbol) or addend:
                return AssemblyError(f"relocation against {symbol or 'a label'} with addend {addend}")
            highs[offset] = symbol
            relocations.append(Relocation(field - offset, kind, symbol, pair))
        text = f"{mnemonic} {operands}".strip()
        instructions.append(Instruction(offset, bytes(code[offset : offset + size]), text, tuple(relocations)))
    covered = instructions[-1].offset + len(instructions[-1].code) if instructions else 0
    if covered != len(code):
        return AssemblyError(f"bytes {code[covered : covered + 4].hex()} cannot be read back")
    return Assembled(tuple(instructions), len(code))
