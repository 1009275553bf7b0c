"""Functions of an object beside those of another machine's object: right ones raise no alarm, planted faults are found."""

import pytest

from guesssketch.testing import layout
from guesssketch.testing.inputs import Input
from guesssketch.testing.pair import Pair
from tests.testing.conftest import Explore, Prepare

MACHINES = ["aarch64", "riscv64"]

RIGHT = {
    "loop": "int f(int *p, int n) { int s = 0; for (int i = 0; i < (n & 63); i++) s += p[i] * i; return s; }",
    "narrow": "short f(signed char a, unsigned short b, unsigned c, long d) { return a * b + (c >> 3) - (int)d; }",
    "many": "long f(long a, int b, long c, int d, long e, int g, short h, long i, signed char j, double k)"
            "{ return a + b * c - d * e + g * h - i * j + (k > 2.5); }",
    "floats": "double f(double a, float b, int c) { return a * b + c > 100.5 ? a - b : a / (b + 1); }",
    "list": "struct n { struct n *next; int key; void (*hook)(struct n *); };"
            "int f(struct n *p, int key) { for (int i = 0; p && i < 9; i++, p = p->next)"
            "{ if (p->key == key) { if (p->hook) p->hook(p); return i; } } return -1; }",
    "strings": "void *malloc(unsigned long); char *strchr(const char *, int); unsigned long strlen(const char *);"
               "void *memcpy(void *, const void *, unsigned long);"
               "char *f(const char *s) { const char *e = strchr(s, 'a'); unsigned long n = e ? e - s : strlen(s); char *c = malloc(n + 1);"
               "if (!c) return 0; memcpy(c, s, n); c[n] = 0; return c; }",
    "output": "int printf(const char *, ...); int puts(const char *); static int calls;"
              "int f(int a, double b) { calls++; printf(\"%d %5.2f %s\\n\", a, b, a > 3 ? \"more\" : \"less\"); puts(\"done\"); return calls; }",
    "order": "void qsort(void *, unsigned long, unsigned long, int (*)(const void *, const void *)); static int asked;"
             "static int by(const void *a, const void *b) { asked++; return *(int *)a - *(int *)b; }"
             "int f(int *p, unsigned n) { qsort(p, n & 7, 4, by); return asked; }",
    "pointer": "struct z { int (*hook)(int); int (*own)(int); }; __attribute__((noinline)) static int twice(int a) { return 2 * a; }"
               "int f(struct z *p, int a) { if (!p->own) p->own = twice; return p->hook ? p->hook(a) + p->own(a) : 0; }",
    "struct": "struct pair { int a; double b; }; struct big { long x[4]; };"
              "struct big f(struct pair p, struct big q) { q.x[1] += p.a; q.x[2] = p.b > 7; return q; }",
    "arguments": "int vsnprintf(char *, unsigned long, const char *, __builtin_va_list);"
                 "static int v(char *p, ...) { __builtin_va_list a; __builtin_va_start(a, p);"
                 "int n = vsnprintf(p, 64, \"%d %ld %g\", a); __builtin_va_end(a); return n; }"
                 "int f(char *p, int a, long b, double c) { return v(p, a, b, c); }",
    "end": "void abort(void); void work(int); int f(int a) { if (a == 7) abort(); work(a); return a / 3; }",
    "constants": "static const char *const names[] = { \"zero\", \"one\", \"two\" }; static int seen[4];"
                 "const char *f(unsigned k) { seen[k & 3]++; return k < 3 ? names[k] : \"?\"; }",
}  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", RIGHT)
def test_an_equal_pair_gives_no_alarm_and_is_covered(name: str, machine: str, explore: Explore) -> None:
    found = explore(RIGHT[name], machine=machine, runs=150)
    assert found.difference is None, found.difference[1].differences
    assert found.statuses["equal"] > 25
    assert found.covered.blocks


# Name: (the original, what is another in the translation).
WRONG = {
    "constant": ("int f(int a) { return a * 3 + 65521; }", "65520"),
    "rare": ("int f(int a, int b) { return a == 31337 ? b + 1 : b; }", "b + 2"),
    "width": ("unsigned long f(unsigned a) { return a; }", "(int)a"),
    "store": ("void f(char *p, int n) { for (int i = 0; i < (n & 15); i++) p[i] = i; }", "(n & 14)"),
    "argument": ("int g(int, int); int f(int a) { return g(a, 2); }", "g(a, 3)"),
    "callee": ("int g(int); int h(int); int f(int a) { return g(a) + h(a); }", "h(a) + g(a) + 0 * h(1)"),
    "text": ('int printf(const char *, ...); int f(int a) { return printf("%d\\n", a) > 0; }', '"%x\\n"'),
    "global": ("int state; void f(int a) { if (a > 10) state = a; }", "a > 9"),
    "ending": ("void abort(void); int f(int a) { if (a == 255) abort(); return a; }", "a == 254"),
    "sign": ("int f(unsigned char *p) { return p[3] > 200; }", "(signed char)p[3] > 100"),
    "negative": ("void f(long *p, long a) { p[0] = -(a & 7) - 2; }", "-(a & 7) - 3"),  # both are NaNs, if they were doubles
    "saved": ("int f(int a) { return a + 1; }", ""),
}
CHANGED = {
    "constant": "65521", "rare": "b + 1", "width": "return a", "store": "(n & 15)", "argument": "g(a, 2)",
    "callee": "g(a) + h(a)", "text": '"%d\\n"', "global": "a > 10", "ending": "a == 255", "sign": "p[3] > 200", "negative": "-(a & 7) - 2", "saved": "",
}  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", WRONG)
def test_a_planted_fault_is_found(name: str, machine: str, explore: Explore) -> None:
    text, instead = WRONG[name]
    if name == "saved":  # a register that the caller relies on
        register = {"aarch64": "x21", "riscv64": "s3"}[machine]
        other = "asm(\".globl f\\n.type f,%function\\nf: {} {},{},1\\n{}\\n.size f,.-f\\n\");"
        body = ("add", register, register, "add w0,w0,#1\\nret") if machine == "aarch64" else ("addi", register, register, "addiw a0,a0,1\\nret")
        wrong = other.format(*body)
    else:
        wrong = text.replace(CHANGED[name], f"return {instead}" if name == "width" else instead)
        assert wrong != text
    found = explore(text, wrong, machine, runs=2500)
    assert found.difference is not None
    given, judged = found.difference
    assert judged.differences and len(given.memory) <= 2  # made small


def test_what_depends_on_the_stack_is_not_called_different(explore: Explore) -> None:
    found = explore("int f(int a) { volatile int x[3]; return (int)(long)&x[a & 1] & 0xffff; }", runs=60)
    assert found.difference is None
    assert found.statuses["undecided"] == 60 and not found.statuses["equal"]


def test_a_run_without_end_is_undecided(explore: Explore) -> None:
    found = explore("volatile int stop; int f(int a) { while (a != 5 && !stop) ; return a; }", runs=40, solver=False)
    assert found.statuses["undecided"] > 10
    assert found.difference is None


def test_a_translation_without_end_is_different(explore: Explore) -> None:
    found = explore("int f(int a) { return a; }", "volatile int x; int f(int a) { while (a == 6 || !a) x++; return a; }")
    assert found.difference is not None
    assert found.difference[1].differences[0].what == "end"


MAGIC = "int f(unsigned x, unsigned *p) { if (x * 7 + 3 == 0x12345677) { if (p[2] == (x ^ 0xdeadbeef)) return 1; return 2; } return 3; }"


def test_the_solver_reaches_what_chance_does_not(explore: Explore) -> None:
    alone = explore(MAGIC, solver=False, runs=400)
    helped = explore(MAGIC, runs=400)
    assert len(helped.covered.edges) > len(alone.covered.edges)
    assert helped.solved >= 1


OUTSIDE = {
    "what it gives back": "unsigned g(void); int f(void)"
                         "{ unsigned a = g(); if (a * 7 + 3 == 0x12345677) { if ((g() ^ a) == 0xdeadbeef) return 1; return 2; } return 3; }",
    "output that fails": "unsigned long fwrite(const void *, unsigned long, unsigned long, void *); int g(void); int h(void);"
                         "int f(char *p, void *s) { if (fwrite(p, 1, 8, s) * 7 + 3 == 0x12345677) return g() + 1; return h(); }",
}  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_solver_chooses_what_functions_outside_do(name: str, explore: Explore) -> None:
    alone, helped = explore(OUTSIDE[name], solver=False, runs=300), explore(OUTSIDE[name], runs=300)
    assert len(helped.covered.blocks) > len(alone.covered.blocks)
    assert any(given.answers for given in helped.corpus)


TEXT = {
    "found": "int strcmp(const char *, const char *); int g(void); int h(void);"
             "int f(const char *p) { if (strcmp(p, \"open sesame\")) return g() + 1; return h(); }",
    "read": "int strcmp(const char *, const char *); int fetch(char *, int); int g(void); int h(void);"
            "int f(char *p) { p[0] = 'x'; p[1] = 0; fetch(p, 9); if (strcmp(p, \"hello\")) return g() + 1; return h(); }",
}  # fmt: skip


@pytest.mark.parametrize("name", TEXT)
def test_text_that_is_asked_for_is_given(name: str, explore: Explore) -> None:
    found = explore(TEXT[name], solver=False, runs=100)
    (branch,) = (spot for spot in found.covered.blocks if sum(edge[0] == spot for edge in found.covered.edges) == 2)
    assert {edge[1] for edge in found.covered.edges if edge[0] == branch} <= found.covered.blocks


def test_a_callee_that_succeeds_does_not_for_ever(explore: Explore) -> None:
    found = explore("int g(void); int f(void) { int n = 0; while (!g()) n++; return n; }", runs=100)
    assert found.statuses["equal"] == 100


def test_nobody_reads_the_originals_code(prepare_c: Prepare) -> None:
    prepared = prepare_c("void *memcpy(void *, const void *, unsigned long); void f(char *p, char *q) { memcpy(p, q, 99); }")
    (tested,) = prepared.functions
    words = [layout.ARENA, layout.SOURCE_CODE - 8]
    judged = Pair(prepared).judge(tested, Input(0, tuple(word.to_bytes(8, "little") for word in words)))
    assert judged.status == "faults"


def test_the_same_seed_makes_the_same_runs(explore: Explore) -> None:
    one, two = (explore(RIGHT["list"], runs=200, seed=5) for _ in range(2))
    assert (one.statuses, one.corpus, one.covered) == (two.statuses, two.corpus, two.covered)
