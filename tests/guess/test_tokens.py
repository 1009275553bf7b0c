"""Text -> tokens -> text: nothing is lost, and nothing but ValueError comes of tokens that are no text."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path

import pytest

from guesssketch.assembler import Assembled, assemble
from guesssketch.guess.tokens import UnknownToken, Vocabulary, source_spans, source_tokens, target_lines, target_tokens
from guesssketch.problem import Symbol

SAMPLE = Path(__file__).resolve().parents[2] / "datasets" / "pairs" / "sample"
# Each group is one block; together they hold every way to write an operand.
AARCH64 = """
ldp x8, x3, [x28, #104] | stp x19, x20, [x28, #-16]! | ldr x24, [x28], #8 | ldur w8, [x24, #-4] | ldr x24, [x24]
ldr w8, [x8, x19, lsl #2] | ldrb w12, [x11, w8, uxtw] | ldr x1, [x24, w8, sxtw #3] | ldr q0, [x0, #256] | str d1, [x0, x1]
add x10, x1, x8, lsl #2 | add x8, x3, w8, uxtw #2 | mvn w11, w1, lsr #8 | cmp w1, w4, uxth | lsl x8, x8, #3 | asr w8, w8, w1
mov x8, #-33024 | mov w8, #-1 | movk w11, #32767, lsl #16 | and w8, w8, #0xfffffff0 | and x8, x8, #0xfffffffffffffff0 | tst x8, #0x8000000000000000
bfi x14, x8, #1, #15 | ubfx w8, w8, #0, #1 | extr w8, w8, w8, #27 | ccmp w8, w11, #4, ne | csel w9, w8, w21, lo | cset w3, eq
mov x8, #-9223372036854775808 | mov x8, #255 | mov x8, #256 | mov w8, #65280 | movn w8, #0
fmov d0, #1.00000000 | fmov s1, #-0.12500000 | fmov d2, #31.00000000 | fmov v0.2d, #-1.9375 | fcmp d0, #0.0 | fcmeq v0.4s, v1.4s, #0.0
movi v0.2d, #0000000000000000 | movi v0.2d, #0xffff0000ffff00ff | movi v1.4s, #255, msl #8 | movi v1.4s, #3, lsl #8 | movi d3, #0xff00000000000000
mov v0.d[0], x8 | mov v2.s[3], v1.s[0] | umov w8, v0.b[15] | dup v0.4s, w1 | fmul v0.4s, v1.4s, v2.s[1] | ext v0.16b, v1.16b, v2.16b, #8
tbl v0.16b, { v1.16b }, v2.16b | tbl v0.16b, {v1.16b, v2.16b}, v3.16b | ld1 {v0.s}[1], [x8] | st2 { v0.8b, v1.8b }, [x0], #16 | ld1 { v0.2d }, [x0], x1
adrp x8, S0 | add x8, x8, :lo12:S0 | ldr w8, [x8, :lo12:S0] | adrp x9, :got:guard | ldr x9, [x9, :got_lo12:guard]
mrs x8, tpidr_el0 | add x8, x8, :tprel_hi12:S0 | add x8, x8, :tprel_lo12_nc:S0 | dmb ish | casal w0, w1, [x2] | ldaddal x0, x1, [x2]
cbz w8, 1f | tbnz w8, #31, taken | b.hi taken | 1: | b fall
b.eq 1f | b 2f | 1: | mov x8, #1 | 2: | nop
"""
RISCV64 = """
ld a0, -24(s0) | sd zero, 0(s6) | lw a6, (a3) | addi s6, s0, 8 | addi s6, s6, -2048 | ld a0, 256(a0) | sb a0, 255(a0)
lui a1, 1048568 | li a0, -1 | li a0, 4294967295 | li a0, 4294967280 | li a0, -9223372036854775808 | li a0, 0x1234567890abcdef
1: | auipc a0, %pcrel_hi(S0) | addi a0, a0, %pcrel_lo(1b) | 2: | auipc a1, %pcrel_hi(S1) | ld a1, %pcrel_lo(2b)(a1) | sw a1, %pcrel_lo(2b)(a1)
1: | auipc a0, %got_pcrel_hi(guard) | ld a0, %pcrel_lo(1b)(a0) | 2: | auipc a1, %tls_ie_pcrel_hi(S2) | ld a1, %pcrel_lo(2b)(a1)
lui a0, %hi(S0) | lw a0, %lo(S0)(a0) | lui a1, %tprel_hi(S1) | add a1, a1, tp, %tprel_add(S1) | lw a1, %tprel_lo(S1)(a1)
fcvt.w.d a0, fa0, rtz | fcvt.l.s a0, fs11, rne | fmadd.d ft0, ft1, ft2, ft11 | csrrs a0, fflags, zero | frrm a0 | fence rw, rw
amoadd.w.aqrl a0, a1, (a2) | lr.d a0, (a1) | sc.d a2, a3, (a1) | fld fa0, 8(a0) | fsd fa0, 0(a0)
beqz a0, 1f | bltu a2, a1, taken | 1: | j fall
"""
SOURCES = (
    "mov eax, dword ptr [rbp - 0x18]", "lea r8, [rcx + rdx*4 - 1]", "mov qword ptr [rax*8 + 0x100], r15", "shl rax, 0x10",
    "mov byte ptr [rdx + rax], ch", "mov rax, qword ptr [rip] @ got S0", "cmp dword ptr [rip], 5 @ pc S1 - 1", "ret",
    "mov rax, qword ptr fs:[0x28]", "rep movsb byte ptr [rdi], byte ptr [rsi]", "lock cmpxchg dword ptr [rdi], esi", "je taken",
    "imul eax, dword ptr [rsp + 8], 0x64", "movabs rax, 0x8000000000000000", "and rsp, 0xfffffffffffffff0", "or eax, 0xffffffff",
    "nop word ptr cs:[rax + rax]", "enter 0x10, 1", "pinsrw xmm0, ebx, 1", "mov rax, qword ptr [0] @ abs32s S0", "add eax, -1",
)  # fmt: skip


def _blocks(text: str) -> list[list[str]]:
    return [[line.strip() for line in block.split("|")] for block in text.strip().splitlines()]


@pytest.mark.parametrize(("target", "text"), [("aarch64", AARCH64), ("riscv64", RISCV64)])
def test_target_text_assembles_to_the_same(target: str, text: str) -> None:
    blocks = _blocks(text)
    tokens = [target_tokens(block) for block in blocks]
    back = [target_lines(each, target) for each in tokens]
    before, after = assemble(target, blocks), assemble(target, back)
    assert [b for b, r in zip(blocks, before, strict=True) if not isinstance(r, Assembled)] == []
    assert [(b, x) for b, x, r, s in zip(blocks, back, before, after, strict=True) if r != s] == []
    assert [target_tokens(lines) for lines in back] == tokens


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_the_sample_assembles_to_the_same(target: str) -> None:
    blocks: list[list[str]] = []
    for path in sorted(SAMPLE.glob(f"{target}-*.jsonl*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        blocks += [json.loads(line)["lines"] for line in text.splitlines()[::3]]
    back = [target_lines(target_tokens(block), target) for block in blocks]
    assert blocks and assemble(target, blocks) == assemble(target, back)


@pytest.mark.parametrize(("line", "tokens"), [
    ("ldur w8, [x24, #-24]", "ldur w8 [ x24 - #18 ;"),
    ("ldr x3, [x3], #16", "ldr x3 [ x3 ] #10 ;"),
    ("str x3, [x3, #-16]!", "str x3 [ x3 - #10 ! ;"),
    ("bfi x14, x8, #1, #15", "bfi x14 x8 #01 , #0f ;"),
    ("mov v2.s[3], v1.s[0]", "mov v2 .s [3] v1 .s [0] ;"),
    ("fmov d0, #1.00000000", "fmov d0 #. #70 ;"),
    ("lw a0, -24(s0)", "lw a0 - #18 ( s0 ;"),
    ("lw a0, 0(s0)", "lw a0 ( s0 ;"),
    ("ld a0, %pcrel_lo(1b)(a0)", "ld a0 %pcrel_lo 1b ( a0 ;"),
    ("1:", "1: ;"),
])  # fmt: skip
def test_target_tokens(line: str, tokens: str) -> None:
    assert target_tokens([line]) == tokens.split()


@pytest.mark.parametrize(("value", "tokens"), [
    (0, "#00"), (255, "#ff"), (256, "#01 #00"), (-24, "- #18"), (0xFFFFFFF0, "-32 #10"), (0xFFFF0000, "#ff #ff #00 #00"),
    (0xFFFFFFFF, "-32 #01"), (1 << 32, "#01 #00 #00 #00 #00"), (2**64 - 16, "- #10"), (-(2**63), "- #80 #00 #00 #00 #00 #00 #00 #00"),
])  # fmt: skip
def test_numbers(value: int, tokens: str) -> None:
    assert target_tokens([f"li a0, {value}"]) == target_tokens([f"li a0, {value:#x}"]) == ["li", "a0", *tokens.split(), ";"]
    (line,) = target_lines(["li", "a0", *tokens.split(), ";"], "riscv64")
    assert (int(line.split()[-1]) - value) % 2**64 == 0


def test_source_text_is_told_whole() -> None:
    for text in SOURCES:
        said = source_tokens([text], "fall", [], [], "aarch64")[2:]
        assert _plain(_source_text(said)) == _plain(text)


def _source_text(tokens: list[str]) -> str:
    def number(match: re.Match[str]) -> str:
        value = int(match[2].replace(" #", "").replace("#", ""), 16)
        return str({None: value, "-32 ": 2**32 - value, "- ": -value}[match[1]]) + " "

    text = re.sub(r"(-32 |- )?((?:#[0-9a-f]{2} )+)", number, " ".join(tokens))
    return text if text.count("[") == text.count("]") else re.sub(r"( @|;)", r"]\1", text, count=1)


def _plain(text: str) -> str:
    text = re.sub(r"0x[0-9a-f]+", lambda m: str(int(m[0], 16) - (2**64 if int(m[0], 16) >> 63 else 0)), text.rstrip(";"))
    return re.sub(r"\bptr\b|[\s,+]", "", text)


def test_source_header() -> None:
    symbols = [Symbol("S0", "local", 4096, True), Symbol("S1", "got"), Symbol("S2", "tls", 8), Symbol("guard", "local")]
    live = [("rax", 32), ("rcx", 24), ("rdx", 1), ("xmm0.lo", 64), ("xmm1.hi", 8), ("zf", 1), ("le", 1)]
    tokens = source_tokens(["xor eax, eax", "je taken"], "branch", live, symbols, "riscv64")
    assert " ".join(tokens) == (
        "<riscv64> rax/32 rcx /24 rdx /1 xmm0.lo/64 xmm1.hi /8 zf le S0 align64 low S1 <got> S2 <tls> align8 guard <branch> "
        "xor eax eax ; je taken ;"
    )
    assert Vocabulary.build([["xor", "je"]], least=1).encode(tokens)
    assert source_spans(tokens) == [-1] * 21 + [0] * 4 + [1] * 3
    assert source_spans(target_tokens(["1:", "b taken"])) == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("text", ["mov x0, x1 // comment", ".word 5", "fmov d0, #1.1", "li a0, 0x10000000000000000", "", "add x0, x1, (x2 + 1)"])
def test_text_without_tokens_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        target_tokens([text])


@pytest.mark.parametrize("tokens", [
    "mov x0", "; ;", "#01 ;", "mov - x0 ;", "mov x0 , x1 ;", "ldr x0 [ ;", "ldr x0 [ x1 ! x2 ;", "ldr x0 ] ;", "add x0 :lo12: x1 ;",
    "tbl v0 .8b { v1 .8b ;", "lw a0 #01 ( ;", "mov x0 #. ;", "mov x0 #01 #02 #03 #04 #05 #06 #07 #08 #09 ;", "mov x0 #01 , ;", "mov 1: ;",
    "mov <pad> ;", "mov x0 - #ff #ff #ff #ff #ff #ff #ff #ff ;", "%pcrel_hi S0 ;",
])  # fmt: skip
def test_tokens_that_are_no_text_are_refused(tokens: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        target_lines(tokens.split(), "aarch64")


def test_any_tokens_give_text_or_value_error() -> None:
    choice = random.Random(7)
    tokens = Vocabulary.build([["mov", "ldr", "lw"]] * 5, least=5).tokens
    likely = [t for t in tokens if not re.match(r"#|/|\w+[./]", t)]
    texts = 0
    for _ in range(20_000):
        some = ["mov", *choice.choices(likely, k=choice.randrange(5)), *choice.choices(tokens, k=choice.randrange(3)), ";"]
        target = choice.choice(("aarch64", "riscv64"))
        try:
            lines = target_lines(some, target)
        except ValueError:
            continue
        texts += 1
        assert target_lines(target_tokens(lines), target) == lines
    assert texts > 100


def test_vocabulary() -> None:
    vocabulary = Vocabulary.build([["frob", "rax", ";"]] * 3 + [["twiddle"]] * 2, least=3)
    assert (vocabulary.PAD, vocabulary.BOS, vocabulary.EOS) == (0, 1, 2)
    assert vocabulary.decode([1, *vocabulary.encode(["frob", "rax", "#ff", ";"]), 2, 0]) == ["frob", "rax", "#ff", ";"]
    with pytest.raises(UnknownToken, match="twiddle"):
        vocabulary.encode(["rax", "twiddle"])
    assert Vocabulary.from_json(vocabulary.to_json()).tokens == vocabulary.tokens
    for broken in ("[", "{}", '["a"]', '["<pad>", "<s>", "</s>", "a", "a"]', "[1]"):
        with pytest.raises(ValueError, match=r"."):
            Vocabulary.from_json(broken)
