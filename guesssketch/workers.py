"""Worker processes, and problems answered by them, a chunk at a time. No worker outlives its parent or an interrupt."""

from __future__ import annotations

import atexit
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from guesssketch.answer import Answer, answer
from guesssketch.errors import ToolError, UsageError
from guesssketch.guess.proposer import Guesser, Ready
from guesssketch.problem import Candidate, Problem, Proposer
from solver import gate

Task = TypeVar("Task")
Result = TypeVar("Result")
Guesses = Mapping[str, Sequence[Candidate]]
"""What a model said, by the key of a problem or of a piece of one."""

_SMALLEST, _LARGEST = 20, 150  # problems in a chunk: enough for batches, few enough for progress
_DIED = "a worker process died (killed, or out of memory)"
_SHARES = 4  # chunks that each worker gets at least, where there are enough problems


@dataclass(frozen=True)
class Work:
    """What a worker must know. ``memory``: folder for what is learnt about instructions (``solver.gate``), or None."""

    target: str
    proposers: tuple[str, ...]
    memory: Path | None = None


def make_proposers(names: Sequence[str], target: str, model: Proposer | None = None) -> list[Proposer]:
    """The proposers by name, in order. ``model``: who ``lm`` is; if not given, the model that is shipped.

    Raises UsageError for an unknown name, and for ``sketch`` without ``lm`` before it.
    """
    from guesssketch.lowering import Lowering
    from guesssketch.sketch.proposer import Sketcher

    guesser = model or Guesser(target)
    makers: dict[str, Callable[[], Proposer]] = {
        "lm": lambda: guesser,
        "sketch": lambda: Sketcher(guesser),
        "lowering": lambda: Lowering(target),
    }
    if unknown := [name for name in names if name not in makers]:
        raise UsageError(f"unknown proposer {unknown[0]!r}: choose from {', '.join(makers)}")
    if "sketch" in names and "lm" not in names[: names.index("sketch")]:
        raise UsageError("sketch repairs what lm guesses, so lm must be asked before it: --proposers lm,sketch,lowering")
    return [makers[name]() for name in names]


def solve(problems: Sequence[Problem], work: Work, jobs: int, guesses: Mapping[str, Guesses] | None = None
          ) -> Generator[tuple[Sequence[Problem], list[Answer]]]:  # fmt: skip
    """Chunks of problems with their answers, as they are done. Close the generator to stop early.

    guesses: by the problem's key, what the model said about it and its pieces. The model runs in the parent, in large
    batches, so that no worker loads it.
    Raises ToolError if a worker dies, and what a worker raises.
    """
    size = max(_SMALLEST, min(_LARGEST, len(problems) // (jobs * _SHARES)))
    chunks = [problems[i : i + size] for i in range(0, len(problems), size)]

    def said(chunk: Sequence[Problem]) -> dict[str, Sequence[Candidate]]:
        return {key: found for p in chunk for key, found in (guesses or {}).get(p.key, {}).items()}

    with closing(spread(partial(_answer, work), [(chunk, said(chunk)) for chunk in chunks], jobs)) as answered:
        for number, found in answered:
            yield chunks[number], found


def spread(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Generator[tuple[int, Result]]:
    """``(n, work(tasks[n]))`` as they are done, by at most ``jobs`` processes. Close the generator to stop early.

    Raises ToolError if a worker dies, and what ``work`` raises.
    """
    if len(tasks) <= 1 or jobs == 1:
        yield from enumerate(map(work, tasks))
        return
    with _pool(min(jobs, len(tasks))) as pool:
        try:
            with _uninterrupted():
                futures = {pool.submit(work, task): number for number, task in enumerate(tasks)}
            for future in as_completed(futures):
                yield futures[future], future.result()
            pool.shutdown()
        except BrokenProcessPool:
            raise ToolError(_DIED, "fewer jobs (-j) need less memory") from None


class Alone:
    """One worker process, for work that may take it down or never end: it is replaced then, and after ``fresh`` tasks.

    Called by one thread at a time; ``close`` may be called by another, and ends the work that is being done.
    """

    def __init__(self, fresh: int) -> None:
        self._fresh = fresh
        self._done = 0
        self._closed = False
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def run(self, work: Callable[[Task], Result], task: Task, seconds: float) -> Result:
        """``work(task)``. Raises ToolError if that takes more than ``seconds`` or the worker dies, and what ``work`` raises."""
        if self._closed:
            raise ToolError("stopped")
        if self._pool is None or self._done >= self._fresh:
            self._renew()
        assert self._pool
        self._done += 1
        with _uninterrupted():
            future = self._pool.submit(work, task)
        try:
            return future.result(seconds)
        except BrokenProcessPool:
            self._stop()
            raise ToolError(_DIED) from None
        except TimeoutError:
            self._stop()
            raise ToolError(f"more than {seconds:.0f} s") from None

    def close(self) -> None:
        self._closed = True
        self._stop()

    def _renew(self) -> None:
        if self._pool:
            self._pool.shutdown()
        self._stop()
        self._pool, self._done = self._stack.enter_context(_pool(1)), 0

    def _stop(self) -> None:
        self._pool = None
        self._stack.pop_all().close()


@contextmanager
def _pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """``count`` workers, which are stopped when the context ends, whatever they do."""
    context = get_context("spawn")
    alive, hold = context.Pipe(duplex=False)  # the workers stop when ``hold`` is closed
    with TemporaryDirectory(prefix="guesssketch-", ignore_cleanup_errors=True) as folder:
        pool = ProcessPoolExecutor(count, context, _start, (alive, folder))
        try:
            yield pool
        finally:
            hold.close()
            pool.shutdown(cancel_futures=True)
            alive.close()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off an interrupt until the context ends: a worker that is being started must get all that it needs to know."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(alive: Connection, folder: str) -> None:
    """In a new worker: the parent deals with interrupts, and with the temporary files of a worker that it stops.

    A worker ends without taking down its modules: with a thread that still waits, pypcode calls that leaks on standard error.
    """
    atexit.register(os._exit, 0)
    tempfile.tempdir = folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_stop_with, args=(alive,), daemon=True).start()


def _stop_with(alive: Connection) -> None:
    alive.poll(None)  # returns at end of file: the parent closed its end, or is no more
    os._exit(1)


def _answer(work: Work, task: tuple[Sequence[Problem], Guesses]) -> list[Answer]:
    problems, guesses = task
    if work.memory is not None:
        gate.use_cache(work.memory)
    return answer(problems, make_proposers(work.proposers, work.target, Ready(guesses)))
