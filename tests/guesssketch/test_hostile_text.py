"""Whatever a model or a file says, the assembler is given instructions or nothing, and what is accepted means one thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

import guesssketch
from guesssketch import assembler
from guesssketch.answer import answer
from guesssketch.assembler import Assembled, AssemblyError, assemble, assemble_x86
from guesssketch.cli import run
from guesssketch.errors import InputError, ToolError
from guesssketch.judge import judge
from guesssketch.liveness import before
from guesssketch.problem import Candidate, Exit, Problem
from isa.machine import TAKEN
from isa.x86_64.lift import lift
from solver.verdict import Proved, Unknown

GOOD = {
    "aarch64": ("add w8, w0, w1, lsl #2", "add w8, w8, #8"),
    "riscv64": ("slli a6, a1, 2", "addw a6, a6, a0", "addiw a6, a6, 8"),
}
# Beside a right translation, all of these would leave it right, if they passed: the proof alone does not stop them.
EITHER = (
    '.incbin "/etc/passwd"', '.include "/etc/passwd"', ".macro nop", ".set memcpy, 0", ".globl evil", ".org 0", ".text", ".if 0",
    ".rept 9", "memcpy:", "memcpy :", "memcpy : nop", "taken :", "fall:", "B0S:", "S0:", "x = 1", "1: nop", "# 1 \"f\"",
    "nop # x", "nop // x", "nop /* x */", "/* x */ nop", "nop ; nop", "nop\nnop", "nop\rnop", "nop\x0bnop", "nop\x0cnop",
    "nop\n.org 0", "nop\nS0 :", "nop\\", "nop\\\n", "nop\0", "nop \0.org 0", "nop\u2028nop", "nop\u00a0", "n\u00f6p", "\u0661:", "",
    "nop " + "+" * 100_000, "nop" + " " * 100_000 + ".", "n" * 10**6, "[" * 10**5, '"nop"', "'nop'", "$(id)", "`id`", "nop | id",
    "b S0", "j memcpy",
)  # fmt: skip
ONE = {
    "aarch64": ("b #4", "cbz x0, #4", "cbz x0, 4", "tbz x0, #1, #4", "b.eq 8", "beq 4", "adr x6, #8", "adrp x6, #4096", "ldr x6, #8", "ldr x6, =5",
                "adr x6, taken", "adr x6, .", "b .", "b . + 4", "bl memcpy", "adrp x6, memcpy", "adrp x6, S0 + 8", "ldr x6, [[x0]]", "ldr x6, [x0",
                "add x6, x6, #" + "-" * 150 + "1", "movz x6, #:abs_g0:S0", "adrp x6, S7", "adrp x6, :got:S7", "adrp x6, :got:guard"),
    "riscv64": ("j 4", "beqz a0, 4", "bne a0, a1, 4", "c.j 4", "c.beqz a0, 4", "jal 4", "jal zero, 4", "auipc t0, 5", "call memcpy", "tail memcpy",
                "lla t0, memcpy", "lui t0, %hi(memcpy)", "lui t0, %hi(S0+8)", "lui t0, %hi(1f)", "addi t0, t0, " + "(" * 150, "jump S0, t0",
                "lla t0, S7", "lui t0, %hi(S7)", "auipc t0, %got_pcrel_hi(guard)", ".option relax", ".insn r 0x33, 0, 0, a0, a1, a2"),
}  # fmt: skip


def block(text: str, live_out: dict[str, int], target: str) -> Problem:
    code = tuple(assemble_x86(text))
    exit: Exit = "branch" if "taken" in text else "fall"
    live_in = before(lift(code, exit), live_out)
    return Problem(target, code, exit, tuple(live_in.items()), tuple(live_out.items()), ())


def lea(target: str) -> Problem:
    return block("lea eax, [rdi + rsi*4 + 8]", {"rax": 32}, target)


def proved(problem: Problem, lines: Sequence[str]) -> bool:
    return isinstance(judge([problem], [Candidate(tuple(lines), "lm")])[0].verdict, Proved)


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_nothing_but_instructions_stands_beside_a_right_translation(target: str) -> None:
    problem, good = lea(target), GOOD[target]
    assert proved(problem, good)
    ways = EITHER + ONE[target]
    candidates = [Candidate(lines, "lm") for way in ways for lines in ((way, *good), (*good, way))]
    found = judge([problem] * len(candidates), candidates)
    assert [c.lines for c, j in zip(candidates, found, strict=True) if not isinstance(j.verdict, Unknown)] == []
    assert proved(problem, good)


@pytest.mark.parametrize(("target", "right", "number"), [
    ("aarch64", ["cbz w0, taken"], [f"cbz w0, #{TAKEN}"]),
    ("aarch64", ["cmp w0, #0", "b.eq taken"], ["cmp w0, #0", "b.ne #8", f"b #{TAKEN - 8}"]),
    ("riscv64", ["sext.w t0, a0", "beqz t0, taken"], ["sext.w t0, a0", f"beqz t0, {TAKEN - 4}"]),
])  # fmt: skip
def test_a_branch_goes_to_a_label_never_by_a_number(target: str, right: list[str], number: list[str]) -> None:
    problem = block("test edi, edi; je taken", {"rdi": 32}, target)
    assert proved(problem, right) and not proved(problem, number)


class Liar:
    """Proposes what is hostile, then what is right."""

    name = "lm"

    def propose(self, problems: Sequence[Problem]) -> Iterable[Sequence[Candidate]]:
        for problem in problems:
            good = GOOD[problem.target]
            hostile = [Candidate((way, *good), self.name) for way in EITHER + ONE[problem.target]]
            yield [*hostile, Candidate(tuple("nop" for _ in range(10**5)), self.name), Candidate((), self.name), Candidate(good, self.name)]


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_a_proposer_that_lies_costs_time_only(target: str) -> None:
    (found,) = answer([lea(target)], [Liar()])
    assert found.pieces[0].lines == GOOD[target] and not found.failures


@pytest.mark.parametrize("way", ["memcpy :", '.incbin "/etc/passwd"', "b #4", "nop // x", "nop\\", "adrp x6, S7"])
def test_pair_files_and_sketches_have_no_other_way_in(way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "target: aarch64\nlive-out: rax:32\nsource:\n    lea eax, [rdi + rsi*4 + 8]\ncode:\n"
    text = source + "".join(f"    {line}\n" for line in (way, *GOOD["aarch64"]))
    (tmp_path / "pair").write_text(text)
    assert run(["prove", str(tmp_path / "pair")]) in (1, 3)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for sketch in (text.replace("#8", "#?immediate"), source + f"    ?({way}; add w8, w0, w1, lsl #2)\n    add w8, w8, #8\n"):
        assert guesssketch.solve(sketch, candidates=20) is None


@pytest.mark.parametrize("text", ["nop :", "memcpy :", "nop\rnop", "mov rax, memcpy", "mov rax, [S0@EVIL]", "nop\\", "mov rax, [" + "[" * 90])
def test_source_text_is_held_to_the_same(text: str) -> None:
    with pytest.raises(InputError, match="x86-64 text"):
        assemble_x86(text)


def test_what_the_assemblers_do_not_agree_on_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    other = assemble("aarch64", [["add w8, w0, w1, lsl #3", "add w8, w8, #8"]])[0]
    monkeypatch.setattr(assembler, "_run_batch", lambda target, blocks: dict.fromkeys(blocks, other))
    (judged,) = judge([lea("aarch64")], [Candidate(GOOD["aarch64"], "lm")])
    assert isinstance(judged.verdict, Unknown) and "do not agree" in judged.verdict.reason


def test_a_block_that_breaks_the_assembler_does_not_touch_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    llvm = assembler._llvm
    monkeypatch.setattr(assembler, "_llvm", lambda target, text: [(0, "crash")] if "a7" in text else llvm(target, text))
    results = assemble("riscv64", [["nop"], ["mv a0, a7"], ["frobnicate"], ["nop"], ["mv a0, a1"]])
    assert [isinstance(r, Assembled) for r in results] == [True, False, False, True, True]
    assert isinstance(results[1], AssemblyError) and "crash" in results[1].message
    monkeypatch.setattr(assembler, "_llvm", lambda target, text: [(0, "crash")])
    with pytest.raises(ToolError, match="crash"):
        assemble("riscv64", [["nop"]])
