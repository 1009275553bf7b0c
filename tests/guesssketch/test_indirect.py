"""What a caller that does not know the callee gets back: calls through pointers of another type, callbacks, without -g."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guesssketch.cli import run

PROGRAMS = {
    "the type of a callback is not the function's": """
        int printf(const char *, ...); int atexit(void (*)(void));
        int last(void) { return 42; }
        int (*volatile table)(void) = last;
        int main(void) { atexit((void (*)(void))last); printf("%d\\n", table()); return 0; }""",
    "a name of the C library with another type": """
        int printf(const char *, ...);
        long error(const char *m, long n) { return n * 7; }
        long (*volatile table)(const char *, long) = error;
        int main(void) { printf("%ld\\n", table("", 6)); return 0; }""",
    "a vector comes back through a pointer": """
        int printf(const char *, ...);
        typedef int v4 __attribute__((vector_size(16)));
        v4 f(int a) { return (v4){a, a + 10, a + 20, a + 30}; }
        v4 (*volatile p)(int) = f;
        int main(void) { v4 v = p(12); printf("%d\\n", v[0] + v[1] + v[2] + v[3] - 66); return 0; }""",
    "a comparison that is negative": """
        int printf(const char *, ...); void qsort(void *, unsigned long, unsigned long, int (*)(const void *, const void *));
        static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
        int main(void) { int v[3] = {44, 43, 42}; qsort(v, 3, 4, order); printf("%d\\n", v[0]); return 0; }""",
}


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_answer_arrives(name: str, level: str, target: str, tmp_path: Path) -> None:
    source, built, output = tmp_path / "p.c", tmp_path / "p.o", tmp_path / "out.o"
    source.write_text(PROGRAMS[name])
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu", "-mcpu=x86_64", "-fno-sanitize=all"]
    subprocess.run([*compiler, level, "-g0", "-w", "-c", source, "-o", built], check=True, capture_output=True)
    assert run(["translate", str(built), "--target", target, "-o", str(output), "-j", "1", "--no-cache"]) == 0
    linker, emulator = shutil.which(f"{target}-linux-gnu-gcc"), shutil.which(f"qemu-{target}")
    if not linker or not emulator:
        pytest.skip(f"no cross compiler or qemu-user for {target}")
    subprocess.run([linker, "-static", output, "-o", tmp_path / "program"], check=True)
    result = subprocess.run([emulator, tmp_path / "program"], check=True, capture_output=True, text=True)
    assert result.stdout == "42\n"
