"""Guesses of the trained model: token ids in, target text out, with what the model knew of it.

Sources of like length go through the network together, so that little is padded; a guess does not depend on what else was
asked (``runner`` tells the one exception).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import torch

from guesssketch.guess import alignment
from guesssketch.guess.confidence import SCORES
from guesssketch.guess.form import Form
from guesssketch.guess.network import Network
from guesssketch.guess.runner import Runner, padded
from guesssketch.guess.search import Found, beam, drawn, follow, forced
from guesssketch.guess.tokens import UnknownToken, source_spans, source_tokens, target_lines, target_tokens

if TYPE_CHECKING:
    from guesssketch.guess.model import Model

Method = Literal["greedy", "beam", "sample"]
ROWS: Final = 256  # texts written at once
TOKENS: Final = 4096  # of the sources that are read at once, with padding: bounds the memory
CLOSE: Final = 0.56  # what is likelier stays the likeliest whoever is in the batch: that has changed 0.03 at most


@dataclass(frozen=True)
class Guess:
    """A translation, and what the model knew of it.

    tokens: of the target text, without the end. probabilities: of each token, given those before. alternatives: at each
    position, the likeliest other tokens with their probabilities. end: probability of the end behind the last token, 0.0
    if there was none within the longest length. score: sum of log probabilities, the end's among them. lines: the text;
    None if the tokens are none or have no end. alignment: (target instructions, source instructions), rows sum to 1; None
    if it was not asked for.
    """

    tokens: list[str]
    probabilities: list[float]
    alternatives: list[list[tuple[str, float]]]
    end: float
    score: float
    lines: tuple[str, ...] | None
    alignment: list[list[float]] | None = None


@dataclass(frozen=True)
class How:
    """method: the likeliest token each time, a beam of ``count``, or ``count`` texts drawn at random.

    seed, temperature: for drawing; what is drawn for a source depends on nothing but these and the source. threads: see ``guess``.
    """

    method: Method = "greedy"
    count: int = 1
    seed: int = 0
    temperature: float = 1.0
    threads: int = 1

    @property
    def rows(self) -> int:
        """Texts that are written at once for a source."""
        return 1 if self.method == "greedy" else self.count


class Engine(Protocol):
    """What guesses translations of forms."""

    @property
    def cut(self) -> int:
        """Instructions in a form, at most."""
        ...

    def guess(self, forms: Sequence[Form], target: str, how: How, *, align: bool = False) -> list[list[Guess]]:
        """Guesses for each form, all different, best score first; none for a form that cannot be asked."""
        ...


class Trained:
    """The engine that runs a model of this project."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def cut(self) -> int:
        cut: int = self.model.card["cut"]
        return cut

    def guess(self, forms: Sequence[Form], target: str, how: How, *, align: bool = False) -> list[list[Guess]]:
        sources = [self._encoded(form, target) for form in forms]
        return guess(self.model, sources, method=how.method, count=how.count, seed=how.seed,
                     temperature=how.temperature, align=align, threads=how.threads)  # fmt: skip

    def read(self, forms: Sequence[Form], target: str, texts: Sequence[Sequence[str]]) -> list[Guess | None]:
        """What the model thinks of the lines ``texts``, as if it had guessed them, aligned; None where it cannot say them, or not
        in answer to the form."""
        sources = [self._encoded(form, target) for form in forms]
        return reread(self.model, sources, [self._said(lines) for lines in texts])

    def _said(self, lines: Sequence[str]) -> list[int]:
        try:
            return self.model.vocabulary.encode(target_tokens(lines))
        except (ValueError, UnknownToken):
            return []

    def _encoded(self, form: Form, target: str) -> list[int]:
        """Empty if the model has no token for something."""
        try:
            return self.model.vocabulary.encode(source_tokens(form.source, form.exit, form.live_out, form.symbols, target))
        except (ValueError, UnknownToken):
            return []


def precision() -> torch.dtype:
    """bf16, as models are stored, where the processor multiplies it (several times as fast), else float32."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if known.get("amx_bf16") or known.get("avx512_bf16") else torch.float32


def guess(model: Model, sources: Sequence[Sequence[int]], *, method: Method = "greedy", count: int = 1, seed: int = 0,
          temperature: float = 1.0, align: bool = False, threads: int = 1) -> list[list[Guess]]:  # fmt: skip
    """Guesses for each source (token ids of ``tokens.source_tokens``), all different, best score first.

    None for a source longer than the card's ``longest_source``. The likeliest text is the same whoever is written with it: where a
    token is hardly likelier than another, it is written anew, alone. threads: batches written at once; a batch on each core is
    better than several cores on a batch, whose steps are short.
    """
    how = How(method, count, seed, temperature)
    network, vocabulary, card = model.network, model.vocabulary, model.card
    short = [n for n, source in enumerate(sources) if 0 < len(source) <= card["longest_source"]]
    groups = list(batches(short, lambda n: len(sources[n]), max(1, ROWS // how.rows)))
    guesses: list[list[Guess]] = [[] for _ in sources]
    over = threading.Event()

    @torch.inference_mode()
    def written(batch: Sequence[int]) -> list[list[Found]]:
        asked = [sources[n] for n in batch]
        return search(_Stoppable(_read(network, asked), over), asked, frozenset([vocabulary.EOS]), card["longest_target"] + 1, how)

    def write(some: Sequence[Sequence[int]]) -> None:
        for batch, found in zip(some, pool.map(written, some), strict=True):
            for n, texts in zip(batch, found, strict=True):
                guesses[n] = [_guess(vocabulary, sources[n], text) for text in texts]

    with _pool(threads, over) as pool:
        write(groups)
        if method == "greedy":
            write([[n] for n in short if any(SCORES["least"](found) < CLOSE for found in guesses[n])])
    if align:  # when all is written: it changes how the network computes
        for batch in groups:
            _align(model, batch, sources, guesses)
    return guesses


@torch.inference_mode()
def reread(model: Model, sources: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> list[Guess | None]:
    """As ``guess``, aligned, but what is said of each source are token ids of ``texts``, without the end. None where either is
    empty or longer than the model's."""
    network, vocabulary, card = model.network, model.vocabulary, model.card
    known = [n for n, (source, text) in enumerate(zip(sources, texts, strict=True))
             if 0 < len(source) <= card["longest_source"] and 0 < len(text) <= card["longest_target"]]  # fmt: skip
    guesses: list[list[Guess]] = [[] for _ in sources]
    for batch in batches(known, lambda n: len(texts[n]), ROWS):
        asked, said = [sources[n] for n in batch], [[*texts[n], vocabulary.EOS] for n in batch]
        tokens, _ = padded(said, vocabulary.EOS, network.device)
        found = follow(_read(network, asked), frozenset([vocabulary.EOS]), tokens.shape[1], forced(tokens))
        for n, text in zip(batch, found, strict=True):
            guesses[n] = [_guess(vocabulary, sources[n], text)]
        _align(model, batch, sources, guesses)
    return [group[0] if group else None for group in guesses]


def _read(network: Any, sources: Sequence[Sequence[int]]) -> Runner:
    if isinstance(network, Network):
        return network.read(sources)
    from guesssketch.guess.foreign_runner import EncoderDecoder

    return EncoderDecoder(network, sources)


class _Stoppable:
    """A runner that takes no step any more when it is over."""

    def __init__(self, runner: Runner, over: threading.Event) -> None:
        self.runner, self.over, self.first, self.select = runner, over, runner.first, runner.select

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.over.is_set():
            raise CancelledError
        return self.runner.step(tokens)


@contextmanager
def _pool(threads: int, over: threading.Event) -> Iterator[ThreadPoolExecutor]:
    """Threads; when the context ends, by an interrupt say, it is over."""
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield pool
        finally:
            over.set()


def batches(items: Sequence[int], length: Callable[[int], int], size: int, tokens: int = TOKENS) -> Iterator[list[int]]:
    """``items`` of like length together, the longest first: at most ``size``, and ``tokens`` with padding, but at least one."""
    batch: list[int] = []
    for n in sorted(items, key=lambda n: (-length(n), n)):
        if batch and (len(batch) == size or (len(batch) + 1) * length(batch[0]) > tokens):
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def search(runner: Runner, sources: Sequence[Sequence[int]], ends: frozenset[int], longest: int, how: How) -> list[list[Found]]:
    """Texts for each source that ``runner`` has read, all different, best score first."""
    if how.method == "beam":
        return beam(runner, ends, longest, how.count)
    if how.method == "greedy":
        return [[found] for found in follow(runner, ends, longest)]
    uniform = torch.cat([_uniform(source, how, longest) for source in sources])
    repeat = torch.arange(len(sources), device=runner.first.device).repeat_interleave(how.count)
    runner.select(repeat)
    runner.first = runner.first[repeat]
    found = follow(runner, ends, longest, drawn(uniform.to(repeat.device), how.temperature))
    groups = (found[i : i + how.count] for i in range(0, len(found), how.count))
    return [sorted({f.tokens: f for f in group}.values(), key=lambda f: (-f.score, f.tokens)) for group in groups]


def _uniform(source: Sequence[int], how: How, longest: int) -> torch.Tensor:
    digest = hashlib.sha256(repr((how.seed, tuple(source))).encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))
    return torch.rand(how.count, longest, generator=generator)


def _guess(vocabulary: Any, source: Sequence[int], found: Found) -> Guess:
    tokens = [vocabulary.tokens[i] for i in found.tokens]
    target = vocabulary.tokens[source[0]].strip("<>")
    lines = None
    if found.end:
        try:
            lines = target_lines(tokens, target)
        except ValueError:
            lines = None
    return Guess(
        tokens=tokens,
        probabilities=list(found.probabilities),
        alternatives=[[(vocabulary.tokens[i], p) for i, p in others] for others in found.alternatives],
        end=found.end,
        score=found.score,
        lines=lines,
    )


@torch.inference_mode()
def _align(model: Model, batch: Sequence[int], sources: Sequence[Sequence[int]], guesses: list[list[Guess]]) -> None:
    """Set the alignment of the batch's guesses."""
    places = [(n, rank) for n in batch for rank in range(len(guesses[n]))]
    texts = [model.vocabulary.encode(guesses[n][rank].tokens) for n, rank in places]
    weights = alignment.cross(model.network, [sources[n] for n, _ in places], texts, model.card.get("alignment", ()))
    for (n, rank), weight in zip(places, weights, strict=True):
        target, source = guesses[n][rank].tokens, model.vocabulary.decode(sources[n])
        matrix = alignment.by_instruction(weight, source_spans(target), source_spans(source))
        guesses[n][rank] = replace(guesses[n][rank], alignment=matrix)
