"""The pytest plugin: ``pytest --guesssketch-target aarch64``, and a fixture with which a suite tests its translated objects.

    def test_checksum(guesssketch_test):
        guesssketch_test("build/checksum.o", seconds=5, min_coverage=80)

A test that uses the fixture runs once for each target that was asked for, and is skipped if none was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from guesssketch.problem import MemoryOrder

_OPTION = "--guesssketch-target"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guesssketch")
    group.addoption(_OPTION, action="append", default=[], choices=("aarch64", "riscv64"),
                    help="Test translated objects for this instruction set; may be repeated.")  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "guesssketch_target" in metafunc.fixturenames:
        targets = metafunc.config.getoption(_OPTION)
        metafunc.parametrize("guesssketch_target", targets or [pytest.param(None, marks=pytest.mark.skip(f"no {_OPTION}"))])


@pytest.fixture
def guesssketch_test(guesssketch_target: str) -> Callable[..., Any]:
    """``guesssketch_test(path, against=None, ...)``: the report; the test fails if a function differs.

    against: the translation; None: made on the spot, by ``proposers`` and with ``memory_order``. functions: names, all if empty.
    seconds, runs: for each function. min_coverage: blocks of the original to be covered, in percent. jobs: worker processes.
    """
    from guesssketch import PROPOSERS
    from guesssketch.cache import default_directory
    from guesssketch.testing.explore import Limits
    from guesssketch.testing.report import details
    from guesssketch.testing.run import Options, default_corpus
    from guesssketch.testing.run import test as run_test

    def run(path: str | os.PathLike[str], against: str | os.PathLike[str] | None = None, *, functions: Sequence[str] = (),
            seconds: float = 10.0, runs: int | None = None, seed: int = 0, min_coverage: float = 0.0,
            prototypes: Sequence[str | os.PathLike[str]] = (), jobs: int = 1, proposers: Sequence[str] = PROPOSERS,
            memory_order: MemoryOrder = "relaxed") -> Any:  # fmt: skip
        cache = default_directory()
        limits = Limits(seconds, runs or Limits.runs, seed)
        report = run_test(Path(path), Options(
            guesssketch_target, None if against is None else Path(against), tuple(functions), limits, jobs,
            default_corpus(cache, Path(path)), prototypes=tuple(map(Path, prototypes)), cache=cache, proposers=tuple(proposers),
            memory_order=memory_order))  # fmt: skip
        for function in report.different():
            assert function.difference is not None
            pytest.fail("\n".join([f"{report.translation}: {function.name}", *details(function.difference)]), pytrace=False)
        if report.coverage() < min_coverage:
            pytest.fail(f"{path}: {report.coverage():.1f}% of the blocks covered, not {min_coverage}%", pytrace=False)
        return report

    return run
