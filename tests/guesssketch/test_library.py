"""What ``guesssketch`` exports: where it is, how light it is, and what the calls that no command has give."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import guesssketch as gs
from guesssketch.problem import Doubt

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = ROOT / "examples" / "objects"


def test_names_are_where_the_type_checker_sees_them() -> None:
    tree = ast.parse(Path(gs.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname or alias.name: (node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom)
            for alias in node.names}  # fmt: skip
    assert seen == gs._NAMES
    assert set(gs.__all__) == {*seen, "PROPOSERS", "__version__"}


def test_every_name_is_documented() -> None:
    page = (ROOT / "docs" / "library.md").read_text()
    assert not [name for name in gs.__all__ if f"`{name}" not in page]
    for name in gs.__all__:
        found = getattr(gs, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__ and not found.__doc__.startswith(f"{name}("), name  # what a data class says by itself
            methods = {n: m for n, m in vars(found).items() if inspect.isfunction(m) and not n.startswith("_")} if inspect.isclass(found) else {}
            assert not [f"{name}.{n}" for n, method in methods.items() if not method.__doc__]


def test_only_a_model_loads_pytorch() -> None:
    program = (
        "import sys\nimport guesssketch as gs\nassert not {'numpy', 'torch', 'z3', 'unicorn', 'rich'} & set(sys.modules)\n"
        f"asked = gs.problems({str(OBJECTS / 'bits.O2.o')!r}, 'riscv64', function='main', longest=12)\n"
        "gs.propose([asked[0].problem])\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


def test_walking_and_asking_agree() -> None:
    program = gs.read(OBJECTS / "switch.O2.o", OBJECTS / "statics.O2.o")
    everything = [(file.name, function.name, block) for file, function, block in gs.walk(program)]
    assert {name for name, _, _ in everything} == {str(OBJECTS / "switch.O2.o"), str(OBJECTS / "statics.O2.o")}
    main = [block for file, _, block in gs.walk(program, "main") if "switch" in file.name]
    asked = [one for one in gs.problems(program, "aarch64", function="main", longest=3) if "switch" in one.object]
    assert {id(one.block) for one in asked} <= {id(block) for block in main}
    assert all(len(one.problem.instructions) <= 3 for one in asked)
    for block in main:
        spans = [(one.start, len(one.problem.instructions)) for one in asked if one.block is block]
        assert all(start + size == after for (start, size), (after, _) in pairwise(spans))
    with pytest.raises(gs.UsageError, match="nothing"):
        gs.problems(program, "aarch64", function="nothing")
    with pytest.raises(gs.UsageError, match="mips"):
        gs.problems(program, "mips")


ADD = """
    target: aarch64
    source:
        add rdi, rsi
    code:
        add x0, x0, x1
"""


def problem() -> gs.Problem:
    from guesssketch import pairs

    return pairs.problem(pairs.parse(ADD, "add"))


class Told:
    """Says one thing, with or without what it knows of it."""

    name = "told"

    def __init__(self, lines: tuple[str, ...], insight: gs.Insight | None = None) -> None:
        self.candidate = gs.Candidate(lines, self.name, insight)

    def propose(self, problems: Sequence[gs.Problem]) -> list[tuple[gs.Candidate, ...]]:
        return [(self.candidate,) for _ in problems]


def test_code_for_a_problem_is_proved_refuted_and_solved() -> None:
    asked = problem()
    assert isinstance(gs.prove(asked, "add x0, x0, x1"), gs.Proved)
    refuted = gs.prove(asked, ["sub x0, x0, x1"])
    assert isinstance(refuted, gs.Refuted) and refuted.counterexample.differences
    assert isinstance(gs.prove(asked, "no such thing"), gs.Unknown)
    assert gs.solve(asked, "?opcode x0, x0, x1") == ("add x0, x0, x1",)
    for wrong in (lambda: gs.prove(asked), lambda: gs.prove(ADD, "ret"), lambda: gs.solve(asked), lambda: gs.solve(ADD, "ret")):
        with pytest.raises(gs.UsageError):
            wrong()


def test_what_a_proposer_knew_comes_as_arrays() -> None:
    asked = problem()
    knows = Told(("mov x2, x1", "add x0, x0, x2"), gs.Insight(0.75, (Doubt(1, 0, 3, 0.5), Doubt(1, 4, 2, 0.9)), ((1.0,), (1.0,))))
    ((one,),) = gs.propose([asked], knows)
    ((other,),) = gs.propose([asked], "lowering")
    np.testing.assert_array_equal(gs.confidence([one, other]), [0.75, np.nan])
    np.testing.assert_array_equal(gs.doubt(one), [0.0, 0.5])
    np.testing.assert_array_equal(gs.alignment(one), [[1.0], [1.0]])
    assert np.isnan(gs.doubt(other)).all() and gs.alignment(other).shape == (len(other.lines), 0)


def test_pairs_are_made_written_and_read(tmp_path: Path) -> None:
    asked = [one.problem for one in gs.problems(OBJECTS / "bits.O2.o", "riscv64", longest=12)]
    made = list(gs.make_pairs([*asked, *asked], level="-O2"))
    assert len(made) > 10 and all(pair.count % 2 == 0 for pair in made)
    assert gs.write_pairs(made, tmp_path / "pairs", "valid") == [tmp_path / "pairs" / "riscv64-valid-000.jsonl"]
    read = gs.read_pairs(tmp_path / "pairs", "riscv64", "valid")
    assert sorted(map(repr, read)) == sorted(map(repr, made))
    assert isinstance(gs.prove(read[0].problem, read[0].lines), gs.Proved)


def test_a_teacher_that_is_wrong_makes_no_pairs() -> None:
    assert not list(gs.make_pairs([problem()], teacher=Told(("sub x0, x0, x1",))))
