"""What can fill a hole: registers in play, numbers that the source knows, opcodes of the same shape; likely ones first."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from guesssketch.guess.renaming import RISCV, registers
from guesssketch.problem import Problem
from guesssketch.sketch.holes import Hole
from guesssketch.sketch.templates import templates
from isa.forms import aarch64_form, riscv64_form
from isa.machine import Instruction
from isa.statemap import MAPS
from solver import gate

NUMBER: Final = re.compile(r"(?<![\w.])-?(?:0x[0-9a-f]+|\d+)(?![\w.:])")
REGISTER: Final = {
    "aarch64": re.compile(r"\b(?:[xwqdshbv](?:[12]?\d|3[01])|[xw]zr)\b"),
    "riscv64": re.compile(r"\b(?:f[ast]\d{1,2}|[ast]\d{1,2}|zero)\b"),
}
_GROUPS: Final = (
    ("lsl", "lsr", "asr", "ror"),
    ("sxtw", "uxtw", "sxtb", "uxtb", "sxth", "uxth"),
    ("eq", "ne", "lt", "ge", "le", "gt", "lo", "hs", "ls", "hi", "mi", "pl", "vs", "vc"),
    ("rtz", "rne", "rdn", "rup", "rmm"),
)
MODIFIER: Final = re.compile(r"\b(?:" + "|".join(word for group in _GROUPS for word in group) + r")\b")
_PLACE: Final = re.compile(r"%?:?\w*[:(]?\bS\d+\)?|\b(?:taken|fall|\d+[bf])\b")
_ATOMIC: Final = re.compile(r"c\.|amo|lr\.|sc\.|ld[a]?x|st[l]?x|ldar|stlr|fence|dmb|mrs|nop")
_FORMS: Final = {"aarch64": aarch64_form, "riscv64": riscv64_form}


class Choices:
    """Fillings for holes in translations of ``problem``.

    lines: code near the holes, whose registers are in play. unset: target cells that something should set.
    """

    def __init__(self, problem: Problem, lines: Sequence[str], unset: Sequence[str] = ()) -> None:
        self.problem, self.target = problem, problem.target
        self._used = Counter(r for line in lines for r in REGISTER[self.target].findall(line))
        self._unset = [register_name(self.target, cell) for cell in unset]
        self._homes = _homes(problem, problem.instructions)

    def of(self, hole: Hole, line: str, around: Sequence[str] = ()) -> Iterator[str]:
        """What may stand in ``hole``, but what stood there. line: the text around it, the hole as its guess; around: the lines
        before and behind."""
        found: Iterable[str] = hole.choices
        if hole.kind == "immediate":
            found = map(str, self.numbers(int(hole.guess, 0) if hole.guess else None))
        elif hole.kind == "register":
            found = self.registers(hole.guess)
        elif hole.kind == "opcode":
            found = opcodes(self.target, line, hole.guess)
        elif hole.kind == "instruction":
            sources = self.problem.instructions if hole.source is None else [self.problem.instructions[hole.source]]
            extra = [r for text in around for r in REGISTER[self.target].findall(text)]
            found = chain([""], self.instructions(sources, extra))
        return _new(found, hole.guess)

    def registers(self, like: str) -> Iterator[str]:
        """Registers in place of ``like``: of its kind, those in play first; then the same register of other widths."""
        if self.target == "riscv64":
            is_float = like.startswith("f")
            pool = [*(r for r, _ in self._used.most_common()), *self._homes, "t0", "t1", "t2", "zero"]
            yield from (r for r in pool if not like or r.startswith("f") == is_float)
            return
        view, number = like[:1] or "x", like[1:]
        views = ("x", "w") if view in "xw" else ("v",) if view == "v" else ("d", "s", "q", "h", "b")
        pool = [r for r, _ in self._used.most_common()] + self._homes
        general = view in "xw"
        numbers = dict.fromkeys(r[1:] for r in pool if (r[0] in "xw") == general and not r.endswith("zr"))
        yield from (view + n for n in numbers)
        if general:
            yield f"{view}zr"
            yield from (f"{view}{n}" for n in (6, 7, 16, 17))
        yield from (other + number for other in views if number and other != view)
        if not like:
            yield from ("w" + n for n in numbers)

    def numbers(self, near: int | None) -> Iterator[int]:
        """Numbers that the source speaks of, what follows from them, and neighbours of ``near``."""
        source = [n for i in self.problem.instructions for n in numbers_in(i.text)]
        yield from source
        for n in dict.fromkeys(source):
            yield from (-n, n - 1, n + 1, ~n, n & 0xFFF, n >> 12, n & 0xFFFF, n >> 16 & 0xFFFF)
            yield from (n + 4, n + 8, 32 - n, 64 - n, 63 - n)
            if n > 0 and not n & (n - 1):
                yield n.bit_length() - 1
        if near is not None:
            yield -near
            for n in (1, 4, 8, 16, 32, 2):
                yield from (near + n, near - n)
            yield from (2 * near, near // 2, ~near, near ^ 0xFF, near & 0xFF)
        yield from (0, 1, 2, 3, 4, 8, 16, 24, 31, 32, 48, 63, 56, 7, 5, 6, 12, 15, 20, 255, 65535, -1)

    def instructions(self, sources: Sequence[Instruction], extra: Sequence[str] = ()) -> Iterator[str]:
        """One instruction that may do what one of ``sources`` does, on the homes of the registers that it names.

        extra: registers that may hold what is computed on the way.
        """
        for source in sources:
            if self.target == "aarch64":
                extra = ["x" + r[1:] for r in extra if r[0] in "wx" and r[1:] != "zr"]
            homes = list(dict.fromkeys([*self._unset, *_homes(self.problem, [source]), *extra]))
            numbers = list(dict.fromkeys([*self._small(source), 0, 1]))
            yield from templates(self.target, source, homes, numbers)

    def _small(self, source: Instruction) -> Iterator[int]:
        for n in numbers_in(source.text):
            yield from (n, -n)
            if n > 0 and not n & (n - 1):
                yield n.bit_length() - 1


def _new(texts: Iterable[str], known: str) -> Iterator[str]:
    """Each of ``texts`` once, but ``known``."""
    seen = {known}
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _homes(problem: Problem, instructions: Sequence[Instruction]) -> list[str]:
    """Target names of the homes of the registers that ``instructions`` name (of 64 bits), in order."""
    homes = MAPS[problem.target].homes
    found = []
    for name in dict.fromkeys(r for i in instructions for r in registers(i.text)):
        cells = [homes[cell] for cell in ((f"{name}.lo", f"{name}.hi") if name.startswith("xmm") else (name,)) if cell in homes]
        found += [register_name(problem.target, cell) for cell in cells]
    flags = [homes[name] for name, _ in problem.live_out if name in ("cf", "zf", "sf", "of", "pf", "l", "le", "be")]
    return list(dict.fromkeys([*found, *(register_name(problem.target, cell) for cell in flags)]))


def numbers_in(text: str) -> list[int]:
    """Numbers among an instruction's operands."""
    return [int(n, 0) for n in NUMBER.findall(text.partition(" ")[2])]


def register_name(target: str, cell: str) -> str:
    """The register of a target cell, as text has it."""
    base = cell.partition(".")[0]
    return RISCV.get(base, base) if target == "riscv64" else base


def opcodes(target: str, line: str, word: str) -> list[str]:
    """Words in place of ``word``, mnemonic or modifier of ``line``, that give a form whose semantics are validated.

    Where no word stood, a hole that begins the line is its mnemonic; any other, a modifier.
    """
    if not word and not line.startswith(" "):
        return [other for group in _GROUPS for other in group]
    for group in _GROUPS:
        if word in group and not line.startswith(f"{word} "):
            return [other for other in group if other != word]
    operands = _shape(target, line if word else f"add{line}")
    close = _spelt_alike(word)
    return sorted(_by_shape(target).get(operands, ()), key=lambda other: (close(other), other))


def _shape(target: str, line: str) -> str:
    """Kinds of a line's operands, places as numbers."""
    mnemonic, _, operands = line.partition(" ")
    return _abstract(_FORMS[target](f"{mnemonic} {_PLACE.sub('#4' if target == 'aarch64' else '4', operands)}").partition(" ")[2])


def _abstract(operands: str) -> str:
    return MODIFIER.sub("~", operands.replace("lsli", "lsl i").replace("lsri", "lsr i").replace("asri", "asr i")).replace("sp", "x")


@functools.cache
def _by_shape(target: str) -> dict[str, tuple[str, ...]]:
    """Operand kinds -> mnemonics with validated semantics."""
    found: dict[str, dict[str, None]] = {}
    for key in gate.known(target):
        mnemonic, _, operands = key.partition(" ")
        if not _ATOMIC.match(mnemonic):
            found.setdefault(_abstract(operands.replace("zero", "x").replace("xzr", "x").replace("wzr", "w")), {})[mnemonic] = None
    return {shape: tuple(names) for shape, names in found.items()}


def _spelt_alike(word: str) -> Callable[[str], int]:
    """Distance of mnemonics: less the more that they begin or end alike."""

    def distance(other: str) -> int:
        ahead = next((n for n, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
        behind = next((n for n, (a, b) in enumerate(zip(word[::-1], other[::-1], strict=False)) if a != b), 0)
        return -max(ahead, behind)

    return distance
