"""The truth of an alignment: for each line of the lowering's code the source instructions that it does the work of.

LLVM carries it as debug information (``debuglines``): each instruction of its IR says which term it is there for, and so
does each line of its assembly. ``origins`` knows which source instruction a term comes from. A line is put down to

- the instruction that its term comes from, and those whose terms were folded into it and have no line of their own;
- for a compare, those that set the flags; for what only asks for the outcome (``b.lt``, ``csel``), the jump or select; for
  both in one (``cbz``, ``blt``), both;
- for ``ldp`` and ``stp``, both accesses;
- for a placeholder's address, the first instruction that names it;
- for a move or constant that only leaves a value in its home, the last instruction that wrote the cell;
- for any other move or constant, what the first line that reads it is put down to;
- nothing, if all that fails: such a line has no truth, and labels have none.

An instruction that then has no line shares those of what it makes something of (an extension that a load does), or those
that read what it copied (``mov rcx, rdi``). One whose results nobody needs has none, and stack pointers that ``push`` and
``pop`` move are not part of other accesses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from guesssketch.lowering import BATCH, Lowering, assembly_of
from guesssketch.lowering.debuglines import DebugLines, without_lines
from guesssketch.lowering.emitter import Maker, Unsupported
from guesssketch.lowering.ir import function_text, roots_of
from guesssketch.lowering.literal import literal
from guesssketch.lowering.origins import Origins, Parts
from guesssketch.lowering.text import Unusable, plain_lines, register
from guesssketch.problem import Problem
from isa.machine import Effect
from isa.separate import Table, new_table, separate
from isa.statemap import MAPS
from isa.terms import Term

Positions = tuple[frozenset[int], ...]
Placed = tuple[tuple[str, ...], Positions]

_SETS_FLAGS: Final = frozenset(("cmp", "cmn", "tst", "fcmp", "fcmpe", "ccmp", "ccmn", "fccmp", "subs", "adds", "ands", "bics",
                                "negs"))  # fmt: skip
_READS_FLAGS: Final = re.compile(r"b\.\w+|csel|csinc|csinv|csneg|csetm?|cinc|cinv|cneg|fcsel")
_BRANCH: Final = re.compile(r"b\.\w+|[ct]bn?z|b(?:eq|ne|lt|ge|gt|le|ltu|geu|gtu|leu)z?")
_PAIRS: Final = ("ldp ", "stp ", "ldpsw ")
_UPDATES: Final = re.compile(r"movk |ins |bfi |bfxil |mov v\d+\.[bhsd]\[")  # write a part of a register
_JUMP: Final = frozenset(("b", "j"))
_STORE: Final = re.compile(r"st[ru]\w*|stp|s[bhwd]|fs[wd]")
_OPERAND: Final = re.compile(r"\b(?:[xwvqdshb]\d{1,2}|f?[ast]\d{1,2}|ft\d{1,2}|fs\d{1,2}|fa\d)\b")
_PLACEHOLDER: Final = re.compile(r"\bS\d+\b")
_ADDRESS: Final = re.compile(r"adrp |auipc |lui |addi? .*:lo12:|ldr .*:got_lo12:")
_PAIRED_WITH: Final = re.compile(r"%pcrel_lo\((\d+)b\)")
_ZERO: Final = re.compile(r"cbn?z |tbn?z |b(?:eq|ne)z ")
_LABEL: Final = re.compile(r"\.L\w+|\b\d+[fb]\b|\b(?:taken|fall)\b")


def positions(problems: Sequence[Problem], target: str) -> list[Placed | None]:
    """For each problem its lines, as ``Lowering(target, "canonical")`` proposes them, and for each line a set of indices into
    the problem's instructions, empty where there is no truth.

    None where there is no lowering instruction by instruction, or where LLVM makes other code with debug information. Raises
    ToolError if LLVM cannot be run.
    """
    results: list[Placed | None] = []
    for start in range(0, len(problems), BATCH):
        results += _batch(problems[start : start + BATCH], Lowering(target, "canonical"))
    return results


@dataclass
class _Question:
    """A problem with terms of its own."""

    problem: Problem
    steps: Sequence[Effect]
    table: Table
    places: DebugLines
    text: str


def _batch(problems: Sequence[Problem], lowering: Lowering) -> list[Placed | None]:
    wanted = {n: found[0].lines for n, found in enumerate(lowering.propose(problems)) if found}
    results: list[Placed | None] = [None] * len(problems)
    asked: dict[int, _Question] = {}
    for number in wanted:
        with suppress(Unsupported):
            asked[number] = _asked(problems[number], number)
    texts = {number: q.text for number, q in asked.items()}
    plain = assembly_of({number: without_lines(text) for number, text in texts.items()}, lowering.target, lowering.style)
    traced = assembly_of(texts, lowering.target, lowering.style, {number: q.places for number, q in asked.items()})
    for number in plain.keys() & traced.keys():
        with suppress(Unusable):
            before, after = (lowering.lines_of(number, texts[number], x[number]) for x in (plain, traced))
            if before == after:
                results[number] = wanted[number], _placed(asked[number], number, traced[number], wanted[number])
    return results


def _asked(problem: Problem, number: int) -> _Question:
    table, places = new_table(), DebugLines(number)
    with separate(table):
        steps = literal(problem)
        return _Question(problem, steps, table, places, function_text(f"f{number}", steps[-1], problem, lines=places))


def _placed(question: _Question, number: int, raw: Sequence[str], lines: Sequence[str]) -> Positions:
    problem = question.problem
    makers = _makers(f"f{number}", raw, question.places.read(raw), lines, problem.target)
    with separate(question.table):
        roots = roots_of(question.steps[-1], problem)
        return _Lines(problem, lines, makers, Origins(problem, question.steps, roots)).positions()


def _makers(name: str, raw: Sequence[str], known: Sequence[Maker | None], lines: Sequence[str], target: str) -> list[list[Maker]]:
    """For each line of the candidate what the instructions are there for that LLVM wrote for it."""
    before: list[tuple[str, Maker | None]] = []
    for text, maker in zip(raw, known, strict=True):
        before += [(x, maker) for x in plain_lines(name, [text], target)]
    found: list[list[Maker]] = [[] for _ in lines]
    old, new = [_shape(text) for text, _ in before], [_shape(line) for line in lines]
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        pairs = zip(range(a, b), range(c, d), strict=True) if b - a == d - c else ((x, c) for x in range(a, b) if d - c == 1)
        if kind in ("equal", "replace"):
            for x, y in pairs:
                if (maker := before[x][1]) is not None:
                    found[y].append(maker)
    return found


def _shape(line: str) -> str:
    """The line without what is renamed or turned round on its way to a candidate."""
    if line.endswith(":"):
        return ":"
    mnemonic = line.split(" ")[0]
    if _BRANCH.fullmatch(mnemonic) or mnemonic in _JUMP:
        return "jump" if mnemonic in _JUMP else "branch"
    return re.sub(r"\b[vqdshb]\d{1,2}\b", "v", _LABEL.sub("L", line))


class _Lines:
    """The lines of one candidate, on their way to positions."""

    def __init__(self, problem: Problem, lines: Sequence[str], makers: Sequence[Sequence[Maker]], origins: Origins) -> None:
        self._problem, self._lines, self._makers, self._origins = problem, lines, makers, origins
        self._a64 = problem.target == "aarch64"
        self._found: list[set[int]] = [set() for _ in lines]
        self._compares: dict[int, frozenset[int]] = {}  # branches that compare by themselves: what is compared comes from there

    def positions(self) -> Positions:
        apart = {m.id for makers in self._makers for m in makers if isinstance(m, Term)}
        parts = {_key(m): self._origins.parts(m, apart) for makers in self._makers for m in makers}
        for at, line in enumerate(self._lines):
            if line.endswith(":"):
                continue
            if line.split(" ")[0] in _JUMP:
                self._found[at] = {len(self._problem.instructions) - 1} if self._problem.exit == "branch" else set()
                continue
            self._found[at] |= self._symbol(line)
            if not self._found[at]:
                for maker in self._makers[at]:
                    self._found[at] |= self._of(at, maker, parts[_key(maker)])
            self._found[at] = self._found[at] or self._home(at)
        self._paired(apart)
        self._forwarded()
        self._hidden(parts)
        return tuple(map(frozenset, self._found))

    def _of(self, at: int, maker: Maker, known: Parts | None) -> frozenset[int]:
        if known is None:
            return frozenset()
        mnemonic = self._lines[at].split(" ")[0]
        if self._a64 and mnemonic in _SETS_FLAGS:
            return known.asked or known.work
        if self._a64 and _READS_FLAGS.fullmatch(mnemonic):
            return known.work or known.asked
        if isinstance(maker, Term) and maker.width == 1:
            return known.tests
        if _BRANCH.fullmatch(mnemonic):
            if not self._asks_outcome(at):
                self._compares[at] = known.asked
                return known.work | known.asked
            return known.work
        others = [self._lines[n].split(" ")[0] for n, makers in enumerate(self._makers) if maker in makers]
        if any(_BRANCH.fullmatch(x) or (self._a64 and x in _SETS_FLAGS) for x in others):
            return known.asked or known.work if maker == "jump" else known.work
        return known.work | known.tests

    def _asks_outcome(self, at: int) -> bool:
        """Whether a branch looks at a register in which another line has put the outcome of a compare."""
        if not _ZERO.match(self._lines[at]):
            return False
        asked = next(iter(_read(self._lines[at], self._problem.target)), None)
        for before in reversed(range(at)):
            if asked is not None and _written(self._lines[before], self._problem.target) == asked:
                return any(m == "jump" or (isinstance(m, Term) and m.width == 1) for m in self._makers[before])
        return False

    def _home(self, at: int) -> set[int]:
        """The last writers of the cells in whose home the line leaves a value."""
        target = self._problem.target
        written = _written(self._lines[at], target)
        if written is None:
            return set()
        for later in self._lines[at + 1 :]:
            if later.split(" ")[0] in _JUMP or _BRANCH.match(later):
                break
            if _written(later, target) == written:
                return set()
        homes = MAPS[target].homes
        cells = [name for name, _ in self._problem.live_out if register(_base(homes[name]), target) == written]
        writers = [n for n in map(self._origins.writer, cells) if n is not None]
        return {max(writers)} if writers else set()

    def _symbol(self, line: str) -> set[int]:
        """For a line that makes a placeholder's address, the first instruction that names it."""
        if match := _PAIRED_WITH.search(line):
            label = self._lines.index(f"{match[1]}:")
            high = next(x for x in self._lines[label:] if not x.endswith(":"))
            if "got" not in high and not line.startswith("addi "):
                return set()
            line = high
        elif not _ADDRESS.match(line):
            return set()
        found = {self._origins.symbol(name) for name in _PLACEHOLDER.findall(line)}
        return {number for number in found if number is not None}

    def _paired(self, apart: set[int]) -> None:
        """The other half of each pair of loads or stores: LLVM tells of one. Where it may be either neighbour, the clear
        cases are settled first."""
        open_ = {at: {term for maker in self._makers[at] for term in self._origins.neighbours(maker, apart)}
                 for at, line in enumerate(self._lines) if line.startswith(_PAIRS)}  # fmt: skip
        while open_:
            at = min(open_, key=lambda x: len(open_[x]))
            chosen = open_.pop(at)
            self._found[at] |= {number for x in chosen if (number := self._origins.first(x)) is not None}
            open_ = {other: terms - chosen for other, terms in open_.items()}

    def _forwarded(self) -> None:
        """Lines that nothing is known of yet are put down to what the first line that reads them is."""
        target = self._problem.target
        for at in reversed(range(len(self._lines))):
            written = _written(self._lines[at], target)
            if self._found[at] or written is None:
                continue
            for later in range(at + 1, len(self._lines)):
                if written in _read(self._lines[later], target):
                    self._found[at] = set(self._compares.get(later, self._found[later]))
                    break

    def _hidden(self, parts: Mapping[object, Parts | None]) -> None:
        """Instructions that have no line yet share the lines of what they make something of, or of who reads their copy."""
        for number in range(len(self._problem.instructions)):
            if any(number in found for found in self._found):
                continue
            inside = self._origins.around(number)
            sharing = [at for at, makers in enumerate(self._makers)
                       if number in self._home(at) or any(isinstance(m, Term) and m.id in inside for m in makers)]  # fmt: skip
            copied = [at for at, makers in enumerate(self._makers)
                      if any((p := parts[_key(m)]) is not None and number in p.copies for m in makers)]  # fmt: skip
            for at in sharing or copied:
                if self._found[at]:
                    self._found[at].add(number)


def _key(maker: Maker) -> object:
    return maker.id if isinstance(maker, Term) else maker


def _base(cell: str) -> str:
    """A register's name in assembly for a cell of a target."""
    return cell.split(".")[0]


def _written(line: str, target: str) -> str | None:
    """The register that a line writes, if it writes one."""
    mnemonic, _, operands = line.partition(" ")
    if _STORE.fullmatch(mnemonic) or _BRANCH.fullmatch(mnemonic) or mnemonic in _JUMP or line.endswith(":"):
        return None
    match = _OPERAND.match(operands.strip())
    return register(match[0], target) if match else None


def _read(line: str, target: str) -> set[str]:
    """The registers that a line reads, and the one that it writes if it also reads that."""
    _, _, operands = line.partition(" ")
    names = [register(name, target) for name in _OPERAND.findall(operands)]
    whole = _written(line, target) is None or _UPDATES.match(line) is not None
    return set(names if whole else names[1:])
