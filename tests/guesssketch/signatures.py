"""Random function signatures with structs by value: two C files whose functions call each other both ways.

Functions read and fill every leaf of a type natively (``native.c``), so that the translated file (``guest.c``) only passes things
on, and its proofs are cheap. ``python tests/guesssketch/signatures.py SEED COUNT FOLDER`` writes a pair of any size.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

_SCALARS = {"signed char": 2, "unsigned char": 2, "short": 2, "unsigned short": 1, "int": 4, "unsigned": 1, "long": 4,
            "unsigned long": 1, "float": 6, "double": 6, "void *": 1}  # fmt: skip
_HEAD = "#include <stdio.h>\n#include <string.h>\ntypedef unsigned long u64;\n"
_BITS = "bits"
Leaves = list[tuple[str, str]]  # (path from the value, scalar type)


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.types: list[str] = []
        self.readers: list[str] = []
        for kind in _SCALARS:
            self._reader(kind, [("", kind)])

    def _scalar(self) -> str:
        return self.random.choices(list(_SCALARS), list(_SCALARS.values()))[0]

    def _struct(self, depth: int = 0) -> tuple[str, Leaves]:
        """A type by its name, and its leaves (of a union: those of the first member)."""
        r = self.random
        kind, same = r.random(), self._scalar() if r.random() < 0.35 else None
        members: list[str] = []
        leaves: Leaves = []
        for index in range(r.choice([1, 1, 2, 2, 2, 3, 3, 4, 5])):
            path, shape = f"m{index}", r.random()
            if depth < 2 and shape < 0.15:
                name, inner = self._struct(depth + 1)
                members.append(f"{name} {path};")
                mine = [(f"{path}.{p}", s) for p, s in inner]
            elif 0.2 <= kind < 0.26 and shape < 0.6:
                members.append(f"int {path} : {r.randrange(2, 21)};")
                mine = [(path, _BITS)]
            elif shape < 0.3:
                scalar, count = same or self._scalar(), r.choice([1, 2, 2, 3, 4, 9])
                members.append(f"{scalar} {path}[{count}];")
                mine = [(f"{path}[{n}]", scalar) for n in range(count)]
            else:
                scalar = same or self._scalar()
                members.append(f"{scalar} {path};")
                mine = [(path, scalar)]
            leaves += mine if kind >= 0.12 or not leaves else []
        name = f"T{len(self.types)}"
        tag = "union" if kind < 0.12 else "struct __attribute__((packed))" if kind < 0.2 else "struct"
        self.types.append(f"typedef {tag} {{ {' '.join(members)} }} {name};")
        self._reader(name, leaves)
        return name, leaves

    def _reader(self, kind: str, leaves: Leaves) -> None:
        """``mix_KIND(h, p)`` folds all leaves into a number, ``fill_KIND(p, h)`` makes them from one."""
        mix, fill = [], []
        for n, (path, scalar) in enumerate(leaves):
            place = f"p->{path}" if path else "*p"
            if scalar == _BITS:
                mix.append(f"h = h * 31 + (u64)(long){place};")
                fill.append(f"{place} = (int)(h >> {n % 64} & 1);")
                continue
            real = scalar in ("float", "double")
            value = f"({scalar})(int)((h >> {n % 32} & 0xffff) + {n})" if real else f"({scalar})(h + {n} * 0x123457ul)"
            mix.append(f"{{ {scalar} v; u64 w = 0; memcpy(&v, &{place}, sizeof v); memcpy(&w, &v, sizeof v); h = h * 31 + w; }}")
            fill.append(f"{{ {scalar} v = {value}; memcpy(&{place}, &v, sizeof v); }}")
        name = _name(kind)
        self.types.append(f"u64 mix_{name}(u64 h, const {kind} *p); void fill_{name}({kind} *p, u64 h);")
        self.readers.append(f"u64 mix_{name}(u64 h, const {kind} *p) {{ {' '.join(mix)} return h; }}")
        self.readers.append(f"void fill_{name}({kind} *p, u64 h) {{ memset(p, 0, sizeof *p); {' '.join(fill)} }}")

    def files(self, count: int) -> tuple[str, str]:
        """guest.c, which has main, and native.c."""
        guest: list[str] = []
        native: list[str] = []
        prototypes: list[str] = []
        calls: list[str] = []
        for i in range(count):
            many = self.random.choice([1, 1, 2, 2, 3, 4, 6, 9])
            kinds = [self._struct()[0] if self.random.random() < 0.5 else self._scalar() for _ in range(many)]
            result = self._struct()[0] if self.random.random() < 0.75 else self._scalar()
            declared = ", ".join(f"{kind} a{k}" for k, kind in enumerate(kinds))
            for side, output in (("guest", guest), ("native", native)):
                mixed = " ".join(f"h = mix_{_name(kind)}(h, &a{k});" for k, kind in enumerate(kinds))
                prototypes.append(f"{result} {side}_{i}({declared});")
                output.append(f"{result} {side}_{i}({declared}) {{ u64 h = 7; {mixed} {result} r; fill_{_name(result)}(&r, h); return r; }}")
            filled = " ".join(f"{kind} a{k}; fill_{_name(kind)}(&a{k}, h + {k * 1009});" for k, kind in enumerate(kinds))
            passed = ", ".join(f"a{k}" for k in range(len(kinds)))
            pointer = f", {result} (*f)({declared})"
            for side, more, callee, output in (("guest", "", f"native_{i}", guest), ("native", pointer, "f", native)):
                prototypes.append(f"u64 {side}_calls_{i}(u64 k{more});")
                output.append(f"u64 {side}_calls_{i}(u64 k{more}) {{ u64 h = k * {i + 3}ul * 0x9e3779b97f4a7c15ul + 11; {filled} "
                              f"{result} r = {callee}({passed}); return mix_{_name(result)}(5, &r); }}")  # fmt: skip
            calls.append(f'printf("{i} %lx %lx\\n", guest_calls_{i}(k), native_calls_{i}(k, guest_{i}));')
        head = _HEAD + "\n".join([*self.types, *prototypes, ""])
        main = f"int main(void) {{ for (u64 k = 1; k < 3; k++) {{ {' '.join(calls)} }} return 0; }}\n"
        return head + "\n".join([*guest, main]), head + "\n".join([*self.readers, *native, ""])


def _name(kind: str) -> str:
    return kind.replace(" ", "_").replace("*", "p")


if __name__ == "__main__":
    texts = Generator(int(sys.argv[1])).files(int(sys.argv[2]))
    for file, text in zip(("guest.c", "native.c"), texts, strict=True):
        Path(sys.argv[3], file).write_text(text)
