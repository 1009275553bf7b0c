"""Conversions between the calling conventions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from guesssketch import runtime
from guesssketch.emit import assemble
from guesssketch.prototypes import library, parse_signature
from guesssketch.wall import aarch64, riscv64
from guesssketch.wall.calls import COMPILER, Glue, glue, with_list
from guesssketch.wall.moves import Move, argument_moves, ordered, result_moves
from guesssketch.wall.places import Joined, Places, Register, Slot, Unsupported, a64_places, rv_places, x86_places

TARGETS = ("aarch64", "riscv64")


def where(places: Places) -> list[str]:
    """One word a piece: a register, or the offset of a stack slot."""
    return [p.location.name if isinstance(p.location, Register) else str(p.location.offset)
            for pieces in places.arguments for p in pieces]  # fmt: skip


# signature => places of the arguments on x86-64, AArch64, RISC-V (System V psABI 3.2.3, AAPCS64 6.8.2, RISC-V psABI 2.2)
@pytest.mark.parametrize(("signature", "x86", "a64", "rv"), [
    ("void(i32,f64,ptr)", "rdi xmm0.lo rsi", "x0 v0 x1", "x10 f10 x11"),
    ("void(i64,i64,i64,i64,i64,i64,i32,i64,i64)", "rdi rsi rdx rcx r8 r9 0 8 16", "x0 x1 x2 x3 x4 x5 x6 x7 0",
     "x10 x11 x12 x13 x14 x15 x16 x17 0"),
    ("void(f64,f64,f64,f64,f64,f64,f64,f64,f64,i32)", " ".join(f"xmm{n}.lo" for n in range(8)) + " 0 rdi",
     "v0 v1 v2 v3 v4 v5 v6 v7 0 x0", "f10 f11 f12 f13 f14 f15 f16 f17 x10 x11"),
    ("void({16:0=f64,8=i32},i32)", "xmm0.lo rdi rsi", "x0 x1 x2", "f10 x10 x11"),
    ("void({16:0=f64,8=ptr},i32)", "xmm0.lo rdi rsi", "x0 x1 x2", "x10 x11 x12"),  # to RISC-V a pointer is no integer
    ("void({16:0=f64,8=f64})", "xmm0.lo xmm1.lo", "v0 v1", "f10 f11"),
    ("void({8:0=f32,4=f32})", "xmm0.lo", "v0 v1", "f10 f11"),
    ("void({24:0=i64,8=i64,16=i64},i32)", "0 8 16 rdi", "x0 x1", "x10 x11"),
    ("{24:0=i64,8=i64,16=i64}(i32)", "rsi", "x0", "x11"),
    ("void(i64,i128)", "rdi rsi rdx", "x0 x2 x3", "x10 x11 x12"),
])  # fmt: skip
def test_places(signature: str, x86: str, a64: str, rv: str) -> None:
    parsed = parse_signature(signature)
    assert where(x86_places(parsed)) == x86.split()
    assert where(a64_places(parsed)) == a64.split()
    assert where(rv_places(parsed)) == rv.split()


@pytest.mark.parametrize(("struct", "refused"), [
    ("{8:0=f32}", "ar"), ("{8:0=i64,4=f32}", "r"), ("{8:0=f32,4=i32}", ""), ("{8:0=f32,4=f32}", ""), ("{4:0=f32,0=f32}", ""),
    ("{16:0=f64,8=char}", ""), ("{8:0=u16,4=f32}", ""), ("{24:0=f64,16=f64}", "a"), ("{8:0=f64,0=f32}", ""),
])  # fmt: skip
def test_structs_of_floats_and_bit_fields_are_refused_where_their_way_is_not_told(struct: str, refused: str) -> None:
    """An unnamed bit-field, a float in a bit-field's unit; not: named ones, unions, padding."""
    signature = parse_signature(f"void({struct})")
    for target, places in (("a", a64_places), ("r", rv_places)):
        if target in refused:
            with pytest.raises(Unsupported, match="bit-fields"):
                places(signature)
        else:
            places(signature)


def test_long_double_is_refused() -> None:
    with pytest.raises(Unsupported, match="long double"):
        x86_places(parse_signature("f80(f80)"))


def test_a_128_bit_integer_on_the_stack_is_refused() -> None:
    """clang before 18 splits it between a register and the stack, and aligns it to 8 bytes there."""
    x86_places(parse_signature("void(i64,i64,i64,i64,i128)"))
    with pytest.raises(Unsupported, match="clang before 18"):
        x86_places(parse_signature("void(i64,i64,i64,i64,i64,i128)"))


def test_complex_result_is_joined() -> None:
    (move,) = result_moves(parse_signature("{8:0=f32,4=f32}(i32)"), "aarch64", "out")
    assert move == Move(Register("xmm0.lo"), Joined(Register("v0"), Register("v1")), "u64")


def test_seventh_argument_comes_from_the_stack() -> None:
    moves = argument_moves(parse_signature("void(i64,i64,i64,i64,i64,i64,i32)"), "riscv64", "out")
    assert moves[-1] == Move(Register("x16"), Slot(0), "i32")


def test_parallel_moves_cut_a_cycle() -> None:
    a, b, c = Register("x0"), Register("x1"), Register("x2")
    done = ordered([Move(a, b, "u64"), Move(b, a, "u64"), Move(c, a, "u64")], {"x": "x7"})
    state = {"x0": "A", "x1": "B", "x2": "C", "x7": ""}
    for move in done:
        assert isinstance(move.target, Register) and isinstance(move.source, Register)
        state[move.target.name] = state[move.source.name]
    assert (state["x0"], state["x1"], state["x2"]) == ("B", "A", "A")


def test_riscv_extends_what_has_32_bits_only() -> None:
    lines = riscv64.simple_call("f", parse_signature("u32(u32,ptr,u8,f32,f64)"))
    assert lines == ["sext.w x10, x10", "andi x12, x12, 255", "fmv.x.w x6, f10", "fmv.w.x f10, x6", "call f", "mv x16, x10"]


def test_aarch64_call_costs_nothing_before() -> None:
    assert aarch64.simple_call("memcpy", parse_signature("ptr(ptr,ptr,u64)")) == ["bl memcpy", "mov x8, x0"]


@pytest.mark.parametrize(("name", "listed"), [
    ("printf", "vprintf"), ("__fprintf_chk", "__vfprintf_chk"), ("__isoc99_sscanf", "__isoc99_vsscanf"), ("syslog", "vsyslog"),
    ("execl", None), ("open", None),
])  # fmt: skip
def test_list_form(name: str, listed: str | None) -> None:
    signature = library().get(name)
    assert signature is not None
    assert with_list(name, signature, [library()]) == listed


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("name", "reason"), [("ptrace", "registers"), ("sqrtl", "long double"), ("fts_read", "_ftsent")])
def test_refused(target: str, name: str, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        glue(name, library().get(name), [library()], target)


def test_unknown_function_needs_a_prototype_on_riscv_only() -> None:
    assert "unprototyped call to f" in glue("f", None, [], "aarch64").assumption
    with pytest.raises(Unsupported, match="--prototypes"):
        glue("f", None, [], "riscv64")


@pytest.mark.parametrize("target", TARGETS)
def test_every_library_function_has_glue_that_assembles(target: str) -> None:
    """Or a reason why not; nobody falls between."""
    names = [*library().signatures.texts, *COMPILER]  # type: ignore[attr-defined]
    lines: list[str] = [".text"]
    refused: list[str] = []
    for name in names:
        signature = library().get(name) or parse_signature(COMPILER[name])
        try:
            made: Glue = glue(name, signature, [library()], target)
        except Unsupported as error:
            refused.append(f"{name}: {error}")
            continue
        for body in (made.inline or (), made.stub):
            lines += [".cfi_startproc", *(line for line in body), ".cfi_endproc"]
    assert all("long double" in r or "lays out" in r or "variadic" in r or "its arguments" in r or "twice" in r or "machine's" in r or "registers" in r
               for r in refused), refused  # fmt: skip
    assert len(refused) < len(names) * 0.25
    lines += runtime.varargs() if target == "riscv64" else []
    assert assemble("\n".join(lines) + "\n", target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signature", [
    None, "i32(ptr,ptr)", "f32(f32,i8,u16)", "{16:0=i64,8=f64}({16:0=f64,8=i64},{40:0=i64,8=i64,16=i64,24=i64,32=i64})",
    "{48:0=i64,8=i64,16=i64,24=i64,32=i64,40=i64}(i32)", "void(i64,i64,i64,i64,i64,i64,i64,i64,i64,f32)",
    "{8:0=f32,4=f32}({8:0=f32,4=f32})", "{24:0=f64,8=f64,16=f64}(i32)", "{24:0=f64,8=f64,16=f64}({1995:0=i8},i64)", "{5:0=u8,1=f32}({7:0=u8,1=u16,3=u32},{19:0=i64,8=i64,16=i8})",
])  # fmt: skip
def test_native_entry_and_call_assemble(target: str, signature: str | None) -> None:
    wall, parsed = {"aarch64": aarch64, "riscv64": riscv64}[target], parse_signature(signature) if signature else None
    lines = wall.native_entry("inner", parsed, ("f8", "f9") if target == "riscv64" else ())
    stub = glue("outside", parsed, [], target).stub if parsed else ()
    assert assemble("\n".join(["inner:", ".cfi_startproc", *lines, *stub, ".cfi_endproc"]) + "\n", target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("struct", ["{2001:0=i8}", f"{{{1 << 40}:0=i64}}"])
def test_a_struct_by_value_beyond_reach_is_refused_with_its_size(struct: str, target: str) -> None:
    with pytest.raises(Unsupported, match=rf"a struct by value of {struct[1:].partition(':')[0]} bytes: \d+ bytes of arguments"):
        glue("outside", parse_signature(f"void({struct})"), [], target)
    with pytest.raises(Unsupported, match="an argument: 2008 bytes of arguments on the stack, where at most 2000"):
        glue("outside", parse_signature(f"void({'i64,' * 256}i64)"), [], target)


INITIALIZERS = {"pthread_mutex_init": 40, "mtx_init": 40, "pthread_attr_init": 56, "pthread_mutexattr_init": 4,
                "pthread_condattr_init": 4, "pthread_barrierattr_init": 4}  # fmt: skip


def test_what_is_longer_on_aarch64_leaves_alone_what_lies_behind_the_shorter(tmp_path: Path) -> None:
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if not compiler or not emulator:
        pytest.skip("no cross compiler or qemu-user for aarch64")
    text = []
    for name in INITIALIZERS:
        stub = glue(name, library().get(name), [library()], "aarch64").stub
        text += [f".globl try_{name}", f"try_{name}:", "stp x29, x30, [sp, #-16]!", f"bl stub_{name}", "mov w0, w8",
                 "ldp x29, x30, [sp], #16", "ret", f"stub_{name}:", ".cfi_startproc", *stub, ".cfi_endproc"]  # fmt: skip
    (tmp_path / "stubs.s").write_text("\n".join([".text", *text, ""]))
    tries = "".join(f'extern int try_{name}(void *, int); memset(area, 77, 80); last = 0; printf("%s %d", "{name}", try_{name}(area, 0));\n'
                    f'for (int i = 0; i < 80; i++) if (area[i] != 77) last = i; puts(last < {size} ? " kept" : " lost");\n'
                    for name, size in INITIALIZERS.items())  # fmt: skip
    source = f"#include <stdio.h>\n#include <string.h>\nlong space[10];\nint main(void) {{ char *area = (char *)space; int last = 0;\n{tries}}}\n"
    (tmp_path / "main.c").write_text(source)
    subprocess.run([compiler, "-static", "main.c", "stubs.s", "-o", "program"], cwd=tmp_path, check=True)
    printed = subprocess.run([emulator, "program"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert printed.splitlines() == [f"{name} 0 kept" for name in INITIALIZERS]
