"""Pair files: a source block, target code, and what is live, as text: the input of ``guesssketch prove`` and of tests.

    # comments and blank lines are skipped
    target: aarch64                     or riscv64
    live-in: rdi rsi:32 zf              cell or condition, low bits; default: all that the source reads
    live-out: rax:32                    default: the registers that the source changes (no flags)
    exit: branch                        fall, branch or indirect; default: branch if the source names ``taken``
    symbols: S0 local align 8, S1 got low
    order: tso                          relaxed (the default) or tso: what other threads may notice
    expect: proved                      proved or refuted, for tests
    source:
        add edi, esi                    x86-64, Intel syntax
        jb taken
    code:
        adds w0, w0, w1                 target assembly, numeric labels
        b.hs taken

Memory is always compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import isa.aarch64.lift
import isa.riscv64.lift
import isa.x86_64.lift
from guesssketch.allowed import strangers
from guesssketch.assembler import AssemblyError, assemble, assemble_x86
from guesssketch.errors import InputError
from guesssketch.problem import Exit, MemoryOrder, Problem, Symbol
from isa import terms as t
from isa.machine import Effect, Instruction
from isa.statemap import CONDITIONS, FLAGS, GENERAL, MAPS, VECTORS, cell_term
from isa.x86_64.atomics import is_atomic
from solver import gate
from solver.equivalence import RLIMIT, check
from solver.verdict import Unknown, Verdict

Live = tuple[tuple[str, int], ...]

_STEP: Final = "docs/pairs.md says how these files are written"
_HEADERS: Final = ("target", "live-in", "live-out", "exit", "symbols", "order", "expect")
_WIDTHS: Final = dict.fromkeys((*GENERAL, *VECTORS), (8, 16, 32, 64)) | dict.fromkeys((*FLAGS, *CONDITIONS), (1,))


@dataclass(frozen=True)
class Pair:
    """A question to the solver. live_in, live_out: None asks for the default. expect: None if nothing is said."""

    name: str
    target: str
    source: tuple[str, ...]
    code: tuple[str, ...]
    exit: Exit
    live_in: Live | None = None
    live_out: Live | None = None
    symbols: tuple[Symbol, ...] = ()
    order: MemoryOrder = "relaxed"
    expect: Literal["proved", "refuted"] | None = None

    def __str__(self) -> str:
        lines = [f"target: {self.target}"]
        for header, live in (("live-in", self.live_in), ("live-out", self.live_out)):
            if live is not None:
                cells = (name if bits == _WIDTHS[name][-1] else f"{name}:{bits}" for name, bits in live)
                lines.append(f"{header}: {' '.join(cells)}".rstrip())
        lines.append(f"exit: {self.exit}")
        if self.symbols:
            lines.append(f"symbols: {', '.join(map(_symbol_text, self.symbols))}")
        if self.order != "relaxed":
            lines.append(f"order: {self.order}")
        if self.expect:
            lines.append(f"expect: {self.expect}")
        lines += ["source:", *(f"    {line}" for line in self.source), "code:", *(f"    {line}" for line in self.code)]
        return "\n".join(lines) + "\n"


def parse(text: str, name: str) -> Pair:
    """Reads a pair file. Raises InputError as ``name:line: what is wrong``."""
    fields: dict[str, Any] = {}
    bodies: dict[str, list[str]] = {}
    body: list[str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip() if body is None else raw.strip()
        if not line or line.startswith("# "):
            continue
        try:
            if line in ("source:", "code:"):
                body = bodies[line[:-1]] = _new(bodies, line[:-1], [])
            elif body is not None:
                body.append(line)
            else:
                header, colon, value = line.partition(":")
                if not colon or header not in _HEADERS:
                    raise ValueError(f"expected one of {', '.join(_HEADERS)}, source, code; got {line!r}")
                fields[header] = _new(fields, header, _header(header, value.strip()))
        except ValueError as error:
            raise InputError(f"{name}:{number}: {error}", _STEP) from None
    missing = [x for x in ("target", "source", "code") if x not in fields and x not in bodies]
    if missing:
        raise InputError(f"{name}: no {' and no '.join(missing)}", _STEP)
    source = tuple(bodies["source"])
    default: Exit = "branch" if any("taken" in line.split() for line in source) else "fall"
    code = tuple(bodies["code"])
    return Pair(name, fields["target"], source, code, fields.get("exit", default), fields.get("live-in"), fields.get("live-out"),
                fields.get("symbols", ()), fields.get("order", "relaxed"), fields.get("expect"))  # fmt: skip


def prove_pair(pair: Pair, *, rlimit: int = RLIMIT) -> Verdict:
    """Assembles, lifts and judges, behind the same gate as a translation. Raises InputError if a side does not assemble."""
    instructions = _source(pair)
    assembled = assemble(pair.target, [pair.code])[0]
    if isinstance(assembled, AssemblyError):
        where = "" if assembled.line is None else f"{pair.code[assembled.line]!r}: "
        holes = any("?" in line for line in pair.code)
        raise InputError(f"{pair.name}: {where}{assembled.message}", "guesssketch solve fills holes" if holes else _STEP)
    if strange := strangers(pair.code, pair.symbols, instructions):
        return Unknown(f"the block has no {strange}")
    if missing := gate.unvalidated("x86_64", instructions) + gate.unvalidated(pair.target, assembled.instructions):
        return Unknown(f"semantics not validated: {'; '.join(missing)}")
    shared = pair.order == "tso" or any(map(is_atomic, instructions))
    source = isa.x86_64.lift.lift(instructions, pair.exit, shared)
    lift = {"aarch64": isa.aarch64.lift.lift, "riscv64": isa.riscv64.lift.lift}[pair.target]
    code = lift(assembled.instructions, assembled.size, shared)
    live_in = default_live_in(source) if pair.live_in is None else pair.live_in
    live_out = default_live_out(source) if pair.live_out is None else pair.live_out
    return check(source, code, MAPS[pair.target], live_in, live_out, pair.exit, pair.symbols, order=pair.order,
                 rlimit=rlimit)  # fmt: skip


def problem(pair: Pair) -> Problem:
    """What the pair's source asks of a proposer. Raises InputError if it does not assemble."""
    instructions = tuple(_source(pair))
    source = isa.x86_64.lift.lift(instructions, pair.exit)
    live_in = default_live_in(source) if pair.live_in is None else pair.live_in
    live_out = default_live_out(source) if pair.live_out is None else pair.live_out
    return Problem(pair.target, instructions, pair.exit, tuple(sorted(live_in)), tuple(sorted(live_out)), pair.symbols, pair.order)


def _source(pair: Pair) -> list[Instruction]:
    try:
        return assemble_x86("\n".join(pair.source))
    except InputError as error:
        raise InputError(f"{pair.name}: {error}", _STEP) from None


def default_live_in(source: Effect) -> Live:
    """Every cell that the source reads, whole; one that it changes and does not read is not among them."""
    roots = [*source.cells.values(), source.memory, *source.faults]
    roots += [x for x in (source.condition, source.target) if x is not None]
    roots += [x for access in (*source.loads, *source.stores) for x in (access.address, access.guard)]
    read = t.variables(*roots)
    return tuple((name, widths[-1]) for name, widths in _WIDTHS.items() if name in read)


def default_live_out(source: Effect) -> Live:
    """Every general and vector cell that the source changes, whole."""
    changed = {name for name, value in source.cells.items() if value is not t.var(name, value.width)}
    return tuple((name, 64) for name in (*GENERAL, *VECTORS) if name in changed)


def _new(known: dict[str, Any], header: str, value: Any) -> Any:
    if header in known:
        raise ValueError(f"{header} comes twice")
    return value


def _header(header: str, value: str) -> Any:
    if header in ("live-in", "live-out"):
        return tuple(sorted(_cell(word) for word in value.split()))
    if header == "symbols":
        return tuple(_symbol(part.split()) for part in value.split(","))
    allowed = {"target": tuple(MAPS), "exit": get_args(Exit), "order": get_args(MemoryOrder),
               "expect": ("proved", "refuted")}[header]  # fmt: skip
    if value not in allowed:
        raise ValueError(f"{header} is one of {', '.join(allowed)}; got {value!r}")
    return value


def _cell(word: str) -> tuple[str, int]:
    name, colon, bits = word.partition(":")
    if name not in _WIDTHS:
        raise ValueError(f"{name!r} is no x86-64 cell or condition")
    width = int(bits) if bits.isdecimal() else cell_term(name).width
    if width not in _WIDTHS[name] or (colon and not bits.isdecimal()):
        raise ValueError(f"{name} has {' or '.join(map(str, _WIDTHS[name]))} low bits; got {word!r}")
    return name, width


def _symbol(words: list[str]) -> Symbol:
    """``S0 local``, then any of ``align N`` and ``low``."""
    if len(words) < 2 or words[1] not in ("local", "got", "tls"):
        raise ValueError(f"a symbol is NAME local|got|tls [align N] [low]; got {' '.join(words)!r}")
    align, low, rest = 1, False, words[2:]
    while rest:
        word = rest.pop(0)
        if word == "low":
            low = True
        elif word == "align" and rest and rest[0].isdecimal() and int(rest[0]).bit_count() == 1:
            align = int(rest.pop(0))
        else:
            raise ValueError(f"a symbol is NAME local|got|tls [align N] [low]; got {' '.join(words)!r}")
    return Symbol(words[0], words[1], align, low)  # type: ignore[arg-type]


def _symbol_text(symbol: Symbol) -> str:
    align = f" align {symbol.align}" if symbol.align > 1 else ""
    return f"{symbol.name} {symbol.kind}{align}{' low' if symbol.low else ''}"
