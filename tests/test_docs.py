"""The documents say what is so: the commands' help, links, the tree of modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import commands

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("datasets/*/*.md")])
OURS = ("isa", "solver", "guesssketch")


def test_the_page_of_commands_is_what_help_prints() -> None:
    assert commands.PAGE.read_text() == commands.text(), "run: python docs/commands.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        assert "://" in link or (page.parent / link).exists(), link


def test_the_readme_names_every_module() -> None:
    tree = (ROOT / "README.md").read_text().split("## Where things are")[1]
    for package in OURS:
        there = {path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        missing = {name for name in there if not name.startswith("__") and not re.search(rf"\b{name}\b", tree)}
        assert not missing, f"{package}: {sorted(missing)}"
