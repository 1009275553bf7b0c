"""Instructions that no single value asks for: stores, comparisons, branches, upper parts of addresses, loads of two registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from guesssketch.sketch.making import CONDITIONS, Setting, low_parts, places, signed, view


def pages(target: str, register: str, symbols: Sequence[str]) -> Iterator[str]:
    """The upper part of an address into ``register``; whether it is that which is missed only a run can tell."""
    for symbol in symbols:
        yield from ((f"adrp {register}, {symbol}", f"adrp {register}, :got:{symbol}") if target == "aarch64" else
                    (f"auipc {register}, %pcrel_hi({symbol})", f"auipc {register}, %got_pcrel_hi({symbol})"))  # fmt: skip


def double_loads(registers: Sequence[str], setting: Setting) -> Iterator[str]:
    """AArch64's loads of two ``registers``, from places side by side that the source reads."""
    sizes = {(address, size) for address, size, _ in setting.loads}
    for address, size in sorted(sizes):
        if size >= 4 and (address + size, size) in sizes:
            for a, held in setting.registers.items():
                n = signed(address - held, 64)
                if -64 * size <= n < 64 * size and n % size == 0:
                    yield from (f"ldp {view(one, 8 * size)}, {view(two, 8 * size)}, [{a}, #{n}]"
                                for one in registers for two in registers if one != two)  # fmt: skip


def double_stores(written: Sequence[tuple[int, int, int]], known: Mapping[str, int]) -> Iterator[str]:
    """AArch64's stores of two registers, to places side by side that the source writes (address, bytes, value)."""
    for address, size, value in written:
        for behind, other, second in written:
            if size == other >= 4 and behind == address + size:
                ones = [holder for holder, held in (*known.items(), ("xzr", 0)) if (held ^ value) & (1 << 8 * size) - 1 == 0]
                twos = [holder for holder, held in (*known.items(), ("xzr", 0)) if (held ^ second) & (1 << 8 * size) - 1 == 0]
                for a, held in known.items():
                    n = signed(address - held, 64)
                    if -64 * size <= n < 64 * size and n % size == 0:
                        yield from (f"stp {view(one, 8 * size)}, {view(two, 8 * size)}, [{a}, #{n}]"
                                    for one in ones for two in twos)  # fmt: skip


def compares(target: str, registers: Sequence[str], numbers: Sequence[int]) -> Iterator[str]:
    """AArch64's instructions that set nothing but flags."""
    if target != "aarch64":
        return
    for width in (32, 64):
        for one in registers:
            yield from (f"cmp {view(one, width)}, {view(two, width)}" for two in registers if two != one)
            yield f"tst {view(one, width)}, {view(one, width)}"
            for n in numbers:
                yield from (f"{name} {view(one, width)}, #{n}" for name in ("cmp", "tst") if n >= 0)
                if n < 0:
                    yield f"cmn {view(one, width)}, #{-n}"
            yield from (f"tst {view(one, width)}, {view(two, width)}" for two in registers if two < one)


def branches(target: str, registers: Sequence[str], numbers: Sequence[int]) -> Iterator[str]:
    """Conditional branches to ``taken``."""
    if target == "aarch64":
        yield from (f"b.{condition} taken" for condition in CONDITIONS)
        for name in ("cbz", "cbnz"):
            yield from (f"{name} {view(register, width)}, taken" for register in registers for width in (64, 32))
        bits = dict.fromkeys([*(n.bit_length() - 1 for n in numbers if n > 0 and not n & (n - 1)), 0, 7, 15, 31, 63])
        for name in ("tbz", "tbnz"):
            yield from (f"{name} x{register[1:]}, #{bit}, taken" for register in registers for bit in bits)
        return
    for name in ("beqz", "bnez", "bltz", "bgez", "blez", "bgtz"):
        yield from (f"{name} {register}, taken" for register in registers)
    for name in ("beq", "bne", "blt", "bge", "bltu", "bgeu"):
        yield from (f"{name} {one}, {two}, taken" for one in registers for two in registers if one != two)


def stores(target: str, address: int, size: int, value: int, setting: Setting) -> Iterator[str]:
    """Instructions that store the low ``size`` bytes of ``value``, held by a register or 0, at ``address``."""
    zero = ("xzr", 0) if target == "aarch64" else ("zero", 0)
    holders = [name for name, held in (*setting.registers.items(), zero) if (held ^ value) & (1 << 8 * size) - 1 == 0]
    for holder in holders:
        if target == "aarch64":
            name = {1: "strb", 2: "strh"}.get(size, "str") + " " + view(holder, 64 if size == 8 else 32)
            yield from (f"{name}, {place}" for place in places(address, size, setting))
        else:
            name = {1: "sb", 2: "sh", 4: "sw"}.get(size, "sd") + " " + holder
            if address in setting.symbols.values():
                yield from (f"{name}, {low}({a})" for a, low in low_parts(address, setting))
            offsets = ((a, signed(address - held, 64)) for a, held in setting.registers.items())
            yield from (f"{name}, {n}({a})" for a, n in offsets if -2048 <= n < 2048)
