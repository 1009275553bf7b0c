"""The table of the C++ library's functions (``data/cxx_prototypes.json``), out of libstdc++'s own headers.

``python -m guesssketch.cxxheaders --regenerate`` compiles all headers with debugging information, by g++ for x86-64 and for
both targets, and keeps what the shared library exports. Members of classes are there by themselves. A function outside of
classes is there only when it is called, so a call is written for each, with the parameters that its mangled name tells;
those that no public header declares are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from elftools.elf.elffile import ELFFile

from guesssketch import dwarf
from guesssketch.classes import CLASSES, REFERENCES, stripped, subobjects, target

COMPILERS: Final = {"x86_64": "g++", "aarch64": "aarch64-linux-gnu-g++", "riscv64": "riscv64-linux-gnu-g++"}
_OPTIONS: Final = ("-g", "-O1", "-w", "-fno-eliminate-unused-debug-types",
                   "-femit-class-debug-always", "-fPIC", "-shared",
                   "-fno-access-control", "-fmax-errors=0")  # fmt: skip
_STANDARDS: Final = ("c++17", "c++14", "c++20")  # a function may be declared otherwise in each
_CLASSES: Final = (
    "string", "wstring", "u16string", "u32string", "ostream", "istream", "iostream", "wostream", "wistream", "wiostream",
    "streambuf", "wstreambuf", "stringbuf", "ostringstream", "istringstream", "stringstream", "wstringbuf", "wostringstream",
    "wistringstream", "wstringstream", "filebuf", "ofstream", "ifstream", "fstream", "wfilebuf", "wofstream", "wifstream",
    "wfstream", "ios", "wios", "locale", "thread", "mutex", "condition_variable", "error_code", "error_category", "exception",
    "bad_alloc", "bad_cast", "logic_error", "runtime_error", "out_of_range", "length_error", "invalid_argument",
    "range_error", "overflow_error", "underflow_error", "domain_error", "system_error", "future_error", "bad_function_call",
    "random_device", "ctype<char>", "ctype<wchar_t>", "numpunct<char>", "numpunct<wchar_t>", "num_get<char>", "num_put<char>",
    "collate<char>", "codecvt<char,char,mbstate_t>", "messages<char>", "time_get<char>", "time_put<char>", "moneypunct<char>",
    "money_get<char>", "money_put<char>", "chrono::system_clock", "chrono::steady_clock", "type_info", "nested_exception",
    "__detail::_Prime_rehash_policy", "shared_ptr<int>", "weak_ptr<int>", "basic_regex<char>", "function<int(int)>",
    "condition_variable_any", "shared_timed_mutex", "valarray<int>",
)  # fmt: skip
_CLASSES_17: Final = (
    "filesystem::path", "filesystem::directory_iterator", "filesystem::recursive_directory_iterator",
    "filesystem::directory_entry", "filesystem::filesystem_error", "pmr::monotonic_buffer_resource",
    "pmr::unsynchronized_pool_resource", "pmr::synchronized_pool_resource",
)  # fmt: skip
_HEADERS: Final = "#include <bits/stdc++.h>\n#include <cxxabi.h>\n#include <bits/functexcept.h>\n"


def table_text() -> str:
    """The table. Raises subprocess.CalledProcessError if a compiler fails."""
    exported = dict(_exported())
    every = [call for number, text in enumerate(exported.values()) for call in _calls(number, text)]
    signatures: dict[str, str] = {}
    layouts: dict[str, dict[str, list[str]]] = {}
    for standard in _STANDARDS:
        with tempfile.TemporaryDirectory(prefix="guesssketch-") as folder:
            calls = _that_compile(every, standard, Path(folder))
            units = {machine: _unit(machine, calls, standard, Path(folder)) for machine in COMPILERS}
        found = dwarf.Signatures()
        for die in units["x86_64"].values():
            dwarf.add(die, found)
        for name, signature in found.external.items():
            if name in exported and signature.is_known:
                signatures.setdefault(name, str(signature))
                for machine in ("aarch64", "riscv64"):
                    die, other = units["x86_64"].get(name), units[machine].get(name)
                    differ = _differing(die, other) if die is not None and other is not None else []
                    if differ:
                        layouts.setdefault(name, {})[machine] = differ
    data = {"signatures": dict(sorted(signatures.items())), "layouts": dict(sorted(layouts.items()))}
    return json.dumps(data, indent=0, separators=(",", ":")) + "\n"


def _exported() -> Iterator[tuple[str, str]]:
    """(symbol, what it means) of each function of the shared library."""
    path = _output("g++", "-print-file-name=libstdc++.so.6").strip()
    names = [line.split()[-1].split("@")[0] for line in _output("nm", "-D", "--defined-only", path).splitlines()
             if line.split()[1] in "TWi"]  # fmt: skip
    names = sorted(set(names))
    yield from zip(names, _output("c++filt", input="\n".join(names)).splitlines(), strict=True)


def _output(*command: str | Path, input: str | None = None) -> str:
    return subprocess.run(command, input=input, capture_output=True, text=True, check=True).stdout


def _calls(number: int, text: str) -> Iterator[str]:
    """Lines of C++ that call the function ``text`` (``std::f<int>(int)``), as one of a namespace, and a template as a member
    too; which one it is the compiler says."""
    text = re.sub(r"operator(<<|>>) ?", lambda m: f"operator{'@l' if m[1] == '<<' else '@r'}", text).removesuffix(" const")
    if not text.endswith(")") or not re.search(r"\bstd::|operator", text) or re.search(r"thunk |clone |^(std::)?tr1", text):
        return
    opening = next((i for i in range(len(text) - 1, -1, -1) if text[i] == "(" and text[i:].count("(") == text[i:].count(")")), 0)
    name = _parts(text[:opening].replace("operator new", "operator@n").replace("operator delete", "operator@d"), " ")[-1]
    arguments = [f"arg<{a.strip()}>()" for a in _parts(text[opening + 1 : -1], ",") if a.strip()]
    if (shift := re.match(r"std::operator@([lr])", name)) and len(arguments) == 2:  # which overload: better not by name
        yield f"void call{number}() {{ {' << '.join(arguments) if shift[1] == 'l' else ' >> '.join(arguments)}; }}"
        return
    values = ", ".join(arguments)
    for sign, spelling in {"@l": "<< ", "@r": ">> ", "@n": " new", "@d": " delete"}.items():
        name, values = name.replace(sign, spelling), values.replace(sign, spelling)
    yield f"void call{number}() {{ {'::' if name.startswith('operator') else ''}{name}({values}); }}"
    if name.endswith(">"):
        *scope, last = _parts(name, "::")
        yield f"void member{number}() {{ arg<{'::'.join(scope)}&>().{last}({values}); }}"


def _parts(text: str, separator: str) -> list[str]:
    """``text`` split at separators outside of brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "(<{[") - (letter in ")>}]")
        if not depth and text.startswith(separator, index):
            parts.append(text[start:index])
            start = index + len(separator)
    return [*parts, text[start:]]


def _source(calls: Iterable[str]) -> str:
    def objects(classes: Iterable[str]) -> str:
        names = {name: re.sub(r"\W", "_", name) for name in classes}
        return "".join(f"std::{name} *{plain}_object; auto {plain}_size = sizeof(std::{name});\n" for name, plain in names.items())

    newer = f"#if __cplusplus >= 201703L\n{objects(_CLASSES_17)}#endif\n"
    return f"{_HEADERS}template <class T> T arg();\n{objects(_CLASSES)}{newer}" + "\n".join(calls) + "\n"


def _that_compile(calls: list[str], standard: str, folder: Path) -> list[str]:
    """``calls`` without those that no header declares."""
    source = folder / "all.cc"
    first = _source(()).count("\n")  # the line of the first call
    while True:
        source.write_text(_source(calls))
        command = [COMPILERS["x86_64"], f"-std={standard}", *_OPTIONS, "-fsyntax-only", str(source)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        bad = {int(line) - first for line in re.findall(r"all\.cc:(\d+):\d+: (?:error|  required from here)", said)}
        if not bad:
            return calls
        if min(bad) < 0:
            raise ValueError(said[:2000])
        calls = [call for index, call in enumerate(calls) if index not in bad]


def _unit(machine: str, calls: Iterable[str], standard: str, folder: Path) -> dict[str, Any]:
    """Debugging information of functions by mangled name: a declaration or an instance with all parameters."""
    source, library = folder / "all.cc", folder / f"{machine}.so"
    source.write_text(_source(calls))
    _output(COMPILERS[machine], f"-std={standard}", *_OPTIONS, source, "-o", library)
    found: dict[str, Any] = {}
    with library.open("rb") as stream:
        for unit in ELFFile(stream).get_dwarf_info().iter_CUs():
            for die in unit.iter_DIEs():
                if die.tag == "DW_TAG_subprogram":
                    signatures = dwarf.Signatures()
                    dwarf.add(die, signatures)
                    for name in signatures.external:
                        found.setdefault(name, die)
    return found


def _differing(die: Any, other: Any) -> list[str]:
    """Names of the classes behind pointers that the two machines lay out otherwise."""
    mine, theirs = dict(_pointees(die)), dict(_pointees(other))
    return sorted(name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name])


def _pointees(die: Any) -> Iterator[tuple[str, object]]:
    origin = dwarf.origin_of(die)
    for child in origin.iter_children():
        kind = stripped(target(child)) if child.tag == "DW_TAG_formal_parameter" else None
        if kind is not None and kind.tag in ("DW_TAG_pointer_type", *REFERENCES):
            kind = stripped(target(kind))
        if kind is not None and kind.tag in CLASSES and "DW_AT_name" in kind.attributes:
            yield kind.attributes["DW_AT_name"].value.decode(), _shape(kind)


def _shape(kind: Any) -> object:
    """Sizes and offsets of all that a class holds."""
    size = kind.attributes.get("DW_AT_byte_size")
    if kind.tag == "DW_TAG_array_type":
        counts = [c.attributes["DW_AT_upper_bound"].value for c in kind.iter_children() if "DW_AT_upper_bound" in c.attributes]
        return "array", counts, _shape(stripped(target(kind)))
    if kind.tag not in CLASSES or size is None:
        return None if size is None else size.value
    parts = []
    for part in subobjects(kind):
        place = part.attributes.get("DW_AT_data_member_location")
        if "DW_AT_virtuality" not in part.attributes:
            kind_of = target(part)
            opaque = _is_lock(kind_of)  # only its size is the program's business
            shape = stripped(kind_of).attributes["DW_AT_byte_size"].value if opaque else _shape(stripped(kind_of))
            parts.append((0 if place is None else place.value, shape))
    return size.value, tuple(parts)


def _is_lock(kind: Any) -> bool:
    while kind is not None and kind.tag == "DW_TAG_typedef":
        if kind.attributes["DW_AT_name"].value.startswith(b"pthread_"):
            return True
        kind = target(kind)
    return False


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m guesssketch.cxxheaders", description="Make the C++ library's table.")
    parser.add_argument("--regenerate", action="store_true", required=True)
    parser.parse_args(arguments)
    path = Path(__file__).parent / "data" / "cxx_prototypes.json"
    path.write_text(table_text())
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
