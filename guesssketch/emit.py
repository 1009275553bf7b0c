"""Output objects: sections, symbols and data of the input around the stitched functions, as assembly and assembled."""

from __future__ import annotations

import re
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from guesssketch import dwarf, runtime
from guesssketch.assembler import zig
from guesssketch.errors import ToolError, Untranslatable
from guesssketch.names import Names, pointer
from guesssketch.program import Block, Call, ElfSymbol, ObjectFile, Program, Section, TailCall
from guesssketch.quoting import printable, quoted
from guesssketch.resolve import BlockId, FunctionId, Resolver
from guesssketch.sections import DataText
from guesssketch.stitch import ICALL, BlockText, Stitcher, stub
from guesssketch.unwinding import call_frames
from guesssketch.wall import Boundary
from guesssketch.wall.calls import TARGETS
from guesssketch.wall.riscv64 import SAVED_FLOATS, VARARGS

__all__ = ["BlockText", "assemble", "assembly", "program"]

_OPTIONS: Final = {
    "aarch64": ["-triple", "aarch64-unknown-linux-gnu", "-target-feature", "+v8a", "-target-feature", "+lse"],
    "riscv64": ["-triple", "riscv64-unknown-linux-gnu", "-target-abi", "lp64d",
                *(word for feature in ("m", "a", "f", "d", "c", "relax") for word in ("-target-feature", "+" + feature))],
}  # fmt: skip
_UNQUOTED: Final = re.compile(r'"([\w.$]+)"')
_LOW: Final = {"aarch64": "movk x0, #:abs_g1_nc:{}", "riscv64": "lui zero, %hi({})"}  # refused in PIEs and shared objects


def program(inputs: Program, resolver: Resolver, boundary: Boundary, texts: Mapping[BlockId, Sequence[BlockText]],
            target: str) -> list[str]:  # fmt: skip
    """The assembly text of each output object. Raises Untranslatable with every place that cannot be expressed."""
    output: list[str] = []
    problems: list[str] = []
    for number in range(len(inputs.objects)):
        try:
            output.append(assembly(inputs, resolver, boundary, texts, target, number))
        except Untranslatable as error:
            problems.extend(error.problems)
    if problems:
        raise Untranslatable(problems)
    return output


def assembly(inputs: Program, resolver: Resolver, boundary: Boundary, texts: Mapping[BlockId, Sequence[BlockText]],
             target: str, number: int) -> str:  # fmt: skip
    """The assembly text of one output object. ``texts``: the pieces of every block, in order. Raises Untranslatable."""
    return _Object(inputs, resolver, boundary, texts, target, number).text()


class _Object:
    def __init__(self, inputs: Program, resolver: Resolver, boundary: Boundary, texts: Mapping[BlockId, Sequence[BlockText]],
                 target: str, number: int) -> None:  # fmt: skip
        self.file = inputs.objects[number]
        self.boundary, self.target, self.number = boundary, target, number
        self.names = Names(inputs, resolver, boundary, number)
        self.stitcher = Stitcher(self.names, target, texts, call_frames(self.file))
        self.lines = _Lines(self.file)
        self.floats = _saved_floats(inputs, texts) if target == "riscv64" else ()

    def text(self) -> str:
        code: dict[int, list[str]] = {s.index: [] for s in self.file.sections if s.is_code and s.is_allocated}
        for index, function in enumerate(self.names.functions):
            code[function.section] += self._function(index)
        data = DataText(self.names)
        bodies = {s.index: data.body(s) for s in self.file.sections if _is_data(s)}  # first: asks for all labels
        output = [f"{'//' if self.target == 'aarch64' else '#'} {printable(self.file.name)}"]
        output += ["", *self.lines.files] if self.lines.files else []
        for section in self.file.sections:
            if section.index in code:
                start, end = f".Lgs_t{section.index}", f".Lgs_u{section.index}"
                output += ["", _section(section), f"{start}:", *code[section.index], f"{end}:"]
            elif section.index in bodies:
                output += ["", _section(section), *data.lines(section, bodies[section.index])]
        output += ["", ".text", *self._helpers(), *self._undefined(), *self._low(), *self.lines.unit(list(code))]
        output += self._slots()
        output += ['.section .note.GNU-stack,"",@progbits']
        return "\n".join(map(_laid_out, output)) + "\n"

    # --- functions ---

    def _function(self, index: int) -> list[str]:
        function = self.names.functions[index]
        at = FunctionId(self.number, index)
        symbols = [(n, self.file.symbols[n]) for n in function.names]
        native = self.boundary.has_native_entry(at)
        output = ["", ".p2align 4"]
        labels: list[str] = []
        for number, symbol in symbols:
            name = self.names.symbol(number)
            if name is not None:
                output += [*_binding(symbol, name), f".type {name}, @function"]
                labels.append(name)
        if native:
            output += [f"{name}:" for name in labels] + [self.names.native(index) + ":", ".cfi_startproc"]
            output += self.boundary.entry(at, self.names.inner(at), self.floats)
            output += [".cfi_endproc"]
        inner = self.names.inner(at)
        if self.names.shared(at):
            output += [f".globl {inner}", f".hidden {inner}", f".type {inner}, @function"]
        output += [] if native else [f"{name}:" for name in labels]
        output += [inner + ":", *self.stitcher.function(index, self.lines.marks(function.blocks.values(), function.section))]
        sized = [*labels, *([inner] if self.names.shared(at) else [])]
        return [*output, *(f".size {name}, .-{name}" for name in sized)]

    def _helpers(self) -> Iterator[str]:
        """The functions that this object's calls need, local to it, and the pointers that stand for library functions."""
        self.stitcher.used |= self.names.pointers
        for name in sorted(self.stitcher.used):
            yield from self._helper(stub(name), self.boundary.glue[name].stub)
        if self.stitcher.indirect:
            yield from self._helper(ICALL, self.boundary.indirect_call(ICALL))
        if any(VARARGS in line for name in self.stitcher.used for line in self.boundary.glue[name].stub):
            yield from (".p2align 2", *runtime.varargs())
        for name in sorted(self.names.pointers):
            label = pointer(name)
            section = quoted(f".text.{name}.pointer.x86")
            yield from (f'.section {section},"axG",@progbits,{label},comdat', ".p2align 4", f".weak {label}", f".hidden {label}",
                        f".type {label}, @function", f"{label}:", ".cfi_startproc",
                        *TARGETS[self.target].pointer(quoted(name), stub(name)), ".cfi_endproc", ".text")  # fmt: skip
        if any(s.name in runtime.SETJMP | runtime.LONGJMP and not s.is_defined for s in self.file.symbols):
            yield from runtime.setjmp(self.target)
            yield ".text"

    def _slots(self) -> Iterator[str]:
        if self.stitcher.slots:
            yield from ('.section .data.rel.ro.slots,"aw",@progbits', ".p2align 3")
            yield from (f"{label}: .quad {reference}" for reference, label in self.stitcher.slots.items())

    def _helper(self, label: str, lines: Sequence[str]) -> Iterator[str]:
        """A stub is called with sp, not rsp, as its frame address; rsp stays as it is."""
        yield from (".p2align 2", label + ":", ".cfi_startproc", *lines, ".cfi_endproc")

    # --- symbols ---

    def _undefined(self) -> Iterator[str]:
        for symbol in self.file.symbols:
            name = self.names.symbol(symbol.index)
            if name is None or symbol.section is not None:
                continue
            if symbol.type == "common":
                yield from ([f".local {name}"] if symbol.binding == "local" else [])
                yield f".comm {name}, {symbol.size}, {max(symbol.value, 1)}"
            elif symbol.absolute:
                yield from _binding(symbol, name)
                yield f".set {name}, {symbol.value:#x}"
            elif symbol.binding == "weak" and symbol.name != "_GLOBAL_OFFSET_TABLE_":
                yield f".weak {name}"
            if symbol.visibility != "default" and not symbol.absolute:
                yield f".{symbol.visibility} {name}"

    def _low(self) -> Iterator[str]:
        """Code that was not compiled as position-independent takes addresses for 31-bit numbers. An instruction that nothing
        executes makes the linker refuse to put its translation at other addresses, as it refuses the original."""
        if not self.file.pic:
            yield from (".Lgs_low:", _LOW[self.target].format(".Lgs_low"))


def _laid_out(line: str) -> str:
    """Instructions are indented. RISC-V's calls take a name, never a register, and without quotes."""
    if line.startswith(("call ", "jump ", "tail ")):
        line = _UNQUOTED.sub(r"\1", line)
    return line if not line or line.endswith(":") or line.startswith((".", "//", "#")) else "\t" + line


def _binding(symbol: ElfSymbol, name: str) -> list[str]:
    if symbol.binding == "local":
        return []
    lines = [f".{'globl' if symbol.binding == 'global' else 'weak'} {name}"]
    return lines if symbol.visibility == "default" else [*lines, f".{symbol.visibility} {name}"]


def _is_data(section: Section) -> bool:
    dropped = section.name in (".eh_frame", ".note.gnu.property") or section.name.startswith(".gcc_except_table")
    return section.is_allocated and not section.is_code and not dropped and section.type not in (2, 3, 4, 9, 17)


def _section(section: Section) -> str:
    """The directive that opens a section (gas manual, ``.section``; flags by the ELF gABI)."""
    letters = {0x2: "a", 0x1: "w", 0x4: "x", 0x10: "M", 0x20: "S", 0x400: "T", 0x200000: "R"}
    flags = "".join(letter for bit, letter in letters.items() if section.flags & bit)
    kinds = {8: "@nobits", 14: "@init_array", 15: "@fini_array", 16: "@preinit_array", 7: "@note"}
    parts = [f'.section {quoted(section.name)},"{flags}{"G" if section.group else ""}"', kinds.get(section.type, "@progbits")]
    if section.flags & 0x10:
        parts.append(str(section.entsize))
    if section.group:
        parts += [quoted(section.group), "comdat"]
    return ",".join(parts)


def _saved_floats(inputs: Program, texts: Mapping[BlockId, Sequence[BlockText]]) -> tuple[str, ...]:
    """The callee-saved float registers (homes of high halves) that code reached from a native entry may change: what the
    program's own code names, or all where an indirect call may lead into another translated program."""
    every = tuple(f"f{n}" for n in SAVED_FLOATS)
    terminators = [b.terminator for functions in inputs.functions for f in functions for b in f.blocks.values()]
    weak = any(s.binding == "weak" and s.is_defined for file in inputs.objects for s in file.symbols)
    if weak or any(isinstance(t, Call | TailCall) and t.callee is None for t in terminators):
        return every
    abi = {f"fs{i}": name for i, name in enumerate(every)}
    word: Callable[[str], list[str]] = re.compile(r"\bf\w+").findall
    lines = (line for pieces in texts.values() for piece in pieces for line in piece.lines)
    found = {abi.get(w, w) for line in lines for w in word(line)}
    return tuple(name for name in every if name in found)


# --- source lines -----------------------------------------------------------------------------------------------------


class _Lines:
    """``.file`` and ``.loc`` directives, and the least unit of debugging information that makes debuggers read them."""

    def __init__(self, file: ObjectFile) -> None:
        self.table = dwarf.lines(file)
        sources = dict.fromkeys((line.directory, line.file) for line in self.table.values())
        self.numbers = {source: i + 1 for i, source in enumerate(sources)}
        self.files = [f'.file {n} "{_escaped(d)}" "{_escaped(f)}"' for (d, f), n in self.numbers.items()]
        self._order: dict[int, list[int]] = {}
        for section, offset in sorted(self.table):
            self._order.setdefault(section, []).append(offset)

    def marks(self, blocks: Iterable[Block], section: int) -> dict[int, str]:
        """``.loc`` by block offset: the line of the block's first instruction, where a row of the table says it."""
        result: dict[int, str] = {}
        if not self.table:
            return result
        for block in blocks:
            home, offset = block.home
            order = self._order.get(home or section, [])
            index = bisect_right(order, offset)
            if block.instructions and index:
                line = self.table[home or section, order[index - 1]]
                result[block.offset] = f".loc {self.numbers[line.directory, line.file]} {line.line} {line.column}"
        return result

    def unit(self, sections: Sequence[int]) -> list[str]:
        """A compilation unit that has nothing but its code ranges and its line table (DWARF 4, 3.1.1)."""
        if not self.files:
            return []
        directory, name = next(iter(self.numbers))
        return [
            '.section .debug_abbrev,"",@progbits', ".Lgs_abbrev:",
            ".byte 1, 17, 0, 16, 23, 17, 1, 85, 23, 3, 8, 27, 8, 0, 0, 0",  # stmt_list, low_pc, ranges, name, comp_dir
            '.section .debug_ranges,"",@progbits', ".Lgs_ranges:", *(f".quad .Lgs_t{s}, .Lgs_u{s}" for s in sections), ".quad 0, 0",
            '.section .debug_info,"",@progbits', ".word .Lgs_unit_end - .Lgs_unit", ".Lgs_unit:", ".2byte 4",
            ".word .Lgs_abbrev", ".byte 8, 1", ".word .Lgs_lines", ".quad 0", ".word .Lgs_ranges",
            f'.asciz "{_escaped(name)}"', f'.asciz "{_escaped(directory)}"',
            ".Lgs_unit_end:", '.section .debug_line,"",@progbits', ".Lgs_lines:",
        ]  # fmt: skip


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


# --- object files ------------------------------------------------------------------------------------------------------------


def assemble(text: str, target: str) -> bytes:
    """The object file. Raises ToolError with the assembler's first complaint."""
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as folder:
        source, output = Path(folder, "out.s"), Path(folder, "out.o")
        source.write_text(text)
        command = [zig(), "clang", "-cc1as", *_OPTIONS[target], "-filetype", "obj", "-o", str(output), str(source)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ToolError(f"assembler: {error}") from error
        if done.returncode != 0:
            raise ToolError(f"assembler: {done.stderr.strip()[:1000] or f'exit status {done.returncode}'}")
        return output.read_bytes()
