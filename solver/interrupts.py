"""Interrupts while a library that calls Python back is at work: raised in a callback, they would be lost there."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # whose ``signal`` takes a tenth of the time of that of ``signal``
import threading
from collections.abc import Callable
from typing import Any


class PutOff:
    """Within, an interrupt calls ``stop``, which must not raise, and is dealt with as ever when the context ends.

    Signals are dealt with in the main thread alone, so other threads are left as they are; so is a handler that is not Python's.
    """

    def __init__(self, stop: Callable[[], object] = lambda: None) -> None:
        self._stop = stop
        self._before: Any = None
        self._came: tuple[int, Any] | None = None

    def __enter__(self) -> None:
        before = _signal.getsignal(_signal.SIGINT)
        if callable(before) and threading.get_ident() == threading.main_thread().ident:
            self._before = before
            _signal.signal(_signal.SIGINT, self._put_off)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            _signal.signal(_signal.SIGINT, self._before)
            if self._came is not None:
                self._before(*self._came)

    def _put_off(self, number: int, frame: Any) -> None:
        self._came = number, frame
        self._stop()
