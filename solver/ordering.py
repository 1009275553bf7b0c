"""What other threads may notice: whether the target makes the source's accesses, as ordered as x86-64 makes them.

Two cases, for which both sides are lifted with ``shared``, so that every load gives an unknown of its own.

- An atomic instruction or a fence, alone in its block. It is a full barrier around one indivisible read-modify-write (Intel
  SDM volume 3, 9.2.3.9), so the target makes exactly one, an exclusive pair or an atomic instruction, with barriers.
- Memory order ``tso``: the target makes the same loads and stores in the same order, one for one; between a load and all that
  is later, and between two stores, stands a barrier. That is what TSO orders (SDM volume 3, 9.2.2). Proved mappings: Rocha et
  al., Lasagne (PLDI 2022); Gouicem et al., Risotto (ASPLOS 2023); RISC-V ISA manual 20191213, appendix A.5.

Why a release and a barrier behind make an exclusive pair a full barrier: what is earlier comes before its store, the barrier
orders all that is earlier and the pair before all that is later. That the pair's load may come before what is earlier cannot
be noticed, since no other thread's store comes between it and the pair's own, which always happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isa import terms as t
from isa.machine import EVERY_ORDER, Event
from isa.terms import Term


class Disordered(Exception):
    """The target's accesses or barriers are not those that the source asks for; the text says which."""


def is_atomic(events: Sequence[Event]) -> bool:
    """Whether the source is an atomic instruction or a fence."""
    return any(e.kind in ("atomic", "fence") for e in events)


def folded(events: Sequence[Event]) -> list[Event]:
    """The target's events that are made at all, an exclusive pair put as one atomic. Raises Disordered."""
    made = [e for e in events if e.guard is not t.FALSE]
    result: list[Event] = []
    for event in made:
        before = result[-1] if result else None
        if not event.exclusive or event.kind != "store":
            result.append(event)
        elif before is None or not _pair(before, event):
            raise Disordered("a store-exclusive without its load-exclusive just before it")
        else:
            result[-1] = replace(before, kind="atomic", exclusive=False, stored=event.value, release=event.release,
                                 store_acquire=event.store_acquire)  # fmt: skip
    if any(e.exclusive for e in result):
        raise Disordered("a load-exclusive without its store-exclusive")
    return result


def _pair(load: Event, store: Event) -> bool:
    same = load.address is store.address and load.size == store.size
    return load.kind == "load" and load.exclusive and same and load.guard is store.guard is t.TRUE


def accesses(events: Sequence[Event]) -> list[Event]:
    return [e for e in events if e.kind != "fence"]


def check_atomic(source: Sequence[Event], code: Sequence[Event], retries: bool, exclusive: bool) -> None:
    """Whether ``code`` (folded) is one access as indivisible and as ordered as ``source``'s. Raises Disordered.

    retries, exclusive: whether it goes back to its start, and has a store-exclusive that may ask for it.
    """
    if len(source) != 1:
        raise Disordered("an atomic instruction that is not alone in its block")
    if any(e.guard is not t.TRUE for e in code):
        raise Disordered("an access or barrier that is not always made")
    if retries != exclusive:
        raise Disordered("a round without a store-exclusive" if retries else "a failed store-exclusive goes unnoticed")
    made = accesses(code)
    if source[0].kind == "fence":
        if made:
            raise Disordered("an access where the source has a barrier only")
        _demand(source[0].orders, code, "the barrier")
        return
    if len(made) != 1 or made[0].kind != "atomic":
        raise Disordered(f"{', '.join(e.kind for e in made) or 'nothing'} where the source has one atomic access")
    atomic = made[0]
    if atomic.size < source[0].size:
        raise Disordered(f"an atomic access of {atomic.size} bytes for one of {source[0].size}")
    at = code.index(atomic)
    if not atomic.release:
        _demand(EVERY_ORDER, code[:at], "a barrier before the atomic access")
    if not (atomic.release and atomic.acquire and atomic.store_acquire):
        _demand(EVERY_ORDER, code[at:], "a barrier behind the atomic access")


def _demand(orders: frozenset[str], events: Sequence[Event], what: str) -> None:
    if not orders <= frozenset().union(*(e.orders for e in events)):
        raise Disordered(f"{what} is missing or too weak")


def check_tso(source: Sequence[Event], code: Sequence[Event]) -> None:
    """Whether ``code`` (folded) makes the accesses of ``source`` one for one, in TSO's order. Raises Disordered."""
    places = [at for at, e in enumerate(code) if e.kind != "fence"]
    if [(e.kind, e.size) for e in source] != [(code[at].kind, code[at].size) for at in places]:
        raise Disordered(f"accesses: source {_list(source)}, target {_list(accesses(code))}")
    for n, (wanted, at) in enumerate(zip(source, places, strict=True)):
        event = code[at]
        if wanted.kind == "load" and not event.acquire:
            later = next((m for m in range(n + 1, len(source)) if not source[m].part), None)
            end = len(code) if later is None else places[later]
            if not _between(code[at:end], event.guard, {"rr", "rw"}):
                raise Disordered(f"no barrier behind load {n + 1}")
        if wanted.kind == "store" and not event.release:
            earlier = [m for m in range(n - 1 if wanted.part else n) if source[m].kind == "store"]
            start = places[earlier[-1]] if earlier else 0
            if not _between(code[start:at], event.guard, {"ww"}):
                raise Disordered(f"no barrier before store {n + 1}")


def _between(events: Sequence[Event], guard: Term, orders: set[str]) -> bool:
    return orders <= frozenset().union(*(e.orders for e in events if e.guard in (t.TRUE, guard)))


def _list(events: Sequence[Event]) -> str:
    return ", ".join(f"{e.kind} {e.size}" for e in events) or "none"


def place_in(source: Event, code: Event) -> Term:
    """How far the source's access begins behind the target's, which may be wider, in bytes; the target's width of bits."""
    assert source.address is not None and code.address is not None
    distance = t.sub(source.address, code.address)
    width = 8 * code.size
    return t.extract(distance, 0, width) if width <= 64 else t.zext(distance, width)


def part_of(source: Event, code: Event) -> Term:
    """What the source's atomic access finds, in terms of what the target's finds."""
    assert code.value is not None
    if source.size == code.size:
        return code.value
    return t.extract(t.lshr(code.value, _bits(source, code)), 0, 8 * source.size)


def written_by(source: Event, code: Event) -> Term:
    """What the target's atomic access must write: the source's value in its place, the bytes around it as they were."""
    assert source.stored is not None and code.value is not None
    if source.size == code.size:
        return source.stored
    width, by = 8 * code.size, _bits(source, code)
    ones = t.shl(t.const((1 << 8 * source.size) - 1, width), by)
    return t.or_(t.and_(code.value, t.not_(ones)), t.shl(t.zext(source.stored, width), by))


def _bits(source: Event, code: Event) -> Term:
    return t.shl(place_in(source, code), t.const(3, 8 * code.size))
