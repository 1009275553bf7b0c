"""An interrupt while the emulator runs is heard once, and does not spoil the runs after it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from threading import Timer

import pytest

from solver.machine import Machine, Outcome
from solver.process import Process

CODE = bytes.fromhex("8907" "0306" "894708" "8b4710")  # mov [rdi], eax; add eax, [rsi]; mov [rdi+8], eax; mov eax, [rdi+16]


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("callback", ["_map", "_write", "_translate"])
def test_in_a_callback(callback: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(number: int) -> Outcome:
        return engine.run(CODE, {"rax": number, "rdi": 0x10000 * number, "rsi": 0x5000}, ["rax", "rdi"])

    asked = [True]
    whole = getattr(Machine, callback)

    def interrupted(self: Machine, *arguments: object) -> object:
        if not asked:
            asked.append(True)
            signal.raise_signal(signal.SIGINT)
        return whole(self, *arguments)

    monkeypatch.setattr(Machine, callback, interrupted)
    engine = Machine("x86_64")
    wanted = [run(number) for number in range(1, 5)]
    asked.clear()
    with pytest.raises(KeyboardInterrupt):
        run(9)
    assert asked and [run(number) for number in range(1, 5)] == wanted


def test_a_long_run_ends_soon() -> None:
    process = Process("x86_64")
    process.load({1: b"\xeb\xfe"}, [0x3000])  # jmp to itself: a block that is listed again and again
    process.reset(lambda number: None, {})
    Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        process.run(0x1000, 1 << 30)
    assert time.monotonic() - started < 10
