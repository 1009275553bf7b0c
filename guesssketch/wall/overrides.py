"""Virtual functions of unknown type that the C++ library may call: known by what they override.

A class of the inputs may derive from one of libstdc++'s (``std::streambuf``, a facet), which then calls its functions out of
the virtual table. Without debugging information their parameters stand in the mangled name, but not the result, which
decides where the object itself is passed. An override has the name and the parameters of the function in the base class.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Final

from guesssketch.program import ObjectFile, Place
from guesssketch.prototypes import Signature, cxx_texts, parse_signature

DESTRUCTOR: Final = parse_signature("void(ptr)")
_QUALIFIERS: Final = re.compile(r"_ZN[rVK]*")
_NUMBER: Final = re.compile(r"\d+")
_TAG: Final = "B5cxx11"  # a result that is one of the newer strings; in the library the class has the tag already
_DESTRUCTOR_NAME: Final = re.compile(r"D[012]Ev")


def virtual_functions(file: ObjectFile) -> Iterator[Place]:
    """What the virtual tables of ``file`` refer to."""
    for symbol in file.symbols:
        if symbol.name.startswith("_ZTV") and symbol.section is not None:
            for field in file.sections[symbol.section].relocations:
                if symbol.value <= field.offset < symbol.value + symbol.size:
                    yield Place(field.symbol, field.addend)


def overridden(name: str) -> Signature | None:
    """The signature of the library's member functions that have the name and the parameters of ``name``, if all of them have
    the same; that of a destructor."""
    method = _method(name.replace(_TAG, ""))
    if method is None:
        return None
    if _DESTRUCTOR_NAME.fullmatch(method):
        return DESTRUCTOR
    return _library_methods().get(method)


def _method(name: str) -> str | None:
    """``8overflowEi`` of ``_ZN5Upper8overflowEi``: the last component of a nested name without templates, and what follows."""
    match = _QUALIFIERS.match(name)
    at, last = (match.end() if match else len(name)), None
    while number := _NUMBER.match(name, at):
        last, at = at, number.end() + int(number[0])
    if last is not None and _DESTRUCTOR_NAME.fullmatch(name, at):
        return name[at:]
    return name[last:] if last is not None and name[at : at + 1] == "E" else None


@functools.cache
def _library_methods() -> dict[str, Signature]:
    texts = cxx_texts()
    found: dict[str, set[str]] = {}
    for name in texts:
        for number in _NUMBER.finditer(name) if name.startswith("_ZN") else ():
            end = number.end() + int(number[0])
            if name[end : end + 1] == "E":
                found.setdefault(name[number.start() :], set()).add(texts[name])
    return {method: parse_signature(said.pop()) for method, said in found.items() if len(said) == 1}
