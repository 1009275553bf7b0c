"""Where two sides part on an input: the first block after which they differ in what is live, in what they stored, or in where
they go. Only a translation made in the same run has labels for its blocks (``.Lgs_b``, kept as symbols)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from guesssketch.listing import block_name
from guesssketch.liveness import Live, analyse
from guesssketch.resolve import BlockId, Resolver
from guesssketch.testing import layout
from guesssketch.testing.compare import Comparer
from guesssketch.testing.coverage import Graph, Spot
from guesssketch.testing.inputs import Input
from guesssketch.testing.pair import Pair, Tested
from guesssketch.testing.side import STEPS, Side
from guesssketch.wall import Boundary
from isa.statemap import CALLEE_SAVED, CONDITIONS, FLAGS, MAPS
from solver.process import Reached
from solver.states import condition

_LABEL = "gs_b{}_{:x}"


@dataclass
class _Step:
    """A block as it was entered, and the bytes stored in it (stacks apart)."""

    spot: Spot
    state: Mapping[str, int]
    stored: dict[int, int] = field(default_factory=dict)


def parting(pair: Pair, graph: Graph, tested: Tested, given: Input) -> list[str]:
    """Lines for a reader; a single one if the place cannot be told."""
    labels = pair.prepared.translation.labels
    places = {labels[name]: spot for spot in graph.blocks if (name := _LABEL.format(*spot)) in labels}
    if not places:
        return ["where the sides part is known only of a translation made here (without --against)"]
    ours = _steps(pair.source, {a: s for s, a in graph.addresses.items()}, pair, tested.source, tested, given)
    theirs = _steps(pair.translation, places, pair, tested.target, tested, given)
    program = pair.prepared.program
    resolver = Resolver(program)
    live = analyse(program, resolver, Boundary(program, resolver, pair.prepared.target)).live_in
    comparer = Comparer(pair.source, pair.translation, pair.floats)
    homes = MAPS[pair.prepared.target].homes
    callers = {(a.state[c], b.state[homes[c]]) for a, b in zip(ours[:1], theirs[:1], strict=False) for c in CALLEE_SAVED}
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        before = ours[max(number - 1, 0)]
        wrong = []
        if a.spot != b.spot:
            wrong = [f"goes on to {_name(pair, a.spot)} in the original, to {_name(pair, b.spot)} in the translation"]
        else:
            wrong = list(_unlike(a, b, live[BlockId(0, *a.spot)], homes, callers, comparer))
        if wrong:
            return [f"the sides part in {_name(pair, before.spot)}, entered with", *_shown(before, theirs[max(number - 1, 0)]),
                    *(f"  it {line}" for line in wrong)]  # fmt: skip
        if not _alike(a.stored, b.stored, comparer):
            lines = [f"  it stores {_bytes(a.stored)} in the original, {_bytes(b.stored)} in the translation"]
            return [f"the sides part in {_name(pair, a.spot)}, entered with", *_shown(a, b), *lines]
    last = ours[-1] if ours else None
    where = f"the last block is {_name(pair, last.spot)}" if last else "no block was entered"
    return [f"all blocks agree up to the end of the shorter run: {where}"]


def _steps(like: Side, places: Mapping[int, Spot], pair: Pair, address: int, tested: Tested, given: Input) -> list[_Step]:
    side = Side(like.image, pair.prepared.externals, watched=places)
    side.run(address, tested.signature, given, pair.environment, 32 * STEPS)
    steps: list[_Step] = []
    for event in side.process.history:
        if isinstance(event, Reached):
            steps.append(_Step(places[event.address], event.state))
        elif steps and not layout.on_stack(event.address):
            steps[-1].stored.update({event.address + k: byte for k, byte in enumerate(event.data)})
    return steps


def _unlike(a: _Step, b: _Step, live: Live, homes: Mapping[str, str], callers: Collection[tuple[int, int]],
            comparer: Comparer) -> Iterator[str]:  # fmt: skip
    """``callers``: what the native caller's registers held, which the entry may use otherwise."""
    for cell, bits in live.items():
        x = condition(cell, a.state) if cell in CONDITIONS else a.state[cell]
        y = b.state[homes[cell]]
        if cell not in FLAGS and cell not in CONDITIONS:
            x, y = x & (1 << bits) - 1, y & (1 << bits) - 1
        if (x, y) not in callers and not comparer.same(x, y, "u64" if bits == 64 else "u32"):
            yield f"leaves {x:#x} in {cell}, and {y:#x} in its home {homes[cell]}"


def _alike(a: Mapping[int, int], b: Mapping[int, int], comparer: Comparer) -> bool:
    """Whether the same bytes were stored; words may hold addresses of the stack."""
    if a == b:
        return True
    if a.keys() != b.keys():
        return False

    def word(stored: Mapping[int, int], start: int) -> int | None:
        found = [stored.get(start + k) for k in range(8)]
        return None if None in found else sum((byte or 0) << 8 * k for k, byte in enumerate(found))

    for at in a:
        if a[at] != b[at]:
            words = ((word(a, s), word(b, s)) for s in range(at - 7, at + 1))
            if not any(x is not None and y is not None and comparer.same(x, y) for x, y in words):
                return False
    return True


def _shown(a: _Step, b: _Step) -> list[str]:
    def text(state: Mapping[str, int]) -> str:
        cells = [f"{name}={value:#x}" for name, value in state.items() if value and "." not in name and name[0] != "f"]
        return " ".join(cells)

    return [f"  original:    {text(a.state)}", f"  translation: {text(b.state)}"]


def _bytes(stored: Mapping[int, int]) -> str:
    found: list[tuple[int, bytearray]] = []
    for address in sorted(stored):
        if found and found[-1][0] + len(found[-1][1]) == address:
            found[-1][1].append(stored[address])
        else:
            found.append((address, bytearray([stored[address]])))
    return ", ".join(f"{data.hex()} at {address:#x}" for address, data in found[:6]) or "nothing"


def _name(pair: Pair, spot: Spot) -> str:
    function = pair.prepared.program.functions[0][spot.function]
    return f"{function.name} block {block_name(spot.block)}"
