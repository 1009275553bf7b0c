"""Target code as terms: decoding, relocations, control flow, and what must be opaque."""

from __future__ import annotations

import pytest

from guesssketch.assembler import Assembled, assemble
from isa import terms as t
from isa.aarch64 import lift as aarch64
from isa.aarch64.state import TABLE as AARCH64_TABLE
from isa.evaluate import evaluate
from isa.machine import Effect, Instruction, Relocation
from isa.patterns import Table
from isa.riscv64 import lift as riscv64
from isa.riscv64.compressed import expand
from isa.riscv64.state import TABLE as RISCV64_TABLE


def lift(target: str, text: str) -> Effect:
    (code,) = assemble(target, [text.split("; ")])
    assert isinstance(code, Assembled), code
    return (aarch64.lift if target == "aarch64" else riscv64.lift)(code.instructions, code.size)


def x(name: str) -> t.Term:
    return t.var(name, 64)


def value(effect: Effect, cell: str, **env: int) -> int:
    term = effect.cells[cell]
    known = {name: env.get(name, 0) for name in t.variables(term)}
    return int(evaluate([term], known, lambda address: address & 0xFF)[0])


def stored(effect: Effect, **env: int) -> dict[int, int]:
    """The bytes that memory differs in from one that holds each address's low byte."""
    names = {term.attr for term in t.walk(effect.memory) if term.op == "var" and term.width}
    written = evaluate([effect.memory], {n: env.get(n, 0) for n in names}, lambda address: address & 0xFF)[0]
    return {a: b for a, b in written.items() if b != a & 0xFF}


@pytest.mark.parametrize("table", [AARCH64_TABLE, RISCV64_TABLE])
def test_no_encoding_matches_two_rows(table: Table) -> None:
    assert not table.overlaps()


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("aarch64", "br x0"),
        ("aarch64", "ret"),
        ("aarch64", "svc #0"),
        ("aarch64", "stxr w0, x0, [x1]"),
        ("aarch64", "stxr w0, x2, [x1]; stxr w3, x2, [x1]"),
        ("aarch64", "1:; stxr w0, x2, [x1]; cbnz w0, 1b; cbnz w3, 1b"),
        ("aarch64", "dmb nsh"),
        ("aarch64", "adr x0, fall"),
        ("aarch64", "1:; b.eq 1b"),
        ("aarch64", "mrs x0, nzcv"),
        ("riscv64", "jalr x1, 0(x5)"),
        ("riscv64", "ret"),
        ("riscv64", "ecall"),
        ("riscv64", "fence.tso"),
        ("riscv64", "fadd.d f0, f1, f2, rtz"),
        ("riscv64", "frrm x5"),
        ("riscv64", "1:; bnez x5, 1b"),
        ("riscv64", "addi x4, x4, 8"),
    ],
)
def test_opaque(target: str, text: str) -> None:
    assert lift(target, text).opaque


@pytest.mark.parametrize(
    "word",
    [
        0x00000000,  # udf
        0x94000000,  # bl
        0x32800000,  # a wide move that is none of movn, movz, movk
        0x0BC00000,  # an addition with a rotated operand
        0x1AC00400,  # neither udiv nor sdiv
        0x0B208400 | 1 << 12,  # an extended operand shifted by 5
        0xF8408421,  # ldr x1, [x1], #8: the base is written back and loaded
        0xA8C10421,  # ldp x1, x1, [x1], #16
        0x1EE22820,  # fadd h0, h1, h2
        0x1EA22820,  # fadd of the reserved type
        0x0EE28420,  # add v0.1d, v1.1d, v2.1d
        0x4EE29C20,  # mul v0.2d, v1.2d, v2.2d
    ],
)
def test_encodings_without_semantics_are_opaque(word: int) -> None:
    assert aarch64.lift([Instruction(0, word.to_bytes(4, "little"), f".word {word:#x}")], 4).opaque


def test_the_all_zero_compressed_instruction_is_opaque() -> None:
    assert riscv64.lift([Instruction(0, b"\0\0", "c.unimp")], 2).opaque


def test_an_unexpected_relocation_is_opaque() -> None:
    code = Instruction(0, (0x91000020).to_bytes(4, "little"), "add x0, x1, #0", (Relocation(0, "page", "S0"),))
    assert aarch64.lift([code], 4).opaque


def test_32_bit_results() -> None:
    assert value(lift("aarch64", "add w0, w1, w1"), "x0", x1=0x80000001) == 2
    assert value(lift("riscv64", "addw x5, x6, x6"), "x5", x6=0x40000000) == 0xFFFFFFFF80000000


def test_scalar_results_clear_the_vector() -> None:
    assert lift("aarch64", "fmov s0, w1").cells["v0.hi"] is t.const(0, 64)


def test_compare_and_branch_is_one_term() -> None:
    a, b = x("x1"), x("x2")
    for cond, term in {"lo": t.ult(a, b), "lt": t.slt(a, b), "le": t.compare("sle", a, b), "ls": t.compare("ule", a, b),
                       "gt": t.not_(t.compare("sle", a, b)), "hi": t.not_(t.compare("ule", a, b)), "eq": t.eq(a, b)}.items():  # fmt: skip
        assert lift("aarch64", f"cmp x1, x2; b.{cond} taken").condition is term


@pytest.mark.parametrize(
    ("target", "text", "state", "taken"),
    [
        ("aarch64", "cbz w1, taken", {"x1": 0xFFFFFFFF00000000}, 1),
        ("aarch64", "cbnz x1, taken", {"x1": 0xFFFFFFFF00000000}, 1),
        ("aarch64", "tbz x1, #63, taken", {"x1": 1 << 63}, 0),
        ("aarch64", "b.hi taken", {"c": 1, "z": 1}, 0),
        ("aarch64", "b.ls taken", {"c": 0, "z": 0}, 1),
        ("aarch64", "b.lt taken", {"n": 1, "v": 1}, 0),
        ("aarch64", "b.gt taken", {"n": 1, "v": 1, "z": 0}, 1),
        ("aarch64", "b.le taken", {"z": 1}, 1),
        ("riscv64", "beq x10, x11, taken", {"x10": 1, "x11": 0x100000001}, 0),
        ("riscv64", "blt x10, x11, taken", {"x10": 1 << 63, "x11": 0}, 1),
        ("riscv64", "bltu x10, x11, taken", {"x10": 1 << 63, "x11": 0}, 0),
        ("riscv64", "bge x10, x11, taken", {"x10": 5, "x11": 5}, 1),
        ("riscv64", "bgeu x10, x11, taken", {"x10": 0, "x11": (1 << 64) - 1}, 0),
    ],
)
def test_branch_conditions(target: str, text: str, state: dict[str, int], taken: int) -> None:
    condition = lift(target, text).condition
    assert condition is not None
    known = {name: state.get(name, 0) for name in t.variables(condition)}
    assert evaluate([condition], known, lambda address: 0) == [taken]


def test_branches_meet_cell_by_cell() -> None:
    effect = lift("aarch64", "cbz x0, 1f; mov x1, #5; b 2f; 1:; mov x1, #6; 2:; add x1, x1, #1")
    assert (effect.condition, effect.opaque) == (None, [])
    assert [value(effect, "x1", x0=v) for v in (0, 1)] == [7, 6]


def test_a_store_on_one_path_is_guarded() -> None:
    for target, text in (("aarch64", "tbz x0, #0, 1f; tbz x0, #1, 1f; str w1, [x2]; 1:; strb w1, [x3]"),
                         ("riscv64", "beqz x10, 1f; sw x11, 0(x12); 1:; sb x11, 0(x13)")):  # fmt: skip
        effect = lift(target, text)
        assert effect.stores[0].guard is not t.TRUE
        assert effect.stores[1].guard is t.TRUE
        state = {"x0": 2, "x1": 0, "x2": 0x1004, "x3": 0x2001} if target == "aarch64" else {"x12": 0x1004, "x13": 0x2001}
        assert stored(effect, **state) == {0x2001: 0}
        both = state | {"x0": 3, "x10": 1}
        assert stored(effect, **both) == {0x1004: 0, 0x1005: 0, 0x1006: 0, 0x1007: 0, 0x2001: 0}


def test_both_exits() -> None:
    effect = lift("riscv64", "beqz x10, taken; li x11, 1; bltz x10, taken; li x11, 2")
    assert effect.condition is not None
    for start, leaves, result in ((0, 1, 9), (1 << 63, 1, 1), (5, 0, 2)):
        assert evaluate([effect.condition], {"x10": start}, lambda a: 0) == [leaves]
        assert value(effect, "x11", x10=start, x11=9) == result


def test_a_branch_always_taken() -> None:
    assert lift("aarch64", "mov x0, #1; b taken").condition is t.TRUE


@pytest.mark.parametrize(
    ("target", "text", "cell", "want"),
    [
        ("aarch64", "adrp x8, S0; add x8, x8, :lo12:S0", "x8", x("S0")),
        ("aarch64", "adrp x8, S0; ldr x8, [x8, :lo12:S0]", "x8", t.load(t.memory(), x("S0"), 64)),
        ("aarch64", "adrp x8, :got:S0; ldr x8, [x8, :got_lo12:S0]", "x8", x("S0")),
        ("aarch64", "adrp x8, :gottprel:S0; ldr x8, [x8, :gottprel_lo12:S0]", "x8", x("S0")),
        ("aarch64", "mrs x8, tpidr_el0; add x8, x8, :tprel_hi12:S0; add x8, x8, :tprel_lo12_nc:S0", "x8", t.add(x("tp"), x("S0"))),
        ("riscv64", "lla x5, S0", "x5", x("S0")),
        ("riscv64", "la x5, S0", "x5", x("S0")),
        ("riscv64", "lui x5, %hi(S0); addi x5, x5, %lo(S0)", "x5", x("S0")),
        ("riscv64", "lui x5, %hi(S0); lbu x5, %lo(S0)(x5)", "x5", t.zext(t.load(t.memory(), x("S0"), 8), 64)),
        ("riscv64", "lui x5, %tprel_hi(S0); add x5, x5, x4, %tprel_add(S0); addi x5, x5, %tprel_lo(S0)", "x5", t.add(x("tp"), x("S0"))),
        ("riscv64", "la.tls.ie x5, S0", "x5", x("S0")),
    ],
)
def test_symbols_become_themselves(target: str, text: str, cell: str, want: t.Term) -> None:
    effect = lift(target, text)
    assert not effect.opaque
    assert effect.cells[cell] is want


def test_the_halves_of_two_symbols_do_not_meet() -> None:
    effect = lift("aarch64", "adrp x8, S0; add x8, x8, :lo12:S1")
    assert value(effect, "x8", S0=0x12345678, S1=0x1ABC) == 0x12345ABC
    effect = lift("riscv64", "lui x5, %hi(S0); addi x5, x5, %lo(S1)")
    assert value(effect, "x5", S0=0x12345678, S1=0x1ABC) == 0x12345000 - (0x1000 - 0xABC)


def test_a_got_slot_is_only_for_its_load() -> None:
    assert lift("aarch64", "adrp x8, :got:S0; ldr x9, [x8, :got_lo12:S1]").opaque
    assert lift("aarch64", "adrp x8, :got:S0; ldr x9, [x8, :got_lo12:S0]").loads == []


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        (0x4501, 0x00000513),  # c.li a0, 0
        (0x8082, 0x00008067),  # ret
        (0x717D, 0xFF010113),  # c.addi16sp sp, -16
        (0xBFF5, 0xFFDFF06F),  # c.j -4
        (0x0001, 0x00000013),  # c.nop
    ],
)
def test_compressed(word: int, expanded: int) -> None:
    assert expand(word) == expanded


def test_nan_boxing() -> None:
    effect = lift("riscv64", "fmv.s f10, f11")
    assert value(effect, "f10", f11=0xFFFFFFFF3F800000) == 0xFFFFFFFF3F800000
    assert value(effect, "f10", f11=0x3F800000) == 0xFFFFFFFF7FC00000


def test_conversions_saturate() -> None:
    assert value(lift("aarch64", "fcvtzs w0, d1"), "x0", **{"v1.lo": 0x7FF8000000000000}) == 0
    assert value(lift("riscv64", "fcvt.w.d x10, f11, rtz"), "x10", f11=0x7FF8000000000000) == 0x7FFFFFFF
    for bits, word in ((0xC1E0000000100000, 0x80000000), (0xC1E0000000300000, 0x80000000), (0x41DFFFFFFFE00000, 0x7FFFFFFF)):
        assert value(lift("aarch64", "fcvtzs w0, d1"), "x0", **{"v1.lo": bits}) == word


def test_approximations_are_named() -> None:
    effect = lift("aarch64", "fadd d0, d1, d2; mov x0, x1")
    assert effect.approximations == {"NaN payload of fadd"}
