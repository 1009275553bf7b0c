"""C types and function signatures, as much of them as a calling convention asks for, and the table of the C library.

The table (``data/prototypes.json``) is made from real headers by ``python -m guesssketch.prototypes --regenerate``. It
holds each signature as one line of text:

    type       ``void`` ``char`` ``i8`` ``u8`` ... ``u64`` ``i128`` ``f32`` ``f64`` ``f80`` (long double) ``ptr`` ``va_list``;
               ``other`` (a type whose passing is not known);
               ``*SIGNATURE``, a pointer to a function; ``{SIZE:OFFSET=TYPE,...}``, a struct of flattened members
    signature  ``RESULT(PARAMETER,...)``, with a last parameter ``...`` when variadic
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from guesssketch.errors import UsageError

SIZES: Final = {"void": 0, "char": 1, "i8": 1, "u8": 1, "i16": 2, "u16": 2, "i32": 4, "u32": 4, "i64": 8, "u64": 8, "i128": 16,
                "f32": 4, "f64": 8, "f80": 16, "other": 16, "ptr": 8, "va_list": 8}  # fmt: skip

_MOST_MEMBERS: Final = 10_000


@dataclass(frozen=True)
class Type:
    """``code``: a key of SIZES, or ``struct``; ``size`` in bytes. ``members``: (byte offset, scalar type), flattened;
    those of a union overlap. ``function``: the signature behind a function pointer, where known."""

    code: str
    size: int
    members: tuple[tuple[int, Type], ...] = ()
    function: Signature | None = None

    @property
    def is_float(self) -> bool:
        return self.code in ("f32", "f64")

    @property
    def is_integer(self) -> bool:
        return self.code[0] in "iu" or self.code in ("char", "ptr", "va_list")

    def __str__(self) -> str:
        if self.function is not None:
            return f"*{self.function}"
        if self.code != "struct":
            return self.code
        return "{" + f"{self.size}:" + ",".join(f"{offset}={member}" for offset, member in self.members) + "}"


@dataclass(frozen=True)
class Signature:
    result: Type
    parameters: tuple[Type, ...]
    variadic: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it says how all of its types are passed."""
        kinds = (self.result, *self.parameters)
        return not any(one.code == "other" for kind in kinds for one in (kind, *(member for _, member in kind.members)))

    def __str__(self) -> str:
        return f"{self.result}({','.join([*map(str, self.parameters), *(['...'] if self.variadic else [])])})"


def scalar(code: str) -> Type:
    return Type(code, SIZES[code])


VOID: Final = scalar("void")
POINTER: Final = scalar("ptr")


def array(count: int, element: Type) -> Type:
    """An array inside a struct. More than 17 elements are more than any register takes, so their rest is left out."""
    return struct(count * element.size, [(i * element.size, element) for i in range(min(count, 17))])


def struct(size: int, members: Iterable[tuple[int, Type]], union: bool = False) -> Type:
    """A struct or union, ``other`` if it has more than ``_MOST_MEMBERS``; members that are structs themselves are flattened,
    and a union's only member is told twice, since all else that makes a union one is that its members overlap."""
    members = list(members)
    members *= 2 if union and len(members) == 1 else 1
    flat: list[tuple[int, Type]] = []
    for offset, member in members:
        if member.code == "struct":
            flat.extend((offset + inner, scalar_type) for inner, scalar_type in member.members)
        else:
            flat.append((offset, member))
        if len(flat) > _MOST_MEMBERS:
            return scalar("other")
    return Type("struct", size, tuple(flat))


IN_MEMORY: Final = struct(24, [(offset, scalar("u64")) for offset in (0, 8, 16)])
"""Stands for a C++ class of any size that is returned in memory: as three words are, under every convention."""


# --- text form --------------------------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(r"\.\.\.|[a-z_0-9]+|[*(){},:=]")


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def take(self, expected: str | None = None) -> str:
        token: str = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if expected is not None and token != expected:
            raise ValueError(f"expected {expected!r}, found {token!r}")
        self.at += 1
        return token

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def type(self) -> Type:
        token = self.take()
        if token == "*":
            return Type("ptr", 8, function=self.signature())
        if token != "{":
            return scalar(token)
        size = int(self.take())
        self.take(":")
        members: list[tuple[int, Type]] = []
        while self.peek() != "}":
            offset = int(self.take())
            self.take("=")
            members.append((offset, self.type()))
            if self.peek() == ",":
                self.take()
        self.take("}")
        return Type("struct", size, tuple(members))

    def signature(self) -> Signature:
        result = self.type()
        self.take("(")
        parameters: list[Type] = []
        variadic = False
        while self.peek() != ")":
            if self.peek() == "...":
                self.take()
                variadic = True
            else:
                parameters.append(self.type())
            if self.peek() == ",":
                self.take()
        self.take(")")
        return Signature(result, tuple(parameters), variadic)


def parse_signature(text: str) -> Signature:
    """The inverse of ``str``. Raises ValueError (or KeyError for an unknown type)."""
    return _Reader(text).signature()


# --- tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Signatures by symbol name. ``layouts``: (name, target) -> the structs behind its pointers that the target lays out
    otherwise than x86-64, so that passing the pointer on would be wrong. ``noreturn`` functions need no glue behind the call."""

    signatures: Mapping[str, Signature]
    layouts: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> Signature | None:
        return self.signatures.get(name)


class _Lazy(dict[str, Signature]):
    """Parses a signature when it is asked for: a program uses a few of some thousand."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__()
        self.texts = texts

    def get(self, name: str, default: object = None) -> Signature | None:  # type: ignore[override]
        if name not in self and name in self.texts:
            self[name] = parse_signature(self.texts[name])
        return super().get(name)


@functools.cache
def library() -> Table:
    """The C library's functions (C17, POSIX, glibc and musl extensions, the math library)."""
    return _table("prototypes.json")


@functools.cache
def _data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(resources.files("guesssketch").joinpath("data", name).read_text())
    return data


def _table(name: str) -> Table:
    data = _data(name)
    layouts = {(name, target): tuple(structs) for name, targets in data["layouts"].items() for target, structs in targets.items()}
    return Table(_Lazy(data["signatures"]), layouts)


@functools.cache
def cxx_library() -> Table:
    """The functions of libstdc++, by mangled name (``guesssketch.cxxheaders``)."""
    return _table("cxx_prototypes.json")


def cxx_texts() -> Mapping[str, str]:
    """The signatures of ``cxx_library`` as text, by mangled name."""
    texts: Mapping[str, str] = _data("cxx_prototypes.json")["signatures"]
    return texts


UNKNOWN: Final = 0xFFFF  # for a system call that the target does not have, or has with other arguments
SYSCALL: Final = parse_signature("i64(i64,i64,i64,i64,i64,i64,i64)")


@functools.cache
def system_calls(target: str) -> tuple[int, ...]:
    """The target's system call number by x86-64's, for those whose arguments mean the same."""
    data = _data("prototypes.json")["syscalls"]
    known = {source: number for source, number in zip(data["x86_64"], data[target], strict=True) if None not in (source, number)}
    return tuple(known.get(n, UNKNOWN) for n in range(max(known) + 1))


def from_headers(paths: Iterable[Path]) -> Table:
    """The functions that the user's own headers (``--prototypes``) declare. Raises UsageError if one cannot be parsed."""
    from guesssketch import headers

    signatures: dict[str, Signature] = {}
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        signatures |= headers.declared(path)
    return Table(signatures)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m guesssketch.prototypes", description="Make the C library table from headers.")
    parser.add_argument("--regenerate", action="store_true", required=True)
    parser.parse_args(arguments)
    from guesssketch import headers

    path = Path(__file__).parent / "data" / "prototypes.json"
    path.write_text(headers.library_text())
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
