"""Ways in which something wrong was proved, or could have been, put back: each lets a wrong translation through, and without it the
translation is refused. Where states can tell, they do: the mutants of ``benchmarks/mutants.py`` would find it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from guesssketch import allowed, assembler, pairs
from guesssketch.assembler import Assembled, assemble, assemble_x86
from guesssketch.judge import judge, prove
from guesssketch.problem import Candidate, Problem
from isa.machine import TAKEN
from isa.x86_64.lift import lift
from solver import equivalence
from solver.assume import IN_RANGE, applicable
from solver.emulate import compare
from solver.verdict import Proved, Verdict

TO_UNSIGNED = "cvttsd2si rcx, xmm0; mov rdx, rcx; sar rdx, 63; subsd xmm0, xmm1; cvttsd2si rax, xmm0; and rax, rdx; or rax, rcx"


def problem(target: str, source: str, *headers: str) -> Problem:
    lines = [f"target: {target}", *headers, "source:", *source.split("; "), "code:", "nop"]
    return pairs.problem(pairs.parse("\n".join(lines), "bug"))


def code_of(target: str, lines: list[str]) -> Assembled:
    (code,) = assemble(target, [lines])
    assert isinstance(code, Assembled)
    return code


def judged(asked: Problem, lines: list[str]) -> Verdict:
    return judge([asked], [Candidate(tuple(lines), "lm")])[0].verdict


@pytest.mark.parametrize(("target", "lines"), [
    ("aarch64", ["1:", "ldxr w6, [x0]", "add w7, w6, w8", "bfi w6, w7, #0, #8", "stlxr w16, w6, [x0]", "cbnz w16, 1b", "dmb ish"]),
    ("riscv64", ["1:", "lr.w.aq t2, (a0)", "add t0, t2, a6", "xor t0, t0, t2", "andi t0, t0, 255", "xor t0, t0, t2",
                 "sc.w.aqrl t1, t0, (a0)", "bnez t1, 1b"]),
])  # fmt: skip
def test_a_locked_byte_by_way_of_a_word_that_traps(target: str, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """That the word is aligned was assumed, as the source's own access is, and so that the byte is the word's first."""
    asked, code = problem(target, "lock add byte ptr [rdi], al"), code_of(target, lines)
    assert "a trap where the source's access is aligned" in str(prove(asked, code))
    monkeypatch.setattr(equivalence._Proof, "_beyond_bounds", lambda self: None)
    assert isinstance(prove(asked, code), Proved)


def test_conversions_whose_answers_are_dropped_assumed_in_range() -> None:
    """What compilers make of a conversion to unsigned: one of the two does not fit. The translation by the target's own
    conversions is right only if both do."""
    live = "live-in: xmm0.lo xmm1.lo", "live-out: rax"
    exact, code = problem("aarch64", TO_UNSIGNED, *live), code_of("aarch64", [
        "fcvtzs x3, d0", "fsub d6, d0, d1", "asr x2, x3, #63", "fcvtzs x8, d6", "and x8, x8, x2", "orr x8, x8, x3"])  # fmt: skip
    assert isinstance(prove(replace(exact, assume=(IN_RANGE,)), code), Proved)
    assert not isinstance(prove(exact, code), Proved) and compare(exact, code, 1000).difference
    assert applicable(lift(assemble_x86(TO_UNSIGNED), "fall"), (IN_RANGE,)) == ()


@pytest.mark.parametrize(("target", "source", "lines", "why"), [
    ("aarch64", "lea rax, [rdi + 8]", ["memcpy :", "add x8, x0, #8"], "neither a label nor an instruction"),
    ("riscv64", "lea rax, [rdi + 8]", ["memcpy :", "addi a6, a0, 8"], "neither a label nor an instruction"),
    ("aarch64", "test edi, edi; je taken", [f"cbz w0, #{TAKEN}"], "a branch goes to a label"),
    ("riscv64", "test edi, edi; je taken", ["sext.w t0, a0", f"beqz t0, {TAKEN - 4}"], "a branch goes to a label"),
])  # fmt: skip
def test_text_that_is_right_in_a_proof_and_not_in_an_object(
    target: str, source: str, lines: list[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label that would be a symbol of the object; a distance to ``taken``, which is nowhere near in an object."""
    asked = problem(target, source)
    assert why in str(judged(asked, lines))
    monkeypatch.setattr(assembler, "refused", lambda target, lines: None)
    assert isinstance(judged(asked, lines), Proved) and allowed.refused(target, lines)


@pytest.mark.parametrize(("target", "lines"), [("aarch64", ["fmin d6, d0, d1", "mov v0.d[0], v6.d[0]"]),
                                               ("riscv64", ["fmin.d fa0, fa0, fa1"])])  # fmt: skip
def test_the_targets_minimum_for_x86_64s(target: str, lines: list[str]) -> None:
    """A proposer's bug: they differ where there is a NaN, and where zeros differ in sign."""
    asked, code = problem(target, "minsd xmm0, xmm1"), code_of(target, lines)
    assert not isinstance(prove(asked, code), Proved) and compare(asked, code, 1000).difference
