"""One C file to objects, and each object to normal forms of its blocks."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import forms
import workpool

from guesssketch import cfg, objfile, wall
from guesssketch.errors import GuessSketchError, Untranslatable
from guesssketch.liveness import ARGUMENTS, Live, analyse
from guesssketch.program import Place
from guesssketch.questions import ask, pieces
from guesssketch.resolve import BlockId, FunctionId, Resolver
from isa.separate import new_table, separate

LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
_LENIENT = ("-w", "-D_GNU_SOURCE", "-std=gnu17", "-Wno-error=implicit-function-declaration", "-Wno-error=implicit-int",
            "-Wno-error=int-conversion", "-Wno-error=incompatible-pointer-types")  # fmt: skip
_COMPILE_SECONDS = 60
_READ_SECONDS = 300
_RESULT: Live = {"rax": 64, "rdx": 64, "xmm0.lo": 64, "xmm0.hi": 64, "xmm1.lo": 64}


@dataclass(frozen=True)
class Configuration:
    """How an object is compiled. debug: with ``-g``, so that the signatures of its functions are known."""

    compiler: str
    level: str
    pic: bool
    debug: bool

    @property
    def flags(self) -> list[str]:
        return [self.level, "-fPIC" if self.pic else "-fno-pic", *(["-g"] if self.debug else [])]


@dataclass(frozen=True)
class Unit:
    """A C file of a package: what is done at once, or not at all. flags: include folders and macros; folder: where they hold."""

    package: str
    file: str
    path: str
    folder: str
    flags: tuple[str, ...]
    configurations: tuple[Configuration, ...]
    longest: int

    @property
    def name(self) -> str:
        return f"{self.package}/{self.file}"


@dataclass
class Compiled:
    """An object's outcome. status: ``ok``, ``compile`` (the compiler refused), ``read`` (the translator did); why: one line.

    found: normal form -> occurrences; bodies: their text; left_out: why -> pieces that have none.
    """

    configuration: Configuration
    status: str
    why: str = ""
    permissive: bool = False
    found: Counter[bytes] = field(default_factory=Counter)
    bodies: dict[bytes, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def configurations(name: str, compilers: Sequence[str], everything: bool = False) -> tuple[Configuration, ...]:
    """Every level with one compiler, PIC or not, debugging information or not, chosen by a hash of ``name`` and level.

    everything: each level, compiler and PIC or not (debugging information still by hash).
    """
    chosen = []
    for level in LEVELS:
        pick = int.from_bytes(hashlib.sha256(f"{name} {level}".encode()).digest()[:8], "big")
        debug = bool(pick >> 1 & 1)
        if everything:
            chosen += [Configuration(c, level, pic, debug) for c in compilers for pic in (False, True)]
        else:
            chosen.append(Configuration(compilers[(pick >> 2) % len(compilers)], level, bool(pick & 1), debug))
    return tuple(chosen)


def run_unit(unit: Unit) -> list[Compiled]:
    """Compile and read one file in each of its configurations."""
    results = []
    with tempfile.TemporaryDirectory(prefix="pairs-") as folder:
        compiled = Path(folder) / "unit.o"
        for configuration in unit.configurations:
            why = _compile(unit, configuration, compiled)
            if why:
                results.append(Compiled(configuration, "compile", why))
                continue
            try:
                with workpool.limit(_READ_SECONDS), separate(new_table()):
                    results.append(_read(compiled, configuration, unit.longest))
            except (GuessSketchError, workpool.TimeLimitError, RecursionError) as error:
                results.append(Compiled(configuration, "read", _line(str(error).replace(f"{compiled}: ", ""))))
    return results


def _compile(unit: Unit, configuration: Configuration, output: Path) -> str:
    """Empty, or why there is no object."""
    command = [configuration.compiler, *configuration.flags, *_LENIENT, *unit.flags, "-c", unit.path, "-o", str(output)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_COMPILE_SECONDS, check=False,
                              stdin=subprocess.DEVNULL, cwd=unit.folder)  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"more than {_COMPILE_SECONDS} s"
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    return _line(errors[0] if errors else done.stderr or f"exit {done.returncode}")


def _line(text: str) -> str:
    return text.strip().split("\n")[0][:200]


def _read(path: Path, configuration: Configuration, longest: int) -> Compiled:
    program = cfg.recover(objfile.read(path))
    resolver = Resolver(program)
    result = Compiled(configuration, "ok")
    try:
        liveness = analyse(program, resolver, wall.Boundary(program, resolver, "aarch64"))
    except Untranslatable:
        result.permissive = True
        liveness = analyse(program, resolver, Permissive())
    for at in liveness.live_in:
        block = program.functions[at.object][at.function].blocks[at.offset]
        for whole in ask(program, resolver, BlockId(*at), block, liveness.live_in[at], liveness.live_out[at], "aarch64"):
            for piece in pieces(whole, longest):
                kept = forms.body(piece)
                if kept is None or kept[1] is None:
                    result.left_out["no semantics" if kept is None else "not encoded under other names"] += 1
                    continue
                key, text = kept
                result.found[key] += 1
                result.bodies[key] = text
    return result


class Permissive:
    """A boundary for objects with a call that cannot be carried across: what the System V ABI allows to be read, is."""

    def call_uses(self, number: int, place: Place) -> Live:
        return ARGUMENTS

    def return_uses(self, at: FunctionId) -> Live | None:
        return dict(_RESULT)
