"""guesssketch: x86-64 object files to AArch64 and RISC-V, each basic block proved equal.

    import guesssketch as gs
    gs.translate("foo.o", "aarch64").write("foo.aarch64.o")
    print(gs.show("foo.o", "liveness", function="main"))

    for one in gs.problems("foo.o", "aarch64", function="main"):      # blocks, with what is live
        (best, *_), = gs.propose([one.problem], "lm")                 # a model's guess, best first
        print(gs.prove(one.problem, best), gs.alignment(best), gs.doubt(best), gs.confidence([best]))

``docs/library.md`` lists all names by what they are for; the command line is made of them. Names are loaded when first used:
importing guesssketch is quick, and PyTorch is loaded when a model is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from guesssketch.api import prove, show, solve, translate
    from guesssketch.errors import GuessSketchError, GuessSketchWarning, InputError, NotProved, ToolError, UsageError
    from guesssketch.evaluation.blocks import Settings as BlockSettings
    from guesssketch.evaluation.blocks import run as evaluate_blocks
    from guesssketch.evaluation.programs import Settings as ProgramSettings
    from guesssketch.evaluation.programs import run as evaluate_programs
    from guesssketch.guess.engine import Guess, How
    from guesssketch.guess.form import Form, normalise
    from guesssketch.guess.proposer import SHIPPED
    from guesssketch.guess.records import Record
    from guesssketch.guess.train import Settings as TrainSettings
    from guesssketch.guess.train import train
    from guesssketch.pairs import Pair
    from guesssketch.pipeline import Translation
    from guesssketch.problem import Candidate, Insight, Problem, Proposer
    from guesssketch.program import Block, Function, Program
    from guesssketch.report import Report
    from guesssketch.research import (
        Located,
        alignment,
        confidence,
        doubt,
        load_model,
        make_pairs,
        problems,
        propose,
        read,
        read_pairs,
        walk,
        write_pairs,
    )
    from guesssketch.sketch.holes import Sketch
    from guesssketch.sketch.repair import Repair, repair
    from guesssketch.sketch.search import Budget
    from solver.verdict import Proved, Refuted, Tested, Unknown

__version__ = "0.1.0"
PROPOSERS = ("lm", "lowering")
"""Who is asked if nobody says whom, in order: the model that is shipped, then the engineered lowering."""

__all__ = [
    "PROPOSERS",
    "SHIPPED",
    "Block",
    "BlockSettings",
    "Budget",
    "Candidate",
    "Form",
    "Function",
    "Guess",
    "GuessSketchError",
    "GuessSketchWarning",
    "How",
    "InputError",
    "Insight",
    "Located",
    "NotProved",
    "Pair",
    "Problem",
    "Program",
    "ProgramSettings",
    "Proposer",
    "Proved",
    "Record",
    "Refuted",
    "Repair",
    "Report",
    "Sketch",
    "Tested",
    "ToolError",
    "TrainSettings",
    "Translation",
    "Unknown",
    "UsageError",
    "__version__",
    "alignment",
    "confidence",
    "doubt",
    "evaluate_blocks",
    "evaluate_programs",
    "load_model",
    "make_pairs",
    "normalise",
    "problems",
    "propose",
    "prove",
    "read",
    "read_pairs",
    "repair",
    "show",
    "solve",
    "train",
    "translate",
    "walk",
    "write_pairs",
]
_HOMES: Final = {
    "guesssketch.api": "prove show solve translate",
    "guesssketch.errors": "GuessSketchError GuessSketchWarning InputError NotProved ToolError UsageError",
    "guesssketch.evaluation.blocks": "BlockSettings=Settings evaluate_blocks=run",
    "guesssketch.evaluation.programs": "ProgramSettings=Settings evaluate_programs=run",
    "guesssketch.guess.engine": "Guess How",
    "guesssketch.guess.form": "Form normalise",
    "guesssketch.guess.proposer": "SHIPPED",
    "guesssketch.guess.records": "Record",
    "guesssketch.guess.train": "TrainSettings=Settings train",
    "guesssketch.pairs": "Pair",
    "guesssketch.pipeline": "Translation",
    "guesssketch.problem": "Candidate Insight Problem Proposer",
    "guesssketch.program": "Block Function Program",
    "guesssketch.report": "Report",
    "guesssketch.research": "Located alignment confidence doubt load_model make_pairs problems propose read read_pairs walk "
                            "write_pairs",
    "guesssketch.sketch.holes": "Sketch",
    "guesssketch.sketch.repair": "Repair repair",
    "guesssketch.sketch.search": "Budget",
    "solver.verdict": "Proved Refuted Tested Unknown",
}
"""Where each name is, under its own or another name: what the imports above say, for when a name is first used."""

_NAMES: Final = {
    name: (home, own or name)
    for home, names in _HOMES.items()
    for name, _, own in (entry.partition("=") for entry in names.split())
}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, own = _NAMES[name]
    return getattr(import_module(home), own)


def __dir__() -> list[str]:
    return __all__
