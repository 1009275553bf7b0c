"""Tokens and their numbers. The instruction sets' fixed alphabet is always there; mnemonics and rarer words are counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, get_args

from isa.machine import RelocKind
from isa.statemap import CONDITIONS, FLAGS, GENERAL, VECTORS

_SPECIAL: Final = ("<pad>", "<s>", "</s>")
_STRUCTURE: Final = (
    ";", "-", "-32", ",", "[", "]", "(", "{", "}", "!", "#.", "#.0", "*1", "*2", "*4", "*8", "low", "taken", "fall",
    "<aarch64>", "<riscv64>", "<fall>", "<branch>", "<indirect>", "<got>", "<tls>",
    "byte", "word", "dword", "qword", "xmmword", "cs:", "ds:", "es:", "fs:", "gs:", "rip", "guard",
    *(f"align{1 << n}" for n in range(1, 7)), *(f"S{n}" for n in range(16)), *(f"{n}{k}" for n in range(1, 17) for k in ":fb"),
)  # fmt: skip
LIVE_OUT: Final = frozenset((*(f"{r}/{bits}" for r in GENERAL for bits in (8, 16, 32, 64)),
                             *(f"{half}/{bits}" for half in VECTORS for bits in (32, 64)), *FLAGS, *CONDITIONS))  # fmt: skip
_X86: Final = (
    *GENERAL, *(f"r{n}{w}" for n in range(8, 16) for w in "dwb"), *(f"xmm{n}" for n in range(16)),
    *(f"{e}{x}" for x in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp") for e in ("e", "")),
    "al", "bl", "cl", "dl", "sil", "dil", "bpl", "spl", "ah", "bh", "ch", "dh",
)  # fmt: skip
_AARCH64: Final = (
    *(f"{view}{n}" for view in "xw" for n in range(31)), *(f"{view}{n}" for view in "vqdshb" for n in range(32)),
    "xzr", "wzr", "sp", "wsp", *(f".{n}{w}" for w, counts in (("b", (8, 16)), ("h", (4, 8)), ("s", (2, 4)), ("d", (1, 2)))
                                 for n in ("", *counts)),
    *(f"[{n}]" for n in range(16)), "eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le",
    "lsl", "lsr", "asr", "ror", "msl", *(f"{s}xt{w}" for s in "us" for w in "bhwx"),
    ":lo12:", ":got:", ":got_lo12:", ":gottprel:", ":gottprel_lo12:", ":tprel_hi12:", ":tprel_lo12_nc:",
)  # fmt: skip
_RISCV: Final = (
    "zero", "ra", "sp", "gp", "tp", *(f"{k}{n}" for k, count in (("a", 8), ("s", 12), ("t", 7)) for n in range(count)),
    *(f"f{k}{n}" for k, count in (("a", 8), ("s", 12), ("t", 12)) for n in range(count)), "rne", "rtz", "rdn", "rup", "rmm",
    "%pcrel_hi", "%pcrel_lo", "%got_pcrel_hi", "%tls_ie_pcrel_hi", "%hi", "%lo", "%tprel_hi", "%tprel_lo", "%tprel_add",
)  # fmt: skip
_FIXED: Final = tuple(dict.fromkeys((
    *_SPECIAL, *(f"#{n:02x}" for n in range(256)), *_STRUCTURE, *(f"@{kind}" for kind in get_args(RelocKind)[:7]),
    *sorted(LIVE_OUT), *VECTORS, *(f"/{bits}" for bits in range(1, 65)), *_X86, *_AARCH64, *_RISCV,
)))  # fmt: skip


class UnknownToken(KeyError):
    """A token that the vocabulary lacks: a word too rare to have been learnt."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.token = token

    def __str__(self) -> str:
        return f"token {self.token!r} is not in the vocabulary"


class Vocabulary:
    """``tokens``: by number. ``ids``: the number of each."""

    PAD: Final = 0
    BOS: Final = 1
    EOS: Final = 2

    def __init__(self, tokens: Sequence[str]) -> None:
        """Raises ValueError if ``tokens`` repeats one or does not begin with the special ones."""
        self.tokens = tuple(tokens)
        self.ids = {token: n for n, token in enumerate(self.tokens)}
        if self.tokens[:3] != _SPECIAL or len(self.ids) != len(self.tokens):
            raise ValueError("not a vocabulary")

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], least: int = 20) -> Vocabulary:
        """The fixed alphabet and what ``texts`` say at least ``least`` times, the commonest first."""
        counts = Counter(token for text in texts for token in text)
        found = [token for token, count in counts.items() if count >= least and token not in _FIXED]
        return cls((*_FIXED, *sorted(found, key=lambda token: (-counts[token], token))))

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Raises UnknownToken."""
        try:
            return [self.ids[token] for token in tokens]
        except KeyError as error:
            raise UnknownToken(error.args[0]) from None

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ``ids``, without padding and marks. Raises IndexError for a number past the end."""
        return [self.tokens[n] for n in ids if n >= len(_SPECIAL)]

    def to_json(self) -> str:
        return json.dumps(self.tokens, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Raises ValueError if ``text`` is not what ``to_json`` writes."""
        tokens = json.loads(text)
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("not a vocabulary")
        return cls(tokens)
