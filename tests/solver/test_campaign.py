"""The campaign: what it writes, what it does not try again, and what it keeps out of proofs."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from isa.machine import Instruction
from solver import campaign, gate, trials

ADD, ROTATE, EXCHANGE = "01d8  # add eax, ebx", "d3c0  # rol eax, cl", "0fb1cb  # cmpxchg ebx, ecx"
FORMS = "add r32,r32", "cmpxchg r32,r32", "rol r32,cl"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty table, made anew, with the encodings of three forms beside it; Unicorn computes ``cmpxchg`` wrong (docs/trust.md)."""
    monkeypatch.setattr(gate, "table_path", lambda isa: tmp_path / f"{isa}.json")
    monkeypatch.setattr(gate, "engines_path", lambda: tmp_path / "engines.json")
    (tmp_path / "x86_64.txt").write_text("\n".join((ADD, ROTATE, EXCHANGE)))
    gate._engines_of_tables.cache_clear()
    gate._known.cache_clear()
    yield tmp_path / "x86_64.json"
    gate._engines_of_tables.cache_clear()
    gate._known.cache_clear()


def written(path: Path) -> Any:
    return json.loads(path.read_text())["forms"]


def test_a_run_goes_on_where_the_table_ends_and_what_disagrees_stays_out(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--isa", "x86_64", "--states", "300", "--write", "-j", "2"]
    assert campaign.main([*command, "--only", "add"]) == 0 and written(table) == {FORMS[0]: 300}
    assert campaign.main(command) == 1 and written(table) == dict(zip(FORMS, (300, 0, 300), strict=True))
    said = capsys.readouterr().out
    assert "DISAGREES: x86_64: cmpxchg" in said and "2 of 3 forms agree, 1 of them by the table, 1 disagree" in said
    gate._known.cache_clear()
    exchange = Instruction(0, bytes.fromhex(EXCHANGE.split()[0]), "cmpxchg ebx, ecx")
    assert gate.why_not("x86_64", exchange) == "disagrees with the emulator" and FORMS[1] not in gate.known("x86_64")
    assert gate.validated("x86_64", FORMS[0]) and FORMS[0] in gate.known("x86_64")


def test_an_interrupted_run_keeps_what_it_has_and_more_states_are_more(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def until_interrupted(tasks: Sequence[campaign.Task], jobs: int) -> Iterator[tuple[campaign.Task, trials.Trials]]:
        tried.extend(task.key for task in tasks)
        yield tasks[0], trials.Trials(tasks[0].states)
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "try_all", until_interrupted)
    for states, wanted in ((500, FORMS), (500, FORMS[1:]), (501, FORMS)):
        tried.clear()
        assert campaign.main(["--isa", "x86_64", "--states", str(states), "--write"]) == 130 and tuple(tried) == wanted
    assert written(table) == {FORMS[0]: 501, FORMS[1]: 500}


def test_of_other_engines_or_semantics_nothing_is_kept(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table.write_text(json.dumps({"version": "of other semantics", "forms": {"adc r64,i": 10**6}}))
    gate.engines_path().write_text(json.dumps({"x86_64": gate.engines("x86_64")}))
    gate._engines_of_tables.cache_clear()
    monkeypatch.setattr(campaign, "try_all", lambda tasks, jobs: ((t, trials.Trials(t.states)) for t in tasks))
    campaign.main(["--isa", "x86_64", "--write"])
    assert written(table) == dict.fromkeys(FORMS, gate.STATES)
    gate.engines_path().write_text(json.dumps({"x86_64": {"unicorn": "0"}}))
    gate._engines_of_tables.cache_clear()
    campaign.main(["--isa", "x86_64", "--write", "--only", "add"])
    assert written(table) == {FORMS[0]: gate.STATES} and gate.table("x86_64") == written(table)


def test_a_process_that_dies_is_told_with_what_it_tried() -> None:
    def task(line: str, states: int) -> campaign.Task:
        code, text = line.split("  # ")
        return campaign.Task("x86_64", text, [Instruction(0, bytes.fromhex(code), text)], states)

    outcomes = campaign.try_all([task(ADD, 10), task(ROTATE, 10_000_000)], 1)
    assert next(outcomes)[1].states == 10
    time.sleep(0.5)
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(RuntimeError, match="being tried were x86_64: rol eax, cl"):
        next(outcomes)


@pytest.mark.parametrize(("line", "bits"), [("f7fb  # idiv ebx", 32), ("66f7fb  # idiv bx", 16)])
def test_what_ends_the_emulators_process_is_not_run(line: str, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unicorn has its own processor divide the least dividend by -1, which traps."""
    code, text = line.split("  # ")
    bench = trials._Bench("x86_64", [Instruction(0, bytes.fromhex(code), text)], 0, 0)
    worst = {"rax": 0, "rdx": 1 << bits - 1, "rbx": -1 & (1 << 64) - 1}
    drawn = iter([worst.get(name, 1) for name in dict.fromkeys([*bench.inputs, *bench.effect.cells]) if bench.machine.cells[name][2] > 1])
    monkeypatch.setattr(trials, "integer", lambda source: next(drawn))
    state = bench.state(Random(4), False)
    assert {name: state[name] for name in worst} == {**worst, "rax": 1}
