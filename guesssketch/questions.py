"""From blocks to problems: what a block asks of a proposer, made free of names and places, and cut where it is too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from guesssketch.liveness import EVERYTHING, Live, before, body, exit_of
from guesssketch.problem import MemoryOrder, Problem, Symbol
from guesssketch.program import Block, Place, Program
from guesssketch.resolve import BlockId, Resolver
from isa.machine import Instruction, Relocation
from isa.x86_64.lift import lift
from solver.assume import applicable

LONGEST = 32  # source instructions in one problem; longer blocks are cut at once (proof time grows faster than length)
GUARD = "guard"  # the placeholder of the stack protector's canary, fs:0x28 in x86-64 code
_EXTENSIONS = ("cqo", "cdq", "xor edx, edx", "mov edx, 0")
_UNALIGNED = 0x4 | 0x10  # SHF_EXECINSTR: blocks move; SHF_MERGE: the linker may put a string elsewhere
_PLACES = 48  # looked at for a cut: a chain of `adc` has no good one, and may be as long as its section
_ABSOLUTE = ("abs32", "abs32s")


def ask(program: Program, resolver: Resolver, at: BlockId, block: Block, live_in: Live, live_out: Live,
        target: str, order: MemoryOrder = "relaxed", assume: tuple[str, ...] = ()) -> list[Problem]:  # fmt: skip
    """The problems of one block, in order: one, or several if it is longer than LONGEST."""
    instructions = body(block)
    if not instructions:
        return []
    whole = Problem(
        target=target,
        instructions=instructions,
        exit=exit_of(block),
        live_in=_sorted(live_in),
        live_out=_sorted(live_out),
        symbols=_symbols(program, resolver, at.object, block, instructions),
        order=order,
        assume=applicable(lift(instructions, exit_of(block)), assume) if assume else (),
    )
    return pieces(whole, LONGEST)


def pieces(problem: Problem, longest: int) -> list[Problem]:
    """``problem`` cut until no piece has more than ``longest`` instructions (at least 1), in order."""
    pending, done = [problem], []
    while pending:
        current = pending.pop()
        if len(current.instructions) <= longest:
            done.append(current)
        else:
            pending.extend(reversed(cut(current)))
    return done


def cut(problem: Problem) -> tuple[Problem, Problem]:
    """Two problems whose answers, run one after the other, answer ``problem`` (of at least two instructions).

    The cut is as near to the middle as it can be with no flag live across it, not between a division and the instruction
    that extends its dividend (together they are a division of half the width), and such that the first half needs no bit
    that the block does not have.
    """
    size = len(problem.instructions)
    joined = _joined(problem.instructions)
    places = sorted(range(1, size), key=lambda i: abs(2 * i - size))[:_PLACES]
    rated = []
    for rank, index in enumerate(places):
        live = _live(problem, index)
        flags = sum(1 for name in live if EVERYTHING[name] == 1)
        rated.append((index in joined, not _fits(problem, index, live), flags, rank, index, live))
        if not any(rated[-1][:3]):
            break
    *_, index, live = min(rated, key=lambda r: r[:4])
    return _halves(problem, index, live)


def halves(problem: Problem, index: int) -> tuple[Problem, Problem]:
    """``problem`` cut before instruction ``index``, wherever that is."""
    return _halves(problem, index, _live(problem, index))


def _live(problem: Problem, index: int) -> Live:
    """What is live before instruction ``index``."""
    return before(lift(_rebase(problem.instructions[index:]), problem.exit), dict(problem.live_out), exact=True)


def _halves(problem: Problem, index: int, live: Live) -> tuple[Problem, Problem]:
    size = len(problem.instructions)
    return _piece(problem, 0, index, dict(problem.live_in), live), _piece(problem, index, size, live, dict(problem.live_out))


def _piece(problem: Problem, start: int, end: int, live_in: Live, live_out: Live) -> Problem:
    """Instructions ``start`` to ``end`` of ``problem`` as a problem of their own."""
    instructions = _rebase(problem.instructions[start:end])
    names = {r.symbol for i in instructions for r in i.relocations}
    guard = any(reads_guard(i) for i in instructions)
    return replace(
        problem,
        instructions=instructions,
        exit=problem.exit if end == len(problem.instructions) else "fall",
        live_in=_sorted(live_in),
        live_out=_sorted(live_out),
        symbols=tuple(s for s in problem.symbols if s.name in names or (guard and s.name == GUARD)),
    )


def atoms(problem: Problem) -> list[Problem]:
    """``problem`` cut wherever ``cut`` may cut it, in order: mostly into single instructions, with a flag's setter and its readers
    in one piece. Just ``problem`` if the pieces would need what the block does not have."""
    joined = _joined(problem.instructions)
    found: list[Problem] = []
    end, exit, live = len(problem.instructions), problem.exit, dict(problem.live_out)
    for index in range(end - 1, -1, -1):
        needed = before(lift(_rebase(problem.instructions[index:end]), exit), live, exact=True)
        if index and (index in joined or any(EVERYTHING[name] == 1 for name in needed)):
            continue
        found.append(_piece(problem, index, end, needed, live))
        end, exit, live = index, "fall", needed
    available = dict(problem.live_in)
    if any(available.get(name, 0) < bits for name, bits in live.items()):
        return [problem]
    return found[::-1]


def _fits(problem: Problem, index: int, middle: Live) -> bool:
    """Whether what the first ``index`` instructions need for ``middle`` is live where the block begins."""
    needed = before(lift(problem.instructions[:index], "fall"), middle, exact=True)
    live_in = dict(problem.live_in)
    return all(live_in.get(name, 0) >= bits for name, bits in needed.items())


def _joined(instructions: Sequence[Instruction]) -> set[int]:
    """Places between a dividend's extension and its division."""
    joined: set[int] = set()
    extended: int | None = None
    for index, instruction in enumerate(instructions):
        if instruction.text in _EXTENSIONS:
            extended = index
        elif instruction.mnemonic in ("div", "idiv") and extended is not None:
            joined.update(range(extended + 1, index + 1))
            extended = None
    return joined


def reads_guard(instruction: Instruction) -> bool:
    return "fs:[0x28]" in instruction.text


def _sorted(live: Live) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(live.items()))


def _rebase(instructions: Sequence[Instruction]) -> tuple[Instruction, ...]:
    start = instructions[0].offset
    return tuple(replace(i, offset=i.offset - start) for i in instructions)


def _symbols(program: Program, resolver: Resolver, number: int, block: Block,
             instructions: Sequence[Instruction]) -> tuple[Symbol, ...]:  # fmt: skip
    relocations = {r.symbol: r for i in instructions for r in i.relocations}
    low = {r.symbol for i in instructions for r in i.relocations if r.kind in _ABSOLUTE}
    symbols = [_symbol(program, resolver, number, r, block.places[name], name in low) for name, r in relocations.items()]
    if any(reads_guard(i) for i in instructions):
        symbols.append(Symbol(GUARD, "got"))
    return tuple(sorted(symbols, key=lambda s: s.name))


def _symbol(program: Program, resolver: Resolver, number: int, relocation: Relocation, place: Place, low: bool) -> Symbol:
    if relocation.kind in ("tpoff", "gottpoff"):
        return Symbol(relocation.symbol, "tls")
    found = resolver.definition(number, place.symbol)
    if relocation.kind == "got" or found is None:
        return Symbol(relocation.symbol, "got", low=low)
    owner, index = found
    file = program.objects[owner]
    symbol = file.symbols[index]
    align = 1
    if symbol.section is not None and not file.sections[symbol.section].flags & _UNALIGNED:
        address = symbol.value + place.addend
        align = min(max(1, file.sections[symbol.section].align), address & -address if address else 1 << 12)
    return Symbol(relocation.symbol, "local", align=min(align, 16), low=low)
