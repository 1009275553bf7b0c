"""Pairs as numbers: shards of JSON lines are tokenised once, and what comes of it is kept beside them.

Beside ``aarch64-train-000.jsonl.gz`` stands ``aarch64-train-000.npz``: the shard's own table of tokens and its pairs as
numbers of that table, so that it serves any vocabulary; ``aarch64-train-000.renamed.npz`` holds the same pairs under other
registers. A shard may be absent where its numbers are there: they are all that training needs.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import random
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guesssketch.errors import InputError, UsageError
from guesssketch.guess import tokens as tokenizer
from guesssketch.guess.tokens import Vocabulary
from guesssketch.problem import Symbol

TARGETS: Final = ("aarch64", "riscv64")
RIGHT: Final = ("proved", "tested")  # verdicts of pairs that may be learnt from
LEAST: Final = 20  # times a token occurs in the training split, or it is not in the vocabulary
_NONE: Final = 0xFFFF


@dataclass(frozen=True)
class Pairs:
    """Pairs end to end. Row n's source is ``source[source_start[n] : source_start[n + 1]]``, without marks at its ends.

    count: how often the form occurs in the objects. kind: index into ``TARGETS``. renamed: a copy under other registers.
    left_out: by target, pairs that hold a token out of the vocabulary or are too long. cut: most instructions in a source.
    """

    source: NDArray[np.uint16]
    source_start: NDArray[np.int64]
    target: NDArray[np.uint16]
    target_start: NDArray[np.int64]
    count: NDArray[np.uint32]
    kind: NDArray[np.uint8]
    renamed: NDArray[np.bool_]
    left_out: dict[str, int]
    cut: int

    def __len__(self) -> int:
        return len(self.count)


@dataclass(frozen=True)
class _Shard:
    table: list[str]
    arrays: dict[str, NDArray[Any]]  # source, source_length, target, target_length, count, cut (one number)
    kind: int
    renamed: bool


def prepare(folder: Path, split: str, targets: Sequence[str], renamed: bool = False, jobs: int = 1) -> list[Path]:
    """The ``.npz`` files of a split, made where they are missing or older than the tokenizer; UsageError if there are none."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of pairs", "datasets/README.md says how pairs are made")
    shards = [p for t in targets for suffix in (".jsonl", ".jsonl.gz") for p in sorted(folder.glob(f"{t}-{split}-*{suffix}"))]
    stamp = zlib.crc32(Path(tokenizer.__file__).read_bytes())
    work = [(p, kind) for p in shards for kind in ((False, True) if renamed else (False,)) if _stale(p, kind, stamp)]
    if len(work) > 1 and jobs > 1:
        with multiprocessing.get_context("spawn").Pool(min(jobs, len(work))) as pool:
            pool.starmap(partial(_tokenise, stamp=stamp), work, chunksize=1)
    else:
        for shard, kind in work:
            _tokenise(shard, kind, stamp)
    found = [p for t in targets for p in sorted(folder.glob(f"{t}-{split}-*.npz")) if renamed or not p.stem.endswith(".renamed")]
    for target in targets:
        if not any(p.name.startswith(target) for p in found):
            raise UsageError(f"{folder}: no pairs {target}-{split}-*.jsonl.gz", "datasets/README.md says how pairs are made")
    return found


def load(paths: Sequence[Path], vocabulary: Vocabulary | None, longest: int, limit: int | None = None, seed: int = 0,
         jobs: int = 1) -> tuple[Pairs, Vocabulary]:  # fmt: skip
    """Pairs of at most ``longest`` tokens on each side, ``limit`` of each target drawn by ``seed``.

    vocabulary: None makes one of the tokens that occur at least ``LEAST`` times. Raises InputError for a broken file.
    """
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        shards = list(pool.map(_read, paths))
        vocabulary = vocabulary or _vocabulary(shards)
        parts = list(pool.map(partial(_numbers, vocabulary=vocabulary, longest=longest), shards))
    left_out = {t: sum(p.left_out.get(t, 0) for p in parts) for t in TARGETS if any(t in p.left_out for p in parts)}
    everything = Pairs(
        source=np.concatenate([p.source for p in parts]),
        source_start=_starts(np.concatenate([np.diff(p.source_start) for p in parts])),
        target=np.concatenate([p.target for p in parts]),
        target_start=_starts(np.concatenate([np.diff(p.target_start) for p in parts])),
        count=np.concatenate([p.count for p in parts]),
        kind=np.concatenate([p.kind for p in parts]),
        renamed=np.concatenate([p.renamed for p in parts]),
        left_out=left_out,
        cut=max(p.cut for p in parts),
    )
    return (everything if limit is None else _sample(everything, limit, seed)), vocabulary


def _starts(lengths: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _sample(pairs: Pairs, limit: int, seed: int) -> Pairs:
    """``limit`` pairs of each target, and of the renamed copies as many."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    kept = np.zeros(len(pairs), bool)
    left_out = {}
    for n, target in enumerate(TARGETS):
        for renamed in (False, True):
            rows = order[(pairs.kind[order] == n) & (pairs.renamed[order] == renamed)]
            kept[rows[:limit]] = True
            if len(rows) and not renamed:
                left_out[target] = round(pairs.left_out[target] * min(1.0, limit / len(rows)))
    return _select(pairs, kept, left_out)


def _select(pairs: Pairs, kept: NDArray[np.bool_], left_out: dict[str, int]) -> Pairs:
    source, target = np.diff(pairs.source_start), np.diff(pairs.target_start)
    return Pairs(
        source=pairs.source[np.repeat(kept, source)],
        source_start=_starts(source[kept]),
        target=pairs.target[np.repeat(kept, target)],
        target_start=_starts(target[kept]),
        count=pairs.count[kept],
        kind=pairs.kind[kept],
        renamed=pairs.renamed[kept],
        left_out=left_out,
        cut=pairs.cut,
    )


def _vocabulary(shards: Sequence[_Shard]) -> Vocabulary:
    """Of originals alone: copies would lift rare tokens over the bar."""
    seen: Counter[str] = Counter()
    for shard in shards:
        if not shard.renamed:
            for side in ("source", "target"):
                counts = np.bincount(shard.arrays[side], minlength=len(shard.table))
                seen.update(dict(zip(shard.table, counts.tolist(), strict=True)))
    return Vocabulary.build(([token] * min(n, LEAST) for token, n in seen.items()), least=LEAST)


def _numbers(shard: _Shard, vocabulary: Vocabulary, longest: int) -> Pairs:
    """The shard in the vocabulary's numbers, without what cannot be said in it."""
    arrays = shard.arrays
    numbers = np.array([vocabulary.ids.get(token, _NONE) for token in shard.table], np.uint16)
    source, target = numbers[arrays["source"]], numbers[arrays["target"]]
    source_start, target_start = _starts(arrays["source_length"]), _starts(arrays["target_length"])
    kept = (arrays["source_length"] <= longest) & (arrays["target_length"] < longest)  # one is the end mark
    for flat, start in ((source, source_start), (target, target_start)):
        unknown = _starts(flat == _NONE)
        kept &= unknown[start[1:]] == unknown[start[:-1]]
    rows = len(kept)
    whole = Pairs(
        source, source_start, target, target_start, arrays["count"],
        kind=np.full(rows, shard.kind, np.uint8),
        renamed=np.full(rows, shard.renamed),
        left_out={},
        cut=int(arrays["cut"]),
    )  # fmt: skip
    return _select(whole, kept, {TARGETS[shard.kind]: 0 if shard.renamed else int(rows - kept.sum())})


# --- one shard


def _cache(shard: Path, renamed: bool) -> Path:
    return shard.with_name(shard.name.partition(".")[0] + (".renamed.npz" if renamed else ".npz"))


def _stale(shard: Path, renamed: bool, stamp: int) -> bool:
    path = _cache(shard, renamed)
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            return int(file["stamp"]) != stamp or path.stat().st_mtime < shard.stat().st_mtime
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return True


def _tokenise(shard: Path, renamed: bool, stamp: int) -> None:
    table: dict[str, int] = {}
    flat = {"source": array("H"), "target": array("H")}
    lengths = {"source": array("H"), "target": array("H")}
    counts = array("I")
    cut = 0
    for record in _records(shard):
        if renamed:
            copy = other_registers(record)
            if copy is None:
                continue
            record = copy
        source = record["source"]
        symbols = [Symbol(*symbol) for symbol in source["symbols"]]
        try:
            sides = {
                "source": tokenizer.source_tokens(source["s"], source["exit"], source["out"], symbols, record["target"]),
                "target": tokenizer.target_tokens(record["lines"]),
            }
        except ValueError:  # text that the tokenizer does not know
            continue
        for side, tokens in sides.items():
            flat[side].extend(table.setdefault(token, len(table)) for token in tokens)
            lengths[side].append(len(tokens))
        counts.append(record["count"])
        cut = max(cut, len(source["s"]))
    arrays: dict[str, NDArray[Any]] = {name: np.frombuffer(numbers, np.uint16) for name, numbers in flat.items()}
    arrays |= {f"{name}_length": np.frombuffer(numbers, np.uint16) for name, numbers in lengths.items()}
    arrays |= {"count": np.frombuffer(counts, np.uint32), "cut": np.array(cut), "stamp": np.array(stamp)}
    path = _cache(shard, renamed)
    partial_path = path.with_name(f"{path.name}.{os.getpid()}.partial")  # two runs may read one folder
    arrays["table"] = np.frombuffer(json.dumps(list(table)).encode(), np.uint8)
    with zipfile.ZipFile(partial_path, "w", zipfile.ZIP_LZMA) as archive:  # two thirds of what numpy's own deflate makes
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values)
    partial_path.replace(path)


def read_shard(shard: Path) -> Iterator[dict[str, Any]]:
    """The records of a shard, compressed or not. Raises InputError for a broken one."""
    opener: Callable[..., Any] = gzip.open if shard.suffix == ".gz" else open
    try:
        with opener(shard, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)
    except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
        raise InputError(f"{shard}: broken shard of pairs: {error}") from error


def _records(shard: Path) -> Iterator[dict[str, Any]]:
    """Records that may be learnt from."""
    try:
        yield from (record for record in read_shard(shard) if record["verdict"] in RIGHT)
    except (KeyError, TypeError) as error:
        raise InputError(f"{shard}: broken shard of pairs: {error}") from error


def _read(path: Path) -> _Shard:
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            arrays = {name: file[name] for name in ("source", "source_length", "target", "target_length", "count", "cut")}
            table = json.loads(file["table"].tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: broken file of numbers, delete it: {error}") from error
    return _Shard(table, arrays, TARGETS.index(path.name.partition("-")[0]), path.stem.endswith(".renamed"))


# --- renaming


def other_registers(record: dict[str, Any]) -> dict[str, Any] | None:
    """The record under a permutation of its registers, drawn by its own text; None if it has no two to exchange."""
    from guesssketch.guess.renaming import XMM, implicit, registers, rename_cell, rename_lines, rename_text
    from isa.machine import Instruction
    from isa.statemap import CONDITIONS, FLAGS, GENERAL, VECTORS

    source = record["source"]
    instructions = [Instruction(0, bytes.fromhex(code), text, ()) for code, text, _ in source["i"]]
    fixed = {"rsp"}.union(*map(implicit, instructions))
    draw = random.Random("\n".join(source["s"]))
    permutation: dict[str, str] = {}
    for pool in (GENERAL, XMM):
        free = [name for name in pool if name not in fixed]
        permutation |= dict(zip(free, draw.sample(free, len(free)), strict=True))
    used = {name for text in source["s"] for name in registers(text)}
    if all(permutation.get(name, name) == name for name in used):
        return None
    order = (*GENERAL, *VECTORS, *FLAGS, *CONDITIONS)
    out = sorted(([rename_cell(cell, permutation), bits] for cell, bits in source["out"]), key=lambda c: order.index(c[0]))
    renamed = {**source, "s": [rename_text(text, permutation) for text in source["s"]], "out": out}
    return {**record, "source": renamed, "lines": rename_lines(record["lines"], record["target"], permutation)}
