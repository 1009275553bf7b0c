"""Writes ``commands.md``, the help of every command as the command line prints it: ``python docs/commands.py``.

tests/test_docs.py checks that what lies there is what would be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from guesssketch.cli import main

PAGE = Path(__file__).with_name("commands.md")
WIDTH = 100
HEAD = """\
# Commands

What `--help` prints, written by `python docs/commands.py` and checked by a test. What the commands are for is in the
[README](../README.md).

Common to all: results go to standard output, everything else to standard error. A bar with rate and time left is drawn on a
terminal only. `--json FILE` writes a report, `--json -` prints it in place of the text. Each thing that
is wrong is a line that begins with `guesssketch:`; what to do next is the last line, which begins with `guesssketch: next:`. No
output is written over an input or another output, and none is left behind by an error.

| exit code | says |
|---|---|
| 0 | all as required |
| 1 | something was not proved or tested as required |
| 2 | wrong usage |
| 3 | an input is corrupt or unsupported, or a tool failed |
| 70 | a fault of guesssketch: please report it |
| 130, 141 | interrupted; the reader of the output went away |
"""


def text() -> str:
    """The page."""
    context = click.Context(main, info_name="guesssketch", terminal_width=WIDTH, max_content_width=WIDTH,
                            **main.context_settings)  # fmt: skip
    return HEAD + "".join(f"\n## {command}\n\n```\n{usage}\n```\n" for command, usage in _pages(main, context))


def _pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Each command's path and help, groups first."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner
            yield from _pages(inner, click.Context(inner, parent=context, info_name=name))


if __name__ == "__main__":
    PAGE.write_text(text())
