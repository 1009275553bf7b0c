"""RISC-V singles by qemu-riscv64: what Unicorn cannot tell is told."""

from __future__ import annotations

import pytest

from isa import terms as t
from isa.machine import Instruction
from isa.riscv64.state import RV64
from solver import campaign, qemu, trials

pytestmark = pytest.mark.skipif(bool(qemu.missing()), reason=f"not installed: {qemu.missing()}")
ADD = Instruction(0, bytes.fromhex("53f5c500"), "fadd.s fa0, fa1, fa2")


def test_a_single_that_is_not_boxed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert qemu.run("riscv64", ADD, 500) == trials.Trials(500)
    monkeypatch.setattr(RV64, "f", lambda self, n, width: t.extract(self.read(f"f{n}"), 0, width))
    assert trials.run("riscv64", ADD, 500) == trials.Trials(500), "Unicorn says the same"
    assert "by qemu" in qemu.run("riscv64", ADD, 500).mismatch


def test_the_campaign_asks_qemu_for_what_computes_with_floats(capsys: pytest.CaptureFixture[str]) -> None:
    assert campaign.main(["--qemu", "--only", "fmin", "--states", "200", "-j", "1"]) == 0
    assert capsys.readouterr().out.startswith("2 of 2 forms agree, 0 disagree")
