"""Liveness over small programs: what is live where, across blocks, calls and returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from guesssketch import cfg, objfile
from guesssketch.liveness import ARGUMENTS, PRESERVED, Live, analyse
from guesssketch.program import Place, Program
from guesssketch.resolve import BlockId, FunctionId, Resolver

MakeObject = Callable[..., Path]
RETURNED: Live = {"rax": 64}


class Wall:
    """External functions take what ``uses`` says; global functions owe rax to native callers."""

    def __init__(self, program: Program, uses: dict[str, Live] | None = None) -> None:
        self._program, self._uses = program, uses or {}

    def call_uses(self, number: int, place: Place) -> Live:
        return self._uses[self._program.objects[number].symbols[place.symbol].name]

    def return_uses(self, at: FunctionId) -> Live | None:
        function = self._program.functions[at.object][at.function]
        symbols = [self._program.objects[at.object].symbols[n] for n in function.names]
        return RETURNED if any(s.binding == "global" for s in symbols) else None


class Found:
    """``found("f", 1)``: (live-in, live-out) of the second block of f, without what every function keeps."""

    def __init__(self, path: Path, uses: dict[str, Live] | None = None) -> None:
        self._program = cfg.recover(objfile.read(path))
        self._live = analyse(self._program, Resolver(self._program), Wall(self._program, uses))

    def whole(self, name: str, block: int) -> tuple[Live, Live]:
        index, function = next((i, f) for i, f in enumerate(self._program.functions[0]) if f.name == name)
        at = BlockId(0, index, list(function.blocks)[block])
        return self._live.live_in[at], self._live.live_out[at]

    def __call__(self, name: str, block: int = 0) -> tuple[Live, Live]:
        before, after = ({n: b for n, b in live.items() if n not in PRESERVED} for live in self.whole(name, block))
        return before, after


def test_a_function_returns_rax_and_keeps_what_it_must(make_object: MakeObject) -> None:
    found = Found(make_object("in.o", f="lea eax, [rdi + rsi]\nmov ecx, 1\nret"))
    assert found("f") == ({"rdi": 32, "rsi": 32}, {"rax": 64})
    assert set(PRESERVED) <= set(found.whole("f", 0)[0]) and set(PRESERVED) <= set(found.whole("f", 0)[1])


@pytest.mark.parametrize(("code", "live"), [
    ("mov byte ptr [rsi], dil\nxor eax, eax", {"rdi": 8, "rsi": 64}),
    ("movzx eax, di", {"rdi": 16}),
    ("mov al, dil", {"rdi": 8, "rax": 64}),
    ("movd eax, xmm1", {"xmm1.lo": 32}),
    ("movapd xmm0, xmm1\nmovq rax, xmm0", {"xmm1.lo": 64}),
])  # fmt: skip
def test_parts_of_registers(code: str, live: Live, make_object: MakeObject) -> None:
    assert Found(make_object("in.o", f=f"{code}\nret"))("f")[0] == live


@pytest.mark.parametrize(("jump", "flags"), [
    ("je", {"zf"}), ("jb", {"cf"}), ("js", {"sf"}), ("jl", {"l"}), ("jg", {"le"}), ("jbe", {"be"}), ("ja", {"be"}),
])  # fmt: skip
def test_a_flag_across_blocks_is_the_condition_that_is_asked_for(jump: str, flags: set[str], make_object: MakeObject) -> None:
    body = f"cmp edi, esi\nje 1f\n{jump} 2f\n1: mov eax, 1\nret\n2: mov eax, 2\nret"
    before, after = Found(make_object("in.o", f=body))("f", 1)
    assert set(before) == flags and all(before[flag] == 1 for flag in flags) and not after.keys() & flags


def test_a_condition_goes_through_a_block_that_leaves_it_alone(make_object: MakeObject) -> None:
    body = "cmp edi, esi\nje 1f\n1: mov ecx, edx\njl 2f\nmov eax, ecx\nret\n2: mov eax, 2\nret"
    found = Found(make_object("in.o", f=body))
    assert set(found("f", 0)[1]) == {"l", "rdx"} and set(found("f", 1)[0]) == {"l", "rdx"}


def test_a_loop_keeps_its_counter_alive(make_object: MakeObject) -> None:
    found = Found(make_object("in.o", f="xor eax, eax\n1: add eax, esi\ndec edi\njne 1b\nret"))
    assert found("f", 1) == ({"rax": 32, "rsi": 32, "rdi": 32}, {"rax": 64, "rsi": 32, "rdi": 32})


def test_a_caller_may_rely_on_what_a_local_callee_leaves_alone(make_object: MakeObject) -> None:
    found = Found(make_object("in.o", f="mov ecx, edi\nmov edi, esi\ncall g\nadd eax, ecx\nret", local_g="lea eax, [rdi + 1]\nret"))
    assert found("f")[1] == {"rcx": 32, "rdi": 32}
    assert found("g") == ({"rcx": 32, "rdi": 32}, {"rax": 32, "rcx": 32})


def test_a_local_callee_owes_only_what_its_callers_read(make_object: MakeObject) -> None:
    found = Found(make_object("in.o", f="call g\nmovzx eax, dl\nret", local_g="mov rax, rdi\nmov rdx, rsi\nret"))
    assert found("g")[1] == {"rdx": 8} and found("f")[0] == {"rsi": 8}
    assert Found(make_object("in.o", f="call g\nmovzx eax, dl\nret", g="mov rax, rdi\nmov rdx, rsi\nret"))("g")[1] == {"rax": 64, "rdx": 8}


def test_a_recursive_function(make_object: MakeObject) -> None:
    body = "test edi, edi\nje 1f\ndec edi\ncall f\nadd eax, ecx\n1: ret"
    found = Found(make_object("in.o", f=body))
    assert found("f")[0] == {"rdi": 32, "rax": 64, "rcx": 32}
    assert found("f", 3)[1] == {"rax": 64, "rcx": 32}  # its return may be to itself, which reads ecx


def test_a_tail_call_returns_where_its_caller_would(make_object: MakeObject) -> None:
    found = Found(make_object("in.o", f="call g\nlea rax, [rcx + rdx]\nret", local_g="mov edx, 3\njmp h", local_h="mov ecx, edi\nret"))
    assert found("h") == ({"rdi": 32, "rdx": 64}, {"rcx": 64, "rdx": 64})
    assert found("g") == ({"rdi": 32}, {"rdi": 32, "rdx": 64})


def test_a_local_function_behind_a_tail_call_owes_what_the_native_caller_expects(make_object: MakeObject) -> None:
    found = Found(make_object("in.o", f="jmp g", local_g="mov rax, rdi\nmov rdx, rsi\nret"))
    assert found("g") == ({"rdi": 64}, {"rax": 64})


def test_external_calls_by_prototype(make_object: MakeObject) -> None:
    body = "sub rsp, 8\nmov ecx, edi\ncall out@PLT\nadd rsp, 8\nlea eax, [rax + rcx]\nret"
    found = Found(make_object("in.o", f=body), {"out": {"rdi": 32}})
    assert found("f") == ({"rdi": 32}, {"rdi": 32})  # rcx does not survive the call, whatever the code believes
    tail = Found(make_object("in.o", f="mov esi, 1\njmp out@PLT"), {"out": {"rdi": 64, "rsi": 32}})
    assert tail("f") == ({"rdi": 64}, {"rdi": 64, "rsi": 32}) and set(PRESERVED) <= set(tail.whole("f", 0)[1])


def test_an_indirect_call_may_read_every_argument(make_object: MakeObject) -> None:
    found = Found(make_object("in.o", f="push rbx\nmov ebx, esi\ncall rdi\nadd eax, ebx\npop rbx\nret"))
    before, after = found.whole("f", 0)
    assert ARGUMENTS.items() <= after.items() and after["rbx"] == 32 and before["rdi"] == 64
