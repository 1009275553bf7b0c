"""Code with internal forward branches -> one effect: the paths are walked side by side and joined where they meet.

``lift_paths`` is the body of ``isa/aarch64/lift.py`` and ``isa/riscv64/lift.py``. A branch to the code's end is the exit
``fall``, one to ``TAKEN`` the exit ``taken``; a backward branch, a branch between instructions and an indirect one are opaque.
"""

from __future__ import annotations

from collections.abc import Sequence

from isa import terms as t
from isa.machine import TAKEN, Effect, Instruction
from isa.pcode import Isa, Lifter, State, conjunction, merge


def lift_paths(isa: Isa, code: Sequence[Instruction], size: int) -> Effect:
    """The effect of ``code``, ``size`` bytes long, entered at offset 0."""
    lifter = Lifter(isa)
    waiting: dict[int, State] = {}
    starts = {instruction.offset for instruction in code} | {size, TAKEN}
    for instruction in code:
        lifter.state = merge(lifter.state, waiting.pop(instruction.offset, None), lifter.width)
        if lifter.state is None:
            continue
        for leaving in lifter.step(instruction):
            if not isinstance(leaving.target, int):
                lifter.refuse(f"indirect branch: {instruction.text}")
            elif leaving.target <= instruction.offset or leaving.target not in starts:
                lifter.refuse(f"branch out of the code or backward: {instruction.text}")
            else:
                waiting[leaving.target] = _join(lifter, waiting.get(leaving.target), leaving.state)
    fall = merge(lifter.state, waiting.pop(size, None), lifter.width)
    taken = waiting.pop(TAKEN, None)
    condition = None
    if taken is not None:
        condition = t.TRUE if fall is None else conjunction(taken.guard)
    lifter.state = merge(fall, taken, lifter.width)
    effect = lifter.effect()
    effect.condition = condition
    return effect


def _join(lifter: Lifter, a: State | None, b: State) -> State:
    joined = merge(a, b, lifter.width)
    assert joined is not None
    return joined
