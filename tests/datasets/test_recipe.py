"""The recipe of the training pairs: what it cuts, renames, counts once, keeps apart, and does again after a kill."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from guesssketch.assembler import assemble, assemble_x86
from guesssketch.guess.dataset import read_shard
from guesssketch.guess.records import problem_of
from guesssketch.judge import verify
from guesssketch.problem import Candidate, Problem, Symbol
from guesssketch.questions import pieces
from solver.verdict import Proved

ROOT = Path(__file__).resolve().parents[2]
PAIRS = ROOT / "datasets" / "pairs"
sys.path.append(str(PAIRS))
build, compiling, export, forms, judging, origins, shorten, store, workpool = (
    importlib.import_module(n) for n in ("build", "compiling", "export", "forms", "judging", "origins", "shorten", "store", "workpool")
)
SOURCE = "int a[9]; int f(int *p, int n) { int s = 0; for (int i = 0; i < n; i++) s += p[i] ^ a[i & 7]; return s; }\n"


def problem(text: str, live_in: str = "rdi rsi", live_out: str = "rax", symbols: tuple[Symbol, ...] = ()) -> Problem:
    needed, wanted = (tuple((name, 64) for name in sorted(live.split())) for live in (live_in, live_out))
    return Problem("aarch64", tuple(assemble_x86(text)), "fall", needed, wanted, symbols)


def kept(one: Problem) -> tuple[bytes, str]:
    found = forms.body(one)
    assert found is not None and found[1] is not None
    return found[0], found[1]


def sample(target: str) -> list[dict[str, Any]]:
    return [record for path in sorted((PAIRS / "sample").glob(f"{target}-*.jsonl")) for record in read_shard(path)]


def result(*problems: Problem) -> Any:
    found = [kept(p) for p in problems]
    configuration = compiling.Configuration("gcc", "-O0", False, False)
    return compiling.Compiled(configuration, "ok", "", False, Counter(key for key, _ in found), dict(found))


def unit(package: str, file: str) -> Any:
    return compiling.Unit(package, file, file, ".", (), (), 12)


def test_cut_pieces_are_short_and_follow_each_other() -> None:
    whole = problem("\n".join(["add rax, rdi", "imul rdi, rsi"] * 15), "rax rdi rsi")
    found = pieces(whole, 12)
    assert sum(len(p.instructions) for p in found) == 30 and max(len(p.instructions) for p in found) <= 12
    assert all(a.live_out == b.live_in for a, b in pairwise(found))
    assert pieces(found[0], 12) == [found[0]]


def test_text_gives_the_form_back() -> None:
    one = problem("mov rdx, qword ptr [rip + S0]\nadd rdx, rdi", "rdi", "rdx", symbols=(Symbol("S0", "local", 8),))
    body = forms.from_text(kept(one)[1], "riscv64")
    assert [i.text for i in body.instructions] == ["mov rax, qword ptr [rip]", "add rax, rcx"]
    assert body.symbols == one.symbols and dict(body.live_out)["rax"] == 64 and "cf" not in dict(body.live_out)
    assert forms.body(body) == kept(one)


def test_what_a_model_does_not_see_makes_no_other_form() -> None:
    one = problem("mov rax, rdi\nadd rax, 1", "rdi", "rax r12")
    two = problem("mov r9, rsi\nadd r9, 1", "rsi r8", "r9")
    assert kept(one) == kept(two)
    assert kept(one)[0] != kept(problem("mov rax, rdi\nadd rax, 1", "rdi", "rax rdi cf"))[0]


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_sample_pairs_are_right_and_distinct(target: str) -> None:
    records = sample(target)
    assert len(records) > 100 and {r["target"] for r in records} == {target}
    assert all({"verdict", "count", "package", "file", "compiler", "level", "pic"} <= set(r) for r in records)
    problems = [problem_of(r["source"], target) for r in records]
    assert len({kept(p)[0] for p in problems}) == len(records)
    chosen = [(p, r["lines"]) for p, r in zip(problems, records, strict=True) if r["verdict"] == "proved"][::12]
    for (one, _), code in zip(chosen, assemble(target, [lines for _, lines in chosen]), strict=True):
        assert isinstance(verify(one, code), Proved)  # type: ignore[arg-type]


def test_sample_is_small() -> None:
    assert sum(p.stat().st_size for p in (PAIRS / "sample").iterdir()) <= 300_000


def test_a_wrong_pair_is_no_example(tmp_path: Path) -> None:
    right, wrong = problem("mov rax, rdi"), problem("mov eax, esi")
    with_code = store.Store(tmp_path / "pairs.sqlite")
    with_code.put_package(store.Package("p", "tool", "train"))
    assert with_code.put_unit(unit("p", "a.c"), [result(right, wrong, right)]) == 2
    with_code.put_pairs({"aarch64": [store.Judged(1, "proved", "", "mov x8, x3"), store.Judged(2, "refuted", "", "mov x8, x0")]})
    with_code.assign_splits()
    (example,) = with_code.examples("train", "aarch64")
    assert example["count"] == 2 and example["target_lines"] == "mov x8, x3"
    assert with_code.unanswered(["aarch64"]) == [] and with_code.unanswered(["aarch64", "riscv64"]) == [1, 2]


def test_a_form_of_the_test_split_is_in_no_other(tmp_path: Path) -> None:
    kept = store.Store(tmp_path / "pairs.sqlite")
    shared, alone = problem("mov rax, rdi"), problem("mov eax, esi")
    for name, split, held in (("a", "train", [shared, alone]), ("b", "test", [shared]), ("c", "valid", [shared])):
        kept.put_package(store.Package(name, "tool", split))
        kept.put_unit(unit(name, "x.c"), [result(*held)])
    kept.put_pairs({"riscv64": [store.Judged(n, "tested", "", "nop") for n in (1, 2)]})
    kept.assign_splits()
    found = {split: list(kept.examples(split, "riscv64")) for split in store.SPLITS}
    assert [len(found[s]) for s in ("train", "valid", "test")] == [1, 0, 1]
    assert found["test"][0]["package"] == "b" and found["test"][0]["objects"] == 3


def test_the_shorter_of_what_is_proved_teaches(tmp_path: Path) -> None:
    kept = store.Store(tmp_path / "pairs.sqlite")
    kept.put_package(store.Package("p", "tool", "train"))
    kept.put_unit(unit("p", "a.c"), [result(problem("mov eax, ecx; and eax, edx"), problem("mov rax, rdi"))])
    lines = ["mov w8, w3\nand w8, w8, w2", "mov x8, x0"]  # the forms' names, too, as rax, rcx and rdx come first
    kept.put_pairs({"aarch64": [store.Judged(n, "proved", "", text) for n, text in enumerate(lines, 1)]})
    kept.assign_splits()
    pairs = kept.unshortened("aarch64")
    wrong = {1: "orr w8, w3, w2", 2: ""}
    said = tuple((Candidate((wrong[number],), "lm"),) for number, _, _ in pairs)
    found = shorten.run_batch(shorten.Batch("aarch64", tuple(pairs), said, tmp_path))
    assert {one.problem: one.saved for one in found} == {1: 1, 2: 0}
    kept.put_shorter("aarch64", found)
    assert kept.unshortened("aarch64") == []
    taught = [e["target_lines"] for e in kept.examples("train", "aarch64", shorter=True)]
    assert taught[1] == lines[1] and len(taught[0].split("\n")) == 1 and taught[0].startswith("and ")
    assert [e["target_lines"] for e in kept.examples("train", "aarch64")] == lines


def test_listed_packages_and_seeds() -> None:
    packages = origins.listed()
    assert len(packages) >= 60 and {p.split for p in packages.values()} == set(store.SPLITS)
    counts = origins.random_counts(3000)
    assert sum(counts.values()) == 3000 and min(counts.values()) > 0
    seeds = {s: range(origins.SEEDS[s], origins.SEEDS[s] + n) for s, n in counts.items()}
    assert len(set().union(*seeds.values())) == 3000
    assert all(len({c.level for c in compiling.configurations(n, ["gcc", "clang"])}) == 5 for n in ("a", "b"))
    assert len(compiling.configurations("a", ["gcc", "clang"], True)) == 20


_KILLED = """
import os, sys
sys.path[:0] = sys.argv[2:]
import forms, store, compiling
from collections import Counter
class Deadly(Counter):
    def items(self):
        yield from super().items()
        os.kill(os.getpid(), 9)
kept = store.Store(__import__("pathlib").Path(sys.argv[1]))
kept.put_package(store.Package("p", "tool", "train"))
def result(kind, form):
    return compiling.Compiled(compiling.Configuration("gcc", "-O0", False, False), "ok", "", False, kind({form: 1}), {form: "{}"})
kept.put_unit(compiling.Unit("p", "a.c", "", "", (), (), 12), [result(Counter, b"a")])
kept.put_unit(compiling.Unit("p", "b.c", "", "", (), (), 12), [result(Counter, b"b"), result(Deadly, b"c")])
"""


def test_a_unit_is_there_whole_or_not_at_all_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "pairs.sqlite"
    done = subprocess.run([sys.executable, "-c", _KILLED, path, ROOT, PAIRS], check=False)
    assert done.returncode == -signal.SIGKILL
    kept = store.Store(path)
    assert kept.done("p") == {"p/a.c"}
    assert [form for (form,) in kept.db.execute("SELECT form FROM problems")] == [b"a"]
    assert kept.db.execute("SELECT count(*) FROM objects").fetchone() == (1,)


def test_a_worker_that_dies_costs_its_item_only() -> None:
    assert list(workpool.ordered(os._exit, [3], 1)) == [(3, None)]
    assert list(workpool.ordered(int, ["5", "6"], 1)) == [("5", 5), ("6", 6)]


def in_process(function: Callable[[Any], Any], items: Iterable[Any], jobs: int) -> Iterator[tuple[Any, Any]]:
    for item in items:
        yield item, function(item)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs an x86-64 gcc")
def test_a_build_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "COMPILERS", ("gcc",))
    monkeypatch.setattr(workpool, "ordered", in_process)
    monkeypatch.setattr(origins, "COMPILER", "gcc")
    monkeypatch.setattr(origins, "fetch", lambda name: tmp_path / "fetched")
    (tmp_path / "fetched" / "sub").mkdir(parents=True)
    (tmp_path / "fetched" / "Makefile").write_text("all:\n\tcd sub && $(CC) -Wall -DSIZE=9 -c f.c\n\t$(CC) -O2 -c b.c\n\tfalse\n")
    (tmp_path / "fetched" / "sub" / "f.c").write_text(SOURCE.replace("9", "SIZE"))
    (tmp_path / "fetched" / "b.c").write_text("int g;\n#ifdef __OPTIMIZE__\n#error\n#endif\n")
    (tmp_path / "fetched" / "unused.c").write_text("int f(")
    command = [str(tmp_path), "--packages", "zlib", "--csmith", "0", "--held-out", "", "-j", "1", "--targets", "aarch64"]
    kept = store.Store(tmp_path / "pairs.sqlite")

    def count(table: str) -> int:
        return int(kept.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    assert build.main([*command, "--hours", "1e-9"]) == 0
    assert count("units") == 0
    assert build.main(command) == 0
    assert count("units") == 2 and count("objects") == 10 and count("pairs") == count("problems") > 10
    statuses = Counter(status for (status,) in kept.db.execute("SELECT status FROM objects"))
    assert statuses == {"ok": 6, "compile": 4}
    assert kept.packages()["zlib"].why == "build ended with 2"
    monkeypatch.setattr(compiling, "run_unit", None)
    monkeypatch.setattr(judging, "run_batch", None)
    assert build.main(command) == 0
    with pytest.raises(SystemExit):
        build.main([*command, "--longest", "8"])
