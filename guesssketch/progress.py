"""How far a command is: a bar on a terminal, silence elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from rich import progress
from rich.console import Console


class Progress:
    """As a context: a function that is told a stage, how many of its items are done, and how many there are."""

    def __init__(self, console: Console) -> None:
        columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
                   progress.TimeRemainingColumn())  # fmt: skip
        self._bar = progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._bar.start()
        return self._update

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def _update(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total)
        self._bar.update(self._tasks[stage], completed=done, total=total)
