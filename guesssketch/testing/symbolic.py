"""A run of the original followed in terms of its input: what each register and byte of memory is, and what each branch asks.

The blocks' effects are those that the prover uses (``isa.x86_64.lift``). A run that was watched says which blocks come one
after the other and what every register held; what does not depend on the input is a number. Addresses are taken from the run:
an address that depends on the input is *pinned*, a condition of its own. What the library did is taken from the run, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from guesssketch.liveness import body, exit_of
from guesssketch.program import Branch, Call, IndirectJump
from guesssketch.testing import layout
from guesssketch.testing.coverage import Graph, Spot
from guesssketch.testing.inputs import Input
from guesssketch.testing.pair import Pair, Tested
from guesssketch.testing.side import Answered, Side
from guesssketch.wall.places import Register, x86_places
from isa import terms as t
from isa.evaluate import Program
from isa.machine import Effect
from isa.statemap import CALLEE_SAVED, FLAGS, GENERAL, VECTORS
from isa.terms import Term
from isa.x86_64.lift import lift
from solver.process import Reached

_CELLS = frozenset((*GENERAL, *VECTORS, *FLAGS))
_BLOCKS = 1200  # of a run that are followed
_NODES = 400_000  # terms made for one run


@dataclass(frozen=True)
class Condition:
    """Holds on the run. ``at``: the branch it is of, with the successors taken and not; None for an address."""

    term: Term
    at: tuple[Spot, Spot, Spot] | None = None


@dataclass(frozen=True)
class Choice:
    """A jump through a table. ``others``: the successors, with the condition under which each is gone to."""

    spot: Spot
    others: tuple[tuple[Spot, Term], ...]


@dataclass
class Followed:
    """conditions: in order. choices: (how many conditions come before, the jump). values: what the run's input says of each
    variable: ``aN`` for argument N, ``mADDRESS`` for a byte of memory, ``rN`` for what a function outside gave back, which
    ``answered`` has by that name."""

    conditions: list[Condition] = field(default_factory=list)
    choices: list[tuple[int, Choice]] = field(default_factory=list)
    values: dict[str, int] = field(default_factory=dict)
    answered: dict[str, Answered] = field(default_factory=dict)


@dataclass
class _Lifted:
    """A block's effect, its parts in order, and the addresses of its accesses as a program that computes them."""

    effect: Effect
    roots: list[Term]
    addresses: list[Term]
    program: Program


class Follower:
    """Follows runs of one function. All terms are made in the table that is current when it is used."""

    def __init__(self, pair: Pair, graph: Graph, tested: Tested) -> None:
        self.pair, self.graph, self.tested = pair, graph, tested
        self._spots = graph.spots
        self._side = Side(pair.prepared.source, pair.prepared.externals, watched=graph.spots)
        self._lifted: dict[Spot, _Lifted | None] = {}

    def follow(self, given: Input) -> Followed:
        self._side.run(self.tested.source, self.tested.signature, given, self.pair.environment)
        history = list(self._side.process.history)
        walk = _Walk(self, given, self._side)
        blocks = 0
        reached = [number for number, event in enumerate(history) if isinstance(event, Reached)]
        answered = iter([answer for answer in self._side.answered if answer.is_integer])
        answer = next(answered, None)
        for event in history:
            if not isinstance(event, Reached):
                walk.stored(event.address, event.data, event.outside)
                continue
            blocks += 1
            if blocks > _BLOCKS or blocks == len(reached) or walk.made > _NODES:
                break
            until = reached[blocks]
            after = history[until]
            assert isinstance(after, Reached)
            if not walk.block(self._spots[event.address], event.state, self._spots[after.address]):
                break
            while answer is not None and answer.before <= until:
                if answer.value == after.state["rax"]:
                    walk.answered(answer)
                answer = next(answered, None)
        return walk.followed

    def lifted(self, spot: Spot) -> _Lifted | None:
        """None for a block that has no semantics."""
        if spot not in self._lifted:
            block = self.graph.blocks[spot]
            effect = lift(body(block), exit_of(block))
            extra = [x for x in (effect.condition, effect.target) if x is not None]
            roots = [*effect.cells.values(), effect.memory, *extra]
            addresses = list(dict.fromkeys(x.args[1] for x in t.walk(*roots) if x.op in ("load", "store")))
            try:
                self._lifted[spot] = None if effect.opaque else _Lifted(effect, roots, addresses, Program(addresses))
            except ValueError:
                self._lifted[spot] = None
        return self._lifted[spot]


class _Walk:
    """One run. ``cells``, ``bytes``: what depends on the input."""

    def __init__(self, follower: Follower, given: Input, side: Side) -> None:
        self.follower, self.side = follower, side
        self.followed = Followed()
        self.made = 0
        self._now: dict[int, int] = {}  # memory as it is, where it was stored to
        self._bytes: dict[int, Term] = {}
        self._cells: dict[str, Term] = {}
        self._arguments(given)

    def _arguments(self, given: Input) -> None:
        places = x86_places(self.follower.tested.signature)
        for number, (pieces, value) in enumerate(zip(places.arguments, given.arguments, strict=True)):
            if len(pieces) != 1 or len(value) != 8 or self.follower.tested.signature.parameters[number].code == "va_list":
                continue
            variable = t.var(f"a{number}", 64)
            self.followed.values[f"a{number}"] = int.from_bytes(value, "little")
            location = pieces[0].location
            if isinstance(location, Register):
                self._cells[location.name] = variable
                continue
            start = layout.STACK - -(-places.stack // 16) * 16 + location.offset
            self._bytes |= {start + k: t.extract(variable, 8 * k, 8) for k in range(8)}

    def stored(self, address: int, data: bytes, outside: bool) -> None:
        self._now.update({address + k: byte for k, byte in enumerate(data)})
        if outside and self.made:  # the library's; before the first block, the arguments'
            for k in range(len(data)):
                self._bytes.pop(address + k, None)

    def answered(self, answer: Answered) -> None:
        """The result of a function outside is in its place."""
        name = f"r{len(self.followed.answered)}"
        self.followed.answered[name], self.followed.values[name] = answer, answer.value
        self._cells["rax"] = t.var(name, 64)

    def block(self, spot: Spot, state: Mapping[str, int], after: Spot) -> bool:
        """Follow one block; false where nothing more can be said."""
        lifted = self.follower.lifted(spot)
        if lifted is None:
            return False
        places = {name: self.follower.pair.prepared.places[*spot, name] for name in self.follower.graph.blocks[spot].places}
        environment = {**state, **{name: value & t.mask(64) for name, value in places.items()}}
        try:
            numbers = lifted.program.run(environment, self._byte)
        except (KeyError, MemoryError):
            return False
        where = dict(zip((a.id for a in lifted.addresses), numbers, strict=True))
        done, memory = self._rebuilt(lifted, environment, where)
        for address in lifted.addresses:
            term = done.get(address.id)
            if term is not None and term.op != "const":
                self.followed.conditions.append(Condition(t.eq(term, t.const(where[address.id], 64))))
        self._bytes.update({a: b for a, b in memory.items() if b.op != "const"})
        for known in [a for a, b in memory.items() if b.op == "const"]:
            self._bytes.pop(known, None)
        changed = {name: done[term.id] for name, term in lifted.effect.cells.items()}
        self._cells = {name: term for name, term in (self._cells | changed).items() if term.op != "const"}
        self._leave(spot, lifted, done, where, after)
        return True

    def _rebuilt(self, lifted: _Lifted, environment: Mapping[str, int], where: Mapping[int, int]
                 ) -> tuple[dict[int, Term], dict[int, Term]]:  # fmt: skip
        """Every node of the block in terms of the input, and the bytes that it stores."""
        done: dict[int, Term] = {}
        stores: dict[int, dict[int, Term]] = {}
        for term in t.walk(*lifted.roots):
            self.made += 1
            if term.op == "store":
                data = done[term.args[2].id]
                address = where[term.args[1].id]
                stores[term.id] = stores[term.args[0].id] | {address + k: t.extract(data, 8 * k, 8) for k in range(data.width // 8)}
            elif term.op == "load":
                written, address = stores[term.args[0].id], where[term.args[1].id]
                parts = [self._read(address + k, written) for k in range(term.width // 8)]
                done[term.id] = t.concat(*reversed(parts)) if len(parts) > 1 else parts[0]
            elif term.width == t.MEMORY:
                stores[term.id] = self._merged(term, done, stores) if term.args else {}
            elif term.op == "undef":
                done[term.id] = t.const(0, term.width)
            elif term.op == "var":
                name = str(term.attr)
                known = self._cells.get(name)
                done[term.id] = known if known is not None else t.const(environment[name], term.width)
            else:
                done[term.id] = t.rebuild(term, tuple(done[a.id] for a in term.args)) if term.args else term
        return done, stores[lifted.effect.memory.id]

    def _merged(self, term: Term, done: Mapping[int, Term], stores: Mapping[int, dict[int, Term]]) -> dict[int, Term]:
        """``ite`` of memories: the bytes of both."""
        condition = done[term.args[0].id]
        then, other = stores[term.args[1].id], stores[term.args[2].id]
        return {a: t.ite(condition, self._read(a, then), self._read(a, other)) for a in {*then, *other}}

    def _read(self, address: int, written: Mapping[int, Term]) -> Term:
        found = written.get(address)
        if found is None:
            found = self._bytes.get(address)
        if found is None and address not in self._now and self._is_input(address):
            name = f"m{address:x}"
            self.followed.values[name] = self._byte(address)
            found = self._bytes[address] = t.var(name, 8)
        return t.const(self._byte(address), 8) if found is None else found

    def _is_input(self, address: int) -> bool:
        if layout.on_stack(address) or not layout.NULL <= address < layout.LIMIT:
            return False
        return not layout.is_loaded(address) or address // layout.PAGE in self.follower.pair.prepared.writable

    def _byte(self, address: int) -> int:
        found = self._now.get(address)
        if found is None:
            page = self.side.initial(address // layout.PAGE)
            found = page[address % layout.PAGE] if page is not None else 0
        return found

    def _leave(self, spot: Spot, lifted: _Lifted, done: Mapping[int, Term], where: Mapping[int, int], after: Spot) -> None:
        terminator = self.follower.graph.blocks[spot].terminator
        match terminator:
            case Branch(taken=taken, fall=fall) if lifted.effect.condition is not None:
                condition = done[lifted.effect.condition.id]
                one, other = Spot(spot.function, taken), Spot(spot.function, fall)
                if condition.op != "const" and after in (one, other) and one != other:
                    holds = condition if after == one else t.not_(condition)
                    self.followed.conditions.append(Condition(holds, (spot, after, other if after == one else one)))
            case IndirectJump():
                self._choice(spot, lifted, done, where)
            case Call(next=following) if following is not None and after == Spot(spot.function, following):
                self._cells = {name: term for name, term in self._cells.items() if name in CALLEE_SAVED}
        self._cells.pop("rsp", None)

    def _choice(self, spot: Spot, lifted: _Lifted, done: Mapping[int, Term], where: Mapping[int, int]) -> None:
        """A jump whose table is read in this block, by an index that depends on the input."""
        prepared = self.follower.pair.prepared
        for table in prepared.program.functions[0][spot.function].tables:
            start = prepared.bases[table.section] + table.offset
            extent = range(start, start + table.width * len(table.targets))
            for address in lifted.addresses:
                term = done.get(address.id)
                if where[address.id] in extent and term is not None and term.op != "const":
                    others = [(Spot(spot.function, target), t.eq(term, t.const(start + table.width * k, 64)))
                              for k, target in enumerate(table.targets)]  # fmt: skip
                    # the pin of the address comes after these conditions
                    pinned = sum(c.at is None for c in self.followed.conditions[-len(lifted.addresses) :])
                    before = len(self.followed.conditions) - pinned
                    self.followed.choices.append((before, Choice(spot, tuple(others))))
                    return


