"""Text of both sides as tokens of a small alphabet that follows the instruction sets, and back.

One token each: mnemonic, register (every view: ``rax``, ``eax``, ``w8``), arrangement (``.4s``), lane (``[1]``), operator
(``:lo12:``, ``%pcrel_hi``, ``@pc``), condition, shift, placeholder, label. Numbers are bytes in base 256, the most
significant first, with a sign before: ``-0x18``, ``#-24`` and ``-24`` are all ``-`` ``#18``, so that a model can copy them.

Sequences are kept short, since each token costs time. What decoding can put back is left out: commas but between two
numbers, ``#``, ``+``, ``ptr``, a ``]`` that closes the line, ``)``, and RISC-V's ``0`` before ``(``. Text comes back up to
spaces and the base of numbers; target text assembles to the same bytes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Final

from guesssketch.guess.vocabulary import LIVE_OUT, UnknownToken, Vocabulary
from guesssketch.problem import Symbol

__all__ = ["UnknownToken", "Vocabulary", "source_spans", "source_tokens", "target_lines", "target_tokens",
           "target_words"]  # fmt: skip

END: Final = ";"  # of an instruction or a label's line
LARGEST_ALIGN: Final = 64  # more is said as this: no access needs more
_BYTES: Final = tuple(f"#{n:02x}" for n in range(256))
_BYTE: Final = {token: n for n, token in enumerate(_BYTES)}
_SHIFTS: Final = frozenset(("lsl", "lsr", "asr", "ror", "msl", *(f"{s}xt{w}" for s in "us" for w in "bhwx")))
_FLOAT: Final = "#."  # before the byte of a floating-point immediate (Arm ARM, VFPExpandImm)
_FLOATS: Final = tuple((-1.0 if n & 0x80 else 1.0) * (16 + (n & 15)) * 2.0 ** ((((n >> 4) & 7) ^ 4) - 7) for n in range(256))
_FLOAT_BYTE: Final = {value: n for n, value in enumerate(_FLOATS)}
_FLOAT_ZERO: Final = "#.0"

_NUMBER: Final = r"0x[0-9a-f]+|\d+"
_LABEL: Final = re.compile(r"\d{1,6}:")
_MNEMONIC: Final = re.compile(r"[a-z][a-z0-9.]*")
_REFERENCE: Final = re.compile(r"\d{1,6}[bf]")
_SYMBOL: Final = re.compile(r"S\d{1,4}|guard")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]*")
_ATTACHED: Final = re.compile(r"\.\d{0,2}[bhsdq]|\[\d{1,2}\]")
_VECTOR: Final = re.compile(r"v\d{1,2}")
_ELEMENTS: Final = re.compile(r"\.[bhsd]|\}")
_SOURCE: Final = re.compile(
    rf"(?P<skip>[\s,+]+|ptr\b)|(?P<number>{_NUMBER})|(?P<relocated>@ \w+)|(?P<segment>[c-gs]s:)|(?P<scale>\*[1248])"
    rf"|(?P<plain>{_SYMBOL.pattern}|{_WORD.pattern}|[\[\]():{{}}-])", re.ASCII,
)  # fmt: skip
_TARGET: Final = re.compile(
    rf"(?P<skip>[\s,]+)|(?P<attached>{_ATTACHED.pattern})|(?P<reference>{_REFERENCE.pattern})\b"
    rf"|#?(?P<float>-?\d+\.\d+)|#?(?P<number>-?(?:{_NUMBER}))|(?P<operator>%\w+)\((?P<operand>\w+)\)|\((?P<base>\w+)\)"
    rf"|(?P<plain>:\w+:|{_SYMBOL.pattern}|{_WORD.pattern}|[\[\]{{}}!])", re.ASCII,
)  # fmt: skip


def source_tokens(source: Sequence[str], exit: str, live_out: Sequence[tuple[str, int]], symbols: Sequence[Symbol],
                  target: str) -> list[str]:  # fmt: skip
    """Target, live-outs, symbols' natures, exit, then the instructions of a form's ``source``.

    A live-out is ``rax/32``, a flag's name, or for an odd width ``rax`` ``/24``.
    A symbol is its placeholder, its kind unless ``local``, its alignment if it has one, and ``low``.
    Raises ValueError for text that no token says.
    """
    tokens = [f"<{target}>"]
    for cell, bits in live_out:
        tokens += [name for name in (cell, f"{cell}/{bits}") if name in LIVE_OUT] or [cell, f"/{bits}"]
    for symbol in symbols:
        tokens.append(symbol.name)
        if symbol.kind != "local":
            tokens.append(f"<{symbol.kind}>")
        if symbol.align > 1:
            tokens.append(f"align{min(symbol.align, LARGEST_ALIGN)}")
        if symbol.low:
            tokens.append("low")
    tokens.append(f"<{exit}>")
    for text in source:
        tokens += _source_line(text)
        tokens.append(END)
    return tokens


def target_tokens(lines: Sequence[str]) -> list[str]:
    """The tokens of target text, each line ended by ``;``. Raises ValueError for text that no token says."""
    tokens: list[str] = []
    for line in lines:
        tokens += _target_line(line.strip())
        tokens.append(END)
    return tokens


def target_lines(tokens: Sequence[str], target: str) -> tuple[str, ...]:
    """What ``target_tokens`` told; ValueError if the tokens are no text (that it assembles is not promised)."""
    if tokens and tokens[-1] != END:
        raise ValueError("the last line has no end")
    lines: list[str] = []
    start = 0
    for at, token in enumerate(tokens):
        if token == END:
            lines.append(_line(tokens[start:at], target))
            start = at + 1
    return tuple(lines)


def target_words(line: str) -> list[tuple[int, int, int]]:
    """(start, length, number of tokens) of each word of a line of target text, in order. Raises ValueError as ``target_tokens``."""
    tokens, words = _read(line)
    starts = [min(before, len(tokens)) for _, _, before in words]
    counts = (after - before for before, after in zip(starts, [*starts[1:], len(tokens)], strict=True))
    return [(start, end - start, max(0, count)) for (start, end, _), count in zip(words, counts, strict=True)]


def source_spans(tokens: Sequence[str]) -> list[int]:
    """For each token of a source or a target the index of its line (a target's labels are lines); -1 before a source's first."""
    header = next((at + 1 for at, token in enumerate(tokens) if token in ("<fall>", "<branch>", "<indirect>")), 0)
    spans = [-1] * header
    line = 0
    for token in tokens[header:]:
        spans.append(line)
        line += token == END
    return spans


# --- text -> tokens -----------------------------------------------------------------------------------------------------


def _lexemes(pattern: re.Pattern[str], text: str, start: int) -> Iterator[re.Match[str]]:
    while start < len(text):
        match = pattern.match(text, start)
        if match is None:
            raise ValueError(f"no token for {text[start:]!r} in {text!r}")
        start = match.end()
        if match.lastgroup != "skip":
            yield match


@functools.lru_cache(maxsize=1 << 16)
def _source_line(text: str) -> tuple[str, ...]:
    tokens: list[str] = []
    for match in _lexemes(_SOURCE, text, 0):
        kind, word = match.lastgroup, match[0]
        if kind == "number":
            _put_number(tokens, int(word, 0))
        elif kind == "relocated":
            if tokens[-1] == "]":
                tokens.pop()
            tokens.append(word.replace(" ", ""))
        else:
            tokens.append(word)
    if not tokens:
        raise ValueError("an empty instruction")
    return tuple(tokens[:-1] if tokens[-1] == "]" else tokens)


@functools.lru_cache(maxsize=1 << 16)
def _target_line(line: str) -> tuple[str, ...]:
    return _read(line)[0]


def _read(line: str) -> tuple[tuple[str, ...], list[tuple[int, int, int]]]:
    """The tokens of a line, and for each of its words where it starts and ends and how many tokens come before it."""
    if _LABEL.fullmatch(line):
        return (line,), [(0, len(line), 0)]
    mnemonic = _MNEMONIC.match(line)
    if mnemonic is None:
        raise ValueError(f"neither a label nor an instruction: {line!r}")
    tokens, words = [mnemonic[0]], [(0, mnemonic.end(), 0)]
    for match in _lexemes(_TARGET, line, mnemonic.end()):
        words.append((match.start(), match.end(), len(tokens)))
        kind = match.lastgroup
        if kind == "number":
            _put_number(tokens, int(match["number"], 0 if "0x" in match["number"] else 10))
        elif kind == "float":
            value = float(match["float"])
            if value and value not in _FLOAT_BYTE:
                raise ValueError(f"no immediate: {line!r}")
            tokens += [_FLOAT, _BYTES[_FLOAT_BYTE[value]]] if value else [_FLOAT_ZERO]
        elif kind == "operand":
            tokens += [match["operator"], match["operand"]]
        elif kind == "base":
            if tokens[-1] == "#00" and tokens[-2] not in _BYTE:
                tokens.pop()
            tokens += ["(", match["base"]]
        else:
            if match[0] == "!" and tokens[-1] == "]":
                tokens.pop()
            tokens.append(match[0].lstrip("#"))
    return tuple(tokens[:-1] if tokens[-1] == "]" else tokens), words


def _put_number(tokens: list[str], value: int) -> None:
    """``-`` for a negative one (of 64 bits), ``-32`` before what is little less than 2**32."""
    if value >> 63 == 1:
        value -= 1 << 64
    if value < 0:
        tokens.append("-")
        value = -value
    elif 0 < (1 << 32) - value <= 0xFFFF:
        tokens.append("-32")
        value = (1 << 32) - value
    elif tokens and tokens[-1] in _BYTE:
        tokens.append(",")
    if value >> 64:
        raise ValueError(f"{value:#x} has more than 64 bits")
    tokens += [_BYTES[byte] for byte in value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")]


# --- tokens -> text -----------------------------------------------------------------------------------------------------


def _line(tokens: Sequence[str], target: str) -> str:
    if not tokens:
        raise ValueError("an empty line")
    if len(tokens) == 1 and _LABEL.fullmatch(tokens[0]):
        return tokens[0]
    if not _MNEMONIC.fullmatch(tokens[0]):
        raise ValueError(f"{tokens[0]!r} begins a line")
    return _Decoder(tokens, target).text()


class _Decoder:
    """One instruction's tokens -> text. ``glue``: what stands between the text so far and the next operand."""

    def __init__(self, tokens: Sequence[str], target: str) -> None:
        self.tokens = tokens
        self.at = 1
        self.hash = "#" if target == "aarch64" else ""
        self.parts = [tokens[0]]
        self.glue = " "
        self.open = ""

    def text(self) -> str:
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token in _BYTE or token in ("-", "-32", ",", _FLOAT, _FLOAT_ZERO):
                self._operand(self.hash + self._number())
            elif token in ("[", "{"):
                self._require(not self.open and bool(self.hash))
                self.open = token
                self._operand(token)
                self.glue = ""
            elif token in ("]", "}"):
                self._require(self.open + token in ("[]", "{}") and self.glue == ", ")
                self.open = ""
                self.parts.append(token)
            elif token == "!":
                self._require(self.open == "[" and self.at == len(self.tokens) - 1)
                self.parts.append("]!")
                self.open = ""
            elif token == "(":
                offset = self.tokens[self.at - 1] in _BYTE or self.parts[-1].endswith(")")
                if offset:
                    self.glue = ""
                self._require(not self.hash)
                self._operand(f"({self._next(_WORD)})")
            elif token.startswith("%") and _WORD.fullmatch(token[1:]):
                self._operand(f"{token}({self._next(_SYMBOL, _REFERENCE)})")
            elif re.fullmatch(r":[a-z0-9_]+:", token):
                self._operand(token + self._next(_SYMBOL))
            elif _ATTACHED.fullmatch(token):
                self._require(bool((_VECTOR if token[0] == "." else _ELEMENTS).fullmatch(self.tokens[self.at - 1])))
                self.parts.append(token)
            else:
                self._require(any(p.fullmatch(token) for p in (_WORD, _SYMBOL, _REFERENCE)))
                self._operand(token)
            self.at += 1
        self._require(self.open != "{" and self.glue != "")
        return "".join(self.parts) + ("]" if self.open else "")

    def _operand(self, text: str) -> None:
        self.parts += [self.glue, text]
        self.glue = ", "

    def _require(self, condition: bool) -> None:
        if not condition:
            raise ValueError(f"no text: {' '.join(self.tokens)}")

    def _next(self, *patterns: re.Pattern[str]) -> str:
        self.at += 1
        self._require(self.at < len(self.tokens) and any(p.fullmatch(self.tokens[self.at]) for p in patterns))
        return self.tokens[self.at]

    def _number(self) -> str:
        """The number that begins here; ``at`` is left on its last token."""
        sign = self.tokens[self.at]
        before = self.tokens[self.at - 1]
        if before in _SHIFTS and self.at > 1:
            self.glue = " "
        self._require(before not in _BYTE or sign not in _BYTE)
        if sign == _FLOAT_ZERO:
            return "0.0"
        if sign == ",":
            self._require(before in _BYTE)
        if sign in _BYTE:
            self.at -= 1
        digits: list[int] = []
        while self.at + 1 < len(self.tokens) and self.tokens[self.at + 1] in _BYTE:
            self.at += 1
            digits.append(_BYTE[self.tokens[self.at]])
        self._require(1 <= len(digits) <= 8)
        if sign == _FLOAT:
            self._require(len(digits) == 1)
            return repr(_FLOATS[digits[0]])
        value = int.from_bytes(digits, "big")
        if sign == "-":
            self._require(value <= 1 << 63)
            value = -value
        elif sign == "-32":
            self._require(value <= 1 << 32)
            value = (1 << 32) - value
        return str(value % (1 << 64) if self.tokens[0] == "movi" else value)
