"""Every shipped example, to both targets: translated, linked with the target's C library, run, compared."""

import io
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from guesssketch.assembler import Assembled, assemble
from guesssketch.cli import run
from guesssketch.emit import assemble as assemble_object

EXAMPLES = Path(__file__).parent.parent / "examples"
OPTIONS = {"threads": ["--memory-order", "tso"]}
OBJECTS = sorted((EXAMPLES / "objects").glob("*.o"))


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
@pytest.mark.parametrize("source", OBJECTS, ids=lambda path: path.stem)
def test_the_translation_prints_what_the_original_prints(source: Path, target: str, tmp_path: Path) -> None:
    output, report = tmp_path / "out.o", tmp_path / "report.json"
    name = source.name.split(".")[0]
    command = ["translate", str(source), "--target", target, "-o", str(output), "--report", str(report), "-j", "1", "--no-cache"]
    assert run([*command, *OPTIONS.get(name, [])]) == 0
    verdicts = [block["verdict"] for block in json.loads(report.read_text())["blocks"]]
    assert verdicts.count("proved") == len(verdicts) > 0
    compiler, emulator = shutil.which(f"{target}-linux-gnu-gcc"), shutil.which(f"qemu-{target}")
    if not compiler or not emulator:
        pytest.skip(f"no cross compiler or qemu-user for {target}")
    subprocess.run([compiler, "-static", output, "-o", tmp_path / "program", "-lm"], check=True)
    result = subprocess.run([emulator, tmp_path / "program"], check=True, capture_output=True, text=True)
    assert result.stdout == (EXAMPLES / f"{name}.expected").read_text()


def code_lines(assembly: str) -> Iterator[tuple[str, int, str]]:
    """Section, offset and text of each instruction, by the rule that every AArch64 line is one word."""
    section, offsets = ".text", Counter[str]()
    for raw in assembly.splitlines():
        line = raw.split("//")[0].strip()
        if line.startswith((".section", ".text")):
            section = line.split()[-1].split(",")[0]
        elif line.startswith(".p2align"):
            step = 1 << int(line.split()[1])
            offsets[section] = -(-offsets[section] // step) * step
        elif section.startswith(".text") and line and not line.startswith(".") and not line.endswith(":"):
            yield section, offsets[section], line
            offsets[section] += 4


@pytest.mark.parametrize("name", ["bits.O2.o", "doubles.O2.o", "varargs.O0.o"])
def test_the_object_holds_the_code_that_was_proved(name: str, tmp_path: Path) -> None:
    """Proofs are about keystone's encoding of each line alone, the object is LLVM's of the whole text."""
    output = tmp_path / "out.s"
    source = EXAMPLES / "objects" / name
    assert run(["translate", str(source), "--target", "aarch64", "-o", str(output), "--emit", "asm", "--no-cache"]) == 0
    text = output.read_text()
    elf = ELFFile(io.BytesIO(assemble_object(text, "aarch64")))
    placed = [(s, o, line) for s, o, line in code_lines(text) if not re.search(r"\.L|:|\b[1-9][fb]\b|^bl? ", line)]
    assert len(placed) > 100
    for (section, offset, line), alone in zip(placed, assemble("aarch64", [[line] for *_, line in placed]), strict=True):
        assert isinstance(alone, Assembled), line
        assert alone.instructions[0].code == elf.get_section_by_name(section).data()[offset : offset + 4], line
