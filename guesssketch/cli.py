"""The command line. Heavy libraries are imported inside the commands, so that ``--help`` is quick.

Results go to standard output; progress (on a terminal), warnings and errors to standard error. Exit codes: ``command.run``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from guesssketch import __version__, command
from guesssketch.command import a_file, a_folder, a_path, check_json, deliver, target_choice

STAGES = ("cfg", "liveness", "source", "candidates", "proof")
SHELLS = ("bash", "zsh", "fish")


@click.group(cls=command.Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Translate x86-64 object files to AArch64 and RISC-V, each basic block proved equal."""


@main.command()
@click.argument("files", nargs=-1, required=True, type=a_path)
@click.option("--target", type=target_choice, required=True, help="Instruction set to translate to.")
@click.option("-o", "--output", required=True, type=a_path, help="Output file for one input, directory for several.")
@click.option("--emit", "kind", type=click.Choice(("obj", "asm")), default="obj", show_default=True, help="What to write.")
@command.json_file("--report")
@click.option("--html", metavar="FILE", type=a_path, help="Write a page to read it all in a browser.")
@click.option("--tests", metavar="FILE", type=a_file,
              help="JSON report of `guesssketch test`, for the page to show what was tested.")  # fmt: skip
@click.option("--require", type=click.Choice(("proved", "tested")), default="tested", show_default=True,
              help="Weakest verdict to let through.")  # fmt: skip
@command.proposers
@command.model
@click.option("--prompt", metavar="FILE", type=a_file, help="Prompt template for a model that is not of this project.")
@command.prototypes
@command.memory_order
@click.option("--assume", multiple=True, type=click.Choice(("in-range-conversions",)),
              help="Take for granted, for shorter code: floats that are converted to integers fit.")  # fmt: skip
@command.jobs
@command.cache
@command.no_cache
def translate(files: Sequence[Path], target: str, output: Path, kind: Any, json_file: Path | None, html: Path | None,
              tests: Path | None, require: Any, proposers: str, model: str | None, prompt: Path | None, prototypes: Sequence[Path],
              assume: Sequence[str], memory_order: Any, jobs: int | None, cache: Path | None, no_cache: bool) -> None:  # fmt: skip
    """Translate x86-64 objects and archives.

    Those given together are one program: they call each other directly.
    """
    from guesssketch import outputs

    slots = outputs.plan(files, output, kind)  # what cannot be written is better known before the work
    check_json(json_file, files, [html])
    for path in (json_file, html):
        if path and path.resolve() in [slot.path.resolve() for slot in slots]:
            raise click.UsageError(f"{path}: the translation goes there")
    if tests and not html:
        raise click.UsageError("--tests is for the page: give --html too")

    from guesssketch import pipeline
    from guesssketch.cache import default_directory
    from guesssketch.progress import Progress

    with Progress() as progress:
        result = pipeline.translate(files, pipeline.Options(
            target, require, jobs or command.cores(), None if no_cache else cache or default_directory(),
            command.names(proposers), model, prompt, tuple(prototypes), tuple(assume), progress,
            memory_order, align=html is not None))  # fmt: skip
    contents = result.files(output, kind)
    if html:
        from guesssketch import page

        contents.append((html, page.rendered(page.gathered(result, page.tests(tests) if tests else None)).encode()))
    deliver(result.report.print, result.report.to_json, json_file, contents)


@main.command()
@click.argument("file", type=a_path)
@click.option("--function", "name", metavar="NAME", help="Only this function.")
@click.option("--stage", type=click.Choice(STAGES), default="cfg", show_default=True, help="What to print.")
@click.option("--target", type=target_choice, default="aarch64", show_default=True,
              help="Instruction set for all but the first stage.")  # fmt: skip
@command.proposers
@command.model
@command.prototypes
@command.memory_order
@command.json_file()
def show(file: Path, name: str | None, stage: str, target: str, proposers: str, model: str | None,
         prototypes: Sequence[Path], memory_order: Any, json_file: Path | None) -> None:  # fmt: skip
    """Print a stage of the pipeline as text."""
    check_json(json_file, [file])

    from dataclasses import asdict

    from guesssketch import stages

    listings = stages.show(file, name, stage, target, prototypes, memory_order, command.names(proposers), model)
    if json_file is None:
        for listing in listings:
            click.echo("\n".join(stages.text(listing)))
    else:
        told = {"stage": stage, "target": target, "functions": [asdict(listing) for listing in listings]}
        deliver(lambda console: None, lambda: json.dumps(told, indent=1) + "\n", json_file)


@main.command()
@click.argument("pair", type=a_path)
@command.json_file()
def prove(pair: Path, json_file: Path | None) -> None:
    """Judge one source block and one target block.

    PAIR is a text file: docs/pairs.md.
    """
    check_json(json_file, [pair])

    from guesssketch import pairs
    from solver.verdict import Proved, to_dict

    verdict = pairs.prove_pair(pairs.parse(_text(pair), str(pair)))
    deliver(lambda console: click.echo(str(verdict)), lambda: json.dumps(to_dict(verdict), indent=1) + "\n", json_file)
    if not isinstance(verdict, Proved):
        sys.exit(1)


@main.command()
@click.argument("sketch", type=a_path)
@click.option("--candidates", metavar="N", type=click.IntRange(min=1), default=12000, show_default=True,
              help="Fillings to try, at most.")  # fmt: skip
@command.json_file()
def solve(sketch: Path, candidates: int, json_file: Path | None) -> None:
    """Fill the holes in a target block so that it is proved equal to its source (docs/pairs.md)."""
    check_json(json_file, [sketch])

    from guesssketch import api

    lines = api.solve(_text(sketch), candidates=candidates)
    shown = "\n".join(lines or ("no filling was found",))
    deliver(lambda console: click.echo(shown), lambda: json.dumps({"lines": lines}) + "\n", json_file)
    if lines is None:
        click.echo("guesssketch: next: other holes (docs/pairs.md), or more --candidates", err=True)
        sys.exit(1)


@main.command()
@click.argument("file", type=a_path, required=False)
@click.option("--target", type=target_choice, help="Instruction set of the translation.  [default: as --against]")
@click.option("--against", type=a_file, help="An object to test, whoever made it.  [default: FILE is translated]")
@click.option("--function", "functions", multiple=True, metavar="NAME", help="Only this function; may be repeated.")
@click.option("--seconds", metavar="X", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True,
              help="For each function.")  # fmt: skip
@click.option("--runs", metavar="N|FILE",
              help="At most so many inputs for each function; with --program, the file of command lines.")  # fmt: skip
@click.option("--program", type=a_file, help="A whole x86-64 program, in place of FILE.")
@click.option("--translated", type=a_file, help="The program made of its translation.")
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="What all inputs are made from.")
@click.option("--guided/--no-guided", default=True, show_default=True, help="Let coverage choose which inputs are changed.")
@click.option("--solver/--no-solver", default=True, show_default=True, help="Let Z3 look for inputs that reach the rest.")
@click.option("--corpus", type=click.Path(path_type=Path, file_okay=False), help="Folder of inputs, replayed first and added to.")
@click.option("--no-corpus", is_flag=True, help="Neither replay nor save inputs (a difference goes to ./guesssketch-differences).")
@click.option("--replay", type=a_file, help="Only the input in this file.")
@click.option("--min-coverage", metavar="X", type=click.FloatRange(0, 100), default=0.0,
              help="Blocks of FILE to be covered, in percent.")  # fmt: skip
@command.json_file()
@click.option("--junit", type=a_path, help="Write a report for continuous integration (JUnit's XML).")
@command.proposers
@command.memory_order
@command.prototypes
@command.jobs
@command.cache
@command.no_cache
def test(file: Path | None, target: str | None, against: Path | None, functions: tuple[str, ...], seconds: float,
         runs: str | None, program: Path | None, translated: Path | None, seed: int, guided: bool, solver: bool,
         corpus: Path | None, no_corpus: bool, replay: Path | None, min_coverage: float, json_file: Path | None,
         junit: Path | None, proposers: str, memory_order: Any, prototypes: Sequence[Path], jobs: int | None, cache: Path | None,
         no_cache: bool) -> None:  # fmt: skip
    """Run an object and its translation on the same inputs.

    Every function of FILE is compared. --proposers and --memory-order are of a translation that is made here. With --program,
    --translated and --runs, two whole programs are run on the same command lines instead.
    """
    inputs = [path for path in (file, program, translated) if path]
    check_json(json_file, inputs, [junit])
    if (program or translated) and (not (program and translated and runs) or file):
        raise click.UsageError("--program, --translated and --runs FILE go together, without FILE")
    if not inputs:
        raise click.UsageError("FILE, or --program, is needed")
    if file and runs is not None and not (runs.isdigit() and int(runs)):
        raise click.UsageError("--runs takes a number of inputs")

    from guesssketch.cache import default_directory
    from guesssketch.progress import Progress

    if program and translated and runs:
        from guesssketch.testing import programs

        with Progress() as progress:
            report = programs.compare(program, translated, programs.load(Path(runs)), progress)
        covered = report.coverage("instructions")
    else:
        from guesssketch.testing import run
        from guesssketch.testing.explore import Limits

        assert file
        target = target or (run.target_of(against) if against else None)
        if target is None:
            raise click.UsageError("--target or --against is needed")
        limits = Limits(seconds, int(runs or Limits.runs), seed, guided, solver)
        place = cache or default_directory()
        kept = None if no_corpus else corpus or run.default_corpus(place, file)
        with Progress() as progress:
            report = run.test(file, run.Options(target, against, functions, limits, jobs or command.cores(), kept, replay,
                                                tuple(prototypes), None if no_cache else place, progress,
                                                command.names(proposers), memory_order))  # fmt: skip
        covered = 100.0 if replay else report.coverage()
    deliver(report.print, report.to_json, json_file, [(junit, report.to_junit())] if junit else [], width=160)
    if report.different() or covered < min_coverage:
        sys.exit(1)


@main.command()
@click.argument("pairs", type=a_folder)
@click.option("-o", "--output", required=True, type=a_path, help="Model folder; goes on from its checkpoint.")
@command.targets
@click.option("--size", type=click.Choice(("tiny", "small", "base", "deep", "large")), default="base", show_default=True,
              help="Of the network.")  # fmt: skip
@click.option("--init", type=a_path, help="Model folder whose weights and vocabulary to begin with.")
@click.option("--minutes", metavar="X", type=click.FloatRange(min=0, min_open=True), default=9.0, show_default=True,
              help="Of the whole run, over all its starts.")  # fmt: skip
@click.option("--steps", metavar="N", type=click.IntRange(min=10), help="Train so many steps instead, by tens.")
@click.option("--pause", metavar="X", type=click.FloatRange(min=0, min_open=True),
              help="Stop after so many minutes, to go on another time.")  # fmt: skip
@click.option("--every", metavar="X", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
              help="Seconds between measurements (steps, with --steps).")  # fmt: skip
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Pairs of each target.  [default: all]")
@click.option("--augment", metavar="X", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Share of the copies under other registers that an epoch takes in.")  # fmt: skip
@click.option("--weights", type=click.Choice(("uniform", "occurrences")), default="uniform", show_default=True,
              help="Whether pairs that occur more often weigh more.")  # fmt: skip
@click.option("--rate", metavar="X", type=click.FloatRange(min=0), default=1e-3, show_default=True, help="Highest learning rate.")
@click.option("--batch", metavar="N", type=click.IntRange(min=64), default=65536, show_default=True, help="Tokens a step and GPU.")
@click.option("--dropout", metavar="X", type=click.FloatRange(0, 0.9), default=0.0, show_default=True,
              help="Share of activations left out.")  # fmt: skip
@click.option("--longest", metavar="N", type=click.IntRange(1, 384), default=256, show_default=True,
              help="Tokens on either side of a pair.")  # fmt: skip
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="What all that is random is made from.")
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True, help="Compile layers, on a GPU.")
@command.json_file()
@command.jobs
def train(pairs: Path, output: Path, targets: tuple[str, ...], augment: float, weights: str, compiled: bool,
          json_file: Path | None, jobs: int | None, **settings: Any) -> None:  # fmt: skip
    """Train a model on pairs, for a given time.

    PAIRS is a folder of shards (datasets/pairs). The report is the last measurement.
    """
    check_json(json_file)

    from guesssketch.guess.train import Settings
    from guesssketch.guess.train import train as run_training
    from guesssketch.progress import Progress

    def say(line: str) -> None:
        click.echo(line, err=json_file == command.STDOUT)

    asked = Settings(pairs, output, tuple(dict.fromkeys(targets)) or command.TARGETS, renamed=augment,
                     by_occurrence=weights == "occurrences", compile=compiled,
                     jobs=jobs or command.cores(), **settings)  # fmt: skip
    with Progress() as progress:
        last = run_training(asked, say, progress)
    deliver(lambda console: None, lambda: json.dumps(last, indent=1) + "\n", json_file)


@main.group(cls=command.Group)
def evaluate() -> None:
    """Measure a model on blocks that it has not seen, or translations on whole programs."""


@evaluate.command("blocks")
@click.argument("pairs", type=a_folder)
@command.model
@command.targets
@click.option("--split", type=click.Choice(("train", "valid", "test")), default="test", show_default=True, help="Which forms.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1),
              help="Forms of each target, of each level its share.  [default: all]")  # fmt: skip
@click.option("--samples", metavar="N", type=click.IntRange(min=1), default=8, show_default=True, help="Guesses of each form.")
@click.option("--search", type=click.Choice(("beam", "sample")), default="beam", show_default=True,
              help="How guesses but the first are found.")  # fmt: skip
@click.option("--against", type=click.Choice(("best",)), help="Compare with the best lowering, too.")
@click.option("--calibrate", is_flag=True, help="Fit confidence, doubt and alignment on the valid split first, into its card.")
@command.json_file()
@command.jobs
def evaluate_blocks(pairs: Path, model: str | None, targets: Sequence[str], split: str, limit: int | None,
                    samples: int, search: Any, against: str | None, calibrate: bool, json_file: Path | None,
                    jobs: int | None) -> None:  # fmt: skip
    """Guess the forms of PAIRS, a folder of shards, and prove the guesses."""
    check_json(json_file)

    from guesssketch.cache import default_directory
    from guesssketch.evaluation import blocks, figures
    from guesssketch.guess.proposer import SHIPPED
    from guesssketch.progress import Progress

    with Progress() as progress:
        settings = blocks.Settings(pairs, tuple(targets) or command.TARGETS, split, limit, samples, search,
                                   jobs or command.cores(), bool(against), default_directory(), progress)  # fmt: skip
        report = blocks.run(model or SHIPPED, settings, calibrate)
    deliver(lambda console: figures.show(report, console), lambda: json.dumps(report, indent=1) + "\n", json_file, width=180)


@evaluate.command("programs")
@click.argument("suite", type=click.Path(path_type=Path, exists=True))
@command.targets
@click.option("--level", "levels", multiple=True, type=click.Choice(("-O0", "-O1", "-O2", "-O3", "-Os")),
              help="May be repeated.  [default: the first four]")  # fmt: skip
@click.option("--compiler", "compilers", multiple=True, metavar="COMMAND",
              help="Makes x86-64 objects of C; may be repeated.  [default: gcc]")  # fmt: skip
@click.option("--flags", metavar="TEXT", default="", callback=command.words, help="More arguments for the compilers.")
@click.option("--link", metavar="TEXT", default="", callback=command.words, help="More arguments for all linkers.")
@command.proposers
@command.model
@command.memory_order
@click.option("--seconds", metavar="X", type=click.FloatRange(min=0, min_open=True), default=900.0, show_default=True,
              help="For each translation.")  # fmt: skip
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Programs, evenly spread.  [default: all]")
@click.option("--results", metavar="FILE", type=a_path,
              help="Where results are kept as they come, to go on from.  [default: in the cache]")  # fmt: skip
@click.option("--again", is_flag=True, help="Do not go on from kept results.")
@command.json_file()
@command.jobs
@command.cache
@command.no_cache
def evaluate_programs(suite: Path, targets: Sequence[str], levels: Sequence[str], compilers: Sequence[str],
                      flags: tuple[str, ...], link: tuple[str, ...], proposers: str, model: str | None, memory_order: Any,
                      seconds: float, limit: int | None, results: Path | None, again: bool, json_file: Path | None,
                      jobs: int | None, cache: Path | None, no_cache: bool) -> None:  # fmt: skip
    """Compile, translate, link, run and compare the C programs of SUITE.

    SUITE is a folder of programs with what they should print, or a manifest: docs/programs.md.
    """
    check_json(json_file)

    from guesssketch.cache import default_directory
    from guesssketch.evaluation import kept, program_figures, programs
    from guesssketch.progress import Progress

    place = cache or default_directory()
    with Progress() as progress:
        report = programs.run(programs.Settings(
            suite, tuple(dict.fromkeys(targets)) or command.TARGETS, tuple(dict.fromkeys(levels)) or programs.LEVELS,
            tuple(dict.fromkeys(compilers)) or programs.COMPILERS, flags, link,
            command.names(proposers), model, memory_order, seconds, limit, jobs or command.cores(), None if no_cache else place,
            results or kept.default_results(place, suite), again, progress))  # fmt: skip
    deliver(lambda console: program_figures.show(report, console), lambda: json.dumps(report, indent=1) + "\n", json_file,
            width=180)  # fmt: skip


@main.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands in a shell.

    \b
    bash  eval "$(guesssketch completion bash)" in ~/.bashrc
    zsh   eval "$(guesssketch completion zsh)" in ~/.zshrc
    fish  guesssketch completion fish > ~/.config/fish/completions/guesssketch.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind
    click.echo(kind(main, {}, "guesssketch", "_GUESSSKETCH_COMPLETE").source())


def _text(path: Path) -> str:
    from guesssketch.errors import InputError

    try:
        return path.read_text()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file") from error


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command.run(main, arguments)
