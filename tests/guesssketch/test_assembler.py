"""The assembler: encodings agree with LLVM's, relocations and exits come out right, and hostile text goes nowhere."""

from __future__ import annotations

import pytest

from guesssketch import assembler
from guesssketch.assembler import Assembled, AssemblyError, assemble, assemble_x86
from guesssketch.errors import InputError
from isa.machine import TAKEN, Relocation

AARCH64 = """
add x0, x1, x2 | add w0, w1, w2, lsl #3 | add x0, x1, #4095 | add x0, x1, #1, lsl #12 | add x0, x1, w2, sxtw #2
sub x28, x28, #48 | subs w0, w1, w2 | adds x0, x1, x2 | adc x2, x2, x19 | sbc x2, x2, x19 | cmp x0, #10 | cmp w0, w1, uxtb
cmn x0, #5 | neg w0, w1 | negs x0, x1 | and x0, x1, #0xff | ands w0, w1, #0x3f | orr x0, x1, x2, lsl #32 | eor w0, w1, #1
bic x0, x1, x2 | orn w0, w1, w2 | mvn x0, x1 | tst x0, #7 | mov x0, x1 | mov w0, wzr | mov x8, #-1 | movz x0, #52719
movk x8, #35243, lsl #16 | movn w0, #0 | mul x0, x1, x2 | madd x0, x1, x2, x3 | msub w2, w8, w1, w0 | mneg x0, x1, x2
umulh x0, x1, x2 | smulh x0, x1, x2 | umull x0, w1, w2 | smull x0, w1, w2 | smaddl x0, w1, w2, x3 | sdiv w0, w1, w2
udiv x0, x1, x2 | lsl w0, w1, #5 | lsl x0, x1, x2 | lsr w0, w1, w2 | asr x0, x1, #63 | ror w0, w1, #27 | extr x0, x1, x2, #5
bfxil x8, x19, #0, #8 | bfi x8, x19, #8, #8 | ubfx w0, w1, #3, #5 | sbfx x0, x1, #3, #5 | ubfiz x0, x1, #3, #5 | sxtb x0, w1
sxth w0, w1 | sxtw x0, w1 | uxtb w0, w1 | uxth w0, w1 | clz x0, x1 | rbit w0, w1 | rev w0, w1 | rev16 w0, w1 | rev x0, x1
cset w0, lt | csetm x0, eq | csel x0, x1, x2, lt | csinc w0, w1, w2, ne | cinc x0, x0, ne | csneg w0, w1, w2, mi
ccmp x0, x1, #4, ne | ccmp w0, #3, #0, eq | ldr x0, [x1] | ldr w0, [x1, #8] | ldr x0, [x1, x2, lsl #3] | ldr w0, [x1, w2, sxtw #2]
ldr x0, [x1, #-8]! | ldr x0, [x1], #24 | ldur x0, [x1, #-4] | ldrb w0, [x1] | ldrh w0, [x1, #2] | ldrsb w0, [x1]
ldrsb x0, [x1] | ldrsh w0, [x1] | ldrsw x0, [x1, x2, lsl #2] | str x0, [x28, #-8]! | stur w0, [x1, #-16] | strb w0, [x1, x2]
strh w0, [x1] | stp x0, x1, [x28, #-16] | ldp w0, w1, [x2, #8] | ldp x0, x1, [x2], #16 | ldpsw x0, x1, [x2] | ldr q0, [x1]
str q0, [x1, #16] | ldr d0, [x1, x2, lsl #3] | ldr s0, [x1] | stp q0, q1, [x2] | fadd d0, d1, d2 | fsub s0, s1, s2
fmul d0, d1, d2 | fdiv s0, s1, s2 | fsqrt d0, d1 | fneg d0, d1 | fabs s0, s1 | fmadd d0, d1, d2, d3 | fcmp d0, d1 | fcmp s0, #0.0
fcsel d0, d1, d2, mi | fcvt d0, s1 | fcvt s0, d1 | fcvtzs w0, d1 | fcvtzu x0, s1 | scvtf d0, w1 | ucvtf s0, x1 | fmov x0, d0
fmov d0, x0 | fmov d0, #1.0 | fmov w0, s0 | frintn d0, d1 | mov v0.d[1], x2 | mov w0, v1.s[2] | umov w0, v1.b[3]
mov v0.d[0], v1.d[1] | mov v0.16b, v1.16b | movi v0.2d, #0 | add v0.4s, v1.4s, v2.4s | sub v0.16b, v1.16b, v2.16b
mul v0.8h, v1.8h, v2.8h | and v0.16b, v1.16b, v2.16b | eor v0.16b, v1.16b, v2.16b | bic v0.16b, v1.16b, v2.16b
cmeq v0.16b, v1.16b, v2.16b | cmgt v0.4s, v1.4s, v2.4s | shl v0.4s, v1.4s, #3 | ushr v0.8h, v1.8h, #3 | sshr v0.4s, v1.4s, #3
zip1 v0.2d, v1.2d, v2.2d | zip2 v0.16b, v1.16b, v2.16b | ext v0.16b, v1.16b, v1.16b, #8 | dup v0.4s, w1 | umin v0.16b, v1.16b, v2.16b
fadd v0.4s, v1.4s, v2.4s | fmul v0.2d, v1.2d, v2.2d | xtn v0.4h, v1.4s | ushll v0.8h, v1.8b, #0 | uzp1 v0.16b, v1.16b, v2.16b
b.lt taken | b fall | cbz w0, taken | cbnz x0, fall | tbz x0, #3, taken | tbnz w1, #31, taken | b taken | nop | mrs x0, tpidr_el0
"""  # fmt: skip

X86 = """
mov rax, rbx | mov eax, 5 | mov al, bl | mov ah, bl | movabs rax, 0x123456789abcdef0 | mov qword ptr [rdi + 8], rsi
mov eax, dword ptr [rdi + rsi*4 + 100] | movzx eax, byte ptr [rdi] | movsx rax, dil | movsxd rax, edi | lea rax, [rdi + rsi*4 + 3]
add rdi, 1 | add eax, dword ptr [rsi] | sub rsp, 24 | adc rax, rbx | sbb eax, eax | imul eax, esi | imul rax, rsi, 100
mul rsi | div esi | idiv rsi | neg eax | not rax | inc ecx | dec ecx | and edi, 0xff | or rax, -1 | xor eax, eax | shl eax, cl
sar rax, 3 | shr edx, 1 | rol eax, 5 | ror rax, cl | shld rax, rcx, 5 | cmp edi, 10 | test al, al | bt eax, ecx | bsf eax, edi
bsr rax, rdi | bswap eax | cmovl eax, edx | setle al | push rbx | pop rbp | push 5 | cdq | cqo | cdqe | leave
addsd xmm0, xmm1 | mulss xmm2, dword ptr [rdi] | cvtsi2sd xmm0, eax | cvttsd2si rax, xmm0 | comisd xmm0, xmm1 | sqrtsd xmm0, xmm1
movaps xmmword ptr [rsp], xmm0 | movups xmm8, xmmword ptr [rdi] | movsd xmm0, qword ptr [rdi] | movq rax, xmm0 | movd xmm0, eax
pxor xmm0, xmm0 | paddd xmm0, xmm9 | pshufd xmm0, xmm1, 0x4e | punpcklbw xmm0, xmm1 | pcmpeqb xmm0, xmm1 | pmovmskb eax, xmm0
"""


def _texts(table: str) -> list[str]:
    return [text.strip() for line in table.strip().splitlines() for text in line.split("|")]


def _codes(blocks: list[Assembled | AssemblyError]) -> list[bytes | str]:
    return [b"".join(i.code for i in b.instructions) if isinstance(b, Assembled) else b.message for b in blocks]


def test_keystone_and_llvm_agree_on_aarch64(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [(text,) for text in _texts(AARCH64)]
    ours = _codes(assemble("aarch64", blocks))
    monkeypatch.setattr(assembler, "_in_process", lambda lines: None)
    assert dict(zip(blocks, ours, strict=True)) == dict(zip(blocks, _codes(assemble("aarch64", blocks)), strict=True))
    assert all(isinstance(code, bytes) for code in ours)


def test_keystone_and_llvm_agree_on_x86() -> None:
    for text in _texts(X86):
        ours = [i.code for i in assemble_x86(text)]
        other = assembler._run_batch("x86_64", {0: [text]})[0]
        assert isinstance(other, Assembled), (text, other)
        assert ours == [i.code for i in other.instructions], text


def test_exits_are_where_the_convention_says() -> None:
    (a64,) = assemble("aarch64", [["b.lt taken", "add x0, x0, #1", "b fall"]])
    assert isinstance(a64, Assembled) and a64.size == 12
    assert [i.text for i in a64.instructions] == [f"b.lt #{TAKEN:#x}", "add x0, x0, #1", "b #0xc"]
    (rv,) = assemble("riscv64", [["beqz a0, 1f", "addi a1, a1, 100", "1:", "bne a0, a1, taken", "j fall"]])
    assert isinstance(rv, Assembled)
    third = rv.instructions[2]
    assert int(third.text.split()[-1], 0) + third.offset == TAKEN


def test_relocations_of_each_target() -> None:
    a64, tls, rv = assemble("aarch64", [
        ["adrp x0, S0", "ldr x1, [x0, :lo12:S0]", "adrp x2, :got:guard", "ldr x2, [x2, :got_lo12:guard]"],
        ["adrp x0, :gottprel:S1", "ldr x0, [x0, :gottprel_lo12:S1]", "add x1, x1, :tprel_hi12:S0", "add x1, x1, :tprel_lo12_nc:S0"],
    ]) + assemble("riscv64", [["1:", "auipc a0, %pcrel_hi(S0)", "nop", "ld a1, %pcrel_lo(1b)(a0)", "la.tls.ie a2, S1"]])  # fmt: skip
    assert isinstance(a64, Assembled) and isinstance(tls, Assembled) and isinstance(rv, Assembled)
    found = [[(r.kind, r.symbol) for i in block.instructions for r in i.relocations] for block in (a64, tls)]
    assert found[0] == [("page", "S0"), ("lo12", "S0"), ("got_page", "guard"), ("got_lo12", "guard")]
    assert [kind for kind, _ in found[1]] == ["tlsie_page", "tlsie_lo12", "tprel_hi12", "tprel_lo12"]
    assert [i.relocations for i in rv.instructions] == [
        (Relocation(0, "pcrel_hi", "S0"),), (), (Relocation(0, "pcrel_lo", "S0", pair=0),),
        (Relocation(0, "tlsie_pcrel_hi", "S1"),), (Relocation(0, "pcrel_lo", "S1", pair=3),)]  # fmt: skip


def test_x86_relocations_and_branches() -> None:
    code = assemble_x86(
        "mov rax, [rip + S0]; cmp dword ptr [rip + S1], 5; mov ecx, [S2 + rax*4]; mov rdx, [rip + guard@GOTPCREL]; jne taken"
    )
    kinds = [(r.kind, r.symbol) for i in code for r in i.relocations]
    assert kinds == [("pc", "S0"), ("pc", "S1"), ("abs32s", "S2"), ("got", "guard")]
    assert code[-1].code == bytes.fromhex("0f8500000000")


def test_one_bad_block_does_not_touch_the_others() -> None:
    good = ["add a0, a0, a1"]
    results = assemble("riscv64", [good, ["frobnicate a0"], good, ["addi a0, a0, 5000"], ["j 1f"], good])
    assert [isinstance(r, Assembled) for r in results] == [True, False, True, False, False, True]
    assert isinstance(results[3], AssemblyError) and results[3].line == 0


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
@pytest.mark.parametrize("line", [
    ".incbin \"/etc/passwd\"", ".org 0", "nop; nop", "nop\n.org 0", "nop # x", "nop // x", "nop /* x */", "B0S:", "x = 1", "1: nop",
    ".macro m", "b B1S", "j .L0_0", "call printf", "b printf", "nop \\", "adrp x0, S0+8", "ld a0, %pcrel_lo(S0)(a0)", "",
])  # fmt: skip
def test_hostile_lines_are_refused(target: str, line: str) -> None:
    (result,) = assemble(target, [[line]])
    assert isinstance(result, AssemblyError)


def test_a_block_must_fit() -> None:
    longest, longer = assemble("aarch64", [["nop"] * (TAKEN // 4), ["nop"] * (TAKEN // 4 + 1)])
    assert isinstance(longest, Assembled) and isinstance(longer, AssemblyError)


def test_bad_x86_text_names_its_line() -> None:
    with pytest.raises(InputError, match="frob rax"):
        assemble_x86("mov rax, rbx; frob rax")
