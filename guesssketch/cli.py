"""The command line. Heavy libraries are imported inside the commands, so that ``--help`` is quick."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from guesssketch import __version__
from guesssketch.errors import GuessSketchError, GuessSketchWarning

TARGETS = ("aarch64", "riscv64")
STAGES = ("cfg", "liveness", "source", "candidates", "proof")

_inputs = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
_target = click.option("--target", type=click.Choice(TARGETS), required=True, help="Instruction set to translate to.")
_prototypes = click.option("--prototypes", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
                           help="C declarations of external functions; may be repeated.")  # fmt: skip

_proposers = click.option("--proposers", default="lowering", show_default=True,
                          help="Who is asked, in order, separated by commas.")  # fmt: skip
_model = click.option("--model", help="Folder or hub name of the model that lm asks.  [default: the one that is shipped]")
_order = click.option("--memory-order", type=click.Choice(("relaxed", "tso")), default="relaxed", show_default=True,
                      help="Order of plain loads and stores as other threads see it: the target's, or x86-64's.")  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Translate x86-64 object files to AArch64 and RISC-V, each basic block proved equal."""


@main.command()
@_inputs
@_target
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path),
              help="Output file for one input, directory for several.")  # fmt: skip
@click.option("--emit", "kind", type=click.Choice(("obj", "asm")), default="obj", show_default=True, help="What to write.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a JSON report of every block.")
@click.option("--require", type=click.Choice(("proved", "tested")), default="tested", show_default=True,
              help="Weakest verdict to let through.")  # fmt: skip
@_proposers
@_model
@click.option("--prompt", type=click.Path(path_type=Path), help="Prompt template for a model that is not of this project.")
@_prototypes
@_order
@click.option("--assume", multiple=True, type=click.Choice(("in-range-conversions",)),
              help="Take for granted, for shorter code: floats that are converted to integers fit.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Worker processes.  [default: one a core]")
@click.option("--cache", type=click.Path(path_type=Path), help="Directory of proved translations.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write proved translations.")
def translate(files: Sequence[Path], target: str, output: Path, kind: Any, report: Path | None,
              require: Any, proposers: str, model: str | None, prompt: Path | None, prototypes: Sequence[Path],
              assume: Sequence[str], memory_order: Any, jobs: int | None, cache: Path | None, no_cache: bool) -> None:  # fmt: skip
    """Translate x86-64 objects and archives together; they call each other directly."""
    from rich.console import Console

    from guesssketch import outputs

    outputs.plan(files, output, kind)  # what cannot be written is better known before the work
    if report:
        outputs.check_file(report, files)

    from guesssketch import pipeline
    from guesssketch.cache import default_directory
    from guesssketch.progress import Progress

    settings: dict[str, Any] = {"target": target, "require": require, "prototypes": tuple(prototypes),
                                "model": model, "prompt": prompt, "assume": tuple(assume),
                                "memory_order": memory_order}  # fmt: skip
    settings["proposers"] = _names(proposers)
    settings["cache"] = None if no_cache else cache or default_directory()
    if jobs:
        settings["jobs"] = jobs
    with Progress(Console(stderr=True)) as progress:
        result = pipeline.translate(files, pipeline.Options(**settings, progress=progress))
    contents = result.files(output, kind)
    if report:
        contents.append((report, result.report.to_json().encode()))
    written = outputs.write(contents)
    result.report.print(Console(width=None if sys.stdout.isatty() else 120))
    click.echo(f"wrote {', '.join(map(str, written[:5]))}{f' and {len(written) - 5} more' if len(written) > 5 else ''}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--function", "name", help="Only this function.")
@click.option("--stage", type=click.Choice(STAGES), default="cfg", show_default=True, help="What to print.")
@click.option("--target", type=click.Choice(TARGETS), default="aarch64", show_default=True,
              help="Instruction set for all but the first stage.")  # fmt: skip
@_proposers
@_model
@_prototypes
@_order
def show(file: Path, name: str | None, stage: str, target: str, proposers: str, model: str | None,
         prototypes: Sequence[Path], memory_order: Any) -> None:  # fmt: skip
    """Print a stage of the pipeline as text."""
    from guesssketch import stages

    for line in stages.show(file, name, stage, target, prototypes, memory_order, _names(proposers), model):
        click.echo(line)


@main.command()
@click.argument("pair", type=click.Path(path_type=Path))
def prove(pair: Path) -> None:
    """Judge one source block and one target block, given in a text file (docs/pairs.md)."""
    from guesssketch import pairs
    from solver.verdict import Proved

    verdict = pairs.prove_pair(pairs.parse(_text(pair), str(pair)))
    click.echo(str(verdict))
    if not isinstance(verdict, Proved):
        sys.exit(1)


@main.command()
@click.argument("sketch", type=click.Path(path_type=Path))
@click.option("--candidates", type=click.IntRange(min=1), default=12000, show_default=True, help="Fillings to try, at most.")
def solve(sketch: Path, candidates: int) -> None:
    """Fill the holes in a target block so that it is proved equal to its source (docs/pairs.md)."""
    from guesssketch import api

    lines = api.solve(_text(sketch), candidates=candidates)
    for line in lines or ("no filling was found",):
        click.echo(line)
    if lines is None:
        sys.exit(1)


@main.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--target", type=click.Choice(TARGETS), help="Instruction set of the translation.  [default: as --against]")
@click.option("--against", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="An object to test, whoever made it.  [default: FILE is translated]")  # fmt: skip
@click.option("--function", "functions", multiple=True, help="Only this function; may be repeated.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="For each function.")
@click.option("--runs", help="At most so many inputs for each function; with --program, the file of command lines.")
@click.option("--program", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A whole x86-64 program, in place of FILE.")  # fmt: skip
@click.option("--translated", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The program made of its translation.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="What all inputs are made from.")
@click.option("--guided/--no-guided", default=True, show_default=True, help="Let coverage choose which inputs are changed.")
@click.option("--solver/--no-solver", default=True, show_default=True, help="Let Z3 look for inputs that reach the rest.")
@click.option("--corpus", type=click.Path(path_type=Path, file_okay=False), help="Folder of inputs, replayed first and added to.")
@click.option("--no-corpus", is_flag=True, help="Neither replay nor save inputs (a difference goes to ./guesssketch-differences).")
@click.option("--replay", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Only the input in this file.")
@click.option("--min-coverage", type=click.FloatRange(0, 100), default=0.0, help="Blocks of FILE to be covered, in percent.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write a JSON report.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write a report for continuous integration (JUnit's XML).")
@_prototypes
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Worker processes.  [default: one a core]")
@click.option("--cache", type=click.Path(path_type=Path), help="Directory of proved translations, and of inputs.")
def test(file: Path | None, target: str | None, against: Path | None, functions: tuple[str, ...], seconds: float,
         runs: str | None, program: Path | None, translated: Path | None, seed: int, guided: bool, solver: bool,
         corpus: Path | None, no_corpus: bool, replay: Path | None, min_coverage: float,
         json_file: Path | None, junit: Path | None, prototypes: Sequence[Path], jobs: int | None,
         cache: Path | None) -> None:  # fmt: skip
    """Run every function of FILE and of its translation on the same inputs, and compare.

    With --program, --translated and --runs, run two whole programs on the same command lines instead.
    """
    import os

    from rich.console import Console

    from guesssketch import outputs
    from guesssketch.cache import default_directory
    from guesssketch.progress import Progress
    from guesssketch.testing import run
    from guesssketch.testing.explore import Limits

    for path in filter(None, (json_file, junit)):
        outputs.check_file(path, [p for p in (file, program, translated) if p])
    if program or translated:
        if not (program and translated and runs) or file:
            raise click.UsageError("--program, --translated and --runs FILE go together, without FILE")
        from guesssketch.testing import programs

        with Progress(Console(stderr=True)) as progress:
            report = programs.compare(program, translated, programs.load(Path(runs)), progress)
        _show(report, json_file, junit)
        sys.exit(1 if report.different() or report.coverage("instructions") < min_coverage else 0)
    if file is None:
        raise click.UsageError("FILE, or --program, is needed")
    if runs is not None and not (runs.isdigit() and int(runs)):
        raise click.UsageError("--runs takes a number of inputs")
    if against is not None and target is None:
        target = run.target_of(against)
    if target is None:
        raise click.UsageError("--target or --against is needed")
    cache = cache or default_directory()
    limits = Limits(seconds, int(runs or Limits.runs), seed, guided, solver)
    kept = None if no_corpus else corpus or run.default_corpus(cache, file)
    with Progress(Console(stderr=True)) as progress:
        report = run.test(file, run.Options(target, against, functions, limits, jobs or os.cpu_count() or 1, kept, replay,
                                            tuple(prototypes), cache, progress))  # fmt: skip
    _show(report, json_file, junit)
    if report.different() or (replay is None and report.coverage() < min_coverage):
        sys.exit(1)


def _show(report: Any, json_file: Path | None, junit: Path | None) -> None:
    """Write the reports of a test that were asked for, and print the table."""
    from rich.console import Console

    from guesssketch import outputs

    contents = [(json_file, report.to_json().encode())] if json_file else []
    outputs.write([*contents, *([(junit, report.to_junit())] if junit else [])])
    report.print(Console(width=None if sys.stdout.isatty() else 160))


@main.command()
@click.argument("pairs", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Model folder; goes on from its checkpoint.")
@click.option("--target", "targets", multiple=True, type=click.Choice(TARGETS), help="May be repeated.  [default: both]")
@click.option("--size", type=click.Choice(("tiny", "small", "base", "deep", "large")), default="base", show_default=True)
@click.option("--init", type=click.Path(path_type=Path), help="Model folder whose weights and vocabulary to begin with.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=9.0, show_default=True,
              help="Of the whole run, over all its starts.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=10), help="Train so many steps instead, by tens.")
@click.option("--pause", type=click.FloatRange(min=0, min_open=True), help="Stop after so many minutes, to go on another time.")
@click.option("--every", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
              help="Seconds between measurements (steps, with --steps).")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Pairs of each target.  [default: all]")
@click.option("--augment", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Share of the copies under other registers that an epoch takes in.")  # fmt: skip
@click.option("--weights", type=click.Choice(("uniform", "occurrences")), default="uniform", show_default=True)
@click.option("--rate", type=click.FloatRange(min=0), default=1e-3, show_default=True, help="Highest learning rate.")
@click.option("--batch", type=click.IntRange(min=64), default=65536, show_default=True, help="Tokens a step and GPU.")
@click.option("--dropout", type=click.FloatRange(0, 0.9), default=0.0, show_default=True)
@click.option("--longest", type=click.IntRange(1, 384), default=256, show_default=True, help="Tokens on either side of a pair.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True, help="Compile layers, on a GPU.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Processes that read shards.  [default: one a core]")
def train(pairs: Path, output: Path, targets: tuple[str, ...], augment: float, weights: str, compiled: bool,
          jobs: int | None, **settings: Any) -> None:  # fmt: skip
    """Train a model on the pairs in a folder (datasets/pairs), for a given time."""
    import os

    from guesssketch.guess.train import Settings
    from guesssketch.guess.train import train as run_training

    run_training(Settings(pairs, output, tuple(dict.fromkeys(targets)) or TARGETS, renamed=augment,
                          by_occurrence=weights == "occurrences", compile=compiled,
                          jobs=jobs or os.cpu_count() or 1, **settings), say=click.echo)  # fmt: skip


@main.group()
def evaluate() -> None:
    """Measure the model on what training never saw."""


@evaluate.command("blocks")
@click.argument("pairs", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--model", help="Model folder, or name on the hub.  [default: the model in the package]")
@click.option("--target", "targets", multiple=True, type=click.Choice(TARGETS), help="May be repeated.  [default: both]")
@click.option("--split", type=click.Choice(("train", "valid", "test")), default="test", show_default=True, help="Which forms.")
@click.option("--limit", type=click.IntRange(min=1), help="Forms of each target, of each level its share.  [default: all]")
@click.option("--samples", type=click.IntRange(min=1), default=8, show_default=True, help="Guesses of each form.")
@click.option("--search", type=click.Choice(("beam", "sample")), default="beam", show_default=True,
              help="How guesses but the first are found.")  # fmt: skip
@click.option("--against", type=click.Choice(("best",)), help="Compare with the best lowering, too.")
@click.option("--calibrate", is_flag=True, help="Fit confidence, doubt and alignment on the valid split first, into its card.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes that judge.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a JSON report.")
def evaluate_blocks(pairs: Path, model: str | None, targets: Sequence[str], split: str, limit: int | None, samples: int,
                    search: Any, against: str | None, calibrate: bool, jobs: int, output: Path | None) -> None:  # fmt: skip
    """Guess the forms of PAIRS, a folder of shards, and prove the guesses."""
    from rich.console import Console

    from guesssketch import outputs

    if output:
        outputs.check_file(output)

    from guesssketch.cache import default_directory
    from guesssketch.evaluation import blocks, figures
    from guesssketch.guess.proposer import SHIPPED
    from guesssketch.progress import Progress

    with Progress(Console(stderr=True)) as progress:
        settings = blocks.Settings(pairs, tuple(targets) or TARGETS, split, limit, samples, search, jobs, bool(against),
                                   default_directory(), progress)  # fmt: skip
        report = blocks.run(model or SHIPPED, settings, calibrate)
    if output:
        outputs.write([(output, (json.dumps(report, indent=1) + "\n").encode())])
    figures.show(report, Console(width=None if sys.stdout.isatty() else 180))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _text(path: Path) -> str:
    from guesssketch.errors import InputError

    try:
        return path.read_text()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file") from error


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 all as required, 1 not proved as required, 2 usage, 3 input or tool."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", GuessSketchWarning)
        warnings.showwarning = _show_warning
        return _run(arguments)


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
                  line: str | None = None) -> None:  # fmt: skip
    click.echo(f"guesssketch: {'' if category is GuessSketchWarning else category.__name__ + ': '}{message}", err=True)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        main.main(args=arguments, prog_name="guesssketch", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except GuessSketchError as error:
        for line in str(error).splitlines():
            click.echo(f"guesssketch: {line}", err=True)
        return error.exit_code
    except OSError as error:
        click.echo(f"guesssketch: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", err=True)
        return 3
    return 0
