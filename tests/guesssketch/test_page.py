"""The report as a page: what it is told, and that hostile text stays text."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from guesssketch import page, pipeline
from guesssketch.answer import Answer, Attempt, Piece, answer
from guesssketch.cli import run
from guesssketch.lowering import Lowering
from guesssketch.problem import Candidate, Doubt, Filled, Insight, Problem
from solver.verdict import Unknown

MakeObject = Callable[..., Path]

HOSTILE = "</script><img src=x onerror=alert(1)><!--"
INSIGHT = Insight(0.75, (Doubt(0, 4, 2, 0.5),), ((0.9, 0.04), (0.5, 0.5)),
                  filled=(Filled(1, 0, 3, "opcode", "sub"),))  # fmt: skip


@dataclass
class Says:
    """A proposer that says the same of everything."""

    lines: tuple[str, ...]
    name: str = "user"
    insight: Insight | None = None

    def propose(self, problems: Sequence[Problem]) -> list[list[Candidate]]:
        return [[Candidate(self.lines, self.name, insight=self.insight)] for _ in problems]


def translated(source: Path, **options: Any) -> pipeline.Translation:
    return pipeline.translate([source], pipeline.Options("aarch64", **{"jobs": 1, "proposers": ("lowering",), **options}))


def told(html: str) -> dict[str, Any]:
    """The data in a page, found as a browser finds it."""
    found: list[str] = []

    class Reader(HTMLParser):
        inside = False

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag != "img"
            self.inside = ("id", "data") in attributes

        def handle_data(self, text: str) -> None:
            if self.inside:
                found.append(text)

        def handle_endtag(self, tag: str) -> None:
            self.inside = False

    Reader().feed(html)
    return dict(json.loads("".join(found)))


def test_what_the_page_is_told(make_object: MakeObject) -> None:
    source = make_object("in.o", f="cmp edi, 3\njg 1f\ncall outside\nmov eax, [rip + value]\n1: ret", g="ret", text=".comm value, 4")
    data = page.gathered(translated(source, prototypes=(prototypes(source.parent),)))
    (f, g) = data["functions"]
    first, call, load, last = f["blocks"]
    assert (f["name"], g["name"]) == ("f", "g") and first["source"].split("\n")[0] == "cmp edi, 3"
    assert [b["next"] for b in (first, call, load)] == [[[3, "taken"], [1, "fall"]], [[2, "call"]], [[3, "fall"]]]
    assert "next" not in last and last["end"] == "return" and "pieces" not in last
    assert call["end"] == "call outside, then 0xa" and first["offsets"] == [0, 3] and load["offsets"] == [10]
    (piece,) = load["pieces"]
    assert (piece["size"], piece["verdict"], data["texts"][piece["by"]]) == (1, 0, "lowering") and "ldr" in piece["lines"]
    assert load["source"] == "mov eax, dword ptr [rip]  S0" and load["symbols"] == {"S0": "value"}


def prototypes(folder: Path) -> Path:
    file = folder / "outside.h"
    file.write_text("void outside(void);\n")
    return file


def test_what_was_turned_down_is_told_with_the_counterexample(make_object: MakeObject, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, right = Says(("add w8, w0, #2",), "lm"), Says(("add w8, w0, #1",), "sketch", INSIGHT)
    monkeypatch.setattr("guesssketch.workers.make_proposers", lambda *_: [wrong, right])
    data = page.gathered(translated(make_object("in.o", f="lea eax, [rdi + 1]\nret")))
    ((block,),) = (f["blocks"] for f in data["functions"])
    ((attempt,), (piece,)) = block["tries"], block["pieces"]
    assert data["texts"][attempt["by"]] == "lm" and attempt["lines"] == "add w8, w0, #2"
    assert re.match(r"refuted: rax: source 0x[0-9a-f]+, target 0x", data["texts"][attempt["why"]])
    assert data["texts"][piece["by"]] == "sketch" and piece["sure"] == 0.75 and piece["filled"] == [[1, 0, 3, "opcode", "sub"]]
    assert piece["doubts"] == [[0, 4, 2, 0.5]] and piece["align"] == [[0, 0, 90], [1, 0, 50], [1, 1, 50]]


def test_a_candidate_that_is_tested_in_the_end_is_no_attempt(make_object: MakeObject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guesssketch.judge.check", lambda *_, **__: Unknown("for the test"))
    data = page.gathered(translated(make_object("in.o", f="lea eax, [rdi + 1]\nret")))
    ((block,),) = (f["blocks"] for f in data["functions"])
    assert block["pieces"][0]["verdict"] == 1 and data["texts"][block["pieces"][0]["why"]] == "for the test" and "tries" not in block


def test_a_cut_answer_says_of_which_instructions_an_attempt_was(make_object: MakeObject) -> None:
    translation = translated(make_object("in.o", f="lea eax, [rdi + 1]\nlea edx, [rsi + 1]\nret"))
    (problem,) = [p for asked in translation.problems.values() for p in asked]

    class Short:
        name = "short"

        def propose(self, problems: Sequence[Problem]) -> list[Sequence[Candidate]]:
            lowered = Lowering("aarch64").propose(problems)
            return [[Candidate(("nop",), "short")] if len(p.instructions) > 1 else c for p, c in zip(problems, lowered, strict=True)]

    (found,) = answer([problem], [Short()])
    assert [p.source for p in found.pieces] == [1, 1]
    assert [(a.start, a.source, a.proposer) for a in found.attempts] == [(0, 2, "short")]


def test_answers_with_all_that_is_known_come_back_from_the_cache() -> None:
    piece = Piece(("add w8, w0, #1", "nop"), "sketch", "proved", "", ("a",), (), 2, 2, 0.1, INSIGHT)
    whole = Answer((piece,), (), (Attempt(0, 2, "lm", ("nop",), "refuted: rax", INSIGHT),))
    assert Answer.from_json(whole.to_json()) == whole


def test_hostile_names_and_candidates_stay_text(make_object: MakeObject) -> None:
    data = page.gathered(translated(make_object("in.o", f="lea eax, [rdi + 1]\nret")))
    data["functions"][0]["name"] = data["functions"][0]["blocks"][0]["tries"] = HOSTILE
    html = page.rendered(data)
    assert HOSTILE not in html and told(html) == data
    assert html.count("<script") == 2 and "{{" not in html and "http:" not in html.replace("http://www.w3.org/2000/svg", "")


def test_the_command_writes_the_page_with_tests(make_object: MakeObject, tmp_path: Path) -> None:
    source, html, tests = make_object("in.o", f="test edi, edi\nje 1f\nmov eax, 1\n1: ret"), tmp_path / "r.html", tmp_path / "t.json"
    command = ["translate", str(source), "--target", "riscv64", "-o", str(tmp_path / "out.o"), "--no-cache"]
    assert run(["test", str(source), "--target", "riscv64", "--runs", "3", "--json", str(tests), "--cache", str(tmp_path / "c")]) == 0
    assert run([*command, "--html", str(html), "--tests", str(tests)]) == 0
    (function,) = told(html.read_text())["functions"]
    assert function["tests"]["verdict"] == "equal" and function["tests"]["blocks"][1] == 3
    assert sum(b.get("missed", False) for b in function["blocks"]) == 3 - function["tests"]["blocks"][0]
    assert run([*command, "--tests", str(tests)]) == 2
    tests.write_text("{}")
    assert run([*command, "--html", str(html), "--tests", str(tests)]) == 2
