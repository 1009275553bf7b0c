"""A C compiler for packages' own build systems, which calls the real one and keeps every object that it makes.

``python compiler.py STORE "gcc" "-O2 -g" ARGUMENTS...`` runs ``gcc ARGUMENTS... -O2 -g``. In the folder STORE it keeps each
object by the hash of its contents, and appends a line of JSON to ``records.jsonl`` for each compilation and each link: the
object's hash with the command that made it, or the program's path with what it was linked from. A command that compiles
and links at once is taken apart. What neither compiles nor links a program goes to the real compiler as it stands.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

WITH_VALUE = ("-o", "-I", "-D", "-U", "-L", "-l", "-x", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-MF", "-MT",
              "-MQ", "-Xlinker", "-T", "-z")  # fmt: skip
SOURCES = (".c", ".S", ".s")


def read_archive(data: bytes) -> list[bytes]:
    """The members of an archive in order, without its indexes (ar(5), GNU's form)."""
    members = []
    at = 8
    while at + 60 <= len(data):
        name, size = data[at : at + 16].rstrip(), int(data[at + 48 : at + 58])
        if name not in (b"/", b"//", b"/SYM64/"):
            members.append(data[at + 60 : at + 60 + size])
        at += 60 + size + size % 2
    return members


class Compiler:
    def __init__(self, store: Path, real: str, flags: str) -> None:
        self.store = store
        self.real = shlex.split(real)
        self.flags = shlex.split(flags)

    def keep(self, contents: bytes) -> str:
        name = hashlib.sha256(contents).hexdigest()[:16]
        path = self.store / f"{name}.o"
        if not path.exists():
            beside = path.with_suffix(f".{os.getpid()}")
            beside.write_bytes(contents)
            beside.replace(path)
        return name

    def record(self, **entry: object) -> None:
        with (self.store / "records.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def run(self, arguments: list[str]) -> int:
        """Do what the command asks for; gives the exit status."""
        output, names, options = parse(arguments)
        sources = [name for name in names if name.endswith(SOURCES)]
        if not names or any(o in ("-E", "-M", "-MM", "-S", "-shared", "-r", "-fsyntax-only") for o in options):
            return subprocess.call([*self.real, *arguments])
        if "-c" in options:
            return self.compile(arguments, output or (Path(sources[0]).with_suffix(".o").name if sources else ""))
        program = output or "a.out"
        for number, source in enumerate(sources):
            made = self.store / f"{os.getpid()}.{number}.o"
            status = self.compile([*(a for a in options if not a.startswith("-l")), "-c", source, "-o", str(made)], str(made))
            if status:
                return status
            names[names.index(source)] = str(made)
        own, libraries = libraries_of(options)
        status = subprocess.call([*self.real, *options, *names, *own, *libraries, *self.flags, "-o", program])
        if status == 0:
            inputs = [self.inputs(Path(name)) for name in [*names, *own]]
            self.record(program=os.path.abspath(program), inputs=inputs, libraries=libraries)
        return status

    def compile(self, arguments: list[str], output: str) -> int:
        status = subprocess.call([*self.real, *arguments, *self.flags])
        if status == 0 and output and Path(output).is_file():
            name = self.keep(Path(output).read_bytes())
            self.record(object=name, folder=os.getcwd(), arguments=arguments)
        return status

    def inputs(self, path: Path) -> str | list[str]:
        """The hash of an object, those of an archive's members, or the name of anything else."""
        contents = path.read_bytes()
        if contents.startswith(b"!<arch>\n"):
            return [self.keep(member) for member in read_archive(contents)]
        return self.keep(contents) if contents.startswith(b"\x7fELF") else str(path.resolve())


def libraries_of(options: list[str]) -> tuple[list[str], list[str]]:
    """Archives that -l finds in the folders of -L, and the other -l: those of the system."""
    folders = [Path(o[2:] or after) for o, after in zip(options, [*options[1:], ""], strict=False) if o.startswith("-L")]
    own, system = [], []
    for option in options:
        if option.startswith("-l") or option == "-pthread":
            found = [path for folder in folders if (path := folder / f"lib{option[2:]}.a").is_file()]
            own += [str(found[0])] if found else []
            system += [] if found else [option]
    return own, system


def parse(arguments: list[str]) -> tuple[str, list[str], list[str]]:
    """The value of -o, the file names, and the other arguments."""
    output, names, options = "", [], []
    rest = iter(arguments)
    for argument in rest:
        if argument == "-o":
            output = next(rest, "")
        elif argument in WITH_VALUE:
            options += [argument, next(rest, "")]
        elif argument.startswith("-"):
            options.append(argument)
        else:
            names.append(argument)
    return output, names, options


if __name__ == "__main__":
    sys.exit(Compiler(Path(sys.argv[1]), sys.argv[2], sys.argv[3]).run(sys.argv[4:]))
