"""The judge, on pairs that must be proved and pairs that must be refuted, and on effects made by hand for what no pair can say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from guesssketch import pairs
from guesssketch.assembler import assemble_x86
from guesssketch.errors import InputError
from guesssketch.problem import Symbol
from isa import terms as t
from isa.machine import Access, Effect
from isa.statemap import AARCH64, FLAGS, GENERAL, VECTORS, StateMap, cell_term
from isa.x86_64.lift import lift
from solver.equivalence import check
from solver.verdict import Proved, Refuted, Unknown, Verdict

PAIRS = sorted((Path(__file__).parent / "pairs").glob("*.pair"))
IDENTITY = StateMap("x86_64", {n: n for n in (*GENERAL, *VECTORS)} | {f: f"home.{f}" for f in FLAGS}, "next", (), ())
MEMORY = t.memory()


def read(path: Path) -> pairs.Pair:
    return pairs.parse(path.read_text(), path.name)


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_pair(path: Path) -> None:
    pair = read(path)
    assert pair.expect, f"{path.name} says nothing of what to expect"
    verdict = pairs.prove_pair(pair)
    assert isinstance(verdict, Proved if pair.expect == "proved" else Refuted), str(verdict)
    if isinstance(verdict, Refuted):
        assert verdict.counterexample.differences


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_source_equals_itself(path: Path) -> None:
    pair = read(path)
    source = lift(assemble_x86("\n".join(pair.source)), pair.exit)
    live_out = [(name, bits) for name, bits in pair.live_out or pairs.default_live_out(source) if name in IDENTITY.homes]
    kept = [(name, 1 if name in FLAGS else 64) for name, _ in live_out]
    live_in = sorted({*pairs.default_live_in(source), *kept})
    verdict = check(source, itself(source), IDENTITY, live_in, live_out, pair.exit, pair.symbols)
    assert isinstance(verdict, Proved), str(verdict)


def itself(source: Effect) -> Effect:
    """``source`` as code for IDENTITY: its flags live in 64-bit homes."""
    flags = {t.var(f, 1): t.extract(t.var(f"home.{f}", 64), 0, 1) for f in FLAGS}

    def at_home(term: t.Term) -> t.Term:
        return t.substitute([term], flags)[0]

    cells = {n: at_home(term) for n, term in source.cells.items() if n not in FLAGS}
    cells |= {f"home.{f}": t.zext(at_home(source.cells[f]), 64) for f in FLAGS if f in source.cells}
    if source.target is not None:
        cells["next"] = at_home(source.target)

    def accesses(old: list[Access]) -> list[Access]:
        return [Access(at_home(a.address), a.size, at_home(a.guard)) for a in old]

    condition = None if source.condition is None else at_home(source.condition)
    return replace(source, cells=cells, memory=at_home(source.memory), condition=condition, faults=[],
                   loads=accesses(source.loads), stores=accesses(source.stores))  # fmt: skip


def judge(source: dict[str, t.Term], code: dict[str, t.Term], **more: object) -> Verdict:
    """Register effects on AArch64, all registers live in."""
    live_in = [(name, 64) for name in ("rax", "rdi", "rsi")]
    return check(Effect(source, MEMORY), Effect(code, MEMORY), AARCH64, live_in, [("rax", 64)], "fall", **more)  # type: ignore[arg-type]


def v(name: str, width: int = 64) -> t.Term:
    return t.var(name, width)


def test_opaque_is_never_proved() -> None:
    code = Effect({"x8": v("x0")}, MEMORY, opaque=["CALLOTHER tbl"])
    verdict = check(Effect({"rax": v("rdi")}, MEMORY), code, AARCH64, [("rdi", 64)], [("rax", 64)], "fall")
    assert verdict == Unknown("no semantics: CALLOTHER tbl")


def test_undefined_values_differ_between_the_sides() -> None:
    verdict = judge({"rax": t.undef("of", 64)}, {"x8": t.undef("of", 64)})
    assert isinstance(verdict, Unknown) and "leaves undefined" in verdict.reason


def test_unsatisfiable_assumptions_prove_nothing() -> None:
    always = t.ult(t.mul(v("rdi"), v("rdi")), t.const(1, 64))
    source = Effect({"rax": v("rdi")}, MEMORY, faults=[always, t.not_(always)])
    verdict = check(source, Effect({"x8": v("x0")}, MEMORY), AARCH64, [("rdi", 64)], [("rax", 64)], "fall")
    assert isinstance(verdict, Unknown) and "assumptions" in verdict.reason


def test_a_bound_too_small_is_unknown_and_deterministic() -> None:
    a, b, c = v("rax"), v("rdi"), v("rsi")
    source = t.mul(t.xor(a, b), c)
    code = t.substitute([t.sub(t.mul(t.or_(a, b), c), t.mul(t.and_(a, b), c))],
                        {a: v("x8"), b: v("x0"), c: v("x1")})[0]  # fmt: skip
    verdicts = [judge({"rax": source}, {"x8": code}, rlimit=20_000) for _ in range(2)]
    assert isinstance(verdicts[0], Unknown) and verdicts[0] == verdicts[1]


def test_low_symbols_have_no_upper_bits() -> None:
    code = {"x8": t.zext(t.extract(v("S0"), 0, 32), 64)}
    assert isinstance(judge({"rax": v("S0")}, code, symbols=[Symbol("S0", "local", low=True)]), Proved)
    assert isinstance(judge({"rax": v("S0")}, code, symbols=[Symbol("S0", "local")]), Refuted)


def test_float_difference_by_exact_theory_or_counterexample() -> None:
    a, b = v("rdi"), v("rsi")
    minus = t.float_op("fsub", 64, v("x0"), v("x1"))
    verdict = judge({"rax": t.float_op("fadd", 64, a, b)}, {"x8": minus})
    assert isinstance(verdict, Refuted)
    same = t.float_op("fadd", 64, v("x1"), v("x0"))
    proved = judge({"rax": t.float_op("fadd", 64, a, b)}, {"x8": same})
    assert isinstance(proved, Proved) and any("NaN" in text for text in proved.approximations)


def test_counterexample_is_small_and_readable() -> None:
    pair = pairs.parse("target: aarch64\nsource:\n add rax, rdi\n mov [rsi], rax\ncode:\n add x8, x8, x0\n str w8, [x1]\n", "x")
    verdict = pairs.prove_pair(pair)
    assert isinstance(verdict, Refuted)
    assert len(verdict.counterexample.state) <= 2
    assert "memory [0x" in str(verdict)


def test_effects_must_fit_the_exit() -> None:
    with pytest.raises(ValueError, match="condition"):
        check(Effect({}, MEMORY), Effect({}, MEMORY), AARCH64, [], [], "branch")


@pytest.mark.parametrize("path", PAIRS[:8], ids=lambda p: p.stem)
def test_pairs_print_and_parse(path: Path) -> None:
    pair = read(path)
    assert pairs.parse(str(pair), path.name) == pair


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target: arm\n", "x:1: target is one of"),
        ("target: aarch64\nlive-in: rax:7\n", "x:2: rax has"),
        ("target: aarch64\nlive-out: eax\n", "x:2: 'eax' is no"),
        ("target: aarch64\nexit: up\n", "x:2: exit is one of"),
        ("target: aarch64\ntarget: aarch64\n", "x:2: target comes twice"),
        ("target: aarch64\nsymbols: S0\n", "x:2: a symbol is"),
        ("hello\n", "x:1: expected one of"),
        ("target: aarch64\nsource:\n nop\n", "x: no code"),
    ],
)  # fmt: skip
def test_parse_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pairs.parse(text, "x")


def test_conditions_are_what_the_state_map_says() -> None:
    """``le`` on entry is tied to zf, sf and of, whatever the compare was."""
    assert cell_term("le") is t.or_(v("zf", 1), t.xor(v("sf", 1), v("of", 1)))


def test_float_identity_needs_the_exact_theory() -> None:
    negated = t.xor(v("x1"), t.const(1 << 63, 64))
    code = {"x8": t.float_op("fadd", 64, v("x0"), negated)}
    assert isinstance(judge({"rax": t.float_op("fsub", 64, v("rdi"), v("rsi"))}, code), Proved)
