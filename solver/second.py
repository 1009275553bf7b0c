"""A second opinion: queries that Z3 answered, asked of Bitwuzla, as the text of SMT-LIB 2 that both read.

It checks Z3, and, for proofs that end before Z3 is asked, the normal form (``solver.normal``); not the terms, which it is given.
Not part of any proof: a nightly command's (``benchmarks/second_opinion.py``).
"""

from __future__ import annotations

from typing import Literal

import bitwuzla

Opinion = Literal["agrees", "disagrees", "no answer", "cannot read"]


def opinion(text: str, status: str, may_be_spurious: bool, seconds: float) -> Opinion:
    """What Bitwuzla says, within ``seconds``, to a query and Z3's answer (``solver.door.Listener``).

    A model of uninterpreted functions, where Z3 or the normal form knew more of them, is no disagreement.
    """
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.TIME_LIMIT_PER, int(1000 * seconds))
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options, "smt2")
    try:
        parser.parse(f"(set-logic ALL)\n{text}", True, False)
    except bitwuzla.BitwuzlaException:
        return "cannot read"
    found = parser.bitwuzla().check_sat()
    if found == bitwuzla.Result.UNKNOWN:
        return "no answer"
    if (found == bitwuzla.Result.SAT) == (status == "sat"):
        return "agrees"
    return "no answer" if may_be_spurious and status == "unsat" else "disagrees"
