"""C headers to syntax trees: preprocessed by zig's clang, rid of extensions, parsed by pycparser."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pycparser import c_parser

from guesssketch.assembler import zig
from guesssketch.errors import ToolError

PACKED: Final = "__packed_marker"
_SPELLINGS: Final = {
    "__restrict": "", "__restrict__": "", "__extension__": "", "__inline": "inline", "__inline__": "inline", "__const": "const",
    "__signed__": "signed", "__signed": "signed", "__volatile__": "volatile", "_Float128": "long double",
    "__float128": "long double", "_Float64x": "long double", "_Float32": "float", "_Float32x": "double",
    "_Float64": "double", "__builtin_va_list": "__va_list",
    "__alignof__": "_Alignof", "_Noreturn": "", "__complex__": "_Complex", "_Nonnull": "", "_Nullable": "", "__thread": "",
    "__int128_t": "__int128", "__uint128_t": "__int128",
}  # fmt: skip
_RESPELLED: Final = re.compile(r"typedef (.* )?(float|double) ;")  # glibc's own typedef of a name in _SPELLINGS
_WORDS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\w+|\.\.\.|<<|>>|[<>=!]=|&&|\|\||[^\s\w]')


def preprocess(text: str, machine: str, options: tuple[str, ...] = (), library: str = "gnu") -> str:
    """``text`` after ``zig cc -E`` for ``machine``. Raises ToolError with clang's message."""
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as folder:
        source = Path(folder, "all.c")
        source.write_text(text)
        command = [zig(), "cc", "-E", "-P", "-target", f"{machine}-linux-{library}", *options, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(done.stderr.strip()[:2000])
    return done.stdout


def parse(text: str) -> Any:
    """The syntax tree of preprocessed ``text``, without declarations in dialects that the parser does not know (they stay
    undeclared), with a member ``PACKED`` in what is packed. Raises pycparser's ParseError."""
    lines = _clean(text).split("\n")
    while True:
        try:
            return c_parser.CParser().parse("\n".join(lines))
        except c_parser.ParseError as error:
            place = re.match(r"[^:]*:(\d+):", str(error))
            if place is None:
                raise
            lines[int(place[1]) - 1] = ""


def _close(words: list[str], start: int) -> int:
    """Index behind the bracket that closes the one at ``start``."""
    depth = 0
    for index in range(start, len(words)):
        depth += (words[index] in "({[") - (words[index] in ")}]")
        if depth == 0:
            return index + 1
    return len(words)


def _declarations(words: list[str]) -> Iterator[tuple[list[str], str | None]]:
    """Top-level declarations without extensions and function bodies, each with the name that an asm label gives it."""
    current: list[str] = []
    label: str | None = None
    index = 0
    while index < len(words):
        word = words[index]
        if word in ("__attribute__", "__attribute", "__asm__", "__asm", "asm", "__declspec"):
            end = _close(words, index + 1)
            inner = words[index + 1 : end]
            if "asm" in word:
                label = "".join(w[1:-1] for w in inner if w.startswith('"')) or None
            elif any("packed" in w for w in inner) and current and current[-1] == "}":
                current[-1:] = ["char", PACKED, ";", "}"]
            index = end
            continue
        if word == "{" and current and current[-1] == ")":
            yield [*current, ";"], label
            current, label, index = [], None, _close(words, index)
            continue
        if word == "{":
            end = _close(words, index)
            current.append("{")
            for inner_words, _ in _declarations([*words[index + 1 : end - 1], ";"]):
                current += inner_words
            if current[-1] == ";" and words[end - 2] not in (";", "{"):
                current.pop()  # the ``;`` added for an enumerator list
            current.append("}")
            index = end
            continue
        word = _SPELLINGS.get(word, word)
        if word:
            current.append(word)
        index += 1
        if word == ";":
            if len(current) > 1:
                yield current, label
            current, label = [], None


def _clean(text: str) -> str:
    lines = ["typedef struct __va_list_tag *__va_list;"]
    for words, label in _declarations(_WORDS.findall(text)):
        lines.append(" ".join(words))
        if label and words[-2:] == [")", ";"]:
            depth = 0
            for index in range(len(words) - 2, 0, -1):
                depth += (words[index] == ")") - (words[index] == "(")
                if depth == 0:
                    lines.append(" ".join([*words[: index - 1], label, *words[index:]]))
                    break
    return "\n".join(line for line in lines if not re.search(r"__typeof__|_ZGV", line) and not _RESPELLED.fullmatch(line))
