"""The normal form of a problem: what a model sees of it, and the way back from the model's text to the problem's names.

Much of what tells problems apart does not matter to their translation, and is taken away here, so that one pair teaches
all of them and one guess answers all of them:

- registers are named in order of first use, but for those that an instruction names implicitly (``renaming.implicit``);
- placeholders are numbered in order of first use;
- liveness is told for what the block changes, and for flags. Every other register is taken to be live, all 64 bits, from end
  to end: what is right then is right for any problem of this form.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from guesssketch.guess.renaming import XMM, implicit, registers, rename_cell, rename_instruction, rename_lines, rename_text
from guesssketch.lifted import source_effect
from guesssketch.problem import Exit, Problem, Symbol
from isa import terms as t
from isa.machine import Instruction
from isa.statemap import CONDITIONS, FLAGS, GENERAL, VECTORS, cell_term

Cells = tuple[tuple[str, int], ...]
_POOL: Final = (*(name for name in GENERAL if name not in ("rsp", "rbp")), "rbp")  # names are given out in this order
_BOOLEANS: Final = frozenset((*FLAGS, *CONDITIONS))
_ORDER: Final = {name: n for n, name in enumerate((*GENERAL, *VECTORS, *FLAGS, *CONDITIONS))}
_PLACEHOLDER: Final = re.compile(r"\bS\d+\b")


@dataclass(frozen=True)
class Form:
    """What a model sees of a problem, and how the problem's own names come back.

    source: instructions in Intel's syntax; a relocated field is told behind them (``mov eax, dword ptr [rip] @ pc S0``).
    live_out: of what the block changes, and flags and conditions, as in ``Problem``. symbols: as in ``Problem``.
    passed: flags and conditions that are live where the block begins. dead: changed, and dead at the end.
    registers, placeholders: the form's name -> the problem's.
    """

    source: tuple[str, ...]
    exit: Exit
    live_out: Cells
    symbols: tuple[Symbol, ...]
    passed: tuple[str, ...]
    dead: tuple[str, ...]
    registers: Mapping[str, str]
    placeholders: Mapping[str, str]

    @property
    def key(self) -> bytes:
        """16 bytes that are equal for equal forms: over all that a model sees."""
        text = repr((self.source, self.exit, self.live_out, self.symbols))
        return hashlib.sha256(text.encode()).digest()[:16]

    def lines(self, lines: Sequence[str], target: str) -> tuple[str, ...]:
        """A translation of the form, for ``target``, as one of the problem."""
        renamed = rename_lines(lines, target, self.registers)
        return tuple(_PLACEHOLDER.sub(lambda m: self.placeholders.get(m[0], m[0]), line) for line in renamed)


def normalise(problem: Problem) -> Form | None:
    """The form of ``problem``; None if part of it has no semantics, or other threads may look at it, of which no form speaks."""
    if problem.is_shared:
        return None
    with source_effect(problem) as effect:
        if effect.opaque:
            return None
        changed = {name for name, value in effect.cells.items() if name not in _BOOLEANS and value is not t.var(name, 64)}
        flags = {name for name, value in effect.cells.items() if name in FLAGS and value is not t.var(name, 1)}
        changed |= flags | {name for name in CONDITIONS if flags & {str(v.attr) for v in t.walk(cell_term(name)) if v.op == "var"}}
    names = _register_names(problem.instructions, changed)
    symbols = _symbol_names(problem)
    live_out = {rename_cell(n, names): bits for n, bits in problem.live_out if n in changed or n in _BOOLEANS}
    dead = {rename_cell(n, names) for n in changed} - live_out.keys()
    return Form(
        source=tuple(_text(i, names, symbols, problem, n) for n, i in enumerate(problem.instructions)),
        exit=problem.exit,
        live_out=tuple((name, live_out[name]) for name in _sorted(live_out)),
        symbols=tuple(replace(s, name=symbols[s.name]) for s in sorted(problem.symbols, key=lambda s: symbols[s.name])),
        passed=_sorted({name for name, _ in problem.live_in if name in _BOOLEANS}),
        dead=_sorted(dead),
        registers={b: a for a, b in names.items()},
        placeholders={b: a for a, b in symbols.items()},
    )


def encoded(problem: Problem, form: Form) -> Problem | None:
    """``form`` (of ``problem``) as a problem of its own, offsets without gaps; None if an instruction cannot be encoded so."""
    names = {b: a for a, b in form.registers.items()}
    symbols = {b: a for a, b in form.placeholders.items()}
    instructions: list[Instruction] = []
    offset = 0
    for instruction in problem.instructions:
        renamed = rename_instruction(instruction, names)
        if renamed is None:
            return None
        relocations = tuple(replace(r, symbol=symbols[r.symbol]) for r in renamed.relocations)
        instructions.append(replace(renamed, offset=offset, relocations=relocations))
        offset += len(renamed.code)
    return widened(problem.target, instructions, form.exit, form.live_out, form.symbols, form.passed, form.dead)


def widened(target: str, instructions: Sequence[Instruction], exit: Exit, live_out: Cells, symbols: tuple[Symbol, ...],
            passed: Sequence[str], dead: Sequence[str]) -> Problem:  # fmt: skip
    """A problem in which all that a form does not speak of is live: names as in ``Form``."""
    whole = [name for name in (*GENERAL, *VECTORS) if name not in dead and name not in dict(live_out)]
    return Problem(
        target=target,
        instructions=tuple(instructions),
        exit=exit,
        live_in=tuple(sorted([(name, 64) for name in (*GENERAL, *VECTORS)] + [(name, 1) for name in passed])),
        live_out=tuple(sorted([*live_out, *((name, 64) for name in whole)])),
        symbols=symbols,
    )


def _sorted(cells: Mapping[str, int] | set[str]) -> tuple[str, ...]:
    return tuple(sorted(cells, key=_ORDER.__getitem__))


def _register_names(instructions: Sequence[Instruction], changed: set[str]) -> dict[str, str]:
    """A permutation: the problem's register -> the form's, without those that keep their names."""
    used = list(dict.fromkeys(r for i in instructions for r in registers(i.text)))
    fixed = {"rsp"}.union(*(implicit(i) for i in instructions), {name.partition(".")[0] for name in changed} - set(used))
    names: dict[str, str] = {}
    for pool in (_POOL, XMM):
        free = [name for name in pool if name not in fixed]
        first = [name for name in used if name in free]
        order = first + [name for name in free if name not in first]
        names |= {a: b for a, b in zip(order, free, strict=True) if a != b}
    return names


def _symbol_names(problem: Problem) -> dict[str, str]:
    """The problem's placeholder -> the form's; those that are not numbered keep their names."""
    used = dict.fromkeys(r.symbol for i in problem.instructions for r in i.relocations)
    used |= dict.fromkeys(s.name for s in problem.symbols)
    numbered = [name for name in used if _PLACEHOLDER.fullmatch(name)]
    return {name: name for name in used} | {name: f"S{n}" for n, name in enumerate(numbered)}


def _text(instruction: Instruction, names: Mapping[str, str], symbols: Mapping[str, str], problem: Problem, number: int) -> str:
    text = rename_text(instruction.text, names)
    last = number == len(problem.instructions) - 1
    if last and problem.exit == "branch" and re.match(r"(j|loop)\w* ", text):
        text = f"{instruction.mnemonic} taken"
    for relocation in instruction.relocations:
        width = 8 if relocation.kind == "abs64" else 4
        behind = len(instruction.code) - relocation.offset - width  # bytes: tells a displacement from an immediate
        text += f" @ {relocation.kind} {symbols[relocation.symbol]}" + (f" - {behind}" if behind else "")
    return text
