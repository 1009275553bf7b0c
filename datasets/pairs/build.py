"""Build training pairs: packages and random programs in, normal forms with target code that was run and proved out.

    python datasets/pairs/build.py OUT [--packages NAME...] [--csmith N] [--targets ...] [-j 2] [--hours H]

Everything goes to OUT/pairs.sqlite, a finished unit at a time: stopped however it may be, the same command goes on where
it was. Package by package: sources, objects, blocks, and then pairs for the forms that are new, so that what there is can
be used at any time. ``card.py`` describes the result, ``export.py`` writes it as JSON lines.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import compiling  # noqa: E402
import forms  # noqa: E402
import judging  # noqa: E402
import origins  # noqa: E402
import workpool  # noqa: E402
from store import SPLITS, Package, Store  # noqa: E402

T = TypeVar("T")
TARGETS = ("aarch64", "riscv64")
COMPILERS = ("gcc-12", "clang-14")
HELD_OUT = "clang-16"  # compiles test packages only
BATCH = 150  # problems in one run of the lowering


class OutOfTimeError(Exception):
    """The hours are over."""


class Build:
    """One run of the recipe over a store."""

    def __init__(self, out: Path, store: Store, options: argparse.Namespace) -> None:
        self.out, self.store, self.options = out, store, options
        self._end = time.monotonic() + options.hours * 3600 if options.hours else float("inf")
        self._said = 0.0

    def run(self) -> None:
        """All packages, the small splits first. Raises OutOfTimeError between two units."""
        chosen = self._chosen()
        ready = {name for name, package in self.store.packages().items() if package.status == "ok"}
        with ThreadPoolExecutor(1) as ahead:  # unpacks and builds while other packages are compiled and read
            obtained = {p.name: ahead.submit(self._obtain, p) for p in chosen if p.name not in ready}
            try:
                for package in chosen:
                    if package.name in obtained:
                        self._say(f"{package.name}: sources", always=True)
                        self.store.put_package(obtained[package.name].result())
                    if self.store.packages()[package.name].status == "ok":
                        self._blocks(package)
                        self._pairs()
                self._pairs()
            finally:
                ahead.shutdown(wait=False, cancel_futures=True)

    def _chosen(self) -> list[Package]:
        packages = origins.listed()
        if unknown := sorted(set(self.options.packages or ()) - set(packages)):
            raise ValueError(f"not in {origins.LIST.name}: {', '.join(unknown)}")
        names = packages if self.options.packages is None else self.options.packages
        chosen = [packages[name] for name in names]
        counts = origins.random_counts(self.options.csmith)
        chosen += [Package(f"{origins.CSMITH}-{split}", "random", split) for split in SPLITS if counts[split]]
        return sorted(chosen, key=lambda p: (-SPLITS.index(p.split), p.kind == "random"))

    def _obtain(self, package: Package) -> Package:
        """Stage 1: the package's sources are unpacked, or it is known why not."""
        if package.kind == "random":
            self._folder(package).mkdir(parents=True, exist_ok=True)
            return replace(package, licence="none (output of csmith)")
        try:
            return origins.obtain(package, self._folder(package), self.options.jobs)
        except (origins.Unavailable, OSError) as error:
            return replace(package, status="failed", why=str(error))

    def _folder(self, package: Package) -> Path:
        return self.out / "sources" / package.name

    def _units(self, package: Package) -> list[compiling.Unit]:
        compilers = [*COMPILERS, *([self.options.held_out] if self.options.held_out and package.split == "test" else [])]
        folder, longest, everything = self._folder(package), self.options.longest, self.options.all
        if package.kind == "random":
            count = origins.random_counts(self.options.csmith)[package.split]
            return origins.random_units(package.split, count, folder, compilers, longest, everything)
        return origins.units(package, folder, compilers, longest, everything, self.options.files)

    def _blocks(self, package: Package) -> None:
        """Stages 2 and 3: objects of every file, and the normal forms in them."""
        done = self.store.done(package.name)
        units = self._units(package)
        missing = [unit for unit in units if unit.name not in done]
        finished, new = len(units) - len(missing), 0
        with closing(workpool.ordered(_run_unit, self._in_time(missing), self.options.jobs)) as results:
            for unit, compiled in results:
                if compiled is None:
                    compiled = [compiling.Compiled(c, "read", "the worker died") for c in unit.configurations]
                new += self.store.put_unit(unit, compiled)
                finished += 1
                if package.kind == "random":
                    Path(unit.path).unlink(missing_ok=True)
                self._say(f"{package.name}: {finished} of {len(units)} files, {new} new forms")

    def _pairs(self) -> None:
        """Stage 4: target code for the forms that have none."""
        targets = tuple(self.options.targets)
        numbers = self.store.unanswered(targets)
        verdicts: Counter[tuple[str, str]] = Counter()
        batches = self._in_time(self._batches(targets, numbers))
        with closing(workpool.ordered(judging.run_batch, batches, self.options.jobs)) as results:
            for batch, judged in results:
                found = judged if judged is not None else judging.failed(batch, "the worker died")
                self.store.put_pairs(found)
                verdicts.update((target, j.verdict) for target in targets for j in found[target])
                shown = ", ".join(f"{target} {n} {verdict}" for (target, verdict), n in verdicts.most_common())
                self._say(f"{verdicts.total() // len(targets)} of {len(numbers)} new forms: {shown}")

    def _batches(self, targets: tuple[str, ...], numbers: Sequence[int]) -> Iterator[judging.Batch]:
        for start in range(0, len(numbers), BATCH):
            bodies = tuple(self.store.bodies(numbers[start : start + BATCH]))
            yield judging.Batch(targets, bodies, self.options.whole, self.out / "forms")

    def _in_time(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if time.monotonic() > self._end:
                raise OutOfTimeError
            yield item

    def _say(self, text: str, always: bool = False) -> None:
        """A line of progress, at most one in two seconds unless it must be."""
        now = time.monotonic()
        if always or now - self._said > 2:
            self._said = now
            print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def _run_unit(unit: compiling.Unit) -> list[compiling.Compiled]:
    if unit.package.startswith(f"{origins.CSMITH}-"):
        try:
            origins.write_random(Path(unit.path))
        except origins.Unavailable as error:
            return [compiling.Compiled(c, "compile", f"csmith: {error}"[:200]) for c in unit.configurations]
    return compiling.run_unit(unit)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--packages", nargs="*", metavar="NAME", help="default: all of packages.toml")
    parser.add_argument("--csmith", type=int, default=3000, metavar="N", help="random programs (default 3000)")
    parser.add_argument("--targets", nargs="*", choices=TARGETS, default=list(TARGETS), help="none: forms only")
    parser.add_argument("--whole", type=float, default=0.02, metavar="SHARE",
                        help="share of the pairs that are proved whole as well as atom by atom (default 0.02)")  # fmt: skip
    parser.add_argument("--longest", type=int, default=forms.CUT, metavar="N",
                        help=f"source instructions in a pair (default {forms.CUT})")  # fmt: skip
    parser.add_argument("--files", type=int, metavar="N", help="at most so many files of a package")
    parser.add_argument("--all", action="store_true", help="every level x compiler x PIC for every file, not one in each level")
    parser.add_argument("--held-out", default=HELD_OUT, metavar="COMPILER",
                        help=f"compiles test packages only (default {HELD_OUT}; '' for none)")  # fmt: skip
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--hours", type=float, help="stop (cleanly) after so long")
    options = parser.parse_args(arguments)
    needed = [*COMPILERS, *filter(None, [options.held_out]), *(["csmith"] if options.csmith else [])]
    if missing := [command for command in needed if shutil.which(command) is None]:
        parser.error(f"not installed: {', '.join(missing)} (apt-get install {' '.join(missing)})")
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    (out / "forms").mkdir(exist_ok=True)
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            parser.error(f"{out}: another build is at work")
        with closing(Store(out / "pairs.sqlite")) as store:
            try:
                store.fix({"longest": str(options.longest), "all": str(options.all), "held-out": options.held_out})
                Build(out, store, options).run()
            except ValueError as error:
                parser.error(str(error))
            except OutOfTimeError:
                print("out of time; the same command goes on from here", file=sys.stderr)
            except KeyboardInterrupt:
                print("stopped; the same command goes on from here", file=sys.stderr)
                return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
