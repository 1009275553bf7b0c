"""Functions, blocks and places as text."""

from __future__ import annotations

from guesssketch.program import (
    MADE_UP,
    Block,
    Branch,
    Call,
    Fall,
    Function,
    IndirectJump,
    Jump,
    ObjectFile,
    Place,
    Return,
    TailCall,
    Terminator,
    Trap,
)


def function_head(file: ObjectFile, function: Function) -> list[str]:
    """What a function is, without its blocks: its size, other names, cold parts, jump tables."""
    aliases = [file.symbols[index].name for index in function.names]
    home = file.sections[function.section].name
    lines = [f"function {function.name}  {home}+{function.offset:#x}, {function.size} bytes, {len(function.blocks)} blocks"]
    lines += [f"  also {name}" for name in aliases if name != function.name]
    for section, offset, size in function.parts:
        lines.append(f"  part {file.sections[section].name}+{offset:#x}, {size} bytes")
    for table in function.tables:
        kind = "relative" if table.relative else "absolute"
        where = f"{file.sections[table.section].name}+{table.offset:#x}"
        lines.append(f"  table {where}, {kind}: " + " ".join(block_name(target) for target in table.targets))
    return lines


def block_lines(file: ObjectFile, block: Block) -> list[str]:
    """A block's instructions with what their relocations mean, and its terminator."""
    lines = []
    for instruction in block.instructions:
        places = [f"{r.symbol} = {place_text(file, block.places[r.symbol])} ({r.kind})" for r in instruction.relocations]
        line = f"{instruction.offset:6x}  {instruction.code.hex():<22} {instruction.text}"
        lines.append(f"{line:<70}  ; {', '.join(places)}" if places else line)
    return [*lines, f"      -> {terminator_text(file, block.terminator)}"]


def block_name(number: int) -> str:
    """A block's name in listings: its offset, or ``section:offset`` in a cold part, or ``out.n`` if made up."""
    if number >= MADE_UP:
        return f"out.{number - MADE_UP}"
    section, offset = number >> 32, number & 0xFFFFFFFF
    return f"{section}:{offset:#x}" if section else f"{offset:#x}"


def place_text(file: ObjectFile, place: Place) -> str:
    name = file.symbols[place.symbol].name
    return f"{name}{place.addend:+#x}" if place.addend else name


def terminator_text(file: ObjectFile, terminator: Terminator) -> str:
    def callee(place: Place | None) -> str:
        return "*" if place is None else place_text(file, place)

    match terminator:
        case Fall(next=target):
            return f"fall {block_name(target)}"
        case Jump(target=target):
            return f"jump {block_name(target)}"
        case Branch(taken=taken, fall=fall):
            return f"branch {block_name(taken)}, else {block_name(fall)}"
        case Call(callee=place, next=after):
            return f"call {callee(place)}, " + ("does not return" if after is None else f"then {block_name(after)}")
        case TailCall(callee=place):
            return f"tail call {callee(place)}"
        case IndirectJump(targets=targets):
            return "indirect jump " + " ".join(block_name(target) for target in targets)
        case Return():
            return "return"
        case Trap():
            return "trap"
