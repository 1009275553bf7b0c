"""Any transformers model, encoder-decoder or causal, asked in words: a prompt in, assembly lines out.

The prompt is a template: text with ``{source}``, ``{live_out}``, ``{exit}`` and ``{target}``, tokenised as the model's own
tokenizer does. The network is only used for a hub model that the user names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import torch

from guesssketch.errors import UsageError
from guesssketch.guess import alignment
from guesssketch.guess.engine import Guess, How, batches, search
from guesssketch.guess.foreign_runner import Causal, EncoderDecoder
from guesssketch.guess.form import Form
from guesssketch.guess.search import Found

TEMPLATE: Final = Path(__file__).parents[1] / "data" / "prompt.txt"
ROWS: Final = 16  # texts written at once
LONGEST: Final = 512  # tokens of an answer
CUT: Final = 16  # instructions in one question
_FIELD: Final = re.compile(r"\{(source|live_out|exit|target)\}")
_FENCE: Final = re.compile(r"^[ \t]*```[^\n]*$", re.MULTILINE)
_COMMENT: Final = re.compile(r"\s*(//.*|/\*.*?\*/|;.*|(^|\s)#\s.*)$")
_TARGETS: Final = {"aarch64": "AArch64", "riscv64": "RISC-V (RV64GC)"}


@dataclass(frozen=True)
class Prompt:
    """text: what is asked. lines: (start, end) of each source instruction in it, in characters."""

    text: str
    lines: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Foreign:
    """An engine around a transformers model, in evaluation mode, and its tokenizer.

    heads: (layer, head) that align; all of the last layer if empty.
    """

    network: Any
    tokenizer: Any
    template: str
    heads: alignment.Heads = ()
    cut: int = CUT

    @staticmethod
    def open(name: Path | str, template: Path = TEMPLATE, identity: str = "") -> Foreign:
        """``name``: a folder, or a model on the hub. identity: tells its states apart, since what is loaded is kept. Raises
        UsageError, one line, if either file or model cannot be had."""
        try:
            text = template.read_text()
        except (OSError, ValueError) as error:
            raise UsageError(f"{template}: cannot be read: {error}") from error
        if not {"source", "target"} <= set(_FIELD.findall(text)):
            raise UsageError(f"{template}: a prompt needs {{source}} and {{target}}")
        model = Foreign(*_loaded(name, identity), text)
        if not model.ends:
            raise UsageError(f"{name}: the model names no token that ends a text")
        return model

    @property
    def ends(self) -> frozenset[int]:
        found = self.network.generation_config.eos_token_id
        found = self.tokenizer.eos_token_id if found is None else found
        return frozenset([found] if isinstance(found, int) else found or ())

    @property
    def positions(self) -> int:
        """Tokens that the model can tell the places of; a huge number if it does not count them."""
        counted: int | None = getattr(self.network.config, "max_position_embeddings", None)
        return min(int(self.tokenizer.model_max_length), counted or 1 << 30)

    def guess(self, forms: Sequence[Form], target: str, how: How, *, align: bool = False) -> list[list[Guess]]:
        """As ``Engine.guess``; none for a prompt that is longer than the model reads."""
        prompts = [self.prompt(form, target) for form in forms]
        sources = [list(map(int, self.tokenizer(prompt.text)["input_ids"])) for prompt in prompts]
        causal = not self.network.config.is_encoder_decoder
        longest = min(LONGEST, self.positions // 2 if causal else self.positions)
        most = self.positions - longest if causal else self.positions  # prompt and answer share a causal model's positions
        short = [n for n, source in enumerate(sources) if 0 < len(source) <= most]
        guesses: list[list[Guess]] = [[] for _ in forms]
        with torch.inference_mode():
            for batch in batches(short, lambda n: len(sources[n]), max(1, ROWS // how.rows)):
                asked = [sources[n] for n in batch]
                runner = Causal(self.network, asked) if causal else EncoderDecoder(self.network, asked)
                for n, texts in zip(batch, search(runner, asked, self.ends, longest, how), strict=True):
                    guesses[n] = [self._guess(text) for text in texts]
                    if align:
                        guesses[n] = self._aligned(prompts[n], sources[n], texts, guesses[n])
        return guesses

    def prompt(self, form: Form, target: str) -> Prompt:
        values = {"source": "\n".join(form.source), "exit": form.exit, "target": _TARGETS[target],
                  "live_out": ", ".join(f"{cell} ({bits})" for cell, bits in form.live_out) or "none"}  # fmt: skip
        text, end, lines = "", 0, []
        for field in _FIELD.finditer(self.template):
            text += self.template[end : field.start()]
            end = field.end()
            if field[1] == "source":
                lines = list(_lines(values["source"], len(text)))
            text += values[field[1]]
        return Prompt(text + self.template[end:], tuple(lines))

    def _guess(self, found: Found) -> Guess:
        name = self.tokenizer.convert_ids_to_tokens
        return Guess(
            tokens=name(list(found.tokens)),
            probabilities=list(found.probabilities),
            alternatives=[[(name(i), p) for i, p in others] for others in found.alternatives],
            end=found.end,
            score=found.score,
            lines=tuple(line for _, _, line in answer_lines(self._text(found.tokens))) if found.end else None,
        )

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _aligned(self, prompt: Prompt, source: Sequence[int], texts: Sequence[Found], guesses: Sequence[Guess]) -> list[Guess]:
        """With alignments, where the tokenizer tells where its tokens come from."""
        if not self.tokenizer.is_fast or not texts:
            return list(guesses)
        weigh = alignment.cross if self.network.config.is_encoder_decoder else alignment.own
        weights = weigh(self.network, [source] * len(texts), [text.tokens for text in texts], self.heads)
        places = self.tokenizer(prompt.text, return_offsets_mapping=True)["offset_mapping"]
        source_spans = [_line_at(prompt.lines, start, end) for start, end in places]
        aligned = []
        for guess, text, weight in zip(guesses, texts, weights, strict=True):
            ends = [len(self._text(text.tokens[: n + 1])) for n in range(len(text.tokens))]
            lines = [(start, end) for start, end, _ in answer_lines(self._text(text.tokens))]
            target_spans = [_line_at(lines, start, end) for start, end in zip([0, *ends], ends, strict=False)]
            aligned.append(replace(guess, alignment=alignment.by_instruction(weight, target_spans, source_spans)))
        return aligned


@lru_cache(maxsize=1)
def _loaded(name: Path | str, identity: str) -> tuple[Any, Any]:
    """Network and tokenizer. Raises UsageError."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import has_file, logging

    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    local = Path(name).exists()
    options = {"local_files_only": local, "trust_remote_code": False}
    try:
        if not local and not has_file(name, "config.json"):  # asks once, where loading asks five times
            raise UsageError(f"{name}: no such folder, and no such model on the hub, or the hub cannot be reached")
        config = AutoConfig.from_pretrained(name, **options)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        network = kind.from_pretrained(name, dtype="auto", **options).eval()
        return network, AutoTokenizer.from_pretrained(name, **options)
    except UsageError:
        raise
    except Exception as error:  # whatever a stranger's files or the hub raise
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{name}: no model that can be used: {type(error).__name__}: {reason}") from error


def answer_lines(text: str) -> list[tuple[int, int, str]]:
    """(start, end, line) of each assembly line in an answer: of what stands between code fences, if there are any.

    Comments and empty lines are left out, spaces made one.
    """
    fences = [match.span() for match in _FENCE.finditer(text)]
    begin = fences[0][1] if fences else 0
    end = fences[1][0] if len(fences) > 1 else len(text)
    found = []
    for first, last in _lines(text[begin:end], begin):
        line = " ".join(_COMMENT.sub("", text[first:last]).split())
        if line:
            found.append((first, last, line))
    return found


def _lines(text: str, start: int) -> Sequence[tuple[int, int]]:
    """(start, end) of each line, counted from ``start``."""
    spans = []
    for line in text.split("\n"):
        spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _line_at(lines: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """The line that the characters from ``start`` to ``end`` begin to lie in; -1 for none."""
    return next((n for n, (first, last) in enumerate(lines) if start < last and first < end), -1)
