"""The one door from a proposal to an answer: what must be refused is refused."""

import pytest

from guesssketch import lifted
from guesssketch.assembler import Assembled, assemble, assemble_x86
from guesssketch.judge import judge, prove
from guesssketch.liveness import before
from guesssketch.problem import Candidate, Problem
from isa.x86_64.lift import lift
from solver import door
from solver.verdict import Proved, Refuted, Unknown


def problem(text: str, live_out: dict[str, int], target: str = "aarch64") -> Problem:
    code = tuple(assemble_x86(text))
    live_in = before(lift(code, "fall"), live_out)
    return Problem(target, code, "fall", tuple(live_in.items()), tuple(live_out.items()), ())


LEA = problem("lea eax, [rdi + rsi*4 + 8]", {"rax": 32, "rdi": 64})


def verdict(lines: str, asked: Problem = LEA, explain: bool = False) -> object:
    (judgement,) = judge([asked], [Candidate(tuple(lines.split("; ")), "user")], explain=explain)
    return judgement.verdict


def test_a_right_candidate_is_proved() -> None:
    assert isinstance(verdict("add w8, w0, w1, lsl #2; add w8, w8, #8"), Proved)


@pytest.mark.parametrize("lines", [
    "add w8, w0, w1, lsl #3; add w8, w8, #8",
    "add w8, w0, w1, lsl #2",
    "add x0, x0, x1, lsl #2; add w8, w0, #8",  # a register that lives through
    "add w8, w0, w1, lsl #2; add w8, w8, #8; mov x29, x8",  # a reserved register
    "add w8, w0, w1, lsl #2; add w8, w8, #8; ldr w9, [x0]",  # an access of its own
])  # fmt: skip
def test_a_wrong_candidate_is_refuted(lines: str) -> None:
    assert isinstance(verdict(lines), Refuted)


@pytest.mark.parametrize("lines", [
    ".incbin \"/etc/passwd\"", "add w8, w0, w1; .include \"x\"", "frobnicate x0", "add w8, w0, w1 // #", "b 1f", "ret", "svc #0",
    "bl printf", "1:; b 1b",
])  # fmt: skip
def test_hostile_text_is_never_accepted(lines: str) -> None:
    assert isinstance(verdict(lines), Unknown | Refuted)


def test_an_unvalidated_form_is_never_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solver.gate.why_not", lambda isa, instruction: "untried" if isa == "aarch64" else "")
    found = verdict("add w8, w0, w1, lsl #2; add w8, w8, #8")
    assert isinstance(found, Unknown) and "not validated" in found.reason


def test_an_explained_counterexample_names_only_what_matters() -> None:
    refuted = verdict("add w8, w0, w1, lsl #2", explain=True)
    assert isinstance(refuted, Refuted) and len(refuted.counterexample.state) <= 2


def queries(asked: Problem, *texts: str) -> list[str]:
    """What Z3 is asked for the last of ``texts``, judged after the others."""
    for code in assemble(asked.target, [text.split("; ") for text in texts]):
        heard = list[str]()
        door.listen(lambda text, answer, may_be_spurious, heard=heard: heard.append(text))  # type: ignore[misc]
        try:
            assert isinstance(code, Assembled) and prove(asked, code)
        finally:
            door.listen(None)
    return heard


@pytest.mark.parametrize(("source", "bits", "before", "candidate"), [
    ("lea rax, [rdi + rsi]", 64, "orr x7, x0, x1; and x6, x0, x1; add x8, x7, x6", "and x6, x0, x1; orr x7, x0, x1; add x8, x6, x7"),
    ("lea eax, [rax + 1]", 8, "add w8, w8, #2", "add x8, x8, #1"),
], ids=["the same terms in another order", "a part of what is compared"])  # fmt: skip
def test_what_is_asked_does_not_depend_on_what_was_asked_before(source: str, bits: int, before: str, candidate: str) -> None:
    first = queries(problem(source, {"rax": bits}), candidate)
    assert len(first) == 1 and queries(problem(source, {"rax": bits}), before, candidate) == first
    lifted._lifted.cache_clear()
    assert queries(problem(source, {"rax": bits}), before, candidate) == first
