"""What the wall knows of one program: which functions can be entered from outside, every signature, every call that leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from guesssketch import dwarf
from guesssketch.classes import without_thunk
from guesssketch.errors import Untranslatable
from guesssketch.liveness import ARGUMENTS, Live
from guesssketch.problem import MemoryOrder
from guesssketch.program import Call, Place, Program, TailCall
from guesssketch.prototypes import Signature, Table, cxx_library, from_headers, library, parse_signature
from guesssketch.resolve import BlockId, FunctionId, Resolver, blocks
from guesssketch.runtime import LONGJMP, SETJMP
from guesssketch.threadlocal import TLS
from guesssketch.wall import barriers, callbacks
from guesssketch.wall.calls import TARGETS, Glue, glue, needs_types, signature_of
from guesssketch.wall.overrides import overridden, virtual_functions
from guesssketch.wall.places import Piece, Register, Unsupported, x86_places

MAIN: Final = parse_signature("i32(i32,ptr,ptr)")
_BITS: Final = {"char": 8, "i8": 8, "u8": 8, "i16": 16, "u16": 16, "i32": 32, "u32": 32, "f32": 32}
_UNKNOWN_ENTRY: Final = ("a function of unknown type that native code calls takes at most 14 integers and 8 floats, no structs, "
                         "no va_list")  # fmt: skip
_UNKNOWN_RESULT: Final = ("a function of unknown type that native code calls stops the program when its result is in "
                          "2**31..2**32-1, which a 32-bit and a 64-bit type would extend differently")  # fmt: skip
_INDIRECT: Final = {
    "aarch64": "an indirect call that leaves the program passes at most 14 integers and 8 floats, no structs, no va_list, "
               "and returns scalars in registers",
    "riscv64": "an indirect call that leaves the program passes at most 16 scalars, no va_list, none variadic (those below "
               "2**32 have 32 bits, none is a float of 32 bits) and returns one or two in registers",
}


class Boundary:
    """Raises Untranslatable when made, with every call and entry that cannot be carried across.

    assumptions: what is taken for granted about calls, each said once. closed: functions that native code cannot enter.
    pointers: external functions whose address is that of a pointer of ours (``TARGETS[target].pointer``).
    order: of memory accesses; under ``tso`` barriers stand around what crosses.
    """

    def __init__(self, program: Program, resolver: Resolver, target: str, prototypes: tuple[Path, ...] = (),
                 order: MemoryOrder = "relaxed") -> None:  # fmt: skip
        self.program, self.resolver, self.target, self.order = program, resolver, target, order
        self._given = from_headers(prototypes)
        self._debug = [dwarf.signatures(file) for file in program.objects]
        self._tables: list[Table] = [self._given, *(Table(d.external) for d in self._debug), library(), cxx_library()]
        self.address_taken = set(self._taken())
        self._callbacks = dict(callbacks.started(program, resolver))
        self._virtual = {found for number, file in enumerate(program.objects) for place in virtual_functions(file)
                         if (found := resolver.own(number, place)) is not None}  # fmt: skip
        self.glue: dict[str, Glue] = {}
        self.assumptions: set[str] = set()
        self.closed: set[FunctionId] = set()
        self.pointers: set[str] = set()
        problems = [*self._plan_calls(), *self._plan_pointers()]
        self._plan_entries()
        if problems:
            raise Untranslatable(problems)
        if order == "tso":
            self.glue = {name: _fenced(one, target) for name, one in self.glue.items()}

    # --- what liveness asks ---

    def call_uses(self, number: int, place: Place) -> Live:
        """Cells that a direct call to ``place`` reads, which is outside the program (or weak, or a thread-local variable)."""
        if self.is_variable(number, place):
            return {}
        name = self.external(number, place)
        signature = self.prototype(number, place)
        if name is None or signature is None:
            return ARGUMENTS
        live: Live = {}
        if signature.variadic:
            live |= {cell: bits for cell, bits in ARGUMENTS.items() if not cell.endswith(".hi") and cell != "rax"}
            live |= {"rax": 8} if self.glue[name].reads_al else {}
        places = x86_places(signature)
        live |= _live(piece for pieces in places.arguments for piece in pieces)
        return live | ({"rdi": 64} if places.hidden else {})

    def return_uses(self, at: FunctionId) -> Live | None:
        """Cells in which a function may owe a result to a caller that it does not know; None if it has no native entry.

        Not by its type: an indirect call finds the inner entry whatever the pointer's type is.
        """
        if not self.has_native_entry(at):
            return None
        return {"rax": 64, "rdx": 64, "xmm0.lo": 64, "xmm0.hi": 64, "xmm1.lo": 64}

    # --- what emission asks ---

    def is_variable(self, number: int, place: Place) -> bool:
        """Whether ``place`` is a thread-local variable: a call of one gives its address."""
        file = self.program.objects[number]
        symbol = file.symbols[place.symbol]
        return symbol.type == "tls" or (symbol.section is not None and bool(file.sections[symbol.section].flags & TLS))

    def external(self, number: int, place: Place) -> str | None:
        """Name of the external function at ``place``; None if it is a weak definition of the inputs, or has no name."""
        symbol = self.program.objects[number].symbols[place.symbol]
        if symbol.is_defined or place.addend or not symbol.name:
            return None
        return symbol.name

    def has_native_entry(self, at: FunctionId) -> bool:
        symbols = self.program.objects[at.object].symbols
        names = self.resolver.function(at).names
        return at in self.address_taken or any(symbols[n].binding != "local" for n in names)

    def prototype(self, number: int, place: Place) -> Signature | None:
        name = self.external(number, place)
        return self._external_signature(number, name) if name else None

    def signature(self, at: FunctionId) -> Signature | None:
        """Of a function of the inputs, where it is known for certain."""
        function = self.resolver.function(at)
        symbols = self.program.objects[at.object].symbols
        for index in function.names:
            given = self._given.get(symbols[index].name)
            if given is not None:
                return given
        found = self._debug[at.object].defined.get((function.section, function.offset))
        if found is not None and found.is_known:
            return found
        for index in function.names:
            mangled = self._debug[at.object].external.get(without_thunk(symbols[index].name))
            if mangled is not None:
                return mangled
        names = {symbols[n].name for n in function.names if symbols[n].binding != "local"}
        if "main" in names:
            return MAIN
        if at in self._callbacks:
            return self._callbacks[at]
        if at in self._virtual:
            for name in sorted(names):
                if (signature := overridden(without_thunk(name))) is not None:
                    return signature
        if found is not None:
            return found
        return next((s for n in sorted(names) if (s := library().get(n)) is not None), None)

    def call(self, number: int, place: Place) -> tuple[str, Glue]:
        """Name and glue of a direct call outside."""
        name = self.external(number, place)
        assert name is not None
        return name, self.glue[name]

    # --- making the plan ---

    def _external_signature(self, number: int, name: str) -> Signature | None:
        """The user's word, then the object's own debugging information, then any object's, the library's, the compiler's."""
        own = self._debug[number].external.get(name)
        return self._given.get(name) or own or signature_of(name, self._tables)

    def _plan_pointers(self) -> Iterator[str]:
        """The addresses of functions that must not be called without their types. A name that a variable may have is left alone."""
        variables = {name for debug in self._debug for name in debug.variables}
        found: dict[str, tuple[int, str]] = {}
        for number, file in enumerate(self.program.objects):
            for section in file.sections:
                if section.is_allocated and not section.is_code and section.name != ".eh_frame":
                    for field in section.relocations:
                        if name := self._outside(number, Place(field.symbol, field.addend)):
                            found.setdefault(name, (number, f"{file.name}: {section.name}+{field.offset:#x}"))
        for at, block in blocks(self.program):
            direct = getattr(block.terminator, "callee", None) is not None
            for instruction in block.instructions[:-1] if direct else block.instructions:
                for relocation in instruction.relocations:
                    if not (name := self._outside(at.object, block.places[relocation.symbol])):
                        continue
                    found.setdefault(name, (at.object, self._where(at)))
                    if relocation.kind != "got" and instruction.mnemonic != "lea" and "[" in instruction.text:
                        variables.add(name)
        for name, (number, where) in found.items():
            signature = self._external_signature(number, name)
            if name in variables or name in SETJMP | LONGJMP or signature is None:
                continue
            try:
                made = glue(name, signature, self._tables, self.target)
                if needs_types(name, signature, self.target):
                    self.glue.setdefault(name, made)
                    self.pointers.add(name)
            except Unsupported as error:
                yield f"{where}: the address of {name}: {error}"

    def _outside(self, number: int, place: Place) -> str | None:
        """Name of a symbol whose address is asked, that no input defines. One that may be missing (weak) is compared with 0."""
        symbol = self.program.objects[number].symbols[place.symbol]
        weak = symbol.binding == "weak" or self.resolver.definition(number, place.symbol) is not None
        return None if weak else self.external(number, place)

    def _taken(self) -> Iterator[FunctionId]:
        """Functions whose address is in data or in a register."""
        for number, file in enumerate(self.program.objects):
            for section in file.sections:
                if section.is_allocated and not section.is_code and section.name != ".eh_frame":
                    for field in section.relocations:
                        found = self.resolver.callee(number, Place(field.symbol, field.addend))
                        if found is not None:
                            yield found
        for at, block in blocks(self.program):
            for instruction in block.instructions:
                direct = instruction is block.instructions[-1] and getattr(block.terminator, "callee", None) is not None
                for relocation in () if direct else instruction.relocations:
                    found = self.resolver.callee(at.object, block.places[relocation.symbol])
                    if found is not None:
                        yield found

    def _where(self, at: BlockId) -> str:
        function = self.resolver.function(at)
        return f"{self.program.objects[at.object].name}: {function.name}+{at.offset - function.offset:#x}"

    def _plan_calls(self) -> Iterator[str]:
        refused: dict[str, str] = {}
        for at, block in blocks(self.program):
            terminator = block.terminator
            if not isinstance(terminator, Call | TailCall):
                continue
            place = terminator.callee
            if place is None:
                self.assumptions.add(_INDIRECT[self.target])
            if place is None or self.resolver.callee(at.object, place) is not None or self.is_variable(at.object, place):
                continue
            name = self.external(at.object, place)
            if name is None:
                continue
            signature = self.prototype(at.object, place)
            if signature is not None:
                self._callbacks.update(callbacks.handed(at, block, signature, self.resolver))
            if name not in self.glue and name not in refused:
                try:
                    self.glue[name] = glue(name, signature, self._tables, self.target)
                    if self.glue[name].assumption:
                        self.assumptions.add(self.glue[name].assumption)
                except Unsupported as error:
                    refused[name] = str(error)
            if name in refused:
                yield f"{self._where(at)}: call {name}: {refused[name]}"

    def _plan_entries(self) -> None:
        """Functions that cannot be entered from native code are closed to it: they stop the program if they are."""
        for number, functions in enumerate(self.program.functions):
            for index, function in enumerate(functions):
                at = FunctionId(number, index)
                if not self.has_native_entry(at):
                    continue
                signature = self.signature(at)
                try:
                    self.entry(at, "inner", ())
                except Unsupported as error:
                    self.closed.add(at)
                    self.assumptions.add(f"{function.name} is called by translated code only ({error})")
                if signature is None and at not in self.closed:
                    self.assumptions.add(_UNKNOWN_ENTRY)
                    if self.target == "riscv64":
                        self.assumptions.add(_UNKNOWN_RESULT)

    def entry(self, at: FunctionId, inner: str, floats: Sequence[str]) -> list[str]:
        """The native entry's lines, behind its label. ``floats``: see ``riscv64.native_entry``. Raises Unsupported."""
        wall, signature = TARGETS[self.target], self.signature(at)
        if at not in self.closed and signature and any(kind.code == "va_list" for kind in signature.parameters):
            raise Unsupported("it takes a va_list, and native code's is another")
        lines: list[str] = wall.closed_entry(inner) if at in self.closed else wall.native_entry(inner, signature, floats)
        return barriers.inward(lines, self.target) if self.order == "tso" else lines

    def indirect_call(self, label: str) -> list[str]:
        """The lines of the helper behind every indirect call."""
        lines: list[str] = TARGETS[self.target].indirect_call(label)
        return barriers.outward(lines, self.target) if self.order == "tso" else lines


def _fenced(one: Glue, target: str) -> Glue:
    inline = None if one.inline is None else tuple(barriers.outward(one.inline, target))
    return replace(one, inline=inline, stub=tuple(barriers.outward(one.stub, target)))


def _live(pieces: Iterator[Piece] | tuple[Piece, ...]) -> Live:
    return {p.location.name: _BITS.get(p.code, 64) for p in pieces if isinstance(p.location, Register)}
