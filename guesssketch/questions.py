"""From blocks to problems: what a block asks of a proposer, made free of names and places, and cut where it is too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from guesssketch.liveness import Live, before, body, exit_of
from guesssketch.problem import Problem, Symbol
from guesssketch.program import Block, Place, Program
from guesssketch.resolve import BlockId, Resolver
from isa.machine import Instruction, Relocation
from isa.x86_64.lift import lift

LONGEST = 32  # source instructions in one problem; longer blocks are cut at once (proof time grows faster than length)
GUARD = "guard"  # the placeholder of the stack protector's canary, fs:0x28 in x86-64 code
_EXTENSIONS = ("cqo", "cdq", "xor edx, edx", "mov edx, 0")
_ABSOLUTE = ("abs32", "abs32s")


def ask(program: Program, resolver: Resolver, at: BlockId, block: Block, live_in: Live, live_out: Live,
        target: str) -> list[Problem]:  # fmt: skip
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
    )
    pending, done = [whole], []
    while pending:
        problem = pending.pop()
        if len(problem.instructions) <= LONGEST:
            done.append(problem)
        else:
            pending.extend(reversed(cut(problem)))
    return done


def cut(problem: Problem) -> tuple[Problem, Problem]:
    """Two problems whose answers, run one after the other, answer ``problem`` (of at least two instructions).

    The cut is as near to the middle as it can be with no flag live across it, and not between a division and the
    instruction that extends its dividend, which together are a division of half the width.
    """
    size = len(problem.instructions)
    live_out = dict(problem.live_out)
    joined = _joined(problem.instructions)
    places = [i for i in range(1, size) if i not in joined] or list(range(1, size))
    best: tuple[int, int, Live] | None = None
    for index in sorted(places, key=lambda i: abs(2 * i - size)):
        live = before(lift(_rebase(problem.instructions[index:]), problem.exit), live_out)
        flags = sum(1 for bits in live.values() if bits == 1)
        if best is None or flags < best[0]:
            best = flags, index, live
        if flags == 0:
            break
    assert best is not None
    _, index, live = best
    middle = _sorted(live)
    first = replace(problem, instructions=problem.instructions[:index], exit="fall", live_out=middle)
    second = replace(problem, instructions=_rebase(problem.instructions[index:]), live_in=middle)
    return replace(first, symbols=_used(first)), replace(second, symbols=_used(second))


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


def _used(problem: Problem) -> tuple[Symbol, ...]:
    names = {r.symbol for i in problem.instructions for r in i.relocations}
    guard = any(reads_guard(i) for i in problem.instructions)
    return tuple(s for s in problem.symbols if s.name in names or (guard and s.name == GUARD))


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
    if symbol.section is not None and not file.sections[symbol.section].is_code:
        address = symbol.value + place.addend
        align = min(max(1, file.sections[symbol.section].align), address & -address if address else 1 << 12)
    return Symbol(relocation.symbol, "local", align=min(align, 16), low=low)
