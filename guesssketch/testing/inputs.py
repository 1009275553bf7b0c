"""One input of a function: its arguments, what memory holds, and what unknown functions answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Handed = tuple[str, int, int]
"""A pointer that a function outside was given: its name, which of its calls, which argument."""


@dataclass(frozen=True)
class Input:
    """seed: of memory's content and of what unknown functions answer. arguments: each parameter's value as bytes.
    memory: (address, bytes) laid over the content, later ones over earlier. denied: how many allocations succeed before
    one fails (-1: none fails). answers: (name, count, value): what a function outside gives back when it is asked for the
    count-th time; what is not here hangs on the seed. filled: (name, count, index, bytes): what its count-th call writes where its
    argument of that index points to."""

    seed: int
    arguments: tuple[bytes, ...]
    memory: tuple[tuple[int, bytes], ...] = ()
    denied: int = -1
    answers: tuple[tuple[str, int, int], ...] = ()
    filled: tuple[tuple[str, int, int, bytes], ...] = ()

    @property
    def size(self) -> int:
        """By which inputs that show the same are compared: small ones are easier to understand."""
        patched = sum(16 + len(data) for _, data in self.memory)
        patched += sum(16 + value.bit_length() // 8 for _, _, value in self.answers)
        patched += sum(16 + len(data) for *_, data in self.filled)
        return patched + sum(len(value.rstrip(b"\0")) for value in self.arguments) + (self.denied >= 0)

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "arguments": [value.hex() for value in self.arguments],
                "memory": [[f"{address:#x}", data.hex()] for address, data in self.memory], "denied": self.denied,
                "answers": [[name, count, f"{value:#x}"] for name, count, value in self.answers],
                "filled": [[name, count, index, data.hex()] for name, count, index, data in self.filled]}  # fmt: skip


def from_json(found: Mapping[str, Any]) -> Input:
    """The inverse of ``to_json``. Raises KeyError, ValueError or TypeError for what it did not write."""
    return Input(int(found["seed"]), tuple(map(bytes.fromhex, found["arguments"])),
                 tuple((int(address, 16), bytes.fromhex(data)) for address, data in found["memory"]),
                 int(found["denied"]),
                 tuple((str(name), int(count), int(value, 16)) for name, count, value in found.get("answers", ())),
                 tuple((str(name), int(count), int(index), bytes.fromhex(data))
                       for name, count, index, data in found.get("filled", ())))  # fmt: skip


def with_memory(given: Input, address: int, data: bytes) -> Input:
    """``given`` with ``data`` at ``address``, in place of what was laid there before."""
    kept = tuple(patch for patch in given.memory if not (patch[0] == address and len(patch[1]) <= len(data)))
    return replace(given, memory=(*kept, (address, data)))


def with_answer(given: Input, name: str, count: int, value: int) -> Input:
    """``given`` with another answer of the function ``name`` when it is asked for the ``count``-th time."""
    kept = tuple(answer for answer in given.answers if answer[:2] != (name, count))
    return replace(given, answers=(*kept, (name, count, value & (1 << 64) - 1)))


def with_filled(given: Input, place: Handed, data: bytes) -> Input:
    """``given`` with ``data`` written by a call outside, to where it was handed a pointer to."""
    kept = tuple(fill for fill in given.filled if fill[:3] != place)
    return replace(given, filled=(*kept, (*place, data)))


def smaller(given: Input) -> Sequence[Input]:
    """Each with one thing simpler."""
    found = [replace(given, memory=())] if len(given.memory) > 1 else []
    found += [replace(given, memory=(*given.memory[:k], *given.memory[k + 1 :])) for k in range(len(given.memory))]
    found += [replace(given, answers=(*given.answers[:k], *given.answers[k + 1 :])) for k in range(len(given.answers))]
    found += [replace(given, filled=(*given.filled[:k], *given.filled[k + 1 :])) for k in range(len(given.filled))]
    for index, value in enumerate(given.arguments):
        number = int.from_bytes(value, "little")
        for simple in (0, 1, number & 0xFF, number & 0xFFFF_FFFF):
            if simple < number:
                new = simple.to_bytes(len(value), "little")
                found.append(replace(given, arguments=(*given.arguments[:index], new, *given.arguments[index + 1 :])))
    found += [replace(given, denied=-1)] if given.denied >= 0 else []
    found += [replace(given, seed=0)] if given.seed else []
    return [new for new in found if new.size < given.size or new.seed != given.seed]
