"""Guesses with planted faults: repaired, proved, told; by the library, in the pipeline's order, and in what ``show`` prints."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from guesssketch import pairs, stages
from guesssketch.errors import UsageError
from guesssketch.guess.dataset import read_shard
from guesssketch.guess.engine import Guess, How
from guesssketch.guess.form import Form
from guesssketch.guess.proposer import Guesser, guess_ahead
from guesssketch.guess.records import problem_of
from guesssketch.guess.tokens import target_tokens
from guesssketch.judge import judge
from guesssketch.problem import Candidate, Doubt, Insight, Problem
from guesssketch.sketch.faults import FAULTS, plant
from guesssketch.sketch.repair import repair
from guesssketch.sketch.search import Budget
from guesssketch.sketch.story import story
from guesssketch.sketch.ways import Ways
from guesssketch.workers import Work, make_proposers, solve
from solver.verdict import Proved

SAMPLE = Path(__file__).parents[2] / "datasets" / "pairs" / "sample"


def problem(target: str, source: str) -> Problem:
    return pairs.problem(pairs.parse(f"target: {target}\nsymbols: S0 local align 4\nsource:\n{source.replace('; ', chr(10))}\ncode:\n nop", "p"))


def is_proved(problem: Problem, lines: Sequence[str]) -> bool:
    (judged,) = judge([problem], [Candidate(tuple(lines), "sketch")])
    return isinstance(judged.verdict, Proved)


@pytest.mark.parametrize(("target", "source", "guess"), [
    ("aarch64", "lea rax, [rdi + rsi*4 + 24]; shr rdi, 3", "add x8, x0, x1, lsl #2; add x8, x8, #28; lsr x0, x0, #3"),
    ("aarch64", "mov eax, dword ptr [rdi + 8]; add eax, esi", "ldr w8, [x0, #8]; add w8, w8, w2"),
    ("aarch64", "mov eax, dword ptr [rdi + 8]; add eax, esi", "ldrsw x8, [x0, #8]; add x8, x8, x1"),
    ("aarch64", "mov rax, qword ptr [rdi]; mov qword ptr [rsi + 16], rax", "ldr x8, [x0]"),
    ("aarch64", "pop rax; pop rcx; pop rdx", "ldp x8, x3, [x28]; ldr x2, [x28, #16]"),
    ("aarch64", "movabs rax, 0x7865746e69616c70; xor rdi, rax", "mov x8, #27760; movk x8, #26977, lsl #16; movk x8, #30821, lsl #48; eor x0, x0, x8"),
    ("aarch64", "cmp eax, 6; jle taken", "b.lt taken"),
    ("aarch64", "mov eax, edi", "mow w8, w0"),
    ("aarch64", "cmp qword ptr [rax - 0x78], 0; jbe taken", "ldur x11, [x8, #-112]; cbz x11, taken"),
    ("aarch64", "lea rax, [rip + S0]; mov rdi, rsi", "add x8, x8, :lo12:S0; mov x0, x1"),
    ("aarch64", "mov rax, rcx; sub rax, rdx; cmp rax, 1; je taken", "cmp x8, #1; b.eq taken"),
    ("aarch64", "add dword ptr [rdi], 3; mov rcx, rdx", "add w11, w11, #3; mov x3, x2; ldr w11, [x0]; str w11, [x0]"),
    ("aarch64", "mov al, byte ptr [rdx + 0x1731]; mov qword ptr [rdx + 0x28], rsi", "ldrb w11, [x2, #5937]; bfi x8, x11, #0, #8; str x1, [x2, #44]"),
    ("aarch64", "test ecx, 0x7ffffffd; mov dword ptr [rsp + 0x5a3], edx; mov rsi, rdx; je taken", "tst w3, #2147483645; str w2, [x28, #1443]; mov x1, x2; b.eq taken"),
    ("riscv64", "mov rax, qword ptr [rdi + 0x1390]; add rsi, 0x1390; and rdx, 0x7f0", "ld a6, 5008(a0); addi a1, a1, 5008; andi a2, a2, 2032"),
    ("riscv64", "mov eax, dword ptr [rip + S0]; cmp eax, 2; jl taken", "1:; auipc a6, %pcrel_hi(S0); lwu a6, %pcrel_lo(1b)(a6); sext.w t0, a6; slti t0, t0, 4; bnez t0, taken"),
    ("riscv64", "lea rax, [rip + S0]; mov rdi, rsi", "1:; auipc a6, %pcrel_hi(S0); mv a0, a1"),
    ("riscv64", "and eax, 0xf; movsxd rcx, eax", "andi a6, a6, 31; mv a3, a6"),
    ("riscv64", "mov rax, qword ptr [rdi - 8]; add rax, rsi; shl rax, 4", "add a6, a6, a1; slli a6, a6, 4"),
    ("riscv64", "movabs rax, 0x7865746e69616c70; xor rdi, rax; add rsi, 3", "li a6, 8675468274762345584; xor a0, a0, a5; addi a1, a1, 3"),
    ("riscv64", "cmp rax, rcx; jae taken", "mv t0, a6"),
], ids=["immediate", "register", "width", "store", "pointer", "part", "compare", "spelling", "memory", "page", "read by a branch", "far", "no room, and wrong", "no room", "no room for 12 bits", "at a symbol", "low", "mask", "load", "wide", "branch"])  # fmt: skip
def test_one_wrong_place_is_repaired(target: str, source: str, guess: str) -> None:
    asked = problem(target, source)
    assert not is_proved(asked, guess.split("; "))
    found = repair(asked, guess.split("; "))
    assert found.lines is not None and is_proved(asked, found.lines)
    assert found.steps and found.steps[-1].filled == found.lines and found.steps[0].guess == tuple(guess.split("; "))


def test_two_wrong_places_are_repaired_one_after_the_other() -> None:
    asked = problem("aarch64", "lea rax, [rdi + rsi*4 + 24]; shr rdx, 3; xor ecx, esi")
    found = repair(asked, ["add x8, x0, x1, lsl #3", "add x8, x8, #24", "lsr x2, x2, #5", "eor w3, w3, w1"])
    assert found.lines is not None and len(found.steps) == 2 and is_proved(asked, found.lines)


def test_three_wrong_places_are_repaired_without_cuts() -> None:
    asked = problem("riscv64", "lea rax, [rdi + rsi*4 + 24]; shr rdx, 3; xor ecx, esi; add rsi, r8")
    guess = ["slli a6, a1, 2", "add a6, a6, a0", "addi a6, a6, 20", "srli a2, a2, 5", "xor a3, a3, a1", "slli a3, a3, 32", "srli a3, a3, 32", "add a1, a1, a5"]
    found = repair(asked, guess, ways=Ways(cut=False))
    assert found.lines is not None and len(found.steps) == 3 and is_proved(asked, found.lines)


@pytest.mark.parametrize(("target", "source", "guess"), [
    # Right on all states that are drawn, once the shift is: only the prover's state, where both are equal, tells the other place.
    ("riscv64", "shr rdx, 3; cmp rax, rdi; je taken", "srli a2, a2, 5; addi t0, a6, 1; beq t0, a0, taken"),
    # Which store is missed shows in no state in which the branch is taken.
    ("aarch64", "mov eax, dword ptr [rcx]; lea edx, [rax - 1]; mov dword ptr [rcx], edx; test eax, eax; je taken",
     "ldr w8, [x3]; eor w2, w8, #1; cbz w8, taken; str w2, [x3]"),
], ids=["only the prover tells", "one of two shows"])  # fmt: skip
def test_what_is_right_in_more_states_is_nearer(target: str, source: str, guess: str) -> None:
    asked = problem(target, source)
    found = repair(asked, guess.split("; "), budget=Budget(1200), ways=Ways(cut=False))
    assert found.lines is not None and len(found.steps) == 2 and is_proved(asked, found.lines)


def test_what_is_right_stays_and_what_cannot_be_is_not_repaired() -> None:
    asked = problem("aarch64", "mov eax, edi")
    assert repair(asked, ["mov w8, w0"]).lines == ("mov w8, w0",) and not repair(asked, ["mov w8, w0"]).steps
    hopeless = repair(problem("aarch64", "imul rax, rdi; add rax, rsi; imul rax, rdx; xor rax, rcx"), ["mov x8, x0"], budget=Budget(300))
    assert hopeless.lines is None and hopeless.tried <= 300


def test_the_same_guess_is_repaired_the_same_way() -> None:
    asked, guess = problem("riscv64", "lea rax, [rdi + rdi*4]; add rax, -48"), ["slli a6, a0, 3", "add a6, a6, a0", "addi a6, a6, -48"]
    first, second = repair(asked, guess), repair(asked, guess)
    assert first == second and first.lines is not None


def test_what_the_model_thought_of_is_tried_first() -> None:
    asked = problem("aarch64", "lea rax, [rdi + 3877]")
    told = Insight(doubts=(Doubt(0, 12, 2, 0.4),), others=(("add x8, x0, #3877",),))
    found, untold = repair(asked, ["add x8, x0, #5"], told, ways=Ways(slices=False, values=False)), repair(asked, ["add x8, x0, #5"])
    assert found.lines == untold.lines == ("add x8, x0, #3877",) and found.tried <= 32


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_planted_faults_are_faults_of_their_kind(target: str) -> None:
    records = [r for shard in sorted(SAMPLE.glob(f"{target}-*.jsonl")) for r in read_shard(shard) if r["verdict"] == "proved"]
    for kind, fault in FAULTS.items():
        found = [(r["lines"], plant(problem_of(r["source"], target), r["lines"], fault, random.Random(n))) for n, r in enumerate(records)]
        broken = [(before, after) for before, after in found if after is not None]
        assert broken and all(before != after for before, after in broken)
        assert all(len(after) - len(before) == {"dropped": -1, "added": 1}.get(kind, 0) for before, after in broken)


class Faulty:
    """An engine that says one text for every form, doubting one token of it."""

    cut = 8

    def __init__(self, lines: tuple[str, ...], doubted: str, other: str) -> None:
        self.lines, self.doubted, self.other = lines, doubted, other

    def guess(self, forms: Sequence[Form], target: str, how: How, *, align: bool = False) -> list[list[Guess]]:
        tokens = target_tokens(self.lines)
        probabilities = [0.4 if token == self.doubted else 0.99 for token in tokens]
        others = [[(self.other, 0.35)] if token == self.doubted else [] for token in tokens]
        return [[Guess(tokens, probabilities, others, 1.0, -1.0, self.lines)] for _ in forms]


SOURCE = "lea rax, [rcx + rdx*4 + 24]"  # its own normal form
GUESS = ("add x8, x3, x2, lsl #2", "add x8, x8, #28")
ENGINE = Faulty(GUESS, "#1c", "#18")


def test_a_candidate_carries_what_the_model_doubted() -> None:
    asked = problem("aarch64", SOURCE)
    ((candidate,),) = Guesser("aarch64", ENGINE).propose([asked])
    assert candidate.insight is not None and [round(d, 2) for d in candidate.insight.doubted(2)] == [0.01, 0.6]
    assert candidate.insight.others == ((), ("add x8, x8, #24",))


def test_the_pipeline_repairs_what_the_model_guessed() -> None:
    asked = [problem("aarch64", SOURCE), problem("aarch64", "lea rdi, [rbx + r9*4 + 24]")]
    guesses = guess_ahead(asked, Guesser("aarch64", ENGINE), 1, lambda done: None)
    ((_, answers),) = solve(asked, Work("aarch64", ("lm", "sketch", "lowering")), 1, guesses)
    assert [piece.proposer for one in answers for piece in one.pieces][:2] == ["sketch", "sketch"]
    assert answers[1].pieces[0].lines == ("add x0, x19, x5, lsl #2", "add x0, x0, #24")


def test_sketch_without_lm_is_refused() -> None:
    for names in (("sketch",), ("sketch", "lm"), ("lowering", "sketch")):
        with pytest.raises(UsageError, match="lm must be asked before"):
            make_proposers(names, "aarch64")


def test_show_tells_the_story_of_a_guess(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, obj = tmp_path / "in.c", tmp_path / "in.o"
    source.write_text("int f(int a, int b) { return a + 4 * b + 24; }")
    subprocess.run(["gcc", "-O1", "-c", source, "-o", obj], check=True)
    engine = Faulty(("add w8, w3, w2, lsl #2", "add w8, w8, #28"), "#1c", "#18")  # its form: lea eax, [rcx + rdx*4 + 0x18]
    monkeypatch.setattr("guesssketch.guess.proposer.open_engine", lambda *_: engine)
    (listing,) = stages.show(obj, "f", "candidates", "aarch64", proposers=("lm", "sketch"))
    text = "\n".join(stages.text(listing))
    for part in ("lm:", "sketch: wrong in rax", "holes:", "filled:", "sketch: proved (", "sketch:\n"):
        assert part in text, text


def test_the_story_tells_guess_doubts_holes_and_filling() -> None:
    text = "\n".join(story(repair(problem("aarch64", SOURCE), GUESS)))
    for part in ("wrong in rax", "add x8, x8, #28", "holes:", "?", "filled:", "add x8, x8, #24", "proved ("):
        assert part in text, text
    assert "no repair" in "\n".join(story(repair(problem("aarch64", SOURCE), ["nop"], budget=Budget(1))))
