"""x86-64 blocks to terms: what no one-line test of an instruction can show."""

from __future__ import annotations

import pytest

from guesssketch.assembler import Assembled, assemble
from isa import terms as t
from isa.machine import Effect, Instruction, Relocation
from isa.x86_64.lift import Exit, lift

RAX, RCX, S0 = t.var("rax", 64), t.var("rcx", 64), t.var("S0", 64)


def _lift(text: str, exit: Exit = "fall") -> Effect:
    (code,) = assemble("x86_64", [text.split("; ")])
    assert isinstance(code, Assembled)
    return lift(code.instructions, exit)


def _relocated(code: str, *fields: tuple[int, str, str], exit: Exit = "fall") -> Effect:
    relocations = tuple(Relocation(offset, kind, symbol) for offset, kind, symbol in fields)  # type: ignore[arg-type]
    return lift([Instruction(0, bytes.fromhex(code), code, relocations)], exit)


def _low(cell: str) -> t.Term:
    return t.extract(t.var(cell, 64), 0, 32)


@pytest.mark.parametrize(
    ("jump", "op", "negated"),
    [("jl", "slt", False), ("jge", "slt", True), ("jle", "sle", False), ("jg", "sle", True), ("jb", "ult", False),
     ("ja", "ule", True), ("jbe", "ule", False), ("je", "eq", False)],
)  # fmt: skip
def test_a_compare_and_its_jump_become_one_comparison(jump: str, op: str, negated: bool) -> None:
    wanted = t.compare(op, _low("rax"), _low("rcx"))
    assert _lift(f"cmp eax, ecx; {jump} taken", "branch").condition is (t.not_(wanted) if negated else wanted)


def test_division_after_a_sign_extension_is_narrow() -> None:
    effect = _lift("cqo; idiv rcx")
    assert effect.cells["rax"] is t.binary("sdiv", RAX, RCX)
    overflow = t.and_(t.eq(RAX, t.const(1 << 63, 64)), t.eq(RCX, t.const(-1, 64)))
    assert effect.faults == [t.or_(t.eq(RCX, t.const(0, 64)), overflow)]


def test_only_changed_cells_are_listed() -> None:
    assert _lift("xchg rax, rcx; xchg rax, rcx").cells == {}


@pytest.mark.parametrize("kind", ["got", "gottpoff"])
def test_a_load_of_a_table_slot_is_the_symbol_and_no_access(kind: str) -> None:
    effect = _relocated("488b0500000000", (3, kind, "S0"))
    assert effect.cells["rax"] is S0
    assert not effect.loads
    assert not effect.opaque


def test_the_address_of_a_table_slot_is_refused() -> None:
    assert _relocated("488d0500000000", (3, "got", "S0")).opaque


def test_a_relocated_address_is_its_placeholder() -> None:
    assert _relocated("488d0500000000", (3, "pc", "S0")).cells["rax"] is S0
    assert _relocated("bf00000000", (1, "abs32", "S0")).cells["rdi"] is S0
    indexed = _relocated("488b04c500000000", (4, "abs32s", "S0")).loads[0].address
    assert indexed is t.add(S0, t.mul(RAX, t.const(8, 64)))


def test_the_upper_half_of_a_relocated_operand_is_behind_its_lower_half() -> None:
    effect = _relocated("660ff40500000000", (4, "pc", "S0"))  # pmuludq: SLEIGH adds 8 to the address, as to a constant
    assert not effect.opaque and [a.address for a in effect.loads] == [S0, t.add(S0, t.const(8, 64))]


@pytest.mark.parametrize("constant", ["d0a5c341", "d8a5c341"])
def test_an_immediate_like_a_magic_number_is_itself_or_refused(constant: str) -> None:
    effect = _relocated("48c70500000000" + constant, (3, "pc", "S0"))  # mov qword ptr [rip + S0], constant
    stored = [event.value for event in effect.events if event.kind == "store"]
    assert effect.opaque or stored == [t.const(int.from_bytes(bytes.fromhex(constant), "little"), 64)]


def test_two_relocated_fields_keep_their_symbols() -> None:
    effect = _relocated("48c7050000000000000000", (3, "pc", "S0"), (7, "abs32s", "S1"))
    assert effect.memory is t.store(t.memory(), S0, t.var("S1", 64))


def test_an_address_relative_to_rip_without_relocation_is_refused() -> None:
    assert _relocated("488b0500000000").opaque


def test_thread_local_storage() -> None:
    assert _relocated("64488b042500000000").cells["rax"] is t.var("fs_base", 64)
    guard = _relocated("64488b042528000000")
    assert [a.address for a in guard.loads] == [t.var("guard", 64)]
    local = _relocated("648b042500000000", (4, "tpoff", "S0"))
    assert local.loads[0].address is t.add(t.var("fs_base", 64), S0)
    assert _relocated("64488b042530000000").opaque


def test_an_indirect_call_gives_its_target_and_pushes_nothing() -> None:
    effect = _relocated("ff15" + "00" * 4, (2, "pc", "S0"), exit="indirect")
    assert effect.target is t.load(t.memory(), S0, 64)
    assert not effect.stores
    assert "rsp" not in effect.cells


def test_a_repeated_store_is_guarded() -> None:
    effect = _lift("rep stosb", "branch")
    assert effect.stores[0].guard is t.ne(RCX, t.const(0, 64))
    left = t.sub(RCX, t.const(1, 64))
    assert effect.condition is t.and_(t.ne(RCX, t.const(0, 64)), t.ne(left, t.const(0, 64)))


@pytest.mark.parametrize("text", ["fld qword ptr [rdi]",
                                  "vaddps ymm0, ymm1, ymm2", "cpuid", "std", "syscall"])  # fmt: skip
def test_what_has_no_semantics_is_opaque(text: str) -> None:
    assert _lift(text).opaque


def test_a_jump_in_the_middle_is_refused() -> None:
    assert _lift("je taken; add eax, 1").opaque


def test_a_compare_that_succeeds_leaves_the_upper_half_of_the_accumulator() -> None:
    found = _lift("lock cmpxchg dword ptr [rdi], ecx").cells["rax"]
    old = t.load(t.memory(), t.var("rdi", 64), 32)
    assert found is t.ite(t.eq(old, t.extract(RAX, 0, 32)), RAX, t.zext(old, 64))


def test_undefined_flags_are_undefined() -> None:
    assert _lift("shl eax, 4").cells["of"].op == "undef"
    assert _lift("imul rax, rcx").cells["zf"].op == "undef"


def test_a_branch_on_constant_flags_is_always_or_never_taken() -> None:
    never = _lift("mov eax, 1; test eax, eax; je taken", "branch")
    always = _lift("mov eax, 1; test eax, eax; jne taken", "branch")
    assert never.condition is t.FALSE and always.condition is t.TRUE
    assert not never.opaque and not always.opaque and always.cells["rax"] == t.const(1, 64)


def test_32_bit_addresses_are_refused() -> None:
    for code in ("678b07", "67c7471401000000", "f367ab"):  # mov eax, [edi]; mov dword ptr [edi + 0x14], 1; rep stosd [edi]
        assert _relocated(code, exit="branch" if code == "f367ab" else "fall").opaque
