"""x86-64 code -> its effect, as terms.

Semantics: p-code, with the overrides of ``semantics`` (integer), ``strings``, ``vectors`` and ``sse4`` where p-code is wrong,
silent or opaque. Assumptions: the direction flag is 0; MXCSR has its default (round to nearest, exceptions masked, no
flush to zero); memory operands that must be aligned are; AF is never live.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from isa import terms as t
from isa.machine import Access, Effect, Instruction
from isa.pcode import Isa
from isa.terms import Term
from isa.x86_64 import atomics, corners, semantics, sse4, strings, vectors
from isa.x86_64.lifter import X86Lifter, escaped_slots, short_address
from isa.x86_64.registers import LAYOUT

Exit = Literal["fall", "branch", "indirect"]

ISA: Final = Isa("x86_64", "x86:LE:64:default", LAYOUT, {})
_OVERRIDES: Final = {**semantics.OVERRIDES, **corners.OVERRIDES, **atomics.OVERRIDES, **vectors.OVERRIDES, **sse4.OVERRIDES}
_PREFIXES: Final = {"lock": atomics.locked, **strings.PREFIXES}


def lift(instructions: Sequence[Instruction], exit: Exit, shared: bool = False) -> Effect:
    """The effect of a source block whose last instruction decides ``exit`` (see ``guesssketch.problem``).

    shared: loads give unknowns (``isa.flow``).
    """
    lifter = X86Lifter(ISA, _OVERRIDES, _PREFIXES, shared)
    body = instructions if exit == "fall" else instructions[:-1]
    for instruction in body:
        if lifter.step(instruction) or lifter.state is None or lifter.condition is not None:
            lifter.refuse(f"control leaves in the middle of a block: {instruction.text}")
            return lifter.effect()
    condition, target = None, None
    if exit == "branch":
        condition = _branch(lifter, instructions[-1])
    elif exit == "indirect":
        target = _indirect(lifter, instructions[-1])
    effect = lifter.effect()
    effect.condition, effect.target = condition, target
    _finish(effect, instructions)
    return effect


def _branch(lifter: X86Lifter, last: Instruction) -> Term:
    """The condition under which ``last``, a conditional jump or a ``rep`` string instruction, goes to ``taken``."""
    code = last.code
    if len(code) >= 2 and 0x70 <= code[-2] <= 0x7F and len(code) <= 3:
        code = code[:-1] + b"\x20"  # any displacement but 0, which p-code takes for falling through
    elif len(code) >= 6 and code[-6] == 0x0F and code[-5] & 0xF0 == 0x80:
        code = code[:-4] + b"\x20\0\0\0"
    elif (counted := corners.jump_by_count(lifter, last)) is not None:
        return counted
    else:
        lifter.step(last)
        if lifter.condition is None:
            lifter.refuse(f"not a conditional branch: {last.text}")
        return lifter.condition or t.FALSE
    exits = lifter.pcode(Instruction(last.offset, code, last.text))
    if not exits and lifter.state is not None:
        return t.FALSE  # the flags are constants, as unoptimised code has it
    if len(exits) != 1:
        lifter.refuse(f"not a conditional branch: {last.text}")
        return t.FALSE
    if lifter.state is None:
        lifter.state = exits[0].state
        return t.TRUE
    condition = exits[0].state.guard[-1]
    lifter.state.guard = ()
    return condition


def _indirect(lifter: X86Lifter, last: Instruction) -> Term:
    """Where the indirect ``call`` or ``jmp`` goes. The return address is not pushed: stitching does that."""
    decoded = lifter.decoded(last)
    indirect = len(decoded.operands) == 1 and decoded.operands[0].kind != "imm" and not short_address(decoded)
    if decoded.mnemonic not in ("call", "jmp") or not indirect:
        lifter.refuse(f"not an indirect transfer: {last.text}")
        return lifter.undef("target", 64)
    return lifter.get(last, decoded.operands[0], 64)


def _finish(effect: Effect, instructions: Sequence[Instruction]) -> None:
    """Widen low symbols back to their placeholders, and refuse what escaped the treatment of relocations."""
    roots = [*effect.cells.values(), effect.memory, *effect.faults]
    roots += [x for access in (*effect.loads, *effect.stores) for x in (access.address, access.guard)]
    roots += [x for x in (effect.condition, effect.target) if x is not None]
    effect.opaque += [f"{slot}: its address is taken" for slot in escaped_slots(roots)]
    low = {r.symbol for i in instructions for r in i.relocations if r.kind in ("abs32", "abs32s")}
    if not low:
        return
    narrow = {name: t.extract(t.var(name, 64), 0, 32) for name in low}
    replace = {extend(narrow[name], 64): t.var(name, 64) for name in low for extend in (t.zext, t.sext)}

    def widen(terms: list[Term]) -> list[Term]:
        return t.substitute(terms, replace)

    def accesses(old: list[Access]) -> list[Access]:
        return [Access(widen([a.address])[0], a.size, widen([a.guard])[0]) for a in old]

    effect.cells = dict(zip(effect.cells, widen(list(effect.cells.values())), strict=True))
    effect.memory, effect.faults = widen([effect.memory])[0], widen(effect.faults)
    effect.loads, effect.stores = accesses(effect.loads), accesses(effect.stores)
    effect.condition = widen([effect.condition])[0] if effect.condition is not None else None
    effect.target = widen([effect.target])[0] if effect.target is not None else None
    effect.events = [e.mapped(lambda x: widen([x])[0]) for e in effect.events]
