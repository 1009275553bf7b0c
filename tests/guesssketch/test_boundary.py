"""What crosses the wall at run time. ``boundary/NAME.c`` is translated, ``NAME_native.c`` is not; ``NAME.expected`` is what a
native x86-64 program prints."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guesssketch.cli import run
from tests.guesssketch.signatures import Generator

FOLDER = Path(__file__).parent / "boundary"
TARGETS = ("aarch64", "riscv64")


def compiled(source: Path, folder: Path, *options: str) -> Path:
    output = folder / f"{source.stem}.o"
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu", "-mcpu=x86_64", "-fno-sanitize=all"]
    subprocess.run([*zig, "-g", *options, "-c", source, "-o", output], check=True, capture_output=True)
    return output


def translated(source: Path, target: str, folder: Path, *options: str) -> Path:
    output = folder / "out.o"
    assert run(["translate", str(compiled(source, folder, *options)), "--target", target, "-o", str(output), "--no-cache"]) == 0
    return output


def linker(target: str) -> list[str]:
    found = shutil.which(f"{target}-linux-gnu-gcc")
    if found is None or shutil.which(f"qemu-{target}") is None:
        pytest.skip(f"no cross compiler or qemu-user for {target}")
    return [found, "-O2", "-funwind-tables"]


def output_of(program: Path, target: str, **environment: str) -> str:
    command = [f"qemu-{target}", "-L", f"/usr/{target}-linux-gnu", str(program)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ) | environment)
    return done.stdout


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["library", "narrow", "pointers", "setjmp", "structs", "unwind"])
def test_program(name: str, target: str, tmp_path: Path) -> None:
    cross = linker(target)
    guest = translated(FOLDER / f"{name}.c", target, tmp_path, "-O2")
    native = list(FOLDER.glob(f"{name}_native.c"))
    subprocess.run([*cross, "-static", guest, *native, "-o", tmp_path / "program", "-lm"], check=True)
    assert output_of(tmp_path / "program", target) == (FOLDER / f"{name}.expected").read_text()


@pytest.mark.parametrize("target", TARGETS)
def test_random_structs_by_value(target: str, tmp_path: Path) -> None:
    """Signatures of ``signatures.py``; the truth is the same program on this machine."""
    cross = linker(target)
    compiler = shutil.which("gcc")
    if compiler is None or platform.machine() != "x86_64":
        pytest.skip("no compiler for a native x86-64 run")
    guest, native = tmp_path / "guest.c", tmp_path / "native.c"
    for path, text in zip((guest, native), Generator(7).files(8), strict=True):
        path.write_text(text)
    subprocess.run([compiler, "-w", guest, native, "-o", tmp_path / "truth"], check=True)
    truth = subprocess.run([tmp_path / "truth"], check=True, capture_output=True, text=True).stdout
    subprocess.run([*cross, "-w", translated(guest, target, tmp_path, "-O1", "-w"), native, "-o", tmp_path / "program"], check=True)
    assert output_of(tmp_path / "program", target) == truth


@pytest.mark.parametrize("target", TARGETS)
def test_dynamic_thread_local_storage(target: str, tmp_path: Path) -> None:
    cross = linker(target)
    guest = translated(FOLDER / "threads.c", target, tmp_path, "-O1", "-fPIC")
    native, library = FOLDER / "threads_native.c", tmp_path / "libguest.so"
    subprocess.run([*cross, "-shared", guest, "-o", library], check=True)
    subprocess.run([*cross, "-DLIBRARY", "-rdynamic", native, "-o", tmp_path / "dynamic"], check=True)
    subprocess.run([*cross, "-static", guest, native, "-o", tmp_path / "static"], check=True)
    expected = (FOLDER / "threads.expected").read_text()
    assert output_of(tmp_path / "dynamic", target, GUEST=str(library)) == expected
    assert output_of(tmp_path / "static", target) == expected


@pytest.mark.parametrize("target", TARGETS)
def test_a_native_va_list_stops_the_program(target: str, tmp_path: Path) -> None:
    """Read as x86-64's it would be garbage. Between translated functions it goes as ever."""
    cross = linker(target)
    head = "#include <stdarg.h>\n#include <stdio.h>\nint listed(char *, const char *, va_list), guest(char *);\n"
    made = ("static int made(char *out, const char *format, ...)\n"
            "{ va_list list; va_start(list, format); int n = listed(out, format, list); va_end(list); return n; }\n"
            "int NAME(char *out) { return made(out, \"%d %s %g\", 42, \"text\", 2.5); }\n")  # fmt: skip
    body = "int listed(char *out, const char *format, va_list list) { return vsnprintf(out, 60, format, list); }\n"
    main = "int main(int count, char **words) { char out[60]; (count > 1 ? native : guest)(out); puts(out); return 0; }\n"
    (tmp_path / "guest.c").write_text(head + body + made.replace("NAME", "guest"))
    (tmp_path / "native.c").write_text(head + made.replace("NAME", "native") + main)
    guest = translated(tmp_path / "guest.c", target, tmp_path, "-O1")
    subprocess.run([*cross, "-static", guest, tmp_path / "native.c", "-o", tmp_path / "program"], check=True)
    assert output_of(tmp_path / "program", target) == "42 text 2.5\n"
    stopped = subprocess.run([f"qemu-{target}", str(tmp_path / "program"), "native"], capture_output=True, text=True, check=False)
    assert stopped.returncode and stopped.stdout == ""


@pytest.mark.parametrize(("source", "reason"), [
    ("#include <setjmp.h>\nint (*taken)(struct __jmp_buf_tag *) = _setjmp;", "the address of _setjmp"),
    ("int vfork(void); int (*taken)(void) = vfork;", "the address of vfork"),
    ("__attribute__((visibility(\"hidden\"), tls_model(\"local-dynamic\"))) extern _Thread_local int x; int f(void) { return x; }",
     "TLSLD is not supported"),
    ("void *__tls_get_addr(void *); void *f(void *p) { return __tls_get_addr(p); }", "not in the sequence"),
])  # fmt: skip
def test_refused(source: str, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.c").write_text(source)
    built = compiled(tmp_path / "p.c", tmp_path, "-O2", "-fPIC")
    assert run(["translate", str(built), "--target", "aarch64", "-o", str(tmp_path / "out.o"), "--no-cache"]) == 3
    assert reason in capfd.readouterr().err
