"""C++: landing pads, how classes travel, what constructors are called, what the library may call."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from guesssketch import cfg, dwarf, emit, objfile
from guesssketch.assembler import zig
from guesssketch.errors import Untranslatable
from guesssketch.exceptions import landing_pads
from guesssketch.pipeline import Options, translate
from guesssketch.program import ObjectFile
from guesssketch.prototypes import cxx_library, parse_signature
from guesssketch.wall.calls import glue
from guesssketch.wall.overrides import overridden
from guesssketch.wall.places import Unsupported, a64_places, rv_places, x86_places

CLANG = (zig(), "c++", "-target", "x86_64-linux-gnu", "-fno-sanitize=all")
COMPILERS = [CLANG, *([("g++",)] if shutil.which("g++") else [])]


def compiled(folder: Path, text: str, compiler: tuple[str, ...], *flags: str) -> ObjectFile:
    source, output = folder / "a.cc", folder / "a.o"
    source.write_text(text)
    subprocess.run([*compiler, *flags, "-c", str(source), "-o", str(output)], check=True, capture_output=True)
    (file,) = objfile.read(output)
    return file


THROWING = """
struct Held { ~Held(); }; void may_throw();
void lands() { Held held; may_throw(); }
void passes() { may_throw(); may_throw(); }
void ends() noexcept { may_throw(); }
"""


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: c[0].rpartition("/")[2])
def test_only_functions_that_an_exception_could_enter_are_refused(tmp_path: Path, compiler: tuple[str, ...]) -> None:
    with pytest.raises(Untranslatable) as refused:
        cfg.recover([compiled(tmp_path, THROWING, compiler, "-O2", "-fexceptions")])
    (problem,) = refused.value.problems
    assert "_Z5landsv: has a landing pad at +0x" in problem and "compile with -fno-exceptions" in problem
    assert landing_pads(compiled(tmp_path, THROWING, compiler, "-O2", "-fno-exceptions")) == []


def test_a_throw_is_refused() -> None:
    for target in ("aarch64", "riscv64"):
        with pytest.raises(Unsupported, match="exceptions have no translation"):
            glue("__cxa_throw", None, [], target)
        with pytest.raises(Unsupported, match="a C\\+\\+ function of unknown type"):  # it may return a class in memory
            glue("_Z4makev", None, [], target)


CLASSES = """
struct Plain { int a, b; };  struct Held { int a; Held(const Held &); ~Held(); };  struct Holder { Held held; };
struct Defaulted { int a; Defaulted(const Defaulted &) = default; };  struct Moved { int a; Moved(const Moved &) = delete; };
struct Virtual { virtual void f() {} int a; };  struct Empty {};  struct Derived : Plain { char c; };
struct Base { Base(); int a; };  struct Deep : virtual Base { Deep(short); };
Holder make(Plain, Held &, Held, Holder, Defaulted, Virtual, Empty, Derived, char, Plain &&, int Plain::*);
int listed(const char *, __builtin_va_list);
int pass(__builtin_va_list list) { return listed("", list); }
Deep::Deep(short) { static_cast<void>(a); }
void use(Held &h, Holder &o, Defaulted &d, Virtual &v, Plain &p) {
    make(p, h, h, o, d, v, Empty(), Derived(), 'c', static_cast<Plain &&>(p), nullptr);
}
"""


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: c[0].rpartition("/")[2])
def test_classes_in_debugging_information(tmp_path: Path, compiler: tuple[str, ...]) -> None:
    file = compiled(tmp_path, CLASSES, compiler, "-g", "-O1", "-fno-exceptions", "-std=c++17")
    found = dwarf.signatures(file)
    (name,) = [s.name for s in file.symbols if s.name.startswith("_Z4make")]
    plain, derived = "{8:0=i32,4=i32}", "{12:0=i32,4=i32,8=char}"
    assert str(found.external[name]) == (
        f"{{24:0=u64,8=u64,16=u64}}({plain},ptr,ptr,ptr,{{4:0=i32}},ptr,{{1:}},{derived},char,ptr,ptr)"
    )
    assert str(found.external["_Z6listedPKcP13__va_list_tag"]) == "i32(ptr,va_list)"
    starts = {s.name: (s.section, s.value) for s in file.symbols if s.section is not None}
    signatures = {str(found.defined[starts[f"_ZN4DeepC{n}Es"]]) for n in "12" if f"_ZN4DeepC{n}Es" in starts}
    assert signatures == {"void(ptr,i16)", "void(ptr,ptr,i16)"}  # the one for base classes gets a table


BY_VALUE = """
struct V1 { int a; V1 &operator=(const V1 &); };  struct V2 { int a; V2(V2 &&) = default; V2 &operator=(V2 &&); };
struct V3 { int a; V3(const V3 &) = delete; V3(V3 &&) = default; };  struct V4 : V3 {};
struct V5 { int a; ~V5() = default; };  struct V6 { V1 b; int &a; };  struct V7 { int a; template <class T> V7(T &&); };
struct R1 { int a; R1 &operator=(R1 &&); };  struct R2 : R1 {};  struct R3 : V3 { R3 &operator=(const R3 &); };
struct R4 { V4 b[2]; int a; ~R4() = default; };  struct R5 { int a; R5(R5 &&) = delete; };  struct R6 { int a; ~R6(); };
struct R7 { int a; R7(R7 &, int = 0); };
"""


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: c[0].rpartition("/")[2])
def test_whether_a_class_travels_as_an_address(tmp_path: Path, compiler: tuple[str, ...]) -> None:
    names = re.findall(r"struct (\w+)", BY_VALUE)
    text = BY_VALUE + "".join(f"int f{name}({name} x) {{ return x.a; }}\n" for name in names)
    file = compiled(tmp_path, text, compiler, "-g", "-O1", "-fno-exceptions", "-std=c++17")
    found = dwarf.signatures(file)
    defined = {s.name: found.defined[s.section, s.value] for s in file.symbols if s.type == "function" and s.section is not None}
    for name in names:
        kind = defined[f"_Z3f{name}{len(name)}{name}"].parameters[0].code
        assert kind in ({"V": ("struct", "other"), "R": ("ptr",)}[name[0]]), name  # clang tells of some only elsewhere


UNKNOWN = """
struct Empty {};  struct With { Empty empty; int a; };  struct alignas(32) Wide { int a; };  struct Homed { Homed(); int a; };
struct alignas(32) Kept { ~Kept(); int a; };
int with(With w) { return w.a; }  int wide(Wide w) { return w.a; }  void member(void (Empty::*)()) {}
int homed(Homed h) { return h.a; }  int kept(Kept k) { return k.a; }
int outside(With);  int use(With w) { return outside(w); }
"""


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: c[0].rpartition("/")[2])
def test_what_is_not_known_how_to_pass(tmp_path: Path, compiler: tuple[str, ...]) -> None:
    file = compiled(tmp_path, UNKNOWN, compiler, "-g", "-O1", "-fno-exceptions")
    found = dwarf.signatures(file)
    defined = {s.name: found.defined[s.section, s.value] for s in file.symbols if s.type == "function" and s.section is not None}
    for name in ("_Z4with4With", "_Z4wide4Wide", "_Z6memberM5EmptyFvvE"):
        with pytest.raises(Unsupported, match="whose passing is not known"):
            x86_places(defined[name])
    assert "_Z7outside4With" not in found.external  # which leaves it to the C++ library's table
    assert str(defined["_Z4kept4Kept"]) == "i32(ptr)"
    homed = "other" if compiler is CLANG else "{4:0=i32}"  # clang tells of the class only where its constructor is defined
    assert str(defined["_Z5homed5Homed"]) == f"i32({homed})"


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: c[0].rpartition("/")[2])
def test_what_the_compiler_declares_itself_has_no_types(tmp_path: Path, compiler: tuple[str, ...]) -> None:
    file = compiled(tmp_path, "int *f() { return new int; }", compiler, "-g", "-O1", "-fno-exceptions")
    assert {"_Znwm"} <= {s.name for s in file.symbols} and "_Znwm" not in dwarf.signatures(file).external


def test_an_empty_class_takes_a_place_on_the_targets_only() -> None:
    signature = parse_signature("{1:}(i32,{1:},i32)")
    assert [len(pieces) for pieces in x86_places(signature).arguments] == [1, 0, 1]
    for places, last in ((x86_places, "rsi"), (a64_places, "x2"), (rv_places, "x12")):
        found = places(signature)
        assert [p.location.name for p in found.arguments[2]] == [last] and not found.result  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "text"), [
    ("_ZN5Upper8overflowEi", "i32(ptr,i32)"), ("_ZNK4Mine11do_groupingB5cxx11Ev", "{24:0=u64,8=u64,16=u64}(ptr)"),
    ("_ZNK4Mine10do_toupperEc", "char(ptr,char)"), ("_ZN12_GLOBAL__N_14MineD0Ev", "void(ptr)"), ("_ZN1a3xD1Ev", "None"), ("_ZN3Foo3barEv", "None"), ("_Z3foov", "None"),
])  # fmt: skip
def test_overrides_of_the_library(name: str, text: str) -> None:
    assert str(overridden(name)) == text


@pytest.mark.parametrize(("name", "text"), [
    ("_Znwm", "ptr(u64)"), ("_ZNSolsEd", "ptr(ptr,f64)"), ("_ZNSo3putEc", "ptr(ptr,char)"),
    ("_ZNKSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv", "{24:0=u64,8=u64,16=u64}(ptr)"),
    ("_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc", "ptr(ptr,ptr)"),
    ("_ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base", "ptr(ptr)"),
])  # fmt: skip
def test_the_librarys_table(name: str, text: str) -> None:
    assert str(cxx_library().get(name)) == text


def test_file_streams_are_larger_on_aarch64() -> None:
    name = "_ZNSt13basic_filebufIcSt11char_traitsIcEEC1Ev"
    with pytest.raises(Unsupported, match="lays out struct basic_filebuf"):
        glue(name, cxx_library().get(name), [cxx_library()], "aarch64")
    glue(name, cxx_library().get(name), [cxx_library()], "riscv64")


LOCAL = """
[[gnu::used]] static const long pair[2] __asm__("pair") = {1, 2}, third __asm__("third") = 4;
extern "C" const long *g() { const long *at; asm("movq third@GOTPCREL(%%rip), %0" : "=r"(at)); return at; }
"""


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_addresses_inside_symbols_have_slots(tmp_path: Path, target: str) -> None:
    """A linker takes no addend at an entry of the global offset table: AArch64's ignores it."""
    text = LOCAL + "extern __attribute__((visibility(\"hidden\"))) int table[9]; int f() { return table[5]; }"
    compiled(tmp_path, text, CLANG, "-O1")
    (text,) = translate([tmp_path / "a.o"], Options(target, jobs=1)).assembly
    assert ".quad table+20" in text and re.search(r"\.quad \.Lgs_d\d+_0\+16", text)
    assert all("got" not in line for line in text.splitlines() if re.search(r"[+]\d|table", line))
    emit.assemble(text, target)
