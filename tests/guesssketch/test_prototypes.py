"""Signatures: their text, the C library's table, headers, DWARF."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from guesssketch import dwarf, objfile
from guesssketch.assembler import zig
from guesssketch.errors import GuessSketchWarning, UsageError
from guesssketch.prototypes import from_headers, library, parse_signature
from guesssketch.wall.places import Unsupported, x86_places


@pytest.mark.parametrize("text", [
    "void()", "i32(ptr,...)", "{16:0=f64,8=i32}(u8,{8:0=f32,4=f32})", "void(ptr,u64,u64,*i32(ptr,ptr))", "*void(i32)(i32,*void(i32))",
])  # fmt: skip
def test_text_and_back(text: str) -> None:
    assert str(parse_signature(text)) == text


@pytest.mark.parametrize(("name", "text"), [
    ("printf", "i32(ptr,...)"), ("__printf_chk", "i32(i32,ptr,...)"), ("vprintf", "i32(ptr,va_list)"), ("strtol", "i64(ptr,ptr,i32)"),
    ("qsort", "void(ptr,u64,u64,*i32(ptr,ptr))"), ("ldexp", "f64(f64,i32)"), ("div", "{8:0=i32,4=i32}(i32,i32)"),
    ("__isoc99_sscanf", "i32(ptr,ptr,...)"), ("cabsf", "f32({8:0=f32,4=f32})"), ("sqrtl", "f80(f80)"),
])  # fmt: skip
def test_library(name: str, text: str) -> None:
    assert str(library().get(name)) == text


def test_layouts_that_differ() -> None:
    layouts = library().layouts
    assert layouts["stat", "aarch64"] == ("stat",)
    assert ("setjmp", "riscv64") in layouts
    assert ("epoll_wait", "aarch64") in layouts  # packed on x86-64 only
    assert not {("fopen", "aarch64"), ("select", "riscv64"), ("pthread_mutex_lock", "aarch64")} & set(layouts)
    assert ("pthread_mutex_init", "aarch64") in layouts  # 48 bytes, not 40
    assert ("pthread_mutex_init", "riscv64") not in layouts


def test_header(tmp_path: Path) -> None:
    header = tmp_path / "mine.h"
    header.write_text("""#include <stddef.h>
    enum colour { RED, GREEN };
    typedef struct { unsigned flags : 3; char name[sizeof(int) * 3]; } entry;
    extern entry first(enum colour, const entry *, size_t) __attribute__((nonnull(2)));
    static inline int twice(int x) { return (int){2} * x; }
    double log_it(const char *, ...) __asm__("real_log");
    """)
    table = from_headers([header])
    assert str(table.get("first")) == "{16:0=u32," + ",".join(f"{i}=char" for i in range(1, 13)) + "}(u32,ptr,u64)"
    assert str(table.get("real_log")) == "f64(ptr,...)"


LEFT_OUT = """
#include <stdio.h>
typedef struct __attribute__((packed)) { char c; int i; } tight;
struct wide { int i; } __attribute__((aligned(32)));
void first(struct wide, int);
#pragma pack(push, 1)
struct odd { char c; int i; };
int second(struct odd x);
#pragma pack(pop)
int third(__float80 x); int fourth(tight);
int fifth();
int sixth(int (*compare)(), char);
#pragma GCC diagnostic push
int seventh(_Alignas(16) int);
__attribute__((ms_abi)) int eighth(int);
enum __attribute__((packed)) small { A };
typedef struct { int i; } __attribute__((aligned(64))) line; typedef _Decimal64 money;
void ninth(line *, money *); money tenth(line);
"""


def test_what_is_not_understood_in_a_header_is_told(tmp_path: Path) -> None:
    header = tmp_path / "mine.h"
    header.write_text(LEFT_OUT)
    with pytest.warns(GuessSketchWarning, match=rf"^{header}:4: this declaration and 8 more are not understood, and left out$"):
        table = from_headers([header])
    known = {name: str(table.get(name)) for name in ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
                                                       "ninth", "tenth")}  # fmt: skip
    assert known == {"first": "void(other,i32)", "second": "i32(other)", "fourth": "i32({5:0=char,1=i32})", "sixth": "i32(ptr,char)",
                     "ninth": "void(ptr,ptr)", "tenth": "other(other)", "third": "None", "fifth": "None", "seventh": "None", "eighth": "None"}  # fmt: skip
    for name in ("first", "second", "tenth"):
        with pytest.raises(Unsupported, match="not known"):
            x86_places(table.signatures[name])


def test_missing_header(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        from_headers([tmp_path / "none.h"])
    broken = tmp_path / "broken.h"
    broken.write_text('#include "nowhere.h"\n')
    with pytest.raises(UsageError, match="nowhere"):
        from_headers([broken])


def test_dwarf(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("""struct pair { double x, y; };
    struct pair outside(char, struct pair *, ...);
    struct pair f(unsigned short a, struct pair p) { return outside(a, &p, 1); }
    """)
    output = tmp_path / "a.o"
    command = [zig(), "cc", "-target", "x86_64-linux-gnu", "-g", "-O1", "-fno-sanitize=all", "-c", str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    (file,) = objfile.read(output)
    found = dwarf.signatures(file)
    assert [str(s) for s in found.defined.values()] == ["{16:0=f64,8=f64}(u16,{16:0=f64,8=f64})"]
    assert {line.line for line in dwarf.lines(file).values()} == {3}
