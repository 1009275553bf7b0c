"""Terms -> LLVM IR text: one function a block, its inputs and outputs pinned to the state map."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from guesssketch.lowering.emitter import Unsupported
from guesssketch.lowering.expressions import Expressions
from guesssketch.lowering.pins import BOOLEANS, entry_pins, exit_pins, part
from guesssketch.lowering.shared import Shared, SharedExpressions, shared
from guesssketch.lowering.simplify import simplify
from guesssketch.problem import Problem
from isa import terms as t
from isa.machine import EVERY_ORDER, Effect
from isa.statemap import MAPS, cell_term
from isa.terms import MEMORY, Term

ENTRY_MARK: Final = "gs.entry"
FALL_MARK: Final = "gs.fall"
TAKEN_MARK: Final = "gs.taken"
AGAIN_MARK: Final = "gs.again"
HINT_MARK: Final = "gs.out"  # before a branch: has values put where both exits want them; the exits are what is binding
_COMMENT: Final = {"aarch64": "//", "riscv64": "#"}
_SYMBOL: Final = re.compile(r"S\d+")


@dataclass(frozen=True)
class Roots:
    """What a block must compute: each live-out cell or condition cut to its live bits, where it goes, and memory.

    guard: the condition under which the accesses to ``guarded`` (address, bytes) and the stores of a conditional memory
    are made; None if every access is made always.
    """

    cells: dict[str, Term]
    memory: Term
    condition: Term | None
    target: Term | None
    guard: Term | None
    guarded: frozenset[tuple[Term, int]]

    @property
    def terms(self) -> list[Term]:
        extra = [x for x in (self.condition, self.target, self.guard) if x is not None]
        return [self.memory, *self.cells.values(), *extra]


def roots_of(effect: Effect, problem: Problem) -> Roots:
    """The live part of ``effect``, simplified. A live-out cell that the block does not change stays a variable."""
    cells = _live_cells(effect, problem)
    accesses = [x for x in (*effect.loads, *effect.stores) if x.guard is not t.TRUE]
    guards = {x.guard for x in accesses}
    if len(guards) > 1:
        raise Unsupported("accesses under several conditions")
    optional = [effect.condition, effect.target, next(iter(guards), None)]
    raw = [effect.memory, *cells.values(), *(x.address for x in accesses), *(x for x in optional if x is not None)]
    low = {s.name for s in problem.symbols if s.low}
    done = iter(simplify(raw, [name for name, _ in problem.live_in], low))
    memory = next(done)
    cells = {name: next(done) for name in cells}
    guarded = frozenset((next(done), x.size) for x in accesses)
    condition, target, guard = (None if x is None else next(done) for x in optional)
    if guard is not None:
        memory = _conditional(memory, guard, guarded)
    return Roots(cells, memory, condition, target, guard, guarded)


def _live_cells(effect: Effect, problem: Problem) -> dict[str, Term]:
    """Each live-out cell or condition, cut to its live bits."""
    cells: dict[str, Term] = {}
    flags = {t.var(name, 1): value for name, value in effect.cells.items() if name in BOOLEANS}
    for name, bits in problem.live_out:
        if name in BOOLEANS:
            cells[name] = t.substitute([cell_term(name)], flags)[0]
        else:
            value = effect.cells.get(name, t.var(name, 64))
            cells[name] = value if value is t.var(name, 64) else t.extract(value, 0, part(bits))
    return cells


def _conditional(memory: Term, guard: Term, guarded: frozenset[tuple[Term, int]]) -> Term:
    """Stores that write back the old value unless ``guard`` holds, as a choice between two memories."""
    stores: list[tuple[Term, Term]] = []
    base = memory
    while base.op == "store" and base.args[2].op == "ite" and (base.args[1], base.args[2].width // 8) in guarded:
        _, address, value = base.args
        condition, then, other = value.args
        if condition is not guard and condition is not t.not_(guard):
            break
        stores.append((address, then if condition is guard else other))
        base = base.args[0]
    made = base
    for address, value in reversed(stores):
        made = t.store(made, address, value)
    return t.ite(guard, made, base)


def function_text(name: str, effect: Effect, problem: Problem, strict: bool = False) -> str:
    """The LLVM function of one block, with the globals that it needs.

    strict: no packed operations, and nothing for LLVM to fold into symbol addresses; slower code, for when the plain
    form came out unusable. Raises Unsupported for what has no lowering.
    """
    try:
        emitter = _emitted(name, effect, problem, strict)
    except RecursionError:  # several crc32 in one block
        raise Unsupported("terms nested too deeply") from None
    body = "\n".join(emitter.lines)
    frame = ' "frame-pointer"="all"' if problem.target == "aarch64" else ""  # keeps x29 from the allocator
    head = f"define ghccc void @{name}() nounwind null_pointer_is_valid{frame} {{"  # gcc stores to 0 where it must trap
    return "\n".join([*emitter.globals, head, "entry:", body, "}", ""])


def _emitted(name: str, effect: Effect, problem: Problem, strict: bool) -> Expressions:
    if problem.is_shared:
        block = shared(effect, _live_cells(effect, problem), problem)
        emitter: Expressions = _shared_body(SharedExpressions(name, problem, strict), block, problem)
        _exits(emitter, problem, block.cells, block.condition, block.target)
        return emitter
    roots = roots_of(effect, problem)
    order = _schedule(roots)
    emitter = Expressions(name, problem, strict, _shared_symbols(order))
    _enter(emitter, problem, roots.cells, order)
    _emit_body(emitter, roots, order)
    _exits(emitter, problem, roots.cells, roots.condition, roots.target)
    return emitter


def _enter(emitter: Expressions, problem: Problem, cells: Mapping[str, Term], order: Iterable[Term],
           kept: Iterable[str] = ()) -> None:  # fmt: skip
    """The entry marker: what ``order`` reads, what is handed through, and ``kept``."""
    state = MAPS[problem.target]
    reads = {x.attr for x in order if x.op == "var" and x.width and x.attr in state.homes}
    through = {cell for cell, value in cells.items() if value is _variable(cell)}
    emitter.inputs.bind(_COMMENT[problem.target] + ENTRY_MARK, entry_pins(state, reads | through | {*kept}))


def _exits(emitter: Expressions, problem: Problem, cells: Mapping[str, Term], condition: Term | None, target: Term | None) -> None:
    """The ways out, each with its marker."""
    state, comment = MAPS[problem.target], _COMMENT[problem.target]
    widths = {cell: 64 if cells[cell] is _variable(cell) else part(bits) for cell, bits in problem.live_out}
    operands = [emitter.output(pin, cells) for pin in exit_pins(state, widths)]
    if target is not None:
        operands.append((state.branch_target, "i64", emitter.value(target)))
    if condition is None:
        emitter.add(_mark(comment + FALL_MARK, operands), "ret void")
        return
    decided = emitter.value(condition)
    emitter.add(_mark(comment + HINT_MARK, operands), f"br i1 {decided}, label %taken, label %fall",
                "fall:", _mark(comment + FALL_MARK, operands), "ret void",
                "taken:", _mark(comment + TAKEN_MARK, operands), "ret void")  # fmt: skip


def _shared_body(emitter: SharedExpressions, block: Shared, problem: Problem) -> SharedExpressions:
    """All that comes before the ways out; a store-exclusive that failed goes back with what was live as it was."""
    live = dict(problem.live_in) if problem.is_atomic else {}
    _enter(emitter, problem, block.cells, t.walk(*block.terms), live)
    failed = emitter.accesses(block)
    if failed is not None:
        cells = {cell: _variable(cell) for cell in live}
        kept = [emitter.output(pin, cells) for pin in exit_pins(MAPS[problem.target], dict.fromkeys(live, 64))]
        emitter.add(f"br i1 {failed}, label %again, label %done", "again:",
                    _mark(_COMMENT[problem.target] + AGAIN_MARK, kept), "ret void", "done:")  # fmt: skip
        if problem.target == "aarch64":
            emitter.barrier(EVERY_ORDER)
    return emitter


def _emit_body(emitter: Expressions, roots: Roots, order: Sequence[Term]) -> None:
    """Accesses, cells and what they need, in order; the rest of the terms come where they are first used."""
    wanted = {term.id for term in roots.terms} - emitter.late(roots.cells)
    inside = _inside(roots, order)
    tainted = {term.id for term in inside}
    for term in order:
        if tainted.intersection(a.id for a in term.args):
            tainted.add(term.id)
        if term.id in tainted or (term.width == MEMORY and term.op != "store"):
            continue
        if term.op == "store":
            emitter.store(term)
        elif term.op == "load" or term.id in wanted:
            emitter.value(term)
    if inside:
        assert roots.guard is not None
        emitter.guarded(roots.guard, inside)


def _inside(roots: Roots, order: Sequence[Term]) -> list[Term]:
    """The accesses that are made only if the guard holds, in order."""
    if roots.guard is None:
        return []
    stores: set[int] = set()
    if roots.memory.op == "ite":
        condition, then, other = roots.memory.args
        if condition is t.not_(roots.guard):
            then, other = other, then
        elif condition is not roots.guard:
            raise Unsupported("memory under another condition")
        while then is not other:
            if then.op != "store":
                raise Unsupported("memory that forks")
            stores.add(then.id)
            then = then.args[0]
    elif roots.memory.op != "var":
        raise Unsupported("loads alone under a condition")
    return [x for x in order if x.id in stores or (x.op == "load" and (x.args[1], x.width // 8) in roots.guarded)]


def _variable(cell: str) -> Term:
    return t.var(cell, 1 if cell in BOOLEANS else 64)


def _mark(text: str, operands: Sequence[tuple[str, str, str]]) -> str:
    constraints = ",".join(f"{{{register}}}" for register, _, _ in operands)
    arguments = ", ".join(f"{kind} {value}" for _, kind, value in operands)
    return f'call void asm sideeffect "{text}", "{constraints}"({arguments})'


def _schedule(roots: Roots) -> list[Term]:
    """All terms under the roots, arguments first, loads before the store that overwrites their memory, and otherwise in
    order of creation, which is the order of the source."""
    terms = list(t.walk(*roots.terms))
    chain: dict[int, Term] = {}
    for term in terms:
        if term.op == "store" and chain.setdefault(term.args[0].id, term) is not term:
            raise Unsupported("memory that forks")
        if term.op in ("load", "store") and term.args[0].op not in ("store", "var"):
            raise Unsupported(f"memory {term.args[0].op}")
    waiting: dict[int, int] = {}
    users: dict[int, list[Term]] = {}
    for term in terms:
        needs = {a.id for a in term.args}
        for need in needs:
            users.setdefault(need, []).append(term)
        waiting[term.id] = waiting.get(term.id, 0) + len(needs)
        if term.op == "load" and (after := chain.get(term.args[0].id)):
            users.setdefault(term.id, []).append(after)
            waiting[after.id] = waiting.get(after.id, 0) + 1
    by_id = {term.id: term for term in terms}
    ready = [term.id for term in terms if not waiting[term.id]]
    heapq.heapify(ready)
    order: list[Term] = []
    while ready:
        term = by_id[heapq.heappop(ready)]
        order.append(term)
        for user in users.get(term.id, ()):
            waiting[user.id] -= 1
            if not waiting[user.id]:
                heapq.heappush(ready, user.id)
    return order


def _shared_symbols(order: Sequence[Term]) -> frozenset[str]:
    """Symbols through which memory is accessed, in a block that uses several of them and stores.

    LLVM would take them for distinct objects, while two placeholders may be parts of one.
    """
    found: set[str] = set()
    stores = False
    for term in order:
        if term.op in ("load", "store"):
            found |= base_symbols(term.args[1])
            stores = stores or term.op == "store"
    return frozenset(found) if stores and len(found) > 1 else frozenset()


def base_symbols(address: Term) -> set[str]:
    """The placeholders among the summands of an address."""
    if address.op == "add":
        return base_symbols(address.args[0]) | base_symbols(address.args[1])
    return {address.attr} if address.op == "var" and _SYMBOL.fullmatch(address.attr) else set()
