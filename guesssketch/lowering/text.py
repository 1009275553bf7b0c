"""LLVM's assembly text -> the lines of a candidate: markers become exits, labels numbers, jumps short."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from guesssketch.lowering.backend import Style
from guesssketch.lowering.ir import AGAIN_MARK, ENTRY_MARK, FALL_MARK, TAKEN_MARK

_LABEL: Final = re.compile(r"(\.?[A-Za-z_][\w.$]*):")
_LOCAL: Final = re.compile(r"\.L(?:BB\d+_\d+|pcrel_hi\d+|tls_[a-z_]*hi\d+|[a-z]+_hi\d+)")
_SPACE: Final = re.compile(r"\s+")
_JUMP: Final = {"aarch64": "b", "riscv64": "j"}
_INVERSE: Final = {"eq": "ne", "lt": "ge", "gt": "le", "hi": "ls", "hs": "lo", "mi": "pl", "vs": "vc",
                   "ltu": "geu", "gtu": "leu", "eqz": "nez", "ltz": "gez", "gtz": "lez"}  # fmt: skip
_OPPOSITE: Final = _INVERSE | {value: key for key, value in _INVERSE.items()}
_BRANCH: Final = {
    "aarch64": re.compile(r"(?P<kind>b\.[a-z]{2}|cbn?z|tbn?z)\s+(?:.*,\s*)?(?P<label>\S+)"),
    "riscv64": re.compile(r"(?P<kind>b(?:eq|ne|[lg][te]u?|eqz|nez|[lg][te]z))\s+.*,\s*(?P<label>\S+)"),
}
# What a block must not touch, and what needs more than the block: calls and constant pools.
_REFUSED: Final = {
    "aarch64": re.compile(r"\b(?:sp|wsp|[xw]18|[xw]29|[xw]30|bl|blr|[dqsvbh](?:8|9|1[0-5]))\b|\.LCPI"),
    "riscv64": re.compile(r"\b(?:sp|ra|gp|call|tail)\b|\.LCPI"),
}
_REGISTER: Final = re.compile(r"\b(?:[xwvqdshb]\d{1,2}|f?[ast]\d{1,2})\b")
# RISC-V's names in assembly -> numbers (psABI, "Register Convention").
_RISCV: Final = {
    **{f"t{n}": f"x{n + 5 if n < 3 else n + 25}" for n in range(7)},
    **{f"s{n}": f"x{n + 8 if n < 2 else n + 16}" for n in range(12)},
    **{f"a{n}": f"x{n + 10}" for n in range(8)},
    **{f"ft{n}": f"f{n if n < 8 else n + 20}" for n in range(12)},
    **{f"fs{n}": f"f{n + 8 if n < 2 else n + 16}" for n in range(12)},
    **{f"fa{n}": f"f{n + 10}" for n in range(8)},
}
_VECTOR: Final = re.compile(r"\b[vqdshb](\d{1,2})\b")


_AGAIN: Final = re.compile(r"\bagain\b")
_FOLDED: Final = re.compile(r"\bS\d+[+-]\d")  # an offset folded into a symbol: a placeholder is a whole address
_CONSTANT: Final = re.compile(r"(lui|li|addiw?|slli|srli) (\w+), (?:(\w+), )?(-?\d+)")


class Unusable(Exception):
    """LLVM's code for a block does something that a block may not do."""


def split_functions(assembly: str) -> dict[str, list[str]]:
    """The text of each function ``f<number>``, without directives and comments."""
    functions: dict[str, list[str]] = {}
    current: list[str] | None = None
    for raw in assembly.splitlines():
        line = raw.strip()
        if match := re.match(r"(f\d+):", line):
            current = functions.setdefault(match[1], [])
        elif line.startswith(".Lfunc_end"):
            current = None
        elif current is not None and line:
            current.append(line)
    return functions


def candidate_lines(
    name: str, raw: Sequence[str], target: str, entering: Collection[str], style: Style = "best", leaving: Collection[str] = ()
) -> tuple[str, ...]:
    """The lines of one function as a candidate's. entering, leaving: the registers at its markers. Raises Unusable."""
    _check_prologue(raw, target, entering)
    lines = plain_lines(name, raw, target)
    if target == "aarch64":
        lines = _without_callee_saved(lines, {*entering, *leaving})
    for line in lines:
        if _REFUSED[target].search(line) or _FOLDED.search(line):
            raise Unusable(line)
    lines = _threaded(lines, target)
    if target == "riscv64" and style == "canonical":
        lines = _constants(lines)
    return tuple(_numbered(lines))


def _check_prologue(raw: Sequence[str], target: str, pinned: Collection[str]) -> None:
    """Code that LLVM moved above the entry marker must leave alone what is defined there."""
    mark = ("//" if target == "aarch64" else "#") + ENTRY_MARK
    if mark not in raw:
        return
    defined = {register(name, target) for name in pinned}
    for line in raw[: raw.index(mark)]:
        for word in _REGISTER.findall(line):
            if register(word, target) in defined:
                raise Unusable(f"before the entry: {line}")


def register(name: str, target: str) -> str:
    """One name for all views of a register."""
    if target == "riscv64":
        return _RISCV.get(name, name)
    return {"x": "x", "w": "x"}.get(name[0], "v") + name[1:]


def _without_callee_saved(lines: list[str], pinned: Collection[str]) -> list[str]:
    """Other registers for v8-v15, whose low halves belong to the caller; LLVM has no way to reserve them."""
    used = {int(n) for line in lines for n in _VECTOR.findall(line)}
    wrong = sorted(used.intersection(range(8, 16)))
    if not wrong:
        return lines
    taken = used | {int(register[1:]) for register in pinned if register[0] in "vds"}
    free = [n for n in (*range(24, 32), *range(8), *range(16, 24)) if n not in taken]
    if len(free) < len(wrong):
        raise Unusable("no vector register left")
    names = dict(zip(map(str, wrong), map(str, free), strict=False))
    return [_VECTOR.sub(lambda m: m[0][0] + names.get(m[1], m[1]), line) for line in lines]


def plain_lines(name: str, raw: Sequence[str], target: str) -> list[str]:
    """Labels, instructions and exits as jumps to ``taken`` or ``fall``."""
    comment = "//" if target == "aarch64" else "#"
    jump = _JUMP[target]
    lines: list[str] = []
    exits = {comment + FALL_MARK: f"{jump} fall", comment + TAKEN_MARK: f"{jump} taken", comment + AGAIN_MARK: f"{jump} again"}
    exit_jump = f"{jump} fall"
    for line in raw:
        if line in exits:
            exit_jump = exits[line]
            continue
        text = line.split(comment)[0].strip()
        if not text:
            continue
        if match := _LABEL.fullmatch(text):
            if _LOCAL.fullmatch(match[1]):
                lines.append(text)
            continue
        if text.startswith("."):
            continue
        text = _SPACE.sub(" ", text).replace(f"{name}.", "").replace("TPIDR_EL0", "tpidr_el0")
        lines.append(exit_jump if text == "ret" else text)
    return lines


def _is_jump(line: str, target: str) -> bool:
    return line.startswith(_JUMP[target] + " ")


def _label_of(line: str, target: str) -> str | None:
    """Where a conditional or unconditional branch goes."""
    if _is_jump(line, target):
        return line.split()[1]
    match = _BRANCH[target].fullmatch(line)
    return match["label"] if match else None


def _inverted(line: str, label: str, target: str) -> str | None:
    """The conditional branch ``line`` with the opposite sense, to ``label``."""
    match = _BRANCH[target].fullmatch(line)
    if match is None:
        return None
    kind = match["kind"]
    head, tail = line[: match.start("label")], line[match.end("label") :]
    if kind[:2] in ("cb", "tb"):
        other = kind.replace("bn", "b") if "n" in kind else kind.replace("b", "bn")
    else:
        dot = "." if "." in kind else ""
        condition = _OPPOSITE.get(kind.removeprefix("b").removeprefix("."))
        if condition is None:
            return None
        other = f"b{dot}{condition}"
    return other + head[len(kind) :] + label + tail


def _threaded(lines: list[str], target: str) -> list[str]:
    """Jumps to jumps resolved, unreachable code dropped, conditional branches over a jump inverted."""
    while True:
        before = list(lines)
        ends = {line[:-1]: at for at, line in enumerate(lines) if line.endswith(":")}
        for at, line in enumerate(lines):
            label = _label_of(line, target)
            if label in ends:
                following = next((x for x in lines[ends[label] :] if not x.endswith(":")), f"{_JUMP[target]} fall")
                if _is_jump(following, target):
                    lines[at] = line[: len(line) - len(label)] + following.split()[1]
        lines = _without_dead(lines, target)
        for at in range(len(lines) - 1):
            branch, jump = lines[at], lines[at + 1]
            if not _is_jump(jump, target) or _is_jump(branch, target) or branch.endswith(":"):
                continue
            after = {x[:-1] for x in _labels_from(lines, at + 2)} | ({"fall"} if at + 2 == len(lines) else set())
            if _label_of(branch, target) in after and (flipped := _inverted(branch, jump.split()[1], target)):
                lines[at : at + 2] = [flipped]
                break
        while lines and lines[-1] == f"{_JUMP[target]} fall":
            lines.pop()
        if lines == before:
            return lines


def _constants(lines: Sequence[str]) -> list[str]:
    """RISC-V's constants, each said as one ``li``, of which the assembler makes as many instructions as LLVM had chosen."""
    result: list[str] = []
    constant, value = "", 0  # the register that the last line of ``result`` gave this value
    for line in lines:
        match = _CONSTANT.fullmatch(line)
        operation, into, source, number = match.groups() if match else ("", "", None, "0")
        if operation in ("lui", "li"):
            constant, value = into, _signed(int(number) << 12, 32) if operation == "lui" else int(number)
        elif source is not None and source == into == constant:
            value = _computed(operation, value, int(number))
            result.pop()
        else:
            constant = ""
        result.append(f"li {constant}, {value}" if constant else line)
    return result


def _computed(operation: str, value: int, number: int) -> int:
    """What one instruction makes of a register's value (RISC-V ISA manual, RV64I), as a signed number of 64 bits."""
    if operation == "slli":
        return _signed(value << number, 64)
    if operation == "srli":
        return _signed((value % (1 << 64)) >> number, 64)
    return _signed(value + number, 32 if operation == "addiw" else 64)


def _signed(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half


def _labels_from(lines: Sequence[str], start: int) -> list[str]:
    found: list[str] = []
    for line in lines[start:]:
        if not line.endswith(":"):
            break
        found.append(line)
    return found


def _without_dead(lines: Sequence[str], target: str) -> list[str]:
    """Labels nobody names, code after a jump up to a label, and jumps to the very next line go."""
    text = "\n".join(line for line in lines if not line.endswith(":"))
    used = set(_LOCAL.findall(text))
    kept: list[str] = []
    dead = False
    for at, line in enumerate(lines):
        if line.endswith(":"):
            if line[:-1] in used:
                dead = False
                kept.append(line)
            continue
        if dead:
            continue
        dead = _is_jump(line, target)
        if dead and f"{line.split()[1]}:" in _labels_from(lines, at + 1):
            dead = False
            continue
        kept.append(line)
    return kept


def _numbered(lines: Sequence[str]) -> list[str]:
    """Local labels as numbers. Raises Unusable for a branch backwards (a label's high part may lie behind), but ``again``, which
    goes back to the start."""
    numbers: dict[str, int] = {}
    for line in lines:
        if line.endswith(":"):
            numbers[line[:-1]] = len(numbers) + 1
    seen: set[str] = set()
    result: list[str] = []
    for line in lines:
        if line.endswith(":"):
            seen.add(line[:-1])
            result.append(f"{numbers[line[:-1]]}:")
            continue
        text = line
        for label in _LOCAL.findall(line):
            if label not in numbers:
                raise Unusable(line)
            if label in seen and "pcrel_lo" not in line:
                raise Unusable(f"backward: {line}")
            text = text.replace(label, f"{numbers[label]}{'b' if label in seen else 'f'}")
        result.append(text)
    if any(_AGAIN.search(line) for line in result):
        start = len(numbers) + 1
        result = [f"{start}:", *(_AGAIN.sub(f"{start}b", line) for line in result)]
    return result
