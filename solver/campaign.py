"""``python -m solver.campaign``: run the semantics against the emulator, form by form, and write the table of what
agreed.

    python -m solver.campaign --isa x86_64 --states 5000 --write build/*.o
    python -m solver.campaign --isa riscv64 --only fcvt forms.txt

Input: ELF objects of the instruction set (their code is swept from the start of each section), or text files with one
encoding in hexadecimal a line (``#`` starts a comment); ``solver/validated/<isa>.txt`` holds those behind the tables,
so after a change of the semantics ``--write solver/validated/<isa>.txt`` makes the table anew. Prints each form that
disagrees or cannot be tried; the exit status is 1 if one disagrees. With ``--write`` agreed forms join
``solver/validated/<isa>.json``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import capstone
from elftools.elf.elffile import ELFFile

from isa.forms import form
from isa.machine import Instruction
from solver import gate, trials

_MODES: Final = {
    "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    "riscv64": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
}
_MACHINES: Final = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64", "riscv64": "EM_RISCV"}
_ELSEWHERE: Final = frozenset({"call i", "jmp i", "ret", "bl i", "jal i", "jal x,i"})  # direct transfers: stitching's business
_SAMPLES: Final = 4  # instructions tried for each form


def instructions(isa: str, paths: Iterable[Path]) -> Iterator[Instruction]:
    """Every instruction in the files, without relocations. Raises ``ValueError`` for an object of another machine."""
    engine = capstone.Cs(*_MODES[isa])
    for path in paths:
        if path.suffix == ".txt":
            chunks = [bytes.fromhex(line.split("#")[0]) for line in path.read_text().splitlines()]
        else:
            chunks = list(_code(isa, path))
        for chunk in chunks:
            yield from _sweep(engine, chunk)


def _sweep(engine: Any, code: bytes) -> Iterator[Instruction]:
    at = 0
    while at < len(code):
        found = next(engine.disasm(code[at : at + 16], 0, 1), None)
        if found is None:
            at += 1 if engine.arch == capstone.CS_ARCH_X86 else 2
            continue
        yield Instruction(0, bytes(found.bytes), f"{found.mnemonic} {found.op_str}".strip())
        at += found.size


def _code(isa: str, path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        elf = ELFFile(file)
        if elf["e_machine"] != _MACHINES[isa]:
            raise ValueError(f"{path}: not an object for {isa}")
        for section in elf.iter_sections():
            if section["sh_type"] == "SHT_PROGBITS" and section["sh_flags"] & 4:
                yield section.data()


def sample(isa: str, found: Iterable[Instruction], only: str = "") -> dict[str, list[Instruction]]:
    """A few different encodings of each form whose key contains ``only``."""
    forms: dict[str, list[Instruction]] = {}
    seen: set[bytes] = set()
    for instruction in found:
        if instruction.code not in seen:
            seen.add(instruction.code)
            samples = forms.setdefault(form(isa, instruction), [])
            if len(samples) < _SAMPLES:
                samples.append(instruction)
    return {key: value for key, value in forms.items() if only in key and key not in _ELSEWHERE}


def try_form(isa: str, samples: Sequence[Instruction], states: int) -> trials.Trials:
    """All samples of a form, ``states`` states together. A mismatch of one is the form's."""
    done = 0
    reason = ""
    for number, instruction in enumerate(samples):
        outcome = trials.run(isa, instruction, -(-states // len(samples)), seed=number)
        if outcome.mismatch and not outcome.mismatch.startswith("opaque"):
            return trials.Trials(done + outcome.states, outcome.mismatch)
        reason = outcome.mismatch or reason
        done += outcome.states
    return trials.Trials(done, "" if done else reason)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m solver.campaign", description="Instruction semantics against Unicorn.")
    parser.add_argument("files", nargs="+", type=Path, help="objects (.o) or hexadecimal encodings (.txt)")
    parser.add_argument("--isa", choices=sorted(_MODES), default="x86_64")
    parser.add_argument("--states", type=int, default=2000, help="random states for each form")
    parser.add_argument("--only", default="", help="only forms that contain this text")
    parser.add_argument("--samples", type=Path, help="write the encodings tried of forms that agreed to this .txt file")
    parser.add_argument("--write", action="store_true", help="add the forms that agreed to the table")
    options = parser.parse_args(arguments)
    gate.version(options.isa)  # of what is imported now, even if the files change while this runs
    forms = sample(options.isa, instructions(options.isa, options.files), options.only)
    agreed: dict[str, int] = {}
    bad = total = 0
    started = time.perf_counter()
    for key, samples in sorted(forms.items()):
        outcome = try_form(options.isa, samples, options.states)
        total += outcome.states
        if not outcome.mismatch:
            agreed[key] = outcome.states
            continue
        opaque = outcome.mismatch.startswith("opaque")
        bad += not opaque
        print(f"{'no semantics' if opaque else 'DISAGREES'}: {key}: {outcome.mismatch}")
    rate = total / max(time.perf_counter() - started, 1e-9)
    print(f"{len(agreed)} of {len(forms)} forms agree, {bad} disagree; {total} trials, {rate:.0f} a second")
    if options.samples:
        lines = [f"{i.code.hex()}  # {i.text}\n" for key in sorted(agreed) for i in forms[key]]
        options.samples.write_text("".join(lines))
    if options.write:
        gate.write_table(gate.table_path(options.isa), options.isa, gate.table(options.isa) | agreed)
        gate.write_engines(options.isa)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
