"""A translation with one changed instruction: found, and the block named in which the sides part."""

import pytest

from guesssketch import emit, objfile, pipeline
from guesssketch.testing.coverage import Graph
from guesssketch.testing.explore import Explorer, Limits
from guesssketch.testing.pair import Pair, prepare
from guesssketch.testing.parting import parting
from tests.testing.conftest import Compile

TEXT = """
int seen;
int f(int a, int *p)
{
    if (a > 100)
        return a * 3;
    if (a == 50) {
        seen = a;
        *p += 1234;
    }
    return a;
}
"""


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_the_block_is_named(target: str, compile_c: Compile) -> None:
    source = compile_c(TEXT, "x86_64", "-Os")
    (text,) = pipeline.translate([source], pipeline.Options(target, jobs=1)).assembly
    assert text.count("1234\n") == 1
    wrong = text.replace("1234\n", "1233\n").replace(".Lgs_b", "gs_b")
    prepared = prepare(objfile.read(source)[0], emit.assemble(wrong, target), "wrong", target)
    pair, graph = Pair(prepared), Graph(prepared.program, prepared.bases)
    (tested,) = prepared.functions
    found = Explorer(pair, graph, tested, Limits(seconds=60, runs=3000)).run()
    assert found.difference is not None
    lines = parting(pair, graph, tested, found.difference[0])
    (block,) = (s for s, b in graph.blocks.items() if any("0x4d2" in i.text for i in b.instructions))
    assert lines[0].startswith(f"the sides part in f block {block.block:#x}"), lines
    assert any("stores" in line for line in lines)
