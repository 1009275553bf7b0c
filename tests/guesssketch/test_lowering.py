"""The lowering: good code for common shapes, right code for odd ones, nothing where nothing is allowed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from guesssketch.assembler import Assembled, assemble, assemble_x86
from guesssketch.judge import verify
from guesssketch.lowering import Lowering
from guesssketch.lowering.idioms import saturation
from guesssketch.lowering.simplify import simplify
from guesssketch.lowering.text import Unusable, candidate_lines
from guesssketch.problem import Exit, Problem, Symbol
from isa import terms as t
from isa.statemap import GENERAL
from isa.x86_64.lift import lift
from solver.assume import applicable
from solver.emulate import agree
from solver.verdict import Proved, Refuted

WHOLE = dict.fromkeys(GENERAL, 64)
LOW_VECTORS = {f"xmm{n}.lo": 64 for n in range(4)}
VECTORS = LOW_VECTORS | {f"xmm{n}.hi": 64 for n in range(4)}
LOCAL = (Symbol("S0", "local", 8), Symbol("S1", "local"))
RESERVED = re.compile(r"\b(?:sp|wsp|[xw](?:18|29|30)|[dsvq](?:8|9|1[0-5])|ra|gp)\b")


def question(target: str, text: str, live: dict[str, int] | None = None, more_in: tuple[str, ...] = (),
             more_out: tuple[str, ...] = (), symbols: tuple[Symbol, ...] = (), exit: Exit | None = None) -> Problem:  # fmt: skip
    code = tuple(assemble_x86(text))
    kind: Exit = exit or ("branch" if "taken" in text else "fall")
    live = WHOLE if live is None else live
    live_in, live_out = (tuple(sorted((live | dict.fromkeys(flags, 1)).items())) for flags in (more_in, more_out))
    return Problem(target, code, kind, live_in, live_out, symbols)


def lower(problem: Problem, style: str = "best") -> list[str]:
    (candidates,) = Lowering(problem.target, style).propose([problem])  # type: ignore[arg-type]
    return list(candidates[0].lines) if candidates else []


SHAPES = [  # x86, AArch64, RISC-V
    ("cmp rdi, rsi; jl taken", ["cmp x0, x1", "b.lt taken"], ["blt a0, a1, taken"]),
    ("cmp rdi, rsi; jg taken", ["cmp x0, x1", "b.gt taken"], ["blt a1, a0, taken"]),
    ("cmp rdi, rsi; jbe taken", ["cmp x0, x1", "b.ls taken"], ["bgeu a1, a0, taken"]),
    ("cmp rax, 0; je taken", ["cbz x8, taken"], ["beqz a6, taken"]),
    ("test rax, rax; jne taken", ["cbnz x8, taken"], ["bnez a6, taken"]),
    ("test dil, 8; jne taken", ["tbnz w0, #3, taken"], ["andi t0, a0, 8", "bnez t0, taken"]),
    ("sub rdi, rsi; jg taken", ["subs x0, x0, x1", "b.gt taken"], None),
    ("mov rax, [rdi + rsi*8]", ["ldr x8, [x0, x1, lsl #3]"], None),
    ("push rbx", ["str x19, [x28, #-8]!"], None),
    ("mov rax, rdi; cqo; idiv rsi", ["sdiv x8, x0, x1", "msub x2, x8, x1, x0"], None),
    ("mov eax, edi; xor edx, edx; div esi", ["udiv w8, w0, w1", "msub w2, w8, w1, w0"], None),
    ("bswap eax", ["rev w8, w8"], None),
    ("xor eax, eax; mov [rax], rdi", ["mov x8, xzr", "str x0, [x8]"], ["sd a0, 0(zero)", "li a6, 0"]),
    ("mov rax, [rip + S0]", ["adrp x8, S0", "ldr x8, [x8, :lo12:S0]"], None),
]


@pytest.mark.parametrize(("text", "aarch64", "riscv64"), SHAPES)
def test_shapes(text: str, aarch64: list[str], riscv64: list[str] | None) -> None:
    assert lower(question("aarch64", text, symbols=LOCAL)) == aarch64
    if riscv64 is not None:
        assert lower(question("riscv64", text, symbols=LOCAL)) == riscv64


def test_conditions_live_across_a_boundary() -> None:
    assert lower(question("aarch64", "cmp rdi, rsi", more_out=("l",))) == ["cmp x0, x1", "cset w26, lt"]
    assert lower(question("riscv64", "cmp rdi, rsi", more_out=("l",))) == ["slt s8, a0, a1"]
    assert lower(question("aarch64", "jl taken", more_in=("l",))) == ["cbnz x26, taken"]
    assert lower(question("riscv64", "jg taken", more_in=("le",))) == ["beqz s10, taken"]
    assert lower(question("aarch64", "jbe taken", more_in=("be",), more_out=("zf",))) == ["cbnz x14, taken"]


def test_dead_upper_halves_cost_nothing() -> None:
    assert lower(question("riscv64", "sub eax, esi", live={"rax": 32, "rsi": 32})) == ["subw a6, a6, a1"]


def test_packed_operations_become_one_instruction() -> None:
    assert lower(question("aarch64", "paddd xmm0, xmm1", live=VECTORS)) == ["add v0.4s, v0.4s, v1.4s"]
    assert lower(question("aarch64", "punpcklbw xmm0, xmm1", live=VECTORS)) == ["zip1 v0.16b, v0.16b, v1.16b"]
    assert lower(question("aarch64", "psubusw xmm0, xmm1", live=VECTORS)) == ["uqsub v0.8h, v0.8h, v1.8h"]
    assert lower(question("aarch64", "pavgb xmm0, xmm1", live=VECTORS)) == ["urhadd v0.16b, v0.16b, v1.16b"]
    assert lower(question("aarch64", "roundpd xmm0, xmm1, 1", live=VECTORS)) == ["frintm v0.2d, v1.2d"]
    packed = lower(question("aarch64", "packuswb xmm0, xmm1", live=VECTORS))
    assert packed == ["sqxtun v0.8b, v0.8h", "sqxtun2 v0.16b, v1.8h"]


IDIOMS = {  # x86: most instructions on AArch64 and RISC-V
    "pshufb xmm0, xmm1": (3, 200), "pmovmskb eax, xmm0": (8, 30), "psadbw xmm0, xmm1": (7, 170), "psllw xmm0, xmm1": (8, 60),
    "phaddsw xmm0, xmm1": (10, 140), "paddb xmm0, xmm1": (1, 23), "psubsb xmm0, xmm1": (1, 50), "pavgw xmm0, xmm1": (1, 25),
    "pminub xmm0, xmm1": (1, 42), "pcmpgtb xmm0, xmm1": (1, 40), "packsswb xmm0, xmm1": (2, 120), "psignw xmm0, xmm1": (8, 60),
    "pmovsxbw xmm0, xmm1": (1, 42), "pmaddwd xmm0, xmm1": (9, 56), "cvttps2dq xmm0, xmm1": (6, 36), "cvtpd2dq xmm0, xmm1": (13, 24),
    "roundps xmm0, xmm1, 2": (1, 58), "cvttsd2si eax, xmm0": (7, 8), "cvttss2si rax, xmm0": (6, 6), "roundsd xmm0, xmm1, 3": (3, 12),
}  # fmt: skip


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_what_x86_64_does_in_one_instruction_is_known_again(target: str) -> None:
    problems = [question(target, text, live=VECTORS | {"rax": 64}) for text in IDIOMS]
    _right(problems, "best")
    for limits, found in zip(IDIOMS.values(), Lowering(target).propose(problems), strict=True):
        assert len(found[0].lines) <= limits[target == "riscv64"], found[0].lines


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_a_conversion_that_may_be_assumed_in_range_is_shorter_and_right_only_then(target: str) -> None:
    exact = question(target, "cvttsd2si rax, xmm0", live=VECTORS | {"rax": 64})
    assumed = replace(exact, assume=("in-range-conversions",))
    shorter = lower(assumed)
    assert len(shorter) == 1 < len(lower(exact))
    (code,) = assemble(target, [shorter])
    assert isinstance(code, Assembled)
    verdict = verify(assumed, code)
    assert isinstance(verdict, Proved) and verdict.assumptions == ("conversions to integers are in range",)
    assert isinstance(verify(exact, code), Refuted)


def test_a_choice_by_a_constant_is_no_saturation() -> None:
    x, a, b, c = t.var("x", 32), *(t.var(name, 16) for name in "abc")
    assert saturation(t.ite(t.slt(t.const(5, 32), x), a, t.ite(t.eq(x, t.const(1, 32)), b, c))) is None


DROPPED = {  # what compilers make of conversions whose answers do not always count
    "to unsigned (clang)": "cvttsd2si rcx, xmm0; mov rdx, rcx; sar rdx, 63; subsd xmm0, xmm1; cvttsd2si rax, xmm0; "
                           "and rax, rdx; or rax, rcx",
    "conditional move (clang)": "ucomisd xmm1, xmm0; cvttsd2si ecx, xmm0; mov eax, 7; cmova eax, ecx",
    "under a mask (gcc, clang)": "cvttps2dq xmm3, xmm2; cmpltps xmm2, xmm0; andps xmm3, xmm2; andnps xmm2, xmm1; orps xmm2, xmm3",
}  # fmt: skip


@pytest.mark.parametrize("text", DROPPED.values(), ids=DROPPED)
def test_no_conversion_is_assumed_in_range_whose_answer_may_be_dropped(text: str) -> None:
    assume = ("in-range-conversions",)
    assert applicable(lift(assemble_x86(text), "fall"), assume) == ()
    for kept in ("cvttsd2si eax, xmm0; test eax, eax; cmovs eax, edx; and eax, 15", "cvttps2dq xmm0, xmm0; paddd xmm0, xmm1",
                 "cvttsd2si rax, xmm0; cvttsd2si rcx, xmm1; and eax, 1"):  # fmt: skip
        assert applicable(lift(assemble_x86(kept), "fall"), assume) == assume


def test_an_indirect_exit_puts_its_address_where_the_map_says() -> None:
    problem = question(
        "aarch64",
        "movsxd rax, dword ptr [rdx + rax*4]; add rax, rdx; jmp rax",
        live={"rsp": 64, "rdx": 64},
        exit="indirect",
    )
    assert re.search(r"\bx16\b", lower(problem)[-1])


BLOCKS = """
mov ecx, eax | mov al, bl | mov ah, bl | movsx rax, dil | lea rax, [rdi + rsi*4 + 100] | movabs rax, 0x123456789abcdef
add rax, rcx; adc rdx, rbx | neg eax; sbb eax, eax | xor eax, eax; cmp edi, esi; sete al | cmp edi, esi; cmovl eax, edx
shl eax, cl | sar rax, cl | rol eax, 5 | ror rax, cl | shl al, cl | bsf eax, edi | bsr rax, rdi | popcnt eax, ecx | bt eax, ecx; jc taken
mul rsi | imul rsi | imul rax, rsi, 100 | dec edi; jle taken | add edi, esi; jo taken | sub edi, 1; js taken | cmp edi, 10; ja taken
push rbp; push rbx; push r12; sub rsp, 24 | pop rbp; pop rbx; pop r12 | mov [rdi], eax; mov ecx, [rsi]; mov [rdi + 4], ecx
mov eax, [rip + S0]; mov [rip + S1], eax; mov ecx, [rip + S0] | mov rax, [rdi]; mov [rsi], rbx; mov rcx, [rdi]
addsd xmm0, xmm1 | movsd xmm0, [rdi]; mulsd xmm0, [rsi + rcx*8]; addsd xmm1, xmm0 | cvtsi2sd xmm0, eax | sqrtsd xmm0, xmm1
ucomisd xmm0, xmm1; jp taken | comisd xmm0, xmm1; ja taken | movups xmm0, [rdi]; movups [rsi], xmm0 | pxor xmm0, xmm0
paddw xmm0, xmm1; psrld xmm0, 3; pand xmm0, xmm2 | pcmpeqb xmm0, xmm1 | pmovmskb eax, xmm0 | punpckhwd xmm0, xmm1 | packuswb xmm0, xmm1
pshufd xmm0, xmm1, 0x1b | movq rax, xmm0 | movq xmm0, rax | subss xmm0, xmm1 | cvtss2sd xmm0, xmm1
"""


def _right(problems: list[Problem], style: str) -> None:
    lowered = [c[0].lines if c else () for c in Lowering(problems[0].target, style).propose(problems)]  # type: ignore[arg-type]
    for problem, lines, code in zip(problems, lowered, assemble(problems[0].target, lowered), strict=True):
        source = "; ".join(i.text for i in problem.instructions)
        assert lines, source
        assert not RESERVED.search("\n".join(lines)) or (problem.target == "riscv64" and "sp" not in " ".join(lines)), source
        assert isinstance(code, Assembled), (source, lines, code)
        assert agree(problem, code, states=8) is None, (source, lines)


@pytest.mark.parametrize("style", ["best", "canonical"])
@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_candidates_agree_with_the_source(target: str, style: str) -> None:
    texts = [text.strip() for line in BLOCKS.strip().splitlines() for text in line.split("|")]
    live = WHOLE | VECTORS
    _right([question(target, text, live=live, more_out=("cf",) if "adc" in text else (), symbols=LOCAL) for text in texts], style)


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_string_rounds_touch_memory_only_if_there_is_one(target: str) -> None:
    _right([question(target, text, exit="branch") for text in ("rep movsb", "rep stosq")], "best")


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_128_bits_are_divided_without_a_call(target: str) -> None:
    live = {"rax": 64, "rdx": 64, "rsi": 64}
    _right([question(target, text, live=live) for text in ("div rsi", "idiv rsi")], "best")


def test_what_finds_no_register_has_no_candidate() -> None:
    live = WHOLE | {f"xmm{n}.{half}": 64 for n in range(16) for half in ("lo", "hi")}
    assert lower(question("riscv64", "mulsd xmm0, [rdi]", live=live)) == []


@pytest.mark.parametrize("style", ["best", "canonical"])
def test_terms_nested_too_deeply_have_no_candidate(style: str) -> None:
    deep = question("aarch64", "; ".join(["crc32 rax, rdx"] * 8), live={"rax": 64, "rdx": 64})
    assert lower(deep, style) == []


def test_every_register_live_still_lowers() -> None:
    live = WHOLE | {f"xmm{n}.{half}": 64 for n in range(16) for half in ("lo", "hi")}
    _right([question("aarch64", text, live=live) for text in ("packuswb xmm0, xmm15", "paddd xmm0, [rdi]")], "best")
    _right([question("riscv64", text, live=live) for text in ("punpcklbw xmm0, xmm15", "pmovmskb eax, xmm0")], "best")


def test_division_by_an_extension_is_narrowed() -> None:
    a, d = t.var("rax", 32), t.var("rcx", 32)
    quotient = t.extract(t.binary("sdiv", t.concat(t.ashr(a, t.const(31, 32)), a), t.sext(d, 64)), 0, 32)
    assert simplify([quotient], (), ()) == [t.binary("sdiv", a, d)]


@pytest.mark.parametrize("line", ["str x0, [sp, #8]", "bl __udivti3", "mov x29, x0", "ldr d0, [x8, :lo12:.LCPI0_0]", "b .LBB0_1"])
def test_unusable_lines_are_refused(line: str) -> None:
    with pytest.raises(Unusable):
        candidate_lines("f0", [".LBB0_1:", line, "//gs.fall", "ret"], "aarch64", ())


def test_callee_saved_vector_registers_are_renamed() -> None:
    lines = candidate_lines("f0", ["ldr q8, [x0]", "add v0.4s, v8.4s, v0.4s", "//gs.fall", "ret"], "aarch64", ("x0", "v0", "v24"))
    assert lines == ("ldr q25, [x0]", "add v0.4s, v25.4s, v0.4s")


def test_constants_above_the_entry_must_leave_inputs_alone() -> None:
    raw = ["mov w8, #255", "dup v24.8h, w8", "//gs.entry", "cmgt v0.8h, v0.8h, v24.8h", "//gs.fall", "ret"]
    with pytest.raises(Unusable, match="before the entry"):
        candidate_lines("f0", raw, "aarch64", ("x8", "v0"))
    assert candidate_lines("f0", raw, "aarch64", ("x0", "v0"))[:2] == ("mov w8, #255", "dup v24.8h, w8")
    with pytest.raises(Unusable, match="before the entry"):
        candidate_lines("f0", ["lui s7, 16", "#gs.entry", "add a0, a0, s7", "#gs.fall", "ret"], "riscv64", ("x23", "x10"))


def test_branches_are_threaded_and_inverted() -> None:
    raw = ["cbz x0, .LBB0_2", "// %bb.1:", "//gs.taken", "ret", ".LBB0_2:", "//gs.fall", "ret"]
    assert candidate_lines("f0", raw, "aarch64", ()) == ("cbnz x0, taken",)
