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
    """Base of the tree. exit_code: the process's. step: what the user can do next, "" where the message says it."""

    exit_code = 3
    step = ""

    def __init__(self, message: str = "", step: str = "") -> None:
        super().__init__(message)
        self.step = step or self.step


class UsageError(GuessSketchError):
    """The command line, an option or an argument is wrong."""

    exit_code = 2


class InputError(GuessSketchError):
    """An input file is corrupt or unsupported."""


class NotAnObject(InputError):
    step = "give it what gcc -c or clang -c makes for x86-64, or an archive of that"


class Untranslatable(InputError):
    """Raised once, at the end of a stage, with every problem found: ``object: symbol+0xoffset: instruction: why``."""

    step = "compile these places otherwise, or leave them out; docs/limitations.md has each reason"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[Untranslatable], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class ToolError(GuessSketchError):
    """An outside tool (assembler, back end, worker process) failed or is missing."""

    step = "if it is not for want of memory or disk space, please report it with the input"


class NotProved(GuessSketchError):
    """Something was not proved or tested as was required."""

    exit_code = 1
    step = "--require tested lets these pass; guesssketch show FILE --function NAME --stage proof shows what was tried"


class GuessSketchWarning(UserWarning):
    """Something was done without, and the result is as good (a cache that cannot be used); or the result holds under a condition
    that the user should know of (threads, under relaxed memory order)."""
