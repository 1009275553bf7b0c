"""What testing found wrong in translations once, tested so that it stays found."""

import re

import pytest

from guesssketch import emit, objfile, pipeline
from guesssketch.program import ObjectFile
from guesssketch.testing.coverage import Graph
from guesssketch.testing.explore import Explorer, Found, Limits
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
    found = explored(objfile.read(source)[0], text, target)
    assert found.statuses["equal"] == 60


STRUCT = """
struct stream { long next, avail; int level; }; int start(struct stream *, long), work(long);
int f(long a, int b) { struct stream s; s.next = a; s.avail = 1234; s.level = work(b); return start(&s, a) + s.level; }
"""

@pytest.mark.parametrize("target", ["aarch64", "riscv64"])
def test_what_a_callee_may_look_at_in_the_frame_is_compared(target: str, compile_c: Compile) -> None:
    source = compile_c(STRUCT, "x86_64", "-O1")
    (text,) = pipeline.translate([source], pipeline.Options(target, jobs=1, proposers=("lowering",))).assembly
    (file,) = objfile.read(source)
    assert explored(file, text, target).difference is None
    wrong = re.sub(r"^(\s*(?:mov|li) .*)1234", r"\g<1>1235", text, count=1, flags=re.MULTILINE)
    assert wrong != text
    found = explored(file, wrong, target)
    assert found.difference is not None and found.difference[1].differences[0].what.startswith("frame 0 ")


def explored(file: ObjectFile, assembly: str, target: str) -> Found:
    prepared = prepare(file, emit.assemble(assembly, target), "translation", target)
    (tested,) = prepared.functions
    return Explorer(Pair(prepared), Graph(prepared.program, prepared.bases), tested, Limits(runs=60)).run()
