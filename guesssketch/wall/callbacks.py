"""Functions whose signature is known from who is to call them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from guesssketch.program import Block, Place, Program
from guesssketch.prototypes import Signature, parse_signature
from guesssketch.resolve import BlockId, FunctionId, Resolver
from guesssketch.wall.places import X86_INTEGERS

_STARTUP: Final = parse_signature("void(i32,ptr,ptr)")
_ARRAYS: Final = (14, 15, 16)  # SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY
_WHOLE: Final = {f"e{name}": f"r{name}" for name in ("ax", "bx", "cx", "dx", "si", "di", "bp")} | {
    f"r{n}d": f"r{n}" for n in range(8, 16)
}  # fmt: skip


def started(program: Program, resolver: Resolver) -> Iterator[tuple[FunctionId, Signature]]:
    """What the start-up code calls has the arguments of ``main`` and no result (System V gABI, ch. 5)."""
    for number, file in enumerate(program.objects):
        for section in file.sections:
            for field in section.relocations if section.type in _ARRAYS else ():
                found = resolver.own(number, Place(field.symbol, field.addend))
                if found is not None:
                    yield found, _STARTUP


def handed(at: BlockId, block: Block, signature: Signature, resolver: Resolver) -> Iterator[tuple[FunctionId, Signature]]:
    """Of the call at the end of ``block``: a function whose address goes to a parameter that is a pointer to functions has that
    parameter's signature."""
    held: dict[str, FunctionId] = {}  # register -> the function whose address it holds, followed through moves
    for instruction in block.instructions:
        match = re.match(r"(\w+) (\w+)(?:, (\w+)$)?", instruction.text)
        if match is None:
            continue
        mnemonic, target, source = match[1], _WHOLE.get(match[2], match[2]), match[3]
        callees = [resolver.own(at.object, block.places[r.symbol]) for r in instruction.relocations]
        found = callees[0] if callees and mnemonic in ("lea", "mov", "movabs") else None
        if mnemonic == "mov" and source in held:
            found = held[source]
        if found is not None:
            held[target] = found
        else:
            held.pop(target, None)
    for index, register in enumerate(X86_INTEGERS[: len(signature.parameters)]):
        if any(p.is_float for p in signature.parameters[: index + 1]):
            break
        kind = signature.parameters[index].function
        if register in held and kind is not None:
            yield held[register], kind
