"""Problems answered by worker processes, a chunk at a time. No worker outlives its parent or an interrupt."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from guesssketch.answer import Answer, answer
from guesssketch.errors import ToolError, UsageError
from guesssketch.problem import Problem, Proposer
from solver import gate

_SMALLEST, _LARGEST = 20, 150  # problems in a chunk: enough for batches, few enough for progress
_SHARES = 4  # chunks that each worker gets at least, where there are enough problems


@dataclass(frozen=True)
class Work:
    """What a worker must know. ``memory``: folder for what is learnt about instructions (``solver.gate``), or None."""

    target: str
    proposers: tuple[str, ...]
    memory: Path | None = None


def make_proposers(names: Sequence[str], target: str) -> list[Proposer]:
    """The proposers by name, in order. Raises UsageError for an unknown name."""
    from guesssketch.lowering import Lowering

    makers = {"lowering": lambda: Lowering(target)}
    if unknown := [name for name in names if name not in makers]:
        raise UsageError(f"unknown proposer {unknown[0]!r}: choose from {', '.join(makers)}")
    return [makers[name]() for name in names]


def solve(problems: Sequence[Problem], work: Work, jobs: int) -> Generator[tuple[Sequence[Problem], list[Answer]]]:
    """Chunks of problems with their answers, as they are done. Close the generator to stop early.

    Raises ToolError if a worker dies, and what a worker raises.
    """
    size = max(_SMALLEST, min(_LARGEST, len(problems) // (jobs * _SHARES)))
    chunks = [problems[i : i + size] for i in range(0, len(problems), size)]
    if len(chunks) <= 1 or jobs == 1:
        for chunk in chunks:
            yield chunk, _answer(chunk, work)
        return
    context = get_context("spawn")
    alive, hold = context.Pipe(duplex=False)  # the workers stop when ``hold`` is closed
    with TemporaryDirectory(prefix="guesssketch-", ignore_cleanup_errors=True) as folder:
        pool = ProcessPoolExecutor(min(jobs, len(chunks)), context, _start, (alive, folder))
        try:
            with _uninterrupted():  # a worker that is being started must get all that it needs to know
                futures = {pool.submit(_answer, chunk, work): chunk for chunk in chunks}
            for future in as_completed(futures):
                yield futures[future], future.result()
            pool.shutdown()
        except BrokenProcessPool:
            raise ToolError("a worker process died (killed, or out of memory): fewer jobs (-j) need less memory") from None
        finally:
            hold.close()
            pool.shutdown(cancel_futures=True)
            alive.close()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off an interrupt until the context ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(alive: Connection, folder: str) -> None:
    """In a new worker: the parent deals with interrupts, and with the temporary files of a worker that it stops."""
    tempfile.tempdir = folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_stop_with, args=(alive,), daemon=True).start()


def _stop_with(alive: Connection) -> None:
    alive.poll(None)  # returns at end of file: the parent closed its end, or is no more
    os._exit(1)


def _answer(problems: Sequence[Problem], work: Work) -> list[Answer]:
    if work.memory is not None:
        gate.use_cache(work.memory)
    return answer(problems, make_proposers(work.proposers, work.target))
