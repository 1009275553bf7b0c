"""Right translations broken on purpose, in every way that the verifier is tried with (``mutants.py``).

Most mutants are right lines with one fault planted. Some leave the lines and change what is asked (wrong liveness). Faults of flags
and of the order of stores are planted in translations made for the purpose, as few blocks leave flags to others, and none of
the pairs says in which order other threads must see its stores.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from guesssketch.guess.records import sample
from guesssketch.guess.renaming import registers
from guesssketch.judge import judge
from guesssketch.lifted import source_effect
from guesssketch.lowering import Lowering
from guesssketch.problem import Problem
from guesssketch.sketch.choices import register_name
from guesssketch.sketch.faults import FAULTS, Fault, plant
from guesssketch.sketch.holes import LABEL
from isa import terms as t
from isa.statemap import CONDITIONS, FLAGS, GENERAL, MAPS, VECTORS, cell_term
from solver.verdict import Proved

_TRIES: Final = 60  # translations looked at for one that has a place for the fault
_WIDTHS: Final = (1, 8, 16, 32)
_ACCESS: Final = re.compile(r"(ldu?r|stu?r)(s?)([bhw]?) ([wx])(\w+), ")
_VECTOR: Final = re.compile(r"(ldu?r|stu?r) ([bhsdq])(\d+), ")
_RISCV_WIDTHS: Final = (("lb", "lh", "lw", "ld"), ("lbu", "lhu", "lwu", "ld"), ("sb", "sh", "sw", "sd"), ("flw", "fld"),
                        ("fsw", "fsd"))  # fmt: skip
# What makes an extension, and what stands in its place.
_EXTENSIONS: Final = {
    "aarch64": [(re.compile(pattern), new) for pattern, new in (
        (r"^[su]xt[bhw] (\w)(\d+), w(\d+)$", r"mov \1\2, \g<1>\3"),
        (r"^and (\w)(\d+), \w(\d+), #(?:0xff|255|0xffff|65535|0xffffffff|4294967295)$", r"mov \1\2, \g<1>\3"),
        (r"^mov w(\d+), w(\d+)$", r"mov x\1, x\2"),
        (r"\bsxt([bhw])\b", r"uxt\1"), (r"\buxt([bhw])\b", r"sxt\1"),
        (r"^ld(u?)rs([bh]) ", r"ld\1r\2 "), (r"^ld(u?)r([bh]) ", r"ld\1rs\2 "), (r"^ld(u?)rsw x", r"ld\1r w"),
        (r"^ld(u?)r w(\d)", r"ld\1rsw x\2"), (r"^sb(fx|fiz) ", r"ub\1 "), (r"^ub(fx|fiz) ", r"sb\1 "),
    )],
    "riscv64": [(re.compile(pattern), new) for pattern, new in (
        (r"^sext\.w ", "mv "), (r"^zext\.b ", "mv "), (r"^andi (\w+), (\w+), 255$", r"mv \1, \2"),
        (r"^(addi?|sub|slli?|srli?|srai?|mul)w ", r"\1 "), (r"^l([bhw])u ", r"l\1 "), (r"^l([bhw]) ", r"l\1u "),
        (r"^srli ", "srai "), (r"^srai ", "srli "), (r"^s(?:rl|ra)i (\w+), (\w+), (?:32|48|56)$", r"mv \1, \2"),
    )],
}  # fmt: skip


@dataclass(frozen=True)
class Right:
    """A problem and a proved translation of it."""

    problem: Problem
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Broken:
    """``lines`` are a translation of ``right.problem`` with a fault, or the right one of another problem than ``problem``."""

    right: Right
    problem: Problem
    lines: tuple[str, ...]


class Rights:
    """What is broken: proved pairs of the ``test`` split in ``folder``, at most ``limit``; and translations of the same blocks with
    flags live at the end, and in x86-64's order of accesses, made when they are first asked for."""

    def __init__(self, folder: Path, target: str, limit: int) -> None:
        self.target = target
        records = [record for record in sample(folder, "test", target, limit) if record.verdict == "proved"]
        self.pairs = [Right(record.problem, record.lines) for record in records]

    @functools.cached_property
    def flags(self) -> list[Right]:
        found = [(right.problem, [(name, 1) for name in _flags_set(right.problem)]) for right in self.pairs]
        return self._lowered(replace(p, live_out=tuple(sorted([*p.live_out, *flags]))) for p, flags in found if flags)

    @functools.cached_property
    def ordered(self) -> list[Right]:
        return self._lowered(replace(right.problem, order="tso") for right in self.pairs if len(stores(right)) > 1)

    def _lowered(self, problems: Iterable[Problem]) -> list[Right]:
        asked = list(problems)
        said = [(p, candidate) for p, found in zip(asked, Lowering(self.target).propose(asked), strict=True) for candidate in found]
        judged = judge([p for p, _ in said], [candidate for _, candidate in said])
        return [Right(p, c.lines) for (p, c), found in zip(said, judged, strict=True) if isinstance(found.verdict, Proved)]


def _flags_set(problem: Problem) -> list[str]:
    """Flags and conditions that the block sets and that are not live at its end."""
    with source_effect(problem) as effect:
        flags = {name for name, value in effect.cells.items() if name in FLAGS and value is not t.var(name, 1)}
    parts = {name: {str(v.attr) for v in t.walk(cell_term(name)) if v.op == "var"} for name in CONDITIONS}
    known = dict(problem.live_out)
    return [name for name in (*FLAGS, *CONDITIONS) if name not in known and (name in flags or parts.get(name, {name}) <= flags)]


def stores(right: Right) -> list[int]:
    """Indices of the lines that store."""
    prefixes = ("st",) if right.problem.target == "aarch64" else ("sb ", "sh ", "sw ", "sd ", "fsw ", "fsd ")
    return [n for n, line in enumerate(right.lines) if line.startswith(prefixes)]


# --- faults of a line


def _memory_width(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    found = _other_widths(lines[at]) if problem.target == "aarch64" else _other_riscv_widths(lines[at])
    return [*lines[:at], pick.choice(found), *lines[at + 1 :]] if found else None


def _other_widths(line: str) -> list[str]:
    if match := _VECTOR.match(line):
        return [f"{match[1]} {view}{match[3]}, {line[match.end() :]}" for view in "bhsdq" if view != match[2]]
    match = _ACCESS.match(line)
    if match is None:
        return []
    name, signed, number, rest = match[1], match[2], match[5], line[match.end() :]
    texts = [f"{name}{signed}{size} {match[4] if signed and size != 'w' else 'x' if signed else 'w'}{number}, {rest}"
             for size in ("b", "h", *("w" if signed else ""))] + [f"{name} {view}{number}, {rest}" for view in "wx"]  # fmt: skip
    return [text for text in texts if text != line]


def _other_riscv_widths(line: str) -> list[str]:
    mnemonic, _, rest = line.partition(" ")
    return [f"{other} {rest}" for group in _RISCV_WIDTHS if mnemonic in group for other in group if other != mnemonic]


def _extension(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    found = [pattern.sub(new, lines[at], count=1) for pattern, new in _EXTENSIONS[problem.target]]
    if re.match(r"(?:add|sub|and|orr|eor|lsl|mul|neg|mvn) w", lines[at]):
        found.append(re.sub(r"\bw(\d+)", r"x\1", lines[at]))
    found = [line for line in found if line != lines[at]]
    return [*lines[:at], pick.choice(found), *lines[at + 1 :]] if found else None


def _successor(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    go = "b" if problem.target == "aarch64" else "j"
    others = [[*lines[:at], f"{go} {goal}", *lines[at:]] for goal in ("taken", "fall")]
    if re.search(r"\btaken$", lines[at]):
        others = [lines[:at] + lines[at + 1 :], [*lines[:at], re.sub("taken$", "fall", lines[at]), *lines[at + 1 :]],
                  [*lines[:at], f"{go} taken", *lines[at + 1 :]]]  # fmt: skip
    elif problem.exit == "indirect":
        name = register_name(problem.target, MAPS[problem.target].branch_target)
        others = [[*lines, f"{'add' if go == 'b' else 'addi'} {name}, {name}, {'#' * (go == 'b')}{pick.choice((-1, 1, 4, 16))}"]]
    return pick.choice(others)


def _flag(lines: list[str], at: int, problem: Problem, pick: random.Random) -> list[str] | None:
    """A live flag is turned round, or takes another's value, behind line ``at`` or the last."""
    homes = MAPS[problem.target].homes
    live = [register_name(problem.target, homes[n]) for n, _ in problem.live_out if n in FLAGS or n in CONDITIONS]
    if not live:
        return None
    one, other = pick.choice(live), pick.choice(live)
    wrong = {"aarch64": (f"eor {one}, {one}, #1", f"mov {one}, {other}", f"mov {one}, #{pick.randrange(2)}"),
             "riscv64": (f"xori {one}, {one}, 1", f"mv {one}, {other}", f"li {one}, {pick.randrange(2)}")}  # fmt: skip
    behind = pick.choice((at, len(lines) - 1)) + 1
    return [*lines[:behind], pick.choice(wrong[problem.target]), *lines[behind:]]


_LINES: Final[dict[str, Fault]] = {"memory width": _memory_width, "extension": _extension, "successor": _successor}


# --- kinds of mutants


def _planted(fault: Fault, right: Right, pick: random.Random) -> Broken | None:
    found = plant(right.problem, right.lines, fault, pick)
    return Broken(right, right.problem, tuple(found)) if found else None


def _liveness(right: Right, pick: random.Random) -> Broken | None:
    """The right lines where more is live at the end, or less at the beginning, or where what is live is written."""
    problem = right.problem
    way = pick.choice(("dead", "wider", "unread", "narrower", "clobbered"))
    if way == "dead":
        names = [n for n in (*GENERAL, *VECTORS, *FLAGS, *CONDITIONS) if n not in dict(problem.live_out)]
        found = [(n, 1 if n in FLAGS or n in CONDITIONS else 64) for n in names]
        return _asked(right, live_out=[*problem.live_out, pick.choice(found)]) if found else None
    if way == "wider":
        places = [n for n, (_, bits) in enumerate(problem.live_out) if 1 < bits < 64]
        return _asked(right, live_out=_changed(problem.live_out, pick.choice(places), 64)) if places else None
    read = {name for i in problem.instructions for name in registers(i.text)}
    places = [n for n, (name, bits) in enumerate(problem.live_in) if name.partition(".")[0] in read and bits > 1]
    if way == "unread" and places:
        at = pick.choice(places)
        return _asked(right, live_in=[*problem.live_in[:at], *problem.live_in[at + 1 :]])
    if way == "narrower" and places:
        at = pick.choice(places)
        return _asked(right, live_in=_changed(problem.live_in, at, pick.choice([w for w in _WIDTHS if w < problem.live_in[at][1]])))
    general = [register_name(problem.target, MAPS[problem.target].homes[n]) for n, _ in problem.live_out if n in GENERAL]
    if way != "clobbered" or not general:
        return None
    at, home = pick.randrange(len(right.lines) + 1), pick.choice(general)
    line = f"add {home}, {home}, #1" if problem.target == "aarch64" else f"addi {home}, {home}, 1"
    return Broken(right, problem, (*right.lines[:at], line, *right.lines[at:]))


def _changed(cells: Sequence[tuple[str, int]], at: int, bits: int) -> list[tuple[str, int]]:
    return [*cells[:at], (cells[at][0], bits), *cells[at + 1 :]]


def _asked(right: Right, **cells: Sequence[tuple[str, int]]) -> Broken:
    changed = {name: tuple(sorted(value)) for name, value in cells.items()}
    problem = replace(right.problem, live_in=changed.get("live_in", right.problem.live_in),
                      live_out=changed.get("live_out", right.problem.live_out))  # fmt: skip
    return Broken(right, problem, right.lines)


def _store_order(right: Right, pick: random.Random) -> Broken | None:
    """Two stores in each other's place."""
    places = stores(right)
    if len(places) < 2:
        return None
    a, b = sorted(pick.sample(places, 2))
    lines = list(right.lines)
    lines[a], lines[b] = lines[b], lines[a]
    return Broken(right, right.problem, tuple(lines)) if lines[a] != lines[b] else None


_Way = tuple[Callable[[Rights], list[Right]], Callable[[Right, random.Random], Broken | None]]
KINDS: Final[dict[str, _Way]] = {
    **{name: (lambda rights: rights.pairs, functools.partial(_planted, fault)) for name, fault in (FAULTS | _LINES).items()},
    "liveness": (lambda rights: rights.pairs, _liveness),
    "flag": (lambda rights: rights.flags, functools.partial(_planted, _flag)),
    "store order": (lambda rights: rights.ordered, _store_order),
}


def broken(rights: Rights, number: int) -> tuple[str, Broken | None]:
    """Mutant ``number``, the same always: its kind, and what it is; None if no translation was met that has a place for it."""
    kind = list(KINDS)[number % len(KINDS)]
    given, way = KINDS[kind]
    pick = random.Random(f"{rights.target}.{number}")
    found = given(rights)
    for _ in range(_TRIES if found else 0):
        right = pick.choice(found)
        one = way(right, pick) if any(not LABEL.fullmatch(line) for line in right.lines) else None
        if one is not None:
            return kind, one
    return kind, None
