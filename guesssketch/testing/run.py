"""``guesssketch test``: every function of an object and of its translation on the same inputs, and what came of it."""

from __future__ import annotations

import hashlib
import pickle
import shlex
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from guesssketch import PROPOSERS, dwarf, emit, listing, objfile, pipeline
from guesssketch.errors import InputError, UsageError
from guesssketch.problem import MemoryOrder
from guesssketch.program import ObjectFile
from guesssketch.progress import Tell, quiet
from guesssketch.testing import corpus
from guesssketch.testing.coverage import Covered, Graph, Spot
from guesssketch.testing.explore import Found, Limits
from guesssketch.testing.instructions import placed
from guesssketch.testing.pair import LONGEST, Pair, Prepared, Tested, prepare
from guesssketch.testing.parting import parting
from guesssketch.testing.plan import MACHINES
from guesssketch.testing.report import FunctionResult, Report, Shown, Uncovered
from guesssketch.testing.rounds import Task, explore


@dataclass(frozen=True)
class Options:
    """against: the translation; None: made here, as ``translate`` says, by ``proposers`` and with ``memory_order``. functions:
    names, all if empty. corpus: folder of inputs, or None. replay: an input that was saved. progress: called with (stage, done,
    total)."""

    target: str
    against: Path | None = None
    functions: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    corpus: Path | None = None
    replay: Path | None = None
    prototypes: tuple[Path, ...] = ()
    cache: Path | None = None
    progress: Tell = quiet
    proposers: tuple[str, ...] = PROPOSERS
    memory_order: MemoryOrder = "relaxed"


def target_of(path: Path) -> str:
    """The target that an object is made for. Raises NotAnObject, InputError, OSError."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] == b"\x7fELF":
        from io import BytesIO

        machine = ELFFile(BytesIO(path.read_bytes()))["e_machine"]
        for target, name in MACHINES.items():
            if machine == name:
                return target
    raise InputError(f"{path}: not an object for {' or '.join(MACHINES)}", "--against takes what translate writes")


def test(path: Path, options: Options) -> Report:
    """Raises InputError (Untranslatable), NotProved, ToolError, UsageError and OSError."""
    files = objfile.read(path)
    if len(files) != 1:
        raise InputError(f"{path}: an archive of {len(files)} objects; a test takes one object")
    (file,) = files
    content, name = _translation(path, options)
    prepared = prepare(file, content, name, options.target, options.prototypes)
    chosen = _chosen(prepared, options)
    if options.replay is not None:
        return _replayed(path, prepared, options)
    saved = options.corpus and options.corpus / f"{path.stem}-{options.target}"
    results: dict[str, Found] = {}
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as folder:
        stored = Path(folder) / "prepared"
        stored.write_bytes(pickle.dumps(prepared))
        options.progress("test", 0, len(chosen))
        tasks = [Task(stored, tested.name, tuple(corpus.load(saved, tested))) for tested in chosen]
        with closing(explore(tasks, options.limits, options.jobs)) as done:
            for number, found in done:
                results[found.name] = found
                if saved:
                    corpus.save(saved, chosen[number], found.corpus)
                options.progress("test", len(results), len(tasks))
    return _report(path, name, prepared, chosen, results, options, saved)


def _translation(path: Path, options: Options) -> tuple[bytes, str]:
    """The translation's bytes and what to call it."""
    if options.against is not None:
        return options.against.read_bytes(), str(options.against)
    settings = pipeline.Options(options.target, jobs=options.jobs, cache=options.cache, prototypes=options.prototypes,
                                progress=options.progress, proposers=options.proposers,
                                memory_order=options.memory_order)  # fmt: skip
    (text,) = pipeline.translate([path], settings).assembly
    return emit.assemble(text.replace(".Lgs_b", "gs_b"), options.target), f"{path} translated"


def _chosen(prepared: Prepared, options: Options) -> list[Tested]:
    known = {tested.name: tested for tested in prepared.functions}
    for name in options.functions:
        if name not in known:
            why = prepared.left_out.get(name, "no such function")
            raise UsageError(f"{name} cannot be tested: {why}")
    return [tested for tested in prepared.functions if not options.functions or tested.name in options.functions]


def _replayed(path: Path, prepared: Prepared, options: Options) -> Report:
    """The report of one saved input."""
    assert options.replay is not None
    name, given = corpus.load_difference(options.replay)
    (tested,) = _chosen(prepared, Options(options.target, functions=(name,)))
    if len(given.arguments) != len(tested.signature.parameters):
        raise InputError(f"{options.replay}: saved under another signature of {name}")
    pair, graph = Pair(prepared), Graph(prepared.program, prepared.bases)
    pair.steps = LONGEST
    judged = pair.judge(tested, given)
    found = Found(name, 1)
    found.statuses[judged.status] += 1
    if judged.why:
        found.why[judged.why] += 1
    if judged.status == "different":
        found.difference = given, judged
    return Report(str(path), _name(path, options), options.target, [_result(path, prepared, graph, tested, found, options, None)])


def _name(path: Path, options: Options) -> str:
    return str(options.against) if options.against else f"{path} translated"


# --- the report -------------------------------------------------------------------------------------------------------


def _report(path: Path, name: str, prepared: Prepared, chosen: Sequence[Tested], results: dict[str, Found], options: Options,
            saved: Path | None) -> Report:  # fmt: skip
    graph = Graph(prepared.program, prepared.bases)
    blocks = frozenset(spot for found in results.values() for spot in found.covered.blocks)
    edges = frozenset(edge for found in results.values() for edge in found.covered.edges)
    pieces = {piece for found in results.values() for piece in found.instructions}
    names = {tested.index: tested for tested in chosen}
    rows = []
    where = _Lines(prepared.program.objects[0])
    for index, function in enumerate(prepared.program.functions[0]):
        tested = names.get(index)
        if tested is not None:
            row = _result(path, prepared, graph, tested, results[tested.name], options, saved)
        elif options.functions:
            continue
        else:
            row = FunctionResult(function.name, "left out", prepared.left_out.get(function.name, ""))
        _cover(row, index, prepared, graph, Covered(blocks, edges), where)
        row.instructions = _instructions(prepared, row.name, pieces)
        rows.append(row)
    return Report(str(path), name, options.target, rows)


def _result(path: Path, prepared: Prepared, graph: Graph, tested: Tested, found: Found, options: Options, saved: Path | None
            ) -> FunctionResult:  # fmt: skip
    compared = found.statuses["equal"] + found.statuses["different"]
    verdict = "different" if found.difference else "equal" if compared else "undecided"
    why = "" if compared else f"no run could be compared: {', '.join(w for w, _ in found.why.most_common(2))}"
    row = FunctionResult(tested.name, verdict, why, str(tested.signature), found.runs, round(found.seconds, 3))
    row.statuses = dict(found.statuses)
    row.notes = [f"{count} runs: {why}" for why, count in found.why.most_common(4)]
    if not tested.compared:
        row.notes.append("its type is not known (-g, --prototypes): the result was not compared")
    if found.difference is not None:
        given, judged = found.difference
        kept = options.replay or corpus.save_difference(saved or Path("guesssketch-differences"), tested, given)
        row.difference = Shown(given.to_json(), tuple(map(str, judged.differences[:8])),
                               tuple(parting(Pair(prepared), graph, tested, given)), _again(path, options, kept))  # fmt: skip
    return row


def _again(path: Path, options: Options, kept: Path) -> str:
    if options.against:
        against = ["--against", str(options.against)]
    else:
        against = ["--target", options.target, "--proposers", ",".join(options.proposers), "--memory-order", options.memory_order]
    more = [word for header in options.prototypes for word in ("--prototypes", str(header))]
    return shlex.join(["guesssketch", "test", str(path), *against, *more, "--replay", str(kept)])


def _cover(row: FunctionResult, index: int, prepared: Prepared, graph: Graph, covered: Covered, where: _Lines) -> None:
    function = prepared.program.functions[0][index]
    spots = [Spot(index, number) for number in function.blocks if Spot(index, number) in graph.blocks]
    edges = [edge for edge in graph.edges if edge[0].function == index]
    row.blocks = sum(spot in covered.blocks for spot in spots), len(spots)
    row.edges = sum(edge in covered.edges for edge in edges), len(edges)
    for spot in spots:
        if spot not in covered.blocks:
            section, offset = graph.blocks[spot].home
            first = next(iter(graph.blocks[spot].instructions), None)
            row.uncovered.append(Uncovered(listing.block_name(spot.block), first.text if first else "",
                                           where.at(section or function.section, offset)))  # fmt: skip


class _Lines:
    """Source lines of the original's code."""

    def __init__(self, file: ObjectFile) -> None:
        self._lines = dwarf.lines(file)
        self._rows = sorted(self._lines)

    def at(self, section: int, offset: int) -> str:
        index = bisect_right(self._rows, (section, offset)) - 1
        if index < 0 or self._rows[index][0] != section:
            return ""
        line = self._lines[self._rows[index]]
        return f"{line.file}:{line.line}"


def _instructions(prepared: Prepared, name: str, pieces: set[tuple[int, int]]) -> tuple[int, int]:
    """Instructions of the translation's function ``name``: run, and all."""
    start, size = prepared.translation.extents.get(name, (0, 0))
    if not size:
        return 0, 0
    code = b"".join(prepared.translation.code[n] for n in range(start // 4096, (start + size - 1) // 4096 + 1))
    return placed(code[start % 4096 : start % 4096 + size], start, prepared.target, pieces)


def default_corpus(cache: Path, path: Path) -> Path:
    """Where inputs for the object at ``path`` are kept, if nothing else is said."""
    return cache / "tests" / hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
