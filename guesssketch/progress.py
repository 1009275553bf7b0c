"""How far a command is: a bar with rate and time left on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich import progress
from rich.console import Console
from rich.text import Text

Tell = Callable[[str, int, int], None]  # stage, items done, all items (0: not known)


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""


class _Figures(progress.ProgressColumn):
    """Items done, items a second (or seconds an item, where that is more than one), time taken and time left, as far as known."""

    def render(self, task: progress.Task) -> Text:
        parts = [_time(task.elapsed or 0)]
        if task.total:
            speed = task.finished_speed or task.speed or 0
            rate = f"{speed:.{1 if speed < 10 else 0}f}/s" if speed >= 1 else f"{1 / speed:.1f} s each" if speed else ""
            parts = [f"{task.completed:.0f}/{task.total:.0f}", rate, *parts]
            parts += [] if task.time_remaining is None else [f"{_time(task.time_remaining)} left"]
        return Text("  ".join(filter(None, parts)))


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class Progress:
    """As a context: a function that is told a stage, how many of its items are done, and how many there are (0: not known)."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        columns = progress.TextColumn("{task.description}"), progress.BarColumn(), _Figures()
        # Lines that a command prints meanwhile go above the bar, unless they go into a file.
        self._bar = progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal,
                                      redirect_stdout=sys.stdout.isatty(), speed_estimate_period=120)  # fmt: skip
        self._tasks: dict[str, progress.TaskID] = {}
        self._pulsing: str | None = None

    def __enter__(self) -> Tell:
        self._bar.start()
        return self._update

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def _update(self, stage: str, done: int, total: int) -> None:
        if self._pulsing not in (None, stage):
            self._bar.remove_task(self._tasks.pop(self._pulsing or ""))
        self._pulsing = None if total else stage
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=None)
        self._bar.update(self._tasks[stage], completed=done, total=total or None)
