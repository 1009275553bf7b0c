"""C headers to syntax trees: preprocessed by zig's clang, rid of extensions, parsed by pycparser."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
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
_MARKER: Final = re.compile(r'# (\d+) "(.*)"((?: \d)*)')
_PACK: Final = re.compile(r"#\s*pragma\s+pack\s*\((.*)\)\s*")
_TYPEDEF: Final = re.compile(r"typedef (?!struct _left_out_).*\b(\w+) ;")
_STRANGE: Final = "@"  # what changes how something is laid out or called; of system headers nothing such is passed by value
_CHANGES: Final = frozenset(("packed", "aligned", "vector_size", "mode", "ms_struct", "scalar_storage_order", "ms_abi", "regcall",
                             "vectorcall", "preserve_all", "preserve_most"))  # fmt: skip
_WORDS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\w+|\.\.\.|<<|>>|[<>=!]=|&&|\|\||[^\s\w]')


@dataclass(frozen=True)
class Place:
    """A line of a file. system: of a system header."""

    file: str
    line: int
    system: bool


def preprocess(text: str, machine: str, options: tuple[str, ...] = (), library: str = "gnu", *, markers: bool = False) -> str:
    """``text`` after ``zig cc -E`` for ``machine``, with line ``markers`` if wanted. Raises ToolError with clang's message."""
    with tempfile.TemporaryDirectory(prefix="guesssketch-") as folder:
        source = Path(folder, "all.c")
        source.write_text(text)
        flags = () if markers else ("-P",)
        command = [zig(), "cc", "-E", *flags, "-target", f"{machine}-linux-{library}", *options, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(done.stderr.strip()[:2000])
    return done.stdout


@dataclass(frozen=True)
class Parsed:
    """tree: pycparser's, with a member ``PACKED`` in what is packed. places: of the declaration in each of its lines. left_out: of
    declarations in dialects that the parser does not know, or with what changes layout or calls."""

    tree: Any
    places: list[Place]
    left_out: list[Place]

    def place(self, node: Any) -> Place:
        return self.places[int(node.coord.file)]


def parse(text: str) -> Parsed:
    """Preprocessed ``text``. Raises pycparser's ParseError."""
    lines, places, left_out = _clean(text)
    while True:
        try:  # each line as a file of its own, since the parser's error has no more than that in all cases
            tree = c_parser.CParser().parse("".join(f'# 1 "{number}"\n{line}\n' for number, line in enumerate(lines)))
            return Parsed(tree, places, left_out)
        except c_parser.ParseError as error:
            found = re.match(r"\d+", str(error))
            number = int(found[0]) if found else -1
            if number < 0 or not lines[number]:
                raise
            lines[number] = _instead(lines[number])
            left_out.append(places[number])


def _instead(line: str) -> str:
    """For a typedef that is left out a struct that nobody defines, so that pointers to it are known; else nothing."""
    found = _TYPEDEF.fullmatch(line)
    return f"typedef struct _left_out_{found[1]} {found[1]} ;" if found else ""


def _words(text: str) -> tuple[list[str], list[Place]]:
    """The words of preprocessed ``text`` and where each stands. What is in braces under ``#pragma pack`` is marked strange."""
    words: list[str] = []
    places: list[Place] = []
    here = Place("", 1, True)
    packed: list[bool] = [False]
    for line in text.split("\n"):
        if marker := _MARKER.fullmatch(line):
            here = Place(marker[2], int(marker[1]), "3" in marker[3].split())
            continue
        if pack := _PACK.fullmatch(line):
            asked = [word.strip() for word in pack[1].split(",")]
            if asked[0] == "pop":
                packed = packed[:-1] or [False]
                packed[-1] |= len(asked) > 1
            elif asked[0] == "push":
                packed.append(len(asked) > 1 or packed[-1])
            else:
                packed[-1] = asked != [""]
        elif not line.startswith("#"):
            found = _WORDS.findall(line)
            words += [new for word in found for new in ((word, _STRANGE) if word == "{" and packed[-1] else (word,))]
            places += [here] * (len(words) - len(places))
        here = Place(here.file, here.line + 1, here.system)
    return words, places


def _close(words: list[str], start: int) -> int:
    """Index behind the bracket that closes the one at ``start``."""
    depth = 0
    for index in range(start, len(words)):
        depth += (words[index] in "({[") - (words[index] in ")}]")
        if depth == 0:
            return index + 1
    return len(words)


def _declarations(words: list[str]) -> Iterator[tuple[list[str], str | None, int]]:
    """Top-level declarations without extensions and function bodies, each with the name that an asm label gives it and the index
    of its first word."""
    current: list[str] = []
    label: str | None = None
    packed = False
    index = start = 0
    while index < len(words):
        word = words[index]
        start = start if current else index
        if word in ("__attribute__", "__attribute", "__asm__", "__asm", "asm", "__declspec", "_Alignas", "alignas"):
            end = _close(words, index + 1)
            inner = words[index + 1 : end]
            if "asm" in word:
                label = "".join(w[1:-1] for w in inner if w.startswith('"')) or None
            elif (changes := _CHANGES.intersection(w.strip("_") for w in inner)) or word.endswith("lignas"):
                if changes == {"packed"} and current[-1:] == ["}"]:
                    current[-1:] = ["char", PACKED, ";", "}"]
                elif changes == {"packed"} and current[-1:] in (["struct"], ["union"]):
                    packed = True
                else:
                    current.append(_STRANGE)
            index = end
            continue
        if word == "{" and current and current[-1] == ")":
            yield [*current, ";"], label, start
            current, label, index = [], None, _close(words, index)
            continue
        if word == "{":
            end = _close(words, index)
            current.append("{")
            for inner_words, _, _ in _declarations([*words[index + 1 : end - 1], ";"]):
                current += inner_words
            if current[-1] == ";" and words[end - 2] not in (";", "{"):
                current.pop()  # the ``;`` added for an enumerator list
            current += ["char", PACKED, ";", "}"] if packed else ["}"]
            packed = False
            index = end
            continue
        word = _SPELLINGS.get(word, word)
        if word:
            current.append(word)
        index += 1
        if word == ";":
            if len(current) > 1:
                yield current, label, start
            current, label, packed = [], None, False


def _clean(text: str) -> tuple[list[str], list[Place], list[Place]]:
    """A line for each declaration, the place of each, and those of declarations that are left out."""
    words, starts = _words(text)
    lines, places = ["typedef struct __va_list_tag *__va_list;"], [Place("", 0, True)]
    left_out: list[Place] = []
    for declared, label, start in _declarations(words):
        declared = [word for word in declared if word != _STRANGE or not starts[start].system]
        line = " ".join(declared)
        if _STRANGE in declared or re.search(r"__typeof__|_ZGV", line):
            left_out.append(starts[start])
            lines.append(_instead(line))
        elif not _RESPELLED.fullmatch(line):
            lines += [line, *_relabelled(declared, label)]
        places += [starts[start]] * (len(lines) - len(places))
    return lines, places, left_out


def _relabelled(words: list[str], label: str | None) -> list[str]:
    """The declaration of a function once more, under the name that an asm label gives it."""
    if label and words[-2:] == [")", ";"]:
        depth = 0
        for index in range(len(words) - 2, 0, -1):
            depth += (words[index] == ")") - (words[index] == "(")
            if depth == 0:
                return [" ".join([*words[: index - 1], label, *words[index:]])]
    return []
