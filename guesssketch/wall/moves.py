"""What must move between x86-64's places and the target's for one call, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from guesssketch.prototypes import POINTER, SIZES, Signature, Type
from guesssketch.wall.places import (
    TARGET_PLACES,
    AddressOf,
    Behind,
    Joined,
    Location,
    Piece,
    Register,
    Slot,
    Source,
    Unsupported,
    Upper,
    x86_places,
)


@dataclass(frozen=True)
class Move:
    """``code`` says how wide the value is and how it must be extended."""

    target: Location
    source: Source
    code: str

    @property
    def reads(self) -> tuple[Source, ...]:
        """Places that must not be overwritten before this move."""
        match self.source:
            case Upper(whole=whole):
                return (whole,)
            case Joined(low=low, high=high):
                return low, high
            case Behind(pointer=pointer):
                return (pointer,)
        return (self.source,)


def _behind(kind: Type, pointer: Location, offset: int) -> Behind:
    """Not a byte behind the struct's end is read: another page may begin there."""
    drop = max(0, offset + 8 - kind.size)
    return Behind(pointer, offset - drop, drop)


def _pair(kind: Type, x86: tuple[Piece, ...], native: tuple[Piece, ...], way: Literal["out", "in"]) -> list[Move]:
    """Moves of one value of type ``kind``, between eightbytes (``x86``) and the target's pieces, which may be halves of them."""
    if native and native[0].code == "reference":
        pointer = native[0].location
        if way == "in":
            return [Move(piece.location, _behind(kind, pointer, piece.offset), "u64") for piece in x86]
        assert isinstance(x86[0].location, Slot)
        return [Move(pointer, AddressOf(x86[0].location.offset), "ptr")]
    whole = {piece.offset: piece for piece in native}
    moves: list[Move] = []
    for piece in x86:
        low, high = whole.get(piece.offset), whole.get(piece.offset + 4)
        if low is None:
            raise Unsupported("a struct by value whose first members are not 32 or 64 bits")
        if way == "in":
            source = Joined(low.location, high.location) if high else low.location
            moves.append(Move(piece.location, source, "u64" if high else low.code))
            continue
        moves.append(Move(low.location, piece.location, low.code))
        if high is not None:
            moves.append(Move(high.location, Upper(piece.location), high.code))
    if len(whole) != sum((p.offset in whole) + (p.offset + 4 in whole) for p in x86):
        raise Unsupported("a struct by value with small members apart")
    return moves


def argument_moves(signature: Signature, target: str, way: Literal["out", "in"]) -> list[Move]:
    """What a call with this signature must move: from x86-64's places to the target's (``out``) or back (``in``).

    Raises Unsupported.
    """
    x86, native = x86_places(signature), TARGET_PLACES[target](signature)
    pairs = zip(signature.parameters, x86.arguments, native.arguments, strict=True)
    moves = [m for kind, a, b in pairs for m in _pair(kind, a, b, way)]
    if x86.hidden and native.hidden:
        pair = (native.hidden, x86.hidden) if way == "out" else (x86.hidden, native.hidden)
        moves.insert(0, Move(*pair, POINTER.code))
    return moves


def result_moves(signature: Signature, target: str, way: Literal["out", "in"]) -> list[Move]:
    """What must move behind the call: ``out`` of translated code to the library (so the result comes back), or ``in``.

    Nothing for a struct that x86-64 has in memory: native code put it there too, or it is ``carried``."""
    x86, native = x86_places(signature), TARGET_PLACES[target](signature)
    return [] if x86.hidden else _pair(signature.result, x86.result, native.result, "in" if way == "out" else "out")


def carried(signature: Signature, target: str) -> tuple[Piece, ...]:
    """The registers in which native code has a result that x86-64 has in memory: packed, or of more than two doubles."""
    x86, native = x86_places(signature), TARGET_PLACES[target](signature)
    return native.result if x86.hidden and not native.hidden else ()


def parts(piece: Piece, size: int) -> list[tuple[int, int]]:
    """(offset in the piece, bytes), in powers of two, of what ``piece`` holds of a struct of ``size`` bytes."""
    left, at = min(SIZES[piece.code], size - piece.offset), 0
    found: list[tuple[int, int]] = []
    for width in (8, 4, 2, 1):
        if left - at >= width:
            found.append((at, width))
            at += width
    return found


def ordered(moves: list[Move], temporary: dict[str, str]) -> list[Move]:
    """Moves to registers in an order that overwrites no source before its use (parallel assignment).

    A cycle is cut through ``temporary[kind]``, kind being the first letter of the register's name.
    """
    pending = list(moves)
    done: list[Move] = []
    while pending:
        free = next((m for m in pending if not any(m.target in other.reads for other in pending if other is not m)), None)
        if free is not None:
            pending.remove(free)
            done.append(free)
            continue
        taken = pending[0].target
        assert isinstance(taken, Register)
        spare = Register(temporary[taken.name[0]])
        done.append(Move(spare, taken, "u64"))
        pending = [Move(m.target, renamed(m.source, {taken: spare}), m.code) for m in pending]
    return done


def renamed(source: Source, names: Mapping[Source, Location]) -> Source:
    """``source`` with the places inside it put out for others."""
    match source:
        case Upper(whole=whole):
            return Upper(_place(whole, names))
        case Joined(low=low, high=high):
            return Joined(_place(low, names), _place(high, names))
        case Behind(pointer=pointer, offset=offset, drop=drop):
            return Behind(_place(pointer, names), offset, drop)
    return names.get(source, source)


def _place(place: Location, names: Mapping[Source, Location]) -> Location:
    return names.get(place, place)
