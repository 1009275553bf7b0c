"""What `testing` measures with: real objects, translated by the lowering and made ready to run, kept as files for its workers."""

from __future__ import annotations

import functools
import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from building import build, recipes
from guesssketch import emit, objfile, pipeline
from guesssketch.cache import default_directory
from guesssketch.testing.coverage import Graph
from guesssketch.testing.pair import Prepared, prepare
from harness import CACHE, ROOT

EXAMPLES = "examples"


@dataclass(frozen=True)
class Subject:
    """One object at one target. package: a recipe's name, or ``examples``. level: of gcc, such as ``O2``. name: of the source."""

    package: str
    level: str
    target: str
    name: str
    path: Path

    @property
    def key(self) -> str:
        return f"{self.package}/{self.level}/{self.target}/{self.name}"

    @property
    def stored(self) -> Path:
        """Where `ready` leaves what is prepared, pickled."""
        return CACHE / "testing" / "ready" / f"{hashlib.sha256(str(self.path).encode()).hexdigest()[:16]}.{self.target}"


def subjects(package: str, level: str, target: str) -> list[Subject]:
    """The objects of all programs of a package, or of ``examples/objects``. Raises FailedError if it cannot be built."""
    if package == EXAMPLES:
        suffix = f".{level}.o"
        paths = sorted((ROOT / "examples" / "objects").glob(f"*{suffix}"))
        return [Subject(package, level, target, path.name.removesuffix(suffix), path) for path in paths]
    built = build(recipes()[package], f"gcc -{level}", "pie")
    hashes = sorted({name for program in built.programs.values() for name in program.hashes})
    found = [Subject(package, level, target, _source(path), path) for path in (built.store / f"{name}.o" for name in hashes)]
    return sorted(found, key=lambda subject: subject.key)


def _source(path: Path) -> str:
    (file,) = objfile.read(path)
    return next(symbol.name for symbol in file.symbols if symbol.type == "file")


@functools.lru_cache(maxsize=2)
def translation(subject: Subject) -> pipeline.Translation:
    """Raises Untranslatable and ToolError."""
    return pipeline.translate([subject.path], pipeline.Options(subject.target, jobs=1, cache=default_directory(),
                                                               proposers=("lowering",)))  # fmt: skip


def prepared(subject: Subject, assembly: str) -> Prepared:
    """``assembly`` is the translation. Raises ToolError."""
    (file,) = objfile.read(subject.path)
    return prepare(file, emit.assemble(assembly, subject.target), f"{subject.key} translated", subject.target)


def ready(subject: Subject) -> Prepared:
    """The object with its translation as it is; left in ``subject.stored`` too. Raises Untranslatable and ToolError."""
    (assembly,) = translation(subject).assembly
    made = prepared(subject, assembly)
    subject.stored.parent.mkdir(parents=True, exist_ok=True)
    subject.stored.write_bytes(pickle.dumps(made))
    return made


def extent(made: Prepared) -> tuple[int, int]:
    """Blocks and edges of all functions of the original."""
    graph = Graph(made.program, made.bases)
    return len(graph.blocks), len(graph.edges)


def all_subjects(packages: list[str], levels: list[str], targets: list[str]) -> Iterator[Subject]:
    for package in packages:
        for level in levels:
            for target in targets:
                yield from subjects(package, level, target)
