"""A block's effect one instruction at a time: what an instruction leaves in a register, the next does not look through.

So code is lowered instruction by instruction, as a reader would translate it. Looked through are flags, which makes one
compare of a comparison and its jump; copies, constants, parts of registers, and a register full of another's sign, which a
division starts from; rsp, whose pushes and pops are one change of the stack pointer, as on the targets; and vector registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from guesssketch.lowering.pins import BOOLEANS, part
from guesssketch.problem import Problem
from isa import terms as t
from isa.demand import demanded
from isa.machine import Effect
from isa.separate import new_table, separate
from isa.statemap import cell_term
from isa.terms import Term
from isa.x86_64.lift import lift

_EXTENDED: Final = {"aarch64": "zext", "riscv64": "sext"}  # how 32 bits lie in a register, if nobody asks for more

Hold = Callable[[str, Term], Term]  # what stands for a value from now on; the name tells the cell and the instruction


def literal(problem: Problem) -> list[Effect]:
    """The effect of ``problem``'s block after each of its instructions, with ``held`` terms between them.

    It is what lowering needs of an effect: cells, memory, exits, and what is opaque. To be called in a fresh table of terms,
    whose order of creation is then the order of the source. Where memory is shared, or an instruction is alone, there is one
    effect, as it is.
    """
    if problem.is_shared or len(problem.instructions) == 1:
        return [lift(problem.instructions, problem.exit, problem.is_shared)]
    with separate(new_table()):
        wanted = _wanted(problem)

    def hold(name: str, value: Term) -> Term:
        bits = wanted.get(name, 0)
        if not bits:
            return value
        inner = value.args[0] if value.op in ("zext", "sext") else t.extract(value, 0, 32 if bits >> 32 == 0 else 64)
        if value.op in ("lshr", "ashr"):
            inner = value
        if inner.width == 64:
            return t.held(inner)
        extended = value.op if inner.width < 32 or bits >> 32 else _EXTENDED[problem.target]
        return (t.sext if extended == "sext" else t.zext)(t.held(inner, extended), 64)

    return _in_steps(problem, hold)


def _wanted(problem: Problem) -> dict[str, int]:
    """The bits that matter of what stands for a register from one instruction to the next, by its name."""
    definitions: list[tuple[str, Term]] = []

    def hold(name: str, value: Term) -> Term:
        definitions.append((name, value))
        return t.var(name, 64)

    effect = _in_steps(problem, hold)[-1]
    live = {name: t.mask(part(bits)) for name, bits in problem.live_out}
    roots = [(value, live.get(name, int(name in BOOLEANS))) for name, value in effect.cells.items()]
    roots += [(x, t.mask(64)) for x in (effect.memory, effect.condition, effect.target) if x is not None]
    wanted = demanded(roots)
    for name, value in reversed(definitions):
        for other, bits in demanded([(value, wanted.get(name, 0))]).items():
            wanted[other] = wanted.get(other, 0) | bits
    return wanted


def _in_steps(problem: Problem, hold: Hold) -> list[Effect]:
    last = len(problem.instructions) - 1
    whole = Effect({}, t.memory())
    steps: list[Effect] = []
    for number, instruction in enumerate(problem.instructions):
        one = lift([instruction], problem.exit if number == last else "fall")
        now = {cell_term(name): value for name, value in whole.cells.items()} | {t.memory(): whole.memory}
        optional = [x for x in (one.condition, one.target) if x is not None]
        done = iter(t.substitute([*one.cells.values(), one.memory, *optional], now))
        cells = dict(whole.cells)
        for name in one.cells:
            value = next(done)
            cells[name] = value if _looked_through(name, value) else hold(f"{name}@{number}", value)
        memory = next(done)
        condition, target = (None if x is None else next(done) for x in (one.condition, one.target))
        whole = Effect(cells, memory, condition=condition, target=target, opaque=whole.opaque + one.opaque)
        steps.append(whole)
    return steps


def _looked_through(cell: str, value: Term) -> bool:
    if cell in BOOLEANS or cell == "rsp" or cell.startswith("xmm") or value.op == "concat":
        return True
    while value.op in ("zext", "sext", "extract"):
        value = value.args[0]
    signs = value.op == "ashr" and value.args[1] is t.const(value.width - 1, value.width)
    return value.op in ("var", "const", "held") or value.width == 1 or signs
