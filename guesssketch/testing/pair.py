"""An object and its translation, ready to run: what ``guesssketch test`` makes once and hands to its workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from guesssketch import cfg, dwarf
from guesssketch.errors import Untranslatable
from guesssketch.program import ObjectFile, Program
from guesssketch.prototypes import Signature, Table, from_headers, library
from guesssketch.resolve import FunctionId, Resolver
from guesssketch.testing import library as models
from guesssketch.testing import linked, loaded, plan
from guesssketch.testing.compare import Comparer, Difference
from guesssketch.testing.convention import UNKNOWN
from guesssketch.testing.image import Image
from guesssketch.testing.inputs import Input
from guesssketch.testing.instructions import marked
from guesssketch.testing.side import CALLS, OVERRUN, STEPS, TOO_MANY, Environment, Outcome, Side
from guesssketch.wall import Boundary
from guesssketch.wall.calls import signature_of
from guesssketch.wall.places import TARGET_PLACES, Unsupported, x86_places
from isa.statemap import MAPS

LONGEST: Final = 256 * STEPS  # instructions of the original between two calls out, at most
_CALLS_LONGER: Final = 48  # times as many calls out, at most, in the longest runs: each takes as long as 500 instructions
_SLACK: Final = 64  # times as many for the translation
_MORE_CALLS: Final = 8  # times as many calls out of the translation: code may be a call elsewhere
_RELRO: Final = (".data.rel.ro", ".init_array", ".fini_array", ".ctors", ".dtors")
_RAX: Final = {"aarch64": 8, "riscv64": 0}
_FILL: Final = 0xA7  # of the stack: a zero that is not stored shows
# The stack elsewhere and holding something, and other junk: what then comes out otherwise depends on no input.
_OTHERS: Final = (Environment(shift=1, fill=0x5A, junk=1, vectors=9), Environment(shift=6, fill=0xFF, junk=2, vectors=11))

_DEPENDS: Final = "the original depends on its stack's place or first content"

Status = Literal["equal", "different", "undecided", "faults"]


@dataclass(frozen=True)
class Tested:
    """A function that both sides have. index: in the program. source, target: where it is entered.

    compared: whether its result is (of a function of unknown type, native code says nothing about it).
    """

    name: str
    index: int
    source: int
    target: int
    signature: Signature
    compared: bool


@dataclass
class Prepared:
    """Everything that a worker needs. left_out: functions that cannot be run, and why. bases: of the original's sections."""

    target: str
    program: Program
    source: Image
    translation: Image
    bases: dict[int, int]
    externals: dict[str, Signature]
    functions: list[Tested]
    left_out: dict[str, str]
    writable: frozenset[int]
    """Pages of the original's data that it may write, so that an input may choose what they hold; none of those that are
    read-only once they are relocated, such as tables of functions."""
    places: loaded.Places
    """What (function, block, placeholder) stands for."""


@dataclass(frozen=True)
class Judged:
    """What one input showed. ``undecided``: it ran for too long, or the original depends on what is no input."""

    status: Status
    source: Outcome
    differences: tuple[Difference, ...] = ()
    why: str = ""


def prepare(file: ObjectFile, content: bytes, name: str, target: str, prototypes: Sequence[Path] = ()) -> Prepared:
    """Load ``file`` and the object for ``target`` whose bytes are ``content``.

    Raises InputError (Untranslatable: what cannot be read as a program), NotAnObject and ToolError.
    """
    program = cfg.recover([file])
    resolver = Resolver(program)
    other = plan.read_target(content, name, target)
    layout = plan.make(file, other)
    translation, addresses = linked.link(other, layout, target, file)
    boundary = Boundary(program, resolver, target, tuple(prototypes))
    ours = {f: addresses[f] for f in translation.functions if f in addresses}
    source, bases, places = loaded.load(file, program.functions[0], layout, addresses | ours)
    externals = _signatures(layout.externals, file, prototypes)
    functions, left_out = _functions(program, boundary, source, translation, target)
    changing = [s for s in file.sections if s.index in layout.source and s.flags & 0x1 and s.size and not s.name.startswith(_RELRO)]
    writable = frozenset(number for s in changing
                         for number in range(bases[s.index] // 4096, (bases[s.index] + s.size - 1) // 4096 + 1))  # fmt: skip
    return Prepared(target, program, source, translation, bases, externals, functions, left_out, writable, places)


def _signatures(names: Sequence[str] | dict[str, int], file: ObjectFile, prototypes: Sequence[Path]) -> dict[str, Signature]:
    tables = [from_headers(prototypes), Table(dwarf.signatures(file).external), library(), Table(models.SIGNATURES)]
    return {name: found for name in names if (found := signature_of(name, tables)) is not None}


def _functions(program: Program, boundary: Boundary, source: Image, translation: Image, target: str
               ) -> tuple[list[Tested], dict[str, str]]:  # fmt: skip
    found: list[Tested] = []
    left_out: dict[str, str] = {}
    symbols = program.objects[0].symbols
    for index, function in enumerate(program.functions[0]):
        names = [symbols[n].name for n in function.names]
        name = next((n for n in names if n in translation.functions), None)
        at = FunctionId(0, index)
        if name is None:
            left_out[function.name] = "the translation has no function of that name"
        elif not boundary.has_native_entry(at):
            left_out[function.name] = "local: called by others of the object only"
        elif at in boundary.closed:
            left_out[function.name] = "closed to native callers"
        else:
            own = _is_own(translation, translation.functions[name], target)
            signature = boundary.signature(at)
            known = signature is not None and not signature.variadic
            try:
                if known:
                    assert signature is not None
                    x86_places(signature), TARGET_PLACES[target](signature)
            except Unsupported as error:
                left_out[name] = str(error)
                continue
            if signature is not None and signature.variadic:
                left_out[name] = "variadic"
                continue
            entries = source.functions[name], translation.functions[name]
            found.append(Tested(name, index, *entries, signature or UNKNOWN, known or own))
    return found, left_out


def _is_own(image: Image, address: int, target: str) -> bool:
    """Whether a native entry made by guesssketch is there."""
    return marked(image.code.get(address // 4096, b"")[address % 4096 :], target)


class Pair:
    """Both sides, and what they show on an input. steps: instructions that the original may take between two calls out."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        own = bool(prepared.functions) and all(
            _is_own(prepared.translation, tested.target, prepared.target) for tested in prepared.functions)  # fmt: skip
        home = MAPS[prepared.target].homes["rsp"]  # what guesssketch translates has the original's frames
        self.source = Side(prepared.source, prepared.externals, framed="rsp" if own else "")
        self.translation = Side(prepared.translation, prepared.externals, listed=False, framed=home if own else "")
        self._listed: Side | None = None
        blocks = (block for function in prepared.program.functions[0] for block in function.blocks.values())
        self.floats = any("xmm" in i.text for block in blocks for i in block.instructions)
        self._comparer = Comparer(self.source, self.translation, self.floats)
        self._own = Comparer(self.source, self.source, self.floats)
        self.environment = Environment(fill=_FILL, vectors=_RAX[prepared.target])
        self.steps = STEPS

    def original(self, tested: Tested, given: Input) -> Outcome:
        """What the original does. One that loses its caller's registers wrote over where it had saved them: past an array."""
        outcome = self.source.run(tested.source, tested.signature, given, self.environment, self.steps, self._calls())
        if outcome.lost:
            outcome.how, outcome.detail = "fault", OVERRUN
        return outcome

    def _calls(self) -> int:
        return CALLS * min(self.steps // STEPS, _CALLS_LONGER)

    def pieces(self, tested: Tested, given: Input) -> list[tuple[int, int]]:
        """Address and size of the pieces of the translation that are run."""
        if self._listed is None:
            self._listed = Side(self.prepared.translation, self.prepared.externals)
        self._listed.run(tested.target, tested.signature, given, self.environment, self.steps * _SLACK, self._calls() * _MORE_CALLS)
        return self._listed.process.blocks

    def judge(self, tested: Tested, given: Input, source: Outcome | None = None) -> Judged:
        """Run both sides (``source``: what the original has just done on this input)."""
        source = source or self.original(tested, given)
        if source.how in ("fault", "steps"):
            return Judged("faults" if source.how == "fault" else "undecided", source, (), source.detail)
        if self._stops(tested, source):
            return Judged("undecided", source, (), "a function of unknown type with a result of 32 bits or 64")
        target = self.translation.run(tested.target, tested.signature, given, self.environment, self.steps * _SLACK,
                                      CALLS + source.calls * _MORE_CALLS)  # fmt: skip
        if target.how == "steps" and target.detail not in TOO_MANY:
            return Judged("undecided", source, (), f"the translation: {target.detail}")
        if not tested.compared:
            source, target = replace(source, result=[]), replace(target, result=[])
        differences = self._comparer.differences(source, target)
        if not differences:
            return Judged("equal", source)
        unstable = self._unstable(tested, given, source)
        if "end" in unstable:
            return Judged("undecided", source, (), _DEPENDS)
        first = min((_number(what) for what in unstable if what.startswith("call")), default=None)
        if first is not None:  # what comes behind may hang on it; that callee-saved registers are kept does not
            differences = [d for d in differences if d.what.startswith("register")
                           or (d.what.startswith(("call", "frame")) and _number(d.what) < first)]  # fmt: skip
            if not differences:
                return Judged("undecided", source, (), _DEPENDS)
        seen = differences
        differences = [d for d in seen if d.what not in unstable]
        if not differences and all(d.what.startswith("frame") for d in seen):  # registers that were saved there, say
            return Judged("equal", source)
        if not differences:
            return Judged("undecided", source, (), "differs only in what is no input of the original")
        return Judged("different", source, tuple(differences))

    def _stops(self, tested: Tested, source: Outcome) -> bool:
        """Where a RISC-V entry of unknown type stops the program (docs/limitations.md)."""
        unknown = self.prepared.target == "riscv64" and tested.signature == UNKNOWN and source.how == "return"
        return unknown and tested.compared and source.result[0].bits >> 31 == 1

    def _unstable(self, tested: Tested, given: Input, source: Outcome) -> set[str]:
        """What the original does otherwise in other environments; the original is left as it was."""
        found: set[str] = set()
        for environment in _OTHERS:
            other = self.source.run(tested.source, tested.signature, given, environment, self.steps, self._calls())
            other = other if tested.compared else replace(other, result=[])
            found |= {d.what for d in self._own.differences(source, other)}
        return found


def _number(what: str) -> int:
    """Of which call a difference is (``compare.Difference``)."""
    found = what.split()[1]
    return int(found) if found.isdigit() else 0


__all__ = ["Judged", "Pair", "Prepared", "Tested", "Untranslatable", "prepare"]
