"""``python -m solver.campaign``: run the semantics against the emulator, form by form, and write the table of what
agreed.

    python -m solver.campaign -j 8 --states 100000 --write
    python -m solver.campaign --isa x86_64 --states 5000 --write build/*.o
    python -m solver.campaign --isa riscv64 --only fcvt forms.txt
    python -m solver.campaign --qemu --states 100000

Input: ELF objects of the instruction set (their code is swept from the start of each section), or text files with one
encoding in hexadecimal a line (``#`` starts a comment); if none are given, ``solver/validated/<isa>.txt``, which holds the
encodings behind the table, of every instruction set. Prints each form that disagrees or cannot be tried; the exit status is 1 if
one disagrees.

With ``--qemu`` RISC-V's floating point is tried against qemu-riscv64 instead (``solver.qemu``), which knows some of it better.

With ``--write`` what is found is written into ``solver/validated/<isa>.json`` form by form: those that agree with the number of
states, those that do not with 0, which keeps them out of proofs. A form is not tried again if the table, of these semantics
and engines, has it with as many states. So a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, Final

import capstone
from elftools.elf.elffile import ELFFile

from isa.forms import form
from isa.machine import Instruction
from solver import gate, qemu, trials

_MODES: Final = {
    "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    "riscv64": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
}
_MACHINES: Final = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64", "riscv64": "EM_RISCV"}
_ELSEWHERE: Final = frozenset({"call i", "jmp i", "ret", "bl i", "jal i", "jal x,i"})  # direct transfers: stitching's business
_SAMPLES: Final = 4  # instructions tried for each form
_TOLD: Final = 60.0  # seconds between lines of progress in a file
_begun: SimpleQueue[tuple[int, str]] | None = None  # in a worker


@dataclass(frozen=True)
class Task:
    """A form, and the encodings that it is tried with."""

    isa: str
    key: str
    samples: Sequence[Instruction]
    states: int
    by_qemu: bool = False


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


def try_form(task: Task) -> trials.Trials:
    """All samples of a form, ``task.states`` states together. A mismatch of one is the form's; what is opaque is left out."""
    run = qemu.run if task.by_qemu else trials.run
    done, reason = 0, ""
    known: Instruction | None = None  # a sample with semantics: it takes the states of those without
    for number, instruction in enumerate((*task.samples, None)):
        left = task.states - done
        chosen, share = (instruction, min(left, -(-task.states // len(task.samples)))) if instruction else (known, left)
        if chosen is None or share <= 0:
            continue
        outcome = run(task.isa, chosen, share, seed=number)
        if outcome.mismatch and not outcome.mismatch.startswith("opaque"):
            return trials.Trials(done + outcome.states, outcome.mismatch)
        known, reason = (known, outcome.mismatch) if outcome.mismatch else (chosen, reason)
        done += outcome.states
    return trials.Trials(done, "" if done else reason)


def try_all(tasks: Sequence[Task], jobs: int) -> Generator[tuple[Task, trials.Trials]]:
    """Each task with what came of it, as they are done, by ``jobs`` processes. Close the generator to stop early.

    Raises RuntimeError if a process dies, or if the semantics have changed since this one was started.
    """
    wanted = {isa: gate.version(isa) for isa in {task.isa for task in tasks}}
    context = multiprocessing.get_context("spawn")
    begun = context.SimpleQueue()
    at_work: dict[int, str] = {}  # by process, what it began last
    pool = ProcessPoolExecutor(jobs, context, _start, (begun,))
    try:
        futures = {pool.submit(_try, task): task for task in tasks}
        for future in as_completed(futures):
            while not begun.empty():
                at_work.update([begun.get()])
            version, outcome = future.result()
            task = futures.pop(future)
            if version != wanted[task.isa]:
                raise RuntimeError(f"the semantics of {task.isa} have changed since the campaign began")
            yield task, outcome
    except BrokenProcessPool as error:
        raise RuntimeError(f"a process died; being tried were {'; '.join(sorted(at_work.values()))}") from error
    finally:
        for process in multiprocessing.active_children():
            process.terminate()
        pool.shutdown(cancel_futures=True)


def _try(task: Task) -> tuple[str, trials.Trials]:
    assert _begun
    _begun.put((os.getpid(), f"{task.isa}: {task.key}"))
    return gate.version(task.isa), try_form(task)


def _start(begun: SimpleQueue[tuple[int, str]]) -> None:
    """In a new worker: it tells ``begun`` what it tries. The parent deals with interrupts, and the worker ends with it."""
    global _begun
    _begun = begun
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


class _Progress:
    """Forms done, trials a second, time left, on standard error: a line that changes on a terminal, else one a minute."""

    def __init__(self, forms: int) -> None:
        self._forms, self._done, self._trials = forms, 0, 0
        self._started = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._told = self._started

    def add(self, states: int) -> None:
        self._done += 1
        self._trials += states
        now = time.monotonic()
        if self._terminal or now - self._told >= _TOLD:
            self._told = now
            left = round((now - self._started) / self._done * (self._forms - self._done))
            line = f"{self._done}/{self._forms} forms  {self.rate}  {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"
            print(f"\r{line}\033[K" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line on standard output, in place of the one that changes."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        print(line, flush=True)

    @property
    def rate(self) -> str:
        return f"{self._trials / max(time.monotonic() - self._started, 1e-9):,.0f} trials a second"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m solver.campaign", description="Instruction semantics against Unicorn.")
    parser.add_argument("files", nargs="*", type=Path, help="objects (.o) or encodings (.txt); default: those of the tables")
    parser.add_argument("--isa", choices=sorted(_MODES), help="default: all, or x86_64 where files are given")
    parser.add_argument("--states", type=int, default=gate.STATES, help=f"random states for each form (default {gate.STATES})")
    parser.add_argument("--only", default="", help="only forms that contain this text")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument("--samples", type=Path, help="write the encodings tried of forms that agreed to this .txt file")
    parser.add_argument("--write", action="store_true", help="write what is found into the table, and try nothing that it has")
    parser.add_argument("--qemu", action="store_true", help="RISC-V's floating point against qemu-riscv64")
    options = parser.parse_args(arguments)
    if options.qemu and (options.write or options.isa not in (None, "riscv64")):
        parser.error("--qemu is of riscv64, and the table is Unicorn's: no --isa, no --write")
    if options.qemu and (lacking := qemu.missing()):
        parser.error(f"not installed: {', '.join(lacking)}")
    isas = [options.isa] if options.isa else ["riscv64"] if options.qemu else ["x86_64"] if options.files else sorted(_MODES)
    tables = {isa: gate.table(isa) if options.write else {} for isa in isas}
    try:
        tasks = [Task(isa, key, samples, options.states, options.qemu) for isa in isas
                 for key, samples in sorted(sample(isa, instructions(isa, options.files or [gate.encodings_path(isa)]),
                                                   options.only).items())
                 if not options.qemu or qemu.can_try(samples[0])]  # fmt: skip
    except (OSError, ValueError) as error:
        parser.error(str(error))
    try:
        bad = _run(tasks, tables, options.jobs, options.write)
    except (KeyboardInterrupt, RuntimeError) as error:  # a worker that died is a RuntimeError
        print(f"\n{error}" if str(error) else "\nstopped", file=sys.stderr)
        if options.write:
            print("what was found is in the tables, and the same command goes on", file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    if options.samples:
        agreed = [task for task in tasks if tables[task.isa].get(task.key)]
        options.samples.write_text("".join(f"{i.code.hex()}  # {i.text}\n" for task in agreed for i in task.samples))
    return 1 if bad else 0


def _run(tasks: Sequence[Task], tables: dict[str, dict[str, int]], jobs: int, write: bool) -> int:
    """Try what ``tables`` do not have, put it there, and with ``write`` on disk. How many forms disagree."""
    left = [task for task in tasks if tables[task.isa].get(task.key, 0) < task.states]
    if write:
        for isa, forms in tables.items():  # first, so that no older table is taken for one of these semantics and engines
            gate.write_table(gate.table_path(isa), isa, forms)
            gate.write_engines(isa)
    progress = _Progress(len(left))
    total = bad = 0
    with closing(try_all(left, jobs)) as outcomes:
        for task, outcome in outcomes:
            total += outcome.states
            opaque = outcome.mismatch.startswith("opaque")
            if outcome.mismatch:
                progress.say(f"{'no semantics' if opaque else 'DISAGREES'}: {task.isa}: {task.key}: {outcome.mismatch}")
            bad += bool(outcome.mismatch) and not opaque
            if not opaque:
                tables[task.isa][task.key] = 0 if outcome.mismatch else outcome.states
                if write:
                    gate.write_table(gate.table_path(task.isa), task.isa, tables[task.isa])
            progress.add(outcome.states)
    agreed = sum(tables[task.isa].get(task.key, 0) > 0 for task in tasks)
    known = f", {len(tasks) - len(left)} of them by the table" if len(left) < len(tasks) else ""
    progress.say(f"{agreed} of {len(tasks)} forms agree{known}, {bad} disagree; {total:,} trials, {progress.rate}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
