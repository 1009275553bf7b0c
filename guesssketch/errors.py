"""Every error that a user can meet, in one tree.

    GuessSketchError            exit code
    |-- UsageError                  2     the command line or an option is wrong
    |-- InputError                  3     an input file is corrupt or unsupported
    |   |-- NotAnObject             3     not an ELF x86-64 relocatable object (or archive of them)
    |   |-- Untranslatable          3     one or more places that have no translation, each named
    |-- ToolError                   3     an outside tool (assembler, back end) failed or is missing
    |-- NotProved                   1     something was not proved or tested as ``--require`` asks
"""

from __future__ import annotations

from collections.abc import Sequence


class GuessSketchError(Exception):
    """Base of the tree; ``exit_code`` is the process's."""

    exit_code = 3


class UsageError(GuessSketchError):
    exit_code = 2


class InputError(GuessSketchError):
    pass


class NotAnObject(InputError):
    pass


class Untranslatable(InputError):
    """Raised once, at the end of a stage, with every problem found: ``object: symbol+0xoffset: instruction: why``."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[Untranslatable], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class ToolError(GuessSketchError):
    pass


class NotProved(GuessSketchError):
    exit_code = 1


class GuessSketchWarning(UserWarning):
    """Something was done without, and the result is as good (a cache that cannot be used); or the result holds under a condition
    that the user should know of (threads, under relaxed memory order)."""
