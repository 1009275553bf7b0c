"""What testing found wrong in translations once, tested so that it stays found."""

import pytest

from guesssketch import emit, objfile, pipeline
from guesssketch.testing.coverage import Graph
from guesssketch.testing.explore import Explorer, Limits
from guesssketch.testing.pair import Pair, prepare
from tests.testing.conftest import Compile


@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_a_place_inside_data_of_another_object(target: str, compile_c: Compile) -> None:
    """zlib's ``z_errmsg[4]``: no linker has a slot of the global offset table for a symbol and an addend."""
    text = 'extern long table[9] __attribute__((visibility("hidden"))); long f(int k) { return k > 3 ? table[4] : table[7]; }'
    source = compile_c(text, "x86_64", "-O1", "-fPIC")
    assert any(s.name == "table" and not s.is_defined for s in objfile.read(source)[0].symbols)
    (text,) = pipeline.translate([source], pipeline.Options(target, jobs=1)).assembly
    assert "table+" in text and "got:table+" not in text and "got_pcrel_hi(table+" not in text
    prepared = prepare(objfile.read(source)[0], emit.assemble(text, target), "translation", target)
    (tested,) = prepared.functions
    found = Explorer(Pair(prepared), Graph(prepared.program, prepared.bases), tested, Limits(runs=60)).run()
    assert found.statuses["equal"] == 60
