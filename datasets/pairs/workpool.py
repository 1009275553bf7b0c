"""Work spread over processes, results in the order of the items. No worker outlives its parent, however that ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

TASKS = 40  # items that a worker does before a fresh one takes its place: Z3, Unicorn and the term tables keep memory


class TimeLimitError(Exception):
    """More than the seconds that were allowed."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError in the main thread of a process when ``seconds`` are over (after the C call it is in)."""

    def over(number: int, frame: FrameType | None) -> None:
        raise TimeLimitError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ordered(function: Callable[[T], R], items: Iterable[T], jobs: int) -> Generator[tuple[T, R | None]]:
    """``(item, function(item))`` in order; None for an item whose worker died with it, also when tried alone.

    Raises what ``function`` raises. Close the iterator to stop early.
    """
    source = iter(items)
    waiting: deque[T] = deque()  # taken from ``source``, not answered yet
    pool = _pool(jobs)
    futures: deque[Future[R]] = deque()
    try:
        while True:
            while len(futures) < 2 * jobs and (item := next(source, None)) is not None:
                waiting.append(item)
                futures.append(pool.submit(function, item))
            if not futures:
                return
            try:
                result = futures[0].result()
            except BrokenProcessPool:
                pool.shutdown(cancel_futures=True)
                item = waiting.popleft()
                yield item, _alone(function, item)
                pool = _pool(jobs)
                futures = deque(pool.submit(function, each) for each in waiting)
                continue
            futures.popleft()
            yield waiting.popleft(), result
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(function: Callable[[T], R], item: T) -> R | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _pool(jobs: int) -> ProcessPoolExecutor:
    context = get_context("spawn")
    return ProcessPoolExecutor(jobs, context, _start, (os.getpid(),), max_tasks_per_child=TASKS)


def _start(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
