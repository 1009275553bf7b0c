"""What all commands share: options, where results go, how errors read. Imports nothing heavy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from guesssketch import PROPOSERS
from guesssketch.errors import GuessSketchError, GuessSketchWarning, InputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

TARGETS: Final = ("aarch64", "riscv64")
STDOUT: Final = Path("-")
_REPORT: Final = "this is a fault of guesssketch: please report it with the input and the lines above"
_CRASHED: Final = "guesssketch: killed, or crashed in a library: nothing is half written; what was proved before is in the cache"

target_choice: Final = click.Choice(TARGETS)
a_path: Final = click.Path(path_type=Path)
a_file: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
a_folder: Final = click.Path(path_type=Path, exists=True, file_okay=False)

prototypes: Final = click.option("--prototypes", multiple=True, metavar="FILE", type=a_file,
                                 help="C declarations of external functions; may be repeated.")  # fmt: skip
memory_order: Final = click.option(
    "--memory-order", type=click.Choice(("relaxed", "tso")), default="relaxed", show_default=True,
    help="Order of plain loads and stores as other threads see it: the target's, or x86-64's.")  # fmt: skip
proposers: Final = click.option("--proposers", metavar="NAMES", default=",".join(PROPOSERS), show_default=True,
                                help="Who is asked, in order, separated by commas.")  # fmt: skip
model: Final = click.option("--model", metavar="MODEL",
                            help="Folder of a model, or OWNER/NAME on the hub.  [default: the one that is shipped]")  # fmt: skip
targets: Final = click.option("--target", "targets", multiple=True, type=target_choice, help="May be repeated.  [default: both]")
jobs: Final = click.option("-j", "--jobs", metavar="N", type=click.IntRange(min=1), help="Worker processes.  [default: one a core]")
cache: Final = click.option("--cache", metavar="FOLDER", type=a_path,
                            help="Where proved translations are kept.  [default: ~/.cache/guesssketch]")  # fmt: skip
no_cache: Final = click.option("--no-cache", is_flag=True, help="Neither read nor write proved translations.")


def json_file(*names: str) -> Callable[[Any], Any]:
    """``--json FILE``, under further ``names`` too."""
    return click.option("--json", *names, "json_file", metavar="FILE", type=a_path,
                        help="Write a report as JSON; - prints it in place of the text.")  # fmt: skip


def names(text: str) -> tuple[str, ...]:
    """What is separated by commas."""
    return tuple(name.strip() for name in text.split(","))


def words(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """An option's text, cut as a shell would. Raises click.BadParameter."""
    import shlex

    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", context, parameter) from None


def cores() -> int:
    return len(os.sched_getaffinity(0))


def deliver(show: Callable[[Console], None], to_json: Callable[[], str], json_file: Path | None,
            files: Sequence[tuple[Path, bytes]] = (), width: int = 120) -> None:  # fmt: skip
    """Write ``files`` and the report, all or none, and print the text (on ``width`` columns where there is no terminal), or the
    report instead of it. Raises OSError.
    """
    from guesssketch import outputs

    report = to_json() if json_file else ""
    written = outputs.write([*files, *([(json_file, report.encode())] if json_file and json_file != STDOUT else [])])
    if json_file == STDOUT:
        click.echo(report, nl=False)
        return
    from rich.console import Console

    show(Console(width=None if sys.stdout.isatty() else width))
    if written:
        more = f" and {len(written) - 5} more" if len(written) > 5 else ""
        click.echo(f"wrote {', '.join(map(str, written[:5]))}{more}")


def check_json(json_file: Path | None, inputs: Sequence[Path] = (), others: Sequence[Path | None] = ()) -> None:
    """Raise UsageError unless the report, and the ``others`` that are asked for, can be written, each into a file of its own:
    better known before the work.
    """
    from guesssketch import outputs

    outputs.check_files([path for path in (None if json_file == STDOUT else json_file, *others) if path], inputs)


class Group(click.Group):
    """Commands whose errors name the page that helps where they know nothing better, and that end quietly when nobody reads on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            raise SystemExit(2)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()
            return found
        except (UsageError, InputError) as error:
            error.step = error.step or _see(f"{ctx.command_path} {ctx.invoked_subcommand}")
            raise
        except BrokenPipeError:  # the reader has seen enough (``| head``)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None


def _complain(error: click.ClickException | GuessSketchError | OSError) -> None:
    """On standard error: each line of what is wrong, and what to do next."""
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        lines, step = [" ".join(error.format_message().split())], _see(context.command_path if context else "guesssketch")
    elif isinstance(error, GuessSketchError):
        lines, step = str(error).splitlines(), error.step
    else:
        lines, step = [f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}"], ""
    for line in lines:
        click.echo(f"guesssketch: {line}", err=True)
    if step:
        click.echo(f"guesssketch: next: {step}", err=True)


def _see(command: str) -> str:
    return f"{command} --help says what it takes"


def run(main: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    0 all as required; 1 something was not proved or tested as required; 2 wrong usage; 3 an input that is corrupt or
    unsupported, or a tool that failed; 70 a fault of guesssketch itself; 130 interrupted; 141 the reader of the output went away.
    Without ``arguments`` the process is this command's, and watched.
    """
    with _watched() if arguments is None else nullcontext(), _heard(), warnings.catch_warnings():
        warnings.simplefilter("default", GuessSketchWarning)  # each once
        warnings.showwarning = _show_warning
        return _run(main, arguments)


@contextmanager
def _watched() -> Iterator[None]:
    """A shell says so if this process comes to an end within: a library that crashes takes it down before it can."""
    try:
        shell = subprocess.Popen(["sh", "-c", f"trap '' HUP INT TERM; read end || echo '{_CRASHED}' >&2"], stdin=subprocess.PIPE)
    except OSError:  # no shell
        yield
        return
    try:
        yield
    finally:
        shell.communicate(b"end\n")


@contextmanager
def _heard() -> Iterator[None]:
    """Within, an interrupt that comes while Unicorn calls Python back, and is lost there, comes again until it is heard."""
    over = threading.Event()

    def again() -> None:
        if not over.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def ignored(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is KeyboardInterrupt:
            threading.Timer(0.01, again).start()
        else:
            before(what)

    before, sys.unraisablehook = sys.unraisablehook, ignored
    try:
        yield
    finally:
        over.set()
        sys.unraisablehook = before


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
                  line: str | None = None) -> None:  # fmt: skip
    click.echo(f"guesssketch: {'' if category is GuessSketchWarning else category.__name__ + ': '}{message}", err=True)


def _run(main: click.Group, arguments: Sequence[str] | None) -> int:
    try:
        main.main(args=arguments, prog_name="guesssketch", standalone_mode=False)
    except click.ClickException as error:
        _complain(error)
        return 2
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        exec("")  # Python remembers an interrupt in the last text that it executed (a dataclass's, say), and would end by SIGINT
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except GuessSketchError as error:
        _complain(error)
        return error.exit_code
    except OSError as error:
        _complain(error)
        return 3
    except Exception:
        traceback.print_exc()
        click.echo(f"guesssketch: next: {_REPORT}", err=True)
        return 70
    return 0
