"""Lines that a block does not need, taken out: what LLVM computed twice, or moved where it already was.

A line goes if the block has the same effect without it: the same terms in every live home and in memory, the same way
out. Both effects are lifted in one table, so equal terms are one node and the question costs no proof. Nothing here is
trusted either: the result is judged like any candidate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from guesssketch.assembler import Assembled, AssemblyError, assemble
from guesssketch.problem import Problem
from isa.aarch64.lift import lift as lift_aarch64
from isa.machine import Effect, Instruction
from isa.riscv64.lift import lift as lift_riscv64
from isa.separate import new_table, separate
from isa.statemap import MAPS

_LIFTS: Final = {"aarch64": lift_aarch64, "riscv64": lift_riscv64}
_NEEDED: Final = re.compile(r"(?:b|b\..*|cbn?z|tbn?z|b[a-z]{2,4}|j|jr|st.*|s[bhwd]|fs[wd]) ")  # branches and stores
_LABEL: Final = re.compile(r"\d+:")
_FLAGS: Final = re.compile(r"(?:cmp|cmn|tst|ccmp|ccmn|fcmp|adds|subs|ands|bics|negs|adcs|sbcs)\b")
_ENDS: Final = re.compile(  # a conditional branch over one way out to the other
    r"(?P<before>(?:.+\n)*)(?P<branch>b.* |cbn?z .* |tbn?z .* )(?P<label>\d+)f\n(?P<fall>(?:[a-z].*\n)+)(?:b|j) fall\n"
    r"(?P=label):\n(?P<taken>(?:[a-z].*\n)+)(?:b|j) taken")
_PAIRED: Final = re.compile(r"%(?:got_|tls_ie_)?pcrel_hi")  # another instruction's relocation names this one


def tidy(target: str, problems: Sequence[Problem], blocks: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Each block of lines without those that ``problems[i]`` does not need; as it is, where that cannot be told."""
    blocks = [_joined(lines) for lines in blocks]
    return [
        lines if isinstance(code, AssemblyError) or problem.is_atomic else _without_idle(problem, lines, code)
        for problem, lines, code in zip(problems, blocks, assemble(target, blocks), strict=True)
    ]


def _joined(lines: tuple[str, ...]) -> tuple[str, ...]:
    """What both ways out do alike, done once before the branch, if the branch does not look at it."""
    match = _ENDS.fullmatch("\n".join(lines))
    if match is None or match["fall"] != match["taken"] or f"{match['label']}f" in re.findall(r"\w+", match["before"]):
        return lines
    moved = match["fall"].splitlines()
    written = {line.split()[1].rstrip(",") for line in moved if " " in line}
    views = written | {other + name[1:] for name in written for view, other in ("wx", "xw") if name[0] == view}
    if any(_FLAGS.match(line) for line in moved) or views.intersection(re.findall(r"\w+", match["branch"])):
        return lines
    return (*match["before"].splitlines(), *moved, match["branch"] + "taken")


def _without_idle(problem: Problem, lines: tuple[str, ...], code: Assembled) -> tuple[str, ...]:
    owners = _owners(lines, code.instructions)
    if owners is None:
        return lines
    homes = MAPS[problem.target].homes
    live = [homes[name] for name, _ in problem.live_out]
    if problem.exit == "indirect":
        live.append(MAPS[problem.target].branch_target)
    lift = _LIFTS[problem.target]
    kept = list(range(len(lines)))
    with separate(new_table()):
        whole = lift(code.instructions, code.size, problem.is_shared)
        if whole.opaque:
            return lines
        for number in reversed(range(len(lines))):
            if number not in owners or _NEEDED.match(lines[number] + " ") or _PAIRED.search(lines[number]):
                continue
            rest = [i for i, owner in zip(code.instructions, owners, strict=True) if owner in kept and owner != number]
            if _same(whole, lift(rest, code.size, problem.is_shared), live, problem.is_shared):
                kept.remove(number)
    return tuple(lines[n] for n in kept)


def _owners(lines: Sequence[str], instructions: Sequence[Instruction]) -> list[int] | None:
    """For each instruction the line that it is of; None if they cannot be laid beside each other.

    A line is one instruction, but for RISC-V's ``li``, which may be several when only one line is an ``li``.
    """
    numbers = [n for n, line in enumerate(lines) if not _LABEL.fullmatch(line)]
    more = len(instructions) - len(numbers)
    constants = [n for n in numbers if lines[n].startswith("li ")]
    if more < 0 or (more and len(constants) != 1):
        return None
    return [n for n in numbers for _ in range(1 + (more if more and n == constants[0] else 0))]


def _same(one: Effect, other: Effect, live: Sequence[str], shared: bool) -> bool:
    return (
        not other.opaque
        and one.memory is other.memory
        and (not shared or one.events == other.events)
        and one.condition is other.condition
        and all(one.cells.get(home) is other.cells.get(home) for home in live)
    )
