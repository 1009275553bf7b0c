"""``guesssketch test``: translation, reports, the corpus and replaying, exit codes."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from guesssketch.cli import run
from tests.testing.conftest import Compile

TEXT = """
int weight(const unsigned char *text, unsigned length, int start)
{
    int sum = start;
    for (unsigned i = 0; i < length % 8; i++)
        sum = text[i] == 'x' ? sum - 1 : sum * 31 + text[i];
    if (sum == 0x5eed)
        return -1;
    return sum;
}
"""


@pytest.mark.parametrize(("target", "order"), [("aarch64", "relaxed"), ("riscv64", "tso")])
def test_an_own_translation_agrees(target: str, order: str, compile_c: Compile, tmp_path: Path) -> None:
    source = compile_c(TEXT, "x86_64", "-Os")
    report, junit = tmp_path / "report.json", tmp_path / "junit.xml"
    command = ["test", str(source), "--target", target, "--runs", "2000", "--seconds", "20", "-j", "1", "--json", str(report),
               "--junit", str(junit), "--corpus", str(tmp_path / "corpus"), "--min-coverage", "100",
               "--proposers", "lowering", "--memory-order", order]  # fmt: skip
    assert run(command) == 0
    found = json.loads(report.read_text())
    (function,) = found["functions"]
    assert function["verdict"] == "equal" and function["statuses"]["equal"] > 100
    assert function["blocks"][0] == function["blocks"][1] > 3
    assert function["instructions"][0] > 0.8 * function["instructions"][1]
    suite = ElementTree.parse(junit).getroot()
    assert suite.attrib["tests"] == "1" and suite.attrib["failures"] == "0"


def test_a_difference_is_small_is_shown_and_replays(compile_c: Compile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, wrong = compile_c(TEXT, "x86_64"), compile_c(TEXT.replace("- 1", "- 2"), "aarch64")
    corpus, report = tmp_path / "corpus", tmp_path / "report.json"
    command = ["test", str(source), "--against", str(wrong), "-j", "1", "--corpus", str(corpus)]
    assert run([*command, "--json", str(report)]) == 1
    difference = json.loads(report.read_text())["functions"][0]["difference"]
    assert "result 0" in difference["differences"][0]
    (saved,) = corpus.rglob("*.difference.json")
    assert str(saved) in difference["replay"]
    capsys.readouterr()
    assert run(["test", str(source), "--against", str(wrong), "--replay", str(saved)]) == 1
    assert "result 0" in capsys.readouterr().out
    right = compile_c(TEXT, "aarch64")
    assert run(["test", str(source), "--against", str(right), "--replay", str(saved)]) == 0


def test_saved_inputs_are_run_first(compile_c: Compile, tmp_path: Path) -> None:
    source, other = compile_c(TEXT, "x86_64"), compile_c(TEXT, "aarch64")
    report = tmp_path / "report.json"
    command = ["test", str(source), "--against", str(other), "-j", "1", "--corpus", str(tmp_path / "c"), "--json", str(report)]
    assert run([*command, "--runs", "1500"]) == 0
    before = json.loads(report.read_text())["functions"][0]
    (saved,) = (tmp_path / "c").rglob("*.json")
    count = len(json.loads(saved.read_text())["inputs"])
    assert run([*command, "--runs", str(count), "--seed", "9"]) == 0
    after = json.loads(report.read_text())["functions"][0]
    assert after["runs"] == count < 50 and after["blocks"] == before["blocks"]


def test_coverage_that_is_missed_is_an_error(compile_c: Compile, capsys: pytest.CaptureFixture[str]) -> None:
    text = "void rare(void); int weight(int a) { if (a == 123456) rare(); return a; }"
    source, other = compile_c(text, "x86_64"), compile_c(text, "aarch64")
    command = ["test", str(source), "--against", str(other), "--runs", "1", "-j", "1", "--no-corpus"]
    assert run([*command, "--min-coverage", "100"]) == 1
    assert "not covered: weight" in capsys.readouterr().out
    assert run([*command, "--function", "absent"]) == 2
    assert run(["test", str(source), "--runs", "1"]) == 2


def test_an_object_for_another_machine_is_refused(compile_c: Compile) -> None:
    source, other = compile_c(TEXT, "x86_64"), compile_c(TEXT, "aarch64")
    assert run(["test", str(source), "--against", str(other), "--target", "riscv64"]) == 3
    assert run(["test", str(source), "--against", str(source)]) == 3
