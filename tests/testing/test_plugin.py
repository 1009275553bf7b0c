"""The pytest plugin in a project's own suite: passes, fails with the difference, is skipped without a target."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.testing.conftest import Compile

ROOT = Path(__file__).parents[2]
SUITE = """
def test_right(guesssketch_test):
    assert guesssketch_test({right!r}, {other!r}, runs=100).functions[0].verdict == "equal"

def test_wrong(guesssketch_test):
    guesssketch_test({wrong!r}, {other!r}, runs=1000)

def test_coverage(guesssketch_test):
    guesssketch_test({right!r}, {other!r}, runs=1, min_coverage=100)
"""


@pytest.mark.parametrize("target", ["aarch64", None])
def test_the_plugin(target: str | None, compile_c: Compile, tmp_path: Path) -> None:
    text = "void rare(void); int f(int a) { if (a == 123456) rare(); return a * 5; }"
    right, wrong, other = compile_c(text, "x86_64"), compile_c(text.replace("5", "6"), "x86_64"), compile_c(text, "aarch64")
    suite = tmp_path / "suite" / "test_suite.py"
    suite.parent.mkdir()
    suite.write_text(SUITE.format(right=str(right), wrong=str(wrong), other=str(other)))
    environment = {"PYTHONPATH": str(ROOT), "GUESSSKETCH_CACHE": str(tmp_path / "cache"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugin = ["-p", "guesssketch.testing.plugin", *(["--guesssketch-target", target] if target else [])]
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--noconftest", "-q", *plugin, suite.name],
                          cwd=suite.parent, env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    if target is None:
        assert done.returncode == 0 and "3 skipped" in done.stdout
    else:
        assert "1 passed" in done.stdout and "2 failed" in done.stdout, done.stdout
        assert "differs: result 0" in done.stdout and "of the blocks covered" in done.stdout
