"""The second solver agrees where Z3 is right, and says so where it would not be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from guesssketch import pairs
from solver import door
from solver.verdict import Proved

second = pytest.importorskip("solver.second", reason="needs bitwuzla", exc_type=ImportError)

PAIRS = (
    "target: aarch64\nlive-out: rax\nsource:\n  lea rax, [rdi + rsi*4 + 24]\ncode:\n  add x8, x0, x1, lsl #2\n  add x8, x8, #24\n",
    "target: aarch64\nlive-out: rax\nsource:\n  mov rax, rdi\n  imul rax, rax, 7\ncode:\n  lsl x8, x0, #3\n  sub x8, x8, x0\n",
    "target: riscv64\nlive-out: rax\nsource:\n  mov [rdi], esi\n  mov rax, [rdx]\ncode:\n  sw a1, 0(a0)\n  ld a6, 0(a2)\n",
)


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str, bool]]]:
    found: list[tuple[str, str, bool]] = []
    door.listen(lambda *query: found.append(query))
    yield found
    door.listen(None)


def test_two_solvers_agree(heard: list[tuple[str, str, bool]]) -> None:
    for pair in PAIRS:
        assert isinstance(pairs.prove_pair(pairs.parse(pair, "pair")), Proved)
    assert [second.opinion(*query, seconds=5) for query in heard] == ["agrees"] * len(heard) and heard


def test_a_false_answer_is_a_disagreement() -> None:
    text = "(declare-fun x () (_ BitVec 64))\n(assert (= (bvmul x x) #x0000000000000019))\n"
    assert second.opinion(text, "sat", False, 5) == "agrees"
    assert second.opinion(text, "unsat", False, 5) == "disagrees"
    assert second.opinion(text + "(assert (= ((_ extract 0 0) x) #b0))\n", "sat", True, 5) == "disagrees"
    assert second.opinion("(assert (nothing x))", "unsat", False, 5) == "cannot read"
