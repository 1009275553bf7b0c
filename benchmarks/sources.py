"""Fetch and unpack Debian source packages: ``python benchmarks/sources.py zlib bzip2`` prints a folder a line.

Where the system's package lists leave out sources, private ones are made in the cache folder from the system's
repositories; nothing outside that folder is written.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from harness import CACHE, FailedError, require, run

APT = Path("/etc/apt")


def fetch(package: str) -> Path:
    """The folder with the package's unpacked source (``.cache/benchmarks/sources/NAME``), fetched on the first call.

    Raises:
        FailedError: no such package, or no network.
    """
    folder = CACHE / "sources" / package
    if folder.exists():
        return folder
    require("apt-get", "dpkg-source")
    download = CACHE / "sources" / f"{package}.download"
    try:
        _download(package, download, [])
    except FailedError:
        _download(package, download, _private_lists(CACHE / "apt"))
    (description,) = download.glob("*.dsc")
    run(["dpkg-source", "--no-check", "-x", description, "unpacked"], timeout=300, cwd=download)
    (download / "unpacked").rename(folder)
    shutil.rmtree(download)
    return folder


def _download(package: str, folder: Path, options: list[str]) -> None:
    """Download into ``folder`` the newest version that can be had: a mirror may lack what its lists name."""
    described = run(["apt-cache", *options, "showsrc", "--only-source", package], timeout=60)
    for which in (package, *(f"{package}={version}" for version in re.findall(r"(?m)^Version: (\S+)$", described)[::-1])):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            run(["apt-get", "-q", *options, "source", "--download-only", which], timeout=600, cwd=folder)
        except FailedError as error:
            failure = error
        else:
            return
    raise failure


def _private_lists(folder: Path) -> list[str]:
    """Options that make apt-get use source lists of its own under ``folder``, fetched when they are not there yet."""
    parts, lists, archives = folder / "parts", folder / "lists", folder / "cache"
    options = [
        "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={parts}",
        "-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={archives}", "-o", "APT::Sandbox::User=",
    ]  # fmt: skip
    if lists.exists():
        return options
    for needed in (parts, lists / "partial", archives / "archives" / "partial"):
        needed.mkdir(parents=True, exist_ok=True)
    for path in [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*.list"))]:
        if path.exists():
            lines = re.sub(r"(?m)^deb(?=[ \t])", "deb-src", path.read_text(encoding="utf-8"))
            (parts / path.name).with_suffix(".list").write_text(lines, encoding="utf-8")
    for path in sorted((APT / "sources.list.d").glob("*.sources")):
        paragraphs = re.sub(r"(?m)^Types:.*$", "Types: deb-src", path.read_text(encoding="utf-8"))
        (parts / path.name).write_text(paragraphs, encoding="utf-8")
    try:
        run(["apt-get", "-q", *options, "update"], timeout=600)
    except FailedError:
        shutil.rmtree(folder)
        raise
    return options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    for package in parser.parse_args().packages:
        print(fetch(package))


if __name__ == "__main__":
    main()
