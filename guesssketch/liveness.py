"""Liveness over the whole program: which low bits of which cells matter at the ends of each block.

Backward dataflow (Aho, Lam, Sethi, Ullman: Compilers, 9.2.5) with two refinements. The transfer function of a block is exact
up to bits: demanded bits pushed through its terms (``isa.demand``). And it runs across calls: a call to a
function of the inputs leads to its entry, and its returns lead back behind every call of it, because gcc (-fipa-ra) lets a
caller rely on registers that a callee it knows leaves alone. Calls out of the program and functions that can be entered from
outside follow the System V ABI.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Protocol

from guesssketch.problem import Exit
from guesssketch.program import Block, Branch, Call, IndirectJump, Place, Program, Return, TailCall
from guesssketch.resolve import BlockId, FunctionId, Resolver, blocks
from isa import statemap
from isa import terms as t
from isa.demand import demanded, low_bits
from isa.machine import Effect, Instruction
from isa.statemap import CONDITIONS, FLAGS, VECTORS, cell_term
from isa.x86_64.lift import lift

Live = dict[str, int]  # cell or condition -> number of low bits that matter (1, 8, 16, 32 or 64)

ARGUMENTS: Live = dict.fromkeys(("rdi", "rsi", "rdx", "rcx", "r8", "r9", "r10"), 64) | {"rax": 8} | {
    f"xmm{n}.{half}": 64 for n in range(8) for half in ("lo", "hi")
}  # fmt: skip
PRESERVED: Live = dict.fromkeys(statemap.CALLEE_SAVED, 64)
_PREFIXES = ("notrack", "bnd", "rep", "repz", "repne", "data16", "lock")
_TRANSFERS = ("jmp", "call", "ret", "retf", "ud2", "hlt", "int3")
EVERYTHING: Live = dict.fromkeys((*statemap.GENERAL, *VECTORS), 64) | dict.fromkeys((*FLAGS, *CONDITIONS), 1)


class Boundary(Protocol):
    """What the wall knows (``guesssketch.wall.Boundary``)."""

    def call_uses(self, number: int, place: Place) -> Live:
        """Cells read by a direct call from object ``number`` to ``place``, which is outside."""

    def return_uses(self, at: FunctionId) -> Live | None:
        """Cells that a function owes its native callers; None if it has no native entry."""


@dataclass
class Liveness:
    """live_in, live_out: at the two ends of each block, ``Live`` as above. effects: each block's effect, lifted once."""

    live_in: dict[BlockId, Live] = field(default_factory=dict)
    live_out: dict[BlockId, Live] = field(default_factory=dict)
    effects: dict[BlockId, Effect] = field(default_factory=dict)


def exit_of(block: Block) -> Exit:
    match block.terminator:
        case Branch():
            return "branch"
        case IndirectJump() | Call(callee=None) | TailCall(callee=None):
            return "indirect"
    return "fall"


def join(into: Live, other: Live) -> bool:
    """Add ``other`` to ``into``; true if that changed anything."""
    changed = False
    for name, bits in other.items():
        if into.get(name, 0) < bits:
            into[name] = bits
            changed = True
    return changed


def before(effect: Effect, live_out: Live, exact: bool = False) -> Live:
    """What must be live before code with this effect so that ``live_out`` can be right after it.

    exact: count bits one by one rather than by register parts, so that a cut inside a block asks for no more than the
    block as a whole does.
    """
    if effect.opaque:
        return dict(EVERYTHING)
    roots: list[tuple[t.Term, int]] = [(effect.memory, 1)]
    roots += [(term, t.mask(term.width)) for term in (effect.condition, effect.target) if term is not None]
    roots += [(access.address, t.mask(64)) for access in (*effect.loads, *effect.stores)]
    roots += [(access.guard, 1) for access in (*effect.loads, *effect.stores)]
    live: Live = {}
    for name, bits in live_out.items():
        term = cell_term(name)
        written = {t.var(v, 1): effect.cells[v] for v in t.variables(term) if v in effect.cells} if name in CONDITIONS else {}
        if written:
            roots.append((t.substitute([term], written)[0], 1))
        elif name in effect.cells:
            roots.append((effect.cells[name], t.mask(bits)))
        else:
            live[name] = bits
    for name, bits in demanded(roots).items():
        if name in EVERYTHING:
            parts = 1 if EVERYTHING[name] == 1 else max(8, low_bits(bits))
            join(live, {name: max(2, bits.bit_length()) if exact and parts > 1 else parts})
    return live


def analyse(program: Program, resolver: Resolver, boundary: Boundary) -> Liveness:
    """Least fixpoint over all functions of ``program``."""
    result = Liveness()
    known = dict(blocks(program))
    for at, block in known.items():
        result.effects[at] = lift(body(block), exit_of(block))
    flow = _Flow(program, resolver, boundary, known)
    pending = list(known)
    queued = set(pending)
    while pending:
        at = pending.pop()
        queued.discard(at)
        live_out = flow.out(at, result.live_in)
        if at in result.live_in and live_out == result.live_out[at]:
            continue
        result.live_out[at] = live_out
        live_in = before(result.effects[at], live_out)
        if live_in != result.live_in.get(at):
            result.live_in[at] = live_in
            flow.grew(at, live_in)
            for user in flow.users[at]:
                if user not in queued:
                    queued.add(user)
                    pending.append(user)
    return result


def body(block: Block) -> tuple[Instruction, ...]:
    """The instructions of ``block`` that a problem holds, in normal form.

    A direct jump, call or return is left out (stitching supplies it); an indirect call becomes the indirect jump with the
    same operand; a conditional jump loses its displacement.
    """
    instructions = block.instructions
    if not instructions:
        return ()
    *rest, last = instructions
    match block.terminator:
        case Branch(taken=taken) if taken != block.offset or not last.text.startswith("rep"):
            return (*rest, _without_displacement(last))
        case Call(callee=None):
            return (*rest, _call_as_jump(last))
    if exit_of(block) == "fall" and _operation(last) in _TRANSFERS:
        return tuple(rest)
    return instructions


def _operation(instruction: Instruction) -> str:
    return next(word for word in instruction.text.split() if word not in _PREFIXES)


def _without_displacement(jump: Instruction) -> Instruction:
    code = jump.code.lstrip(b"\x2e\x3e\xf2")  # branch hints, bnd
    if code[0] & 0xF0 == 0x70:
        code = bytes((0x0F, 0x80 | code[0] & 0x0F))
    if code[0] == 0x0F:
        return Instruction(jump.offset, code[:2] + bytes(4), f"{jump.mnemonic} taken")
    return Instruction(jump.offset, code[:-1] + b"\0", f"{jump.mnemonic} taken")  # jrcxz, loop


def _call_as_jump(call: Instruction) -> Instruction:
    """``call r/m64`` (FF /2) as ``jmp r/m64`` (FF /4): the same operand, without the push (Intel SDM vol. 2, CALL and JMP)."""
    at = call.code.index(0xFF)
    modrm = call.code[at + 1]
    code = call.code[: at + 1] + bytes((modrm & 0xC7 | 4 << 3,)) + call.code[at + 2 :]
    return replace(call, code=code, text=call.text.replace("call", "jmp", 1))


class _Flow:
    """The edges of the interprocedural graph."""

    def __init__(self, program: Program, resolver: Resolver, boundary: Boundary, blocks: dict[BlockId, Block]) -> None:
        self._resolver, self._boundary, self._blocks = resolver, boundary, blocks
        self.users: dict[BlockId, set[BlockId]] = defaultdict(set)  # block -> blocks whose live-out reads its live-in
        returns: dict[FunctionId, list[BlockId]] = defaultdict(list)
        for at, block in blocks.items():
            if isinstance(block.terminator, Return):
                returns[FunctionId(at.object, at.function)].append(at)
        self._after: dict[FunctionId, set[BlockId]] = defaultdict(set)  # blocks that a function may return to
        self._owed: dict[FunctionId, Live | None] = {}
        tails: dict[FunctionId, set[FunctionId]] = defaultdict(set)  # callee -> functions that end in a jump to it
        for at, block in blocks.items():
            home = FunctionId(at.object, at.function)
            self._owed.setdefault(home, boundary.return_uses(home))
            for target in block.successors:
                self.users[BlockId(at.object, at.function, target)].add(at)
            callee = self._callee(at, block)
            if callee is None:
                continue
            entry = BlockId(*callee, resolver.function(callee).offset)
            self.users[entry].add(at)
            if isinstance(block.terminator, TailCall):
                tails[callee].add(home)
            elif isinstance(block.terminator, Call) and block.terminator.next is not None:
                self._after[callee].add(BlockId(at.object, at.function, block.terminator.next))
        self._spread(tails)
        self._returners: dict[BlockId, list[FunctionId]] = defaultdict(list)  # block -> functions that may return to it
        for callee, continuations in self._after.items():
            for continuation in continuations:
                self.users[continuation].update(returns[callee])
                self._returners[continuation].append(callee)
        self._returned = {home: dict(PRESERVED) for home in self._owed}  # function -> what is live where it returns, so far
        for home, owed in self._owed.items():
            join(self._returned[home], owed or {})

    def _spread(self, tails: dict[FunctionId, set[FunctionId]]) -> None:
        """A function reached by a tail call returns where its caller would, and owes what its caller owes."""
        pending = list(tails)
        while pending:
            callee = pending.pop()
            for caller in tails[callee]:
                more = self._after[caller] - self._after[callee]
                owed, own = self._owed.get(caller), self._owed.get(callee)
                merged = dict(own or {})
                grew = owed is not None and join(merged, owed)
                if more or grew:
                    self._after[callee] |= more
                    if grew:
                        self._owed[callee] = merged
                    pending.extend(t for t in tails if callee in tails[t])

    def _callee(self, at: BlockId, block: Block) -> FunctionId | None:
        match block.terminator:
            case Call(callee=Place() as place) | TailCall(callee=Place() as place):
                return self._resolver.callee(at.object, place)
        return None

    def out(self, at: BlockId, live_in: dict[BlockId, Live]) -> Live:
        """Live-out of block ``at`` from what is known of live-ins so far."""
        block = self._blocks[at]
        live: Live = {"rsp": 64}
        home = FunctionId(at.object, at.function)
        match block.terminator:
            case Return():
                join(live, self._returned[home])
            case Call(callee=callee, next=after):
                inner = self._callee(at, block)
                if inner is not None:
                    join(live, live_in.get(BlockId(*inner, self._resolver.function(inner).offset), {}))
                else:
                    join(live, ARGUMENTS if callee is None else self._boundary.call_uses(at.object, callee))
                    if after is not None:
                        rest = live_in.get(BlockId(at.object, at.function, after), {})
                        join(live, {name: bits for name, bits in rest.items() if name in PRESERVED})
            case TailCall(callee=callee):
                inner = self._callee(at, block)
                if inner is not None:
                    join(live, live_in.get(BlockId(*inner, self._resolver.function(inner).offset), {}))
                else:
                    join(live, ARGUMENTS if callee is None else self._boundary.call_uses(at.object, callee))
                    join(live, PRESERVED)
            case _:
                for target in block.successors:
                    join(live, live_in.get(BlockId(at.object, at.function, target), {}))
        return live

    def grew(self, at: BlockId, live: Live) -> None:
        """Block ``at`` has the live-in ``live`` now. It only ever grows, so what is live at returns to many callers need not be
        joined anew each time."""
        for function in self._returners.get(at, ()):
            join(self._returned[function], live)
