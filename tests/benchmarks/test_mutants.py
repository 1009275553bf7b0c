"""Mutants of every kind are made, none that a state tells apart is proved, and a prover that proves one is found out."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from guesssketch import pairs
from guesssketch.assembler import Assembled, assemble
from solver.verdict import Proved

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
breaking, mutants = (importlib.import_module(name) for name in ("breaking", "mutants"))

SOURCE = "mov [rdi], eax; movsx ecx, word ptr [rsi]; mov [rdi + 8], ecx; shl edx, 3; cmp eax, ecx; jl taken"
LINES = {
    "aarch64": ["str w8, [x0]", "ldrsh w3, [x1]", "str w3, [x0, #8]", "lsl w2, w2, #3", "cmp w8, w3", "b.lt taken"],
    "riscv64": ["sw a6, 0(a0)", "lh a3, 0(a1)", "sw a3, 8(a0)", "slli a2, a2, 35", "srli a2, a2, 32", "sext.w t0, a6",
                "sext.w t1, a3", "slli a3, a3, 32", "srli a3, a3, 32", "blt t0, t1, taken"],
}  # fmt: skip


@pytest.fixture
def rights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """One proved pair; one with two flags live at the end; one in x86-64's order."""
    target = request.param
    text = "\n".join(["target: " + target, "source:", *SOURCE.split("; "), "code:", *LINES[target]])
    pair = pairs.parse(text, "pair")
    made = breaking.Rights(mutants.ROOT / "datasets" / "pairs" / "sample", target, 1)
    made.pairs = [breaking.Right(pairs.problem(pair), tuple(pair.code))]
    monkeypatch.setattr(mutants, "rights", lambda *_: made)
    return made


@pytest.mark.parametrize("rights", ["aarch64", "riscv64"], indirect=True)
def test_what_a_state_tells_apart_is_not_proved(rights: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "STATES", 40)
    monkeypatch.setattr(mutants, "MORE", 40)
    chunk = mutants.Chunk(Path(), rights.target, 1, 0, 6 * len(breaking.KINDS))  # type: ignore[attr-defined]
    entries = mutants.tried(chunk)
    told = Counter(e["kind"] for e in entries if e.get("told"))
    assert set(told) == set(breaking.KINDS) and not any(map(mutants.is_wrong, entries))
    monkeypatch.setattr(mutants, "prove", lambda *_: Proved(()))
    credulous = mutants.tried(chunk)
    assert all(mutants.is_wrong(other) for one, other in zip(entries, credulous, strict=True) if one.get("told"))
    assert [e["verdict"] == "none" for e in entries] == [e["verdict"] == "none" for e in credulous], "the same mutants"


def test_the_order_of_stores_is_told_where_it_counts() -> None:
    pair = pairs.parse("target: aarch64\norder: tso\nsource:\nmov [rdi], eax\nmov [rdi + 8], ecx\ncode:\nnop", "pair")
    lines = ("str w8, [x0]", "dmb ishst", "str w3, [x0, #8]")
    right, swapped = assemble("aarch64", [lines, lines[::-1]])
    assert isinstance(right, Assembled) and isinstance(swapped, Assembled)
    for problem, verdict in ((pairs.problem(pair), "refuted"), (replace(pairs.problem(pair), order="relaxed"), "proved")):
        one = breaking.Broken(breaking.Right(problem, lines), problem, lines[::-1])
        entry = mutants.judged(one, swapped, right)
        assert entry["verdict"] == verdict and ("another order" in entry["told"]) == (verdict == "refuted")


@pytest.mark.parametrize("rights", ["aarch64", "riscv64"], indirect=True)
def test_what_is_equal_is_shown_without_z3(rights: object) -> None:
    (right,) = rights.pairs  # type: ignore[attr-defined]
    target = right.problem.target
    dead, moved, wrong = {"aarch64": ("add x9, x9, #1", "add x8, x8, #0", "add x3, x3, #1"),
                          "riscv64": ("addi t2, t2, 1", "addi a6, a6, 0", "addi a3, a3, 1")}[target]  # fmt: skip
    lines = [(*right.lines[:-1], line, right.lines[-1]) for line in (dead, moved, wrong)]
    whole, *codes = assemble(target, [right.lines, *lines])
    assert [mutants.same_terms(right.problem, code, whole) for code in codes] == [True, True, False]
    if mutants.second is not None:
        assert [mutants.opinion(right.problem, code) for code in codes] == ["agrees", "agrees", "no answer"]
