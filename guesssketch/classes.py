"""C++ in the debugging information: how a class travels by value, and which symbols a constructor stands for.

Sources: Itanium C++ ABI, 3.1 (values by reference), 5.1.4.3 (names of constructors and destructors); DWARF 5, 5.7.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

LANGUAGES: Final = frozenset({0x04, 0x1A, 0x21, 0x2B, 0x2C})  # DW_LANG_C_plus_plus, _11, _14, _17, _20
CLASSES: Final = ("DW_TAG_structure_type", "DW_TAG_class_type", "DW_TAG_union_type")
REFERENCES: Final = ("DW_TAG_reference_type", "DW_TAG_rvalue_reference_type")
_QUALIFIERS: Final = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type")
_DEEPEST: Final = 1000  # typedefs of typedefs, arrays of arrays
_PASS_BY_REFERENCE, _PASS_BY_VALUE = 4, 5  # DW_CC_*
_THUNK: Final = re.compile(r"_ZT(?:hn?\d+_|vn?\d+_n?\d+_)")


def target(die: Any) -> Any:
    """The type that ``die`` refers to; None for void."""
    return die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None


def stripped(die: Any) -> Any:
    """``die`` without typedefs and qualifiers."""
    for _ in range(_DEEPEST):
        if die is None or die.tag not in _QUALIFIERS:
            return die
        die = target(die)
    raise ValueError("a type that is its own definition")


def forget() -> None:
    """What is remembered of classes holds their object's debugging information."""
    by_reference.cache_clear()
    _constructors.cache_clear()


def is_cxx(die: Any) -> bool:
    language = die.cu.get_top_DIE().attributes.get("DW_AT_language")
    return language is not None and language.value in LANGUAGES


def subobjects(die: Any) -> Iterator[Any]:
    """Base classes and non-static members of a class or union. DWARF 4 has static members as DW_TAG_member, too."""
    for child in die.iter_children():
        static = "DW_AT_external" in child.attributes or "DW_AT_declaration" in child.attributes
        if child.tag == "DW_TAG_inheritance" or (child.tag == "DW_TAG_member" and not static):
            yield child


@functools.cache
def by_reference(die: Any) -> bool:
    """Whether a class passed by value travels as the address of a copy: it is not trivial for the purposes of calls.

    By the compiler's own word (clang's), else from what the class declares: a destructor, copy or move constructor of its
    own, none of them left to call, anything virtual, or such a base or member.
    """
    convention = die.attributes.get("DW_AT_calling_convention")
    if convention is not None and convention.value in (_PASS_BY_REFERENCE, _PASS_BY_VALUE):
        return bool(convention.value == _PASS_BY_REFERENCE)
    for child in die.iter_children():
        if "DW_AT_virtuality" in child.attributes:
            return True
        if _special(child, die) in ("copy", "move", "~") and "DW_AT_deleted" not in child.attributes and not _defaulted(child):
            return True
    return any(map(by_reference, _parts(die))) or not any(_constructors(die))


def _parts(die: Any) -> Iterator[Any]:
    """The classes of bases and members."""
    for part in subobjects(die):
        kind = stripped(target(part))
        for _ in range(_DEEPEST):
            if kind is not None and kind.tag == "DW_TAG_array_type":
                kind = stripped(target(kind))
        if kind is not None and kind.tag in CLASSES:
            yield kind


@functools.cache
def _constructors(die: Any) -> tuple[bool, bool]:
    """Whether the class can be copied, and moved, by a constructor of its own, declared or not (ISO C++ 2020, 11.4.5.3)."""
    deleted: dict[str, bool] = {}
    for child in die.iter_children():
        if special := _special(child, die):
            deleted[special] = "DW_AT_deleted" in child.attributes
    parts = [_constructors(kind) for kind in _parts(die)]
    copies = not deleted["copy"] if "copy" in deleted else not deleted.keys() & {"move", "move="} and all(c for c, _ in parts)
    moves = not deleted["move"] if "move" in deleted else not deleted and all(c or m for c, m in parts)
    return copies, moves


def _name(die: Any) -> str:
    name = die.attributes.get("DW_AT_name")
    return name.value.decode() if name else ""


def _defaulted(die: Any) -> bool:
    mode = die.attributes.get("DW_AT_defaulted")
    return mode is not None and mode.value == 1  # in the class, which keeps it trivial


def _special(die: Any, home: Any) -> str:
    """Which special member function of ``home`` ``die`` is: "copy", "move" (constructors), "copy=", "move=", "~"; else empty."""
    if die.tag != "DW_TAG_subprogram" or "DW_AT_artificial" in die.attributes:
        return ""
    name, children = _name(die), list(die.iter_children())
    if name.startswith("~"):
        return "~"
    assigns, constructs = name == "operator=", name == _name(home).partition("<")[0]
    given = [c for c in children if c.tag == "DW_TAG_formal_parameter" and "DW_AT_artificial" not in c.attributes]
    if not (assigns or constructs) or not given or any(c.tag.startswith("DW_TAG_template") for c in children):
        return ""
    kind = stripped(target(given[0]))
    if assigns and kind == home:
        return "copy="
    if kind is None or kind.tag not in REFERENCES or stripped(target(kind)) != home:
        return ""
    return ("copy" if kind.tag == REFERENCES[0] else "move") + "=" * assigns


def variants(name: str, parameters: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """What gcc's one declaration of a constructor (``C4``) or destructor (``D4``) stands for: symbols, and their parameters.

    Behind ``this`` it lists an artificial ``int``, which no function takes, and, where there are virtual bases, the address of
    a table, which only the variant for base classes takes. ``C4`` may be part of another name: then no such symbol exists.
    """
    hidden = [p for p in parameters[1:] if "DW_AT_artificial" in p.attributes]
    table = [p for p in hidden if stripped(target(p)).tag == "DW_TAG_pointer_type"]
    plain = [p for p in parameters if p not in hidden]
    for match in re.finditer("[CD]4", name):
        for number in "12" if match[0] == "C4" else "012":
            symbol = f"{name[: match.start()]}{match[0][0]}{number}{name[match.end() :]}"
            yield symbol, [*plain[:1], *(table if number == "2" else []), *plain[1:]]


def without_thunk(name: str) -> str:
    """The virtual function behind a thunk's name, which takes the same arguments; any other name as it is."""
    return _THUNK.sub("_Z", name, count=1)
