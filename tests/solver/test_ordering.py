"""What other threads may notice: right atomic accesses and orders are proved, every weakening of them is refused."""

from __future__ import annotations

import pytest

from guesssketch.api import prove
from solver.verdict import Proved, Refuted, Verdict

LOOP_A64 = ["1:", "ldxr w6, [x0]", "add w7, w6, w8", "stlxr w16, w7, [x0]", "cbnz w16, 1b", "dmb ish"]
LOOP_RV64 = ["1:", "lr.w.aq t0, (a0)", "add t1, t0, a6", "sc.w.aqrl t2, t1, (a0)", "bnez t2, 1b"]
BYTE_RV64 = ["1:", "andi t0, a0, -4", "slli t1, a0, 3", "andi t1, t1, 24", "lr.w.aq t2, (t0)", "srl s7, t2, t1", "add s8, s7, a6",
             "xor s7, s7, s8", "andi s7, s7, 255", "sll s7, s7, t1", "xor t2, t2, s7", "sc.w.aqrl t2, t2, (t0)", "bnez t2, 1b"]  # fmt: skip
ADD = "lock add dword ptr [rdi], eax"


def verdict(target: str, source: str, code: list[str], **headers: str) -> Verdict:
    lines = [f"target: {target}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return prove("\n".join([*lines, "source:", *source.split("; "), "code:", *code]) + "\n")


def without(lines: list[str], line: str, *instead: str) -> list[str]:
    at = lines.index(line)
    return [*lines[:at], *instead, *lines[at + 1 :]]


@pytest.mark.parametrize(
    ("target", "source", "code"),
    [
        ("aarch64", ADD, LOOP_A64),
        ("aarch64", ADD, ["1:", "dmb ish", *without(LOOP_A64[1:], "stlxr w16, w7, [x0]", "stxr w16, w7, [x0]")]),
        ("aarch64", "lock cmpxchg16b xmmword ptr [rdi]",
         ["1:", "ldxp x6, x7, [x0]", "cmp x6, x8", "ccmp x7, x2, #0, eq", "csel x16, x19, x6, eq", "csel x17, x3, x7, eq",
          "stlxp w11, x16, x17, [x0]", "cbnz w11, 1b", "dmb ish", "mov x8, x6", "mov x2, x7"]),
        ("aarch64", "mfence", ["dmb ish"]),
        ("riscv64", ADD, LOOP_RV64),
        ("riscv64", ADD, ["amoadd.w.aqrl zero, a6, (a0)"]),
        ("riscv64", ADD, ["fence rw, rw", "amoadd.w zero, a6, (a0)", "fence rw, rw"]),
        ("riscv64", "lock add byte ptr [rdi], al", BYTE_RV64),
        ("riscv64", "sfence", ["fence w, w"]),
    ],
)  # fmt: skip
def test_one_indivisible_access_with_barriers_is_proved(target: str, source: str, code: list[str]) -> None:
    assert isinstance(found := verdict(target, source, code), Proved), str(found)


@pytest.mark.parametrize(
    ("target", "source", "code", "why"),
    [
        ("aarch64", ADD, ["ldr w6, [x0]", "add w7, w6, w8", "str w7, [x0]", "dmb ish"], "load, store where"),
        ("aarch64", ADD, without(LOOP_A64, "ldxr w6, [x0]", "ldr w6, [x0]"), "without its load-exclusive"),
        ("aarch64", ADD, without(LOOP_A64, "ldxr w6, [x0]", "ldxr w6, [x0]", "ldr w17, [x0]"), "without its load-exclusive"),
        ("aarch64", ADD, without(LOOP_A64, "dmb ish"), "barrier behind"),
        ("aarch64", ADD, without(LOOP_A64, "dmb ish", "dmb ishst"), "barrier behind"),
        ("aarch64", ADD, without(LOOP_A64, "stlxr w16, w7, [x0]", "stxr w16, w7, [x0]"), "barrier before"),
        ("aarch64", ADD, without(LOOP_A64, "cbnz w16, 1b"), "goes unnoticed"),
        ("aarch64", ADD, without(LOOP_A64, "cbnz w16, 1b", "cbz w16, 1b"), "behind the atomic access"),
        ("aarch64", ADD, without(LOOP_A64, "ldxr w6, [x0]", "ldxr w6, [x0]", "mov w8, w6"), "rax after a failed round"),
        ("aarch64", ADD, without(LOOP_A64, "ldxr w6, [x0]", "ldxr w6, [x1]"), "without its load-exclusive"),
        ("aarch64", ADD, without(LOOP_A64, "cbnz w16, 1b", "cbz w16, 2f", "str w6, [x1]", "2:", "cbnz w16, 1b"), "in a failed round"),
        ("aarch64", ADD, [*LOOP_A64, "ldr w6, [x0]"], "atomic, load where"),
        ("aarch64", "mov eax, dword ptr [rdi]", ["ldxr w8, [x0]"], "exclusive accesses"),
        ("aarch64", "mfence", ["dmb ishld"], "barrier is missing"),
        ("aarch64", "mfence", ["dmb ish", "ldr w6, [x0]"], "barrier only"),
        ("riscv64", ADD, ["lw t0, (a0)", "add t0, t0, a6", "sw t0, (a0)"], "load, store where"),
        ("riscv64", ADD, ["amoadd.w.aq zero, a6, (a0)"], "barrier before"),
        ("riscv64", ADD, ["amoadd.w.rl zero, a6, (a0)"], "barrier behind"),
        ("riscv64", "lock add qword ptr [rdi], rax", ["amoadd.w.aqrl zero, a6, (a0)"], "4 bytes for one of 8"),
        ("riscv64", ADD, ["amoadd.d.aqrl zero, a6, (a0)"], "a trap where"),
        ("riscv64", ADD, without(LOOP_RV64, "lr.w.aq t0, (a0)", "lr.w t0, (a0)"), "barrier behind"),
        ("riscv64", ADD, without(LOOP_RV64, "sc.w.aqrl t2, t1, (a0)", "sc.w.rl t2, t1, (a0)"), "barrier behind"),
        ("riscv64", "lock add byte ptr [rdi], al", without(BYTE_RV64, "andi s7, s7, 255"), "what is stored"),
        ("riscv64", "lock add byte ptr [rdi], al", without(BYTE_RV64, "andi t0, a0, -4", "andi t0, a0, -2"), "a trap where"),
        ("riscv64", "lock add byte ptr [rdi], al", without(BYTE_RV64, "andi t0, a0, -4", "mv t0, a0"), "a trap where"),
        ("aarch64", "lock add byte ptr [rdi], al",  # its byte in a word, if that is aligned
         ["1:", "ldxr w6, [x0]", "add w7, w6, w8", "bfi w6, w7, #0, #8", "stlxr w16, w6, [x0]", "cbnz w16, 1b", "dmb ish"],
         "a trap where"),
        ("riscv64", "lock inc word ptr [rdi]",  # misaligned, it would change other bytes without a trap
         ["1:", "andi t0, a0, -4", "slli t1, a0, 3", "andi t1, t1, 24", "lr.w.aq t2, (t0)", "srl s7, t2, t1", "addi s8, s7, 1",
          "xor s7, s7, s8", "slli s7, s7, 48", "srli s7, s7, 48", "sll s7, s7, t1", "xor t2, t2, s7", "sc.w.aqrl t2, t2, (t0)",
          "bnez t2, 1b"], "the atomic access holds the source's"),
    ],
)  # fmt: skip
def test_what_other_threads_could_tell_apart_is_refused(target: str, source: str, code: list[str], why: str) -> None:
    found = verdict(target, source, code)
    assert isinstance(found, Refuted) and any(why in d.what for d in found.counterexample.differences), str(found)


COPY = "mov eax, dword ptr [rdi]; mov dword ptr [rsi], eax"
TSO = [
    ("aarch64", COPY, ["ldr w8, [x0]", "dmb ishld", "dmb ishst", "str w8, [x1]"]),
    ("aarch64", COPY, ["ldar w8, [x0]", "dmb ish", "str w8, [x1]"]),
    ("aarch64", "movups xmm0, [rdi]; movups [rsi], xmm0", ["ldr q0, [x0]", "dmb ish", "str q0, [x1]"]),
    ("aarch64", "add dword ptr [rdi], eax", ["ldr w6, [x0]", "dmb ish", "add w6, w6, w8", "str w6, [x0]"]),
    ("riscv64", COPY, ["lwu a6, (a0)", "fence r, rw", "fence w, w", "sw a6, (a1)"]),
    ("riscv64", "movups xmm0, [rdi]", ["fld fa0, (a0)", "fld fs0, 8(a0)", "fence r, rw"]),
    ("riscv64", "rep movsb", ["beqz a3, fall", "lb t0, (a1)", "fence rw, rw", "sb t0, (a0)", "addi a1, a1, 1", "addi a0, a0, 1",
                              "addi a3, a3, -1", "bnez a3, taken"]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "source", "code"), TSO)
def test_the_same_accesses_with_barriers_are_proved_under_tso(target: str, source: str, code: list[str]) -> None:
    headers = {"exit": "branch"} if "rep" in source else {}
    found = verdict(target, source, code, order="tso", **headers)
    assert isinstance(found, Proved) == ("ldar" not in str(code)), str(found)  # which traps where x86-64 does not


@pytest.mark.parametrize(
    ("target", "source", "code", "why"),
    [
        ("aarch64", COPY, ["ldr w8, [x0]", "dmb ishld", "str w8, [x1]"], "before store 2"),
        ("aarch64", COPY, ["ldr w8, [x0]", "dmb ishst", "str w8, [x1]"], "behind load 1"),
        ("aarch64", COPY, ["ldr w8, [x0]", "dmb ishst", "str w8, [x1]", "dmb ishld"], "behind load 1"),
        ("aarch64", "mov eax, dword ptr [rdi]", ["ldr w8, [x0]"], "behind load 1"),
        ("aarch64", "mov eax, dword ptr [rdi]; mov ecx, dword ptr [rdi + 4]", ["ldp w8, w3, [x0]", "dmb ishld"], "behind load 1"),
        ("aarch64", "mov rax, qword ptr [rdi]; mov rcx, qword ptr [rdi + 8]",
         ["ldr q31, [x0]", "dmb ishld", "fmov x8, d31", "mov x3, v31.d[1]"], "behind load 1"),
        ("aarch64", "mov eax, dword ptr [rdi]; mov ecx, dword ptr [rdi]", ["ldr w8, [x0]", "dmb ishld", "mov w3, w8"], "accesses:"),
        ("aarch64", "mov eax, dword ptr [rdi]; mov ecx, dword ptr [rdi]",
         ["ldr w8, [x0]", "dmb ishld", "ldr w3, [x0]", "dmb ishld", "mov w3, w8"], "rcx"),
        ("aarch64", "mov eax, dword ptr [rdi]; mov ecx, dword ptr [rsi]",
         ["ldr w3, [x1]", "dmb ishld", "ldr w8, [x0]", "dmb ishld"], "rax"),
        ("aarch64", "mov dword ptr [rdi], eax", ["dmb ishst", "str w8, [x1]"], "address of access 1"),
        ("aarch64", "mov dword ptr [rdi], 1; mov dword ptr [rdi], 2", ["mov w6, #2", "dmb ishst", "str w6, [x0]"], "accesses:"),
        ("aarch64", "mov rax, qword ptr [rdi]", ["ldr w8, [x0]", "ldr w6, [x0, #4]", "orr x8, x8, x6, lsl #32", "dmb ishld"],
         "accesses:"),
        ("aarch64", "mov dword ptr [rdi], eax", ["dmb ishst", "str w6, [x0]"], "value of access 1"),
        ("riscv64", COPY, ["lwu a6, (a0)", "fence r, rw", "sw a6, (a1)"], "before store 2"),
        ("riscv64", COPY, ["lwu a6, (a0)", "fence r, r", "fence w, w", "sw a6, (a1)"], "behind load 1"),
    ],
)  # fmt: skip
def test_every_weakening_is_refused_under_tso(target: str, source: str, code: list[str], why: str) -> None:
    found = verdict(target, source, code, order="tso")
    assert isinstance(found, Refuted) and any(why in d.what for d in found.counterexample.differences), str(found)
    relaxed = verdict(target, source, code)
    assert isinstance(relaxed, Proved) or any(x in why for x in ("value", "rcx", "address")), str(relaxed)
