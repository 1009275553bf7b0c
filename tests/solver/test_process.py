"""A process in Unicorn: memory made on the first touch, stops told apart, the same on every run."""

import pytest

from solver.memory import PAGE
from solver.process import Process, Stored

CODE, DOOR, DATA = 0x2000_0000, 0x3000_0000, 0x5555_0000_0000

_RISCV = (0x00053603, 0x00C53423, 0x00058067)  # ld a2, 0(a0); sd a2, 8(a0); jr a1
# Load a word from argument 0, store it 8 bytes further, jump to argument 1.
PROGRAMS = {
    "x86_64": ("rdi", "rsi", bytes.fromhex("488b0748894708ffe6")),
    "aarch64": ("x0", "x1", bytes.fromhex("020040f9020400f920001fd6")),
    "riscv64": ("x10", "x11", b"".join(word.to_bytes(4, "little") for word in _RISCV)),
}


def content(number: int) -> bytes | None:
    return None if number < 16 else bytes([number & 0xFF]) * PAGE


def ready(isa: str, where: int, target: int, traced: bool = False) -> Process:
    first, second, code = PROGRAMS[isa]
    process = Process(isa, traced=traced)
    process.load({CODE // PAGE: code}, [DOOR])
    process.reset(content, {first: where, second: target})
    return process


@pytest.mark.parametrize("isa", PROGRAMS)
def test_pages_come_into_being_and_stores_are_seen(isa: str) -> None:
    process = ready(isa, DATA + 0x1000, DOOR, traced=True)
    for _ in range(3):
        stop = process.run(CODE, 100)
        assert (stop.kind, stop.pc) == ("exit", DOOR)
        number = (DATA + 0x1000) // PAGE
        assert process.dirty == {number}
        word = bytes([number & 0xFF]) * 8
        assert process.read(DATA + 0x1000, 16) == word + word
        assert process.accesses == [(DATA + 0x1000, 8, False), (DATA + 0x1008, 8, True)]
        assert process.blocks[0][0] == CODE
        first, second, _ = PROGRAMS[isa]
        process.reset(content, {first: DATA + 0x1000, second: DOOR})


@pytest.mark.parametrize("isa", PROGRAMS)
def test_stops_are_told_apart_again_and_again(isa: str) -> None:
    first, second, _ = PROGRAMS[isa]
    process = ready(isa, DATA, DOOR)
    beside = DOOR + 0x40  # on the same page, where nothing is: not run up to the next exit
    for _ in range(3):
        for where, target, kind in ((0x100, DOOR, "fault"), (CODE, DOOR, "fault"), (DATA, DATA + 0x40, "fetch"),
                                    (DOOR, beside, "fetch"), (DATA, DOOR, "exit")):  # fmt: skip
            process.reset(content, {first: where, second: target})
            stop = process.run(CODE, 100)
            assert stop.kind == kind
            assert kind != "fetch" or stop.pc // PAGE == target // PAGE
    process.reset(content, {first: DATA, second: CODE})
    assert process.run(CODE, 100).kind == "steps"


def test_a_watched_process_tells_its_history() -> None:
    process = Process("x86_64", watched=[CODE, CODE + 7])
    process.load({CODE // PAGE: PROGRAMS["x86_64"][2]}, [DOOR])
    process.reset(content, {"rdi": DATA, "rsi": DOOR})
    process.run(CODE, 100)
    reached, stored, jump = process.history
    assert isinstance(stored, Stored) and stored.address == DATA + 8 and stored.data == bytes(8)
    assert not isinstance(reached, Stored) and not isinstance(jump, Stored)
    assert (reached.address, jump.address, jump.state["rdi"]) == (CODE, CODE + 7, DATA)
