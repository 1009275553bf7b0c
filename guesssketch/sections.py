"""Data sections as assembly: bytes, labels, relocated fields, jump tables.

Relocation types: System V psABI for x86-64, table 4.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from guesssketch.errors import Untranslatable
from guesssketch.names import Names
from guesssketch.program import Place, Section

# type -> (bytes, whether it is relative to the field)
_FIELDS: Final = {1: (8, False), 10: (4, False), 11: (4, False), 2: (4, True), 4: (4, True), 24: (8, True)}
_SYMBOL_TYPES: Final = {"object": "@object", "unique": "@gnu_unique_object", "tls": "@tls_object", "function": "@function"}
_DIRECTIVES: Final = {4: ".word", 8: ".quad"}


@dataclass(frozen=True)
class _Field:
    """``size`` bytes at ``offset`` of a section, as a directive."""

    offset: int
    size: int
    text: str


class DataText:
    """Data of one object. ``body`` must be called for every section before ``lines``: it asks for the labels."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.problems: list[str] = []

    def body(self, section: Section) -> list[_Field]:
        """The fields that are not plain bytes, by offset. Raises Untranslatable."""
        fields = {f.offset: f for f in self._tables(section)}
        problems: list[str] = []
        for relocation in section.relocations:
            if relocation.offset in fields:
                continue
            place = Place(relocation.symbol, relocation.addend)
            try:
                if relocation.type not in _FIELDS:
                    where = f"{self.names.file.name}: {section.name}+{relocation.offset:#x}"
                    raise Untranslatable([f"{where}: relocation {relocation.type} is not supported"])
                size, relative = _FIELDS[relocation.type]
                text = f"{_DIRECTIVES[size]} {self.names.reference(place)}{' - .' if relative else ''}"
                fields[relocation.offset] = _Field(relocation.offset, size, text)
            except Untranslatable as error:
                problems += error.problems
        if problems:
            raise Untranslatable(problems)
        return sorted(fields.values(), key=lambda f: f.offset)

    def _tables(self, section: Section) -> list[_Field]:
        fields: list[_Field] = []
        for index, function in enumerate(self.names.functions):
            for table in function.tables:
                if table.section != section.index:
                    continue
                for entry, target in enumerate(table.targets):
                    offset = table.offset + entry * table.width
                    label = self.names.block(index, target)
                    if table.relative:
                        label += f" - . + {entry * table.width}" if entry else " - ."
                    fields.append(_Field(offset, table.width, f"{_DIRECTIVES[table.width]} {label}"))
        return fields

    def lines(self, section: Section, fields: list[_Field]) -> list[str]:
        """The section's contents behind its directive."""
        labels: dict[int, list[str]] = {}
        output = [f".p2align {max(section.align, 1).bit_length() - 1}"]
        for owner, offset in sorted(self.names.labels):
            if owner == section.index:
                labels.setdefault(offset, []).append(f".Lgs_d{owner}_{offset:x}")
        for symbol in self.names.file.symbols:
            name = self.names.symbol(symbol.index)
            if symbol.section != section.index or name is None:
                continue
            if symbol.binding != "local":
                output.append(f".{'globl' if symbol.binding == 'global' else 'weak'} {name}")
                output += [f".{symbol.visibility} {name}"] if symbol.visibility != "default" else []
            kind = _SYMBOL_TYPES.get(symbol.type)
            output += [f".type {name}, {kind}"] if kind else []
            output += [f".size {name}, {symbol.size}"] if symbol.size else []
            labels.setdefault(symbol.value, []).append(name)
        starts = {f.offset: f for f in fields}
        ends = sorted({0, section.size, *labels, *starts, *(f.offset + f.size for f in fields)})
        for at, following in zip(ends, [*ends[1:], section.size], strict=True):
            output += [f"{label}:" for label in labels.get(at, ())]
            if at in starts:
                output.append(starts[at].text)
            elif at < following <= section.size:
                output += _bytes(section, at, following)
        return output


def _bytes(section: Section, start: int, end: int) -> list[str]:
    if section.type == 8:
        return [f".zero {end - start}"]
    data = section.data[start:end]
    if not any(data):
        return [f".zero {len(data)}"]
    return [".byte " + ",".join(map(str, data[i : i + 32])) for i in range(0, len(data), 32)]
