"""Which heads of the cross-attention align, chosen by measuring, and how well they do on other blocks.

The truth is known for guesses that are the teacher's own text: it was made atom by atom (``guesssketch.guess.teacher``). So what
counts is pairs of a target line and an atom: a source instruction, or several that flags bind together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from guesssketch.evaluation.outcome import Outcome
from guesssketch.guess import alignment
from guesssketch.guess.alignment_score import SHARE, Counts, chosen, count, f1_interval, total
from guesssketch.guess.model import Model
from guesssketch.guess.teacher import taught
from guesssketch.guess.tokens import source_spans, source_tokens

SAMPLE: Final = 200  # guesses of each target
HEADS: Final = 4  # at most
BATCH: Final = 32
SHARES: Final = (SHARE, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Known:
    """A guess whose alignment is known. source, tokens: of both sides. atoms: of each source instruction. truth: for each line
    of the guess its atom; nothing for a label."""

    source: list[str]
    tokens: list[str]
    atoms: tuple[int, ...]
    truth: tuple[frozenset[int], ...]


def known(outcomes: Sequence[Outcome], sample: int = SAMPLE) -> list[Known]:
    """Of the first ``sample`` guesses that are proved and exact, those with lines (all for one target)."""
    right = [o for o in outcomes if o.proved and o.exact][:sample]
    if not right:
        return []
    target = right[0].record.target
    found = []
    for outcome, lesson in zip(right, taught([o.record.problem for o in right], target), strict=True):
        form, guess = outcome.record.form, outcome.guess
        if guess is not None and lesson is not None and lesson.lines == outcome.record.lines and lesson.lines:
            tokens = source_tokens(form.source, form.exit, form.live_out, form.symbols, target)
            truth = tuple(frozenset(() if origin is None else (origin,)) for origin in lesson.origins)
            found.append(Known(tokens, guess.tokens, lesson.atoms, truth))
    return found


def measured(model: Model, blocks: Sequence[Known]) -> dict[str, Any]:
    """Precision, recall and F1 with what ``choose`` put into the model's card, for the report."""
    rows = _weights(model, blocks, model.card.get("alignment", ()))
    share = model.card.get("alignment_share", SHARE)
    counts = [_counts(weight, block, share) for weight, block in zip(rows, blocks, strict=True)]
    whole = total(counts)
    return {"blocks": len(blocks), "precision": whole.precision, "recall": whole.recall, "f1": whole.f1,
            "interval": f1_interval(counts)}  # fmt: skip


def choose(model: Model, blocks: Sequence[Known]) -> dict[str, Any]:
    """Entries of the card, by at least one block: ``alignment``, heads as [layer, head]; ``alignment_share``, of a row's
    greatest weight, that an instruction must have to be among those found; ``alignment_f1``, by head alone (``layer.head``).

    The best head, and then each next best one as long as the mean with it aligns better, up to HEADS.
    """
    config = model.network.config
    heads = [(layer, head) for layer in range(config.decoder_layers) for head in range(config.decoder_attention_heads)]
    weights = {head: _weights(model, blocks, [head]) for head in heads}
    alone = {head: _f1(weights[head], blocks) for head in heads}
    best: list[tuple[int, int]] = []
    score = -1.0
    mean: list[torch.Tensor] = []
    while len(best) < HEADS:
        means = {h: [torch.stack(w).mean(0) for w in zip(*(weights[x] for x in (*best, h)), strict=True)]
                 for h in heads if h not in best}  # fmt: skip
        trials = {head: _f1(weight, blocks) for head, weight in means.items()}
        head = max(trials, key=trials.__getitem__, default=None)
        if head is None or trials[head] <= score:
            break
        best.append(head)
        score, mean = trials[head], means[head]
    return {
        "alignment": [list(head) for head in sorted(best)],
        "alignment_share": max(SHARES, key=lambda share: _f1(mean, blocks, share)),
        "alignment_f1": {f"{layer}.{head}": f1 for (layer, head), f1 in alone.items()},
    }


def _weights(model: Model, blocks: Sequence[Known], heads: Sequence[tuple[int, int]]) -> list[torch.Tensor]:
    """For each block the mean weights of ``heads``, shape (tokens, source tokens)."""
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(blocks), BATCH):
            batch = blocks[start : start + BATCH]
            sources = [model.vocabulary.encode(b.source) for b in batch]
            found += alignment.cross(model.network, sources, [model.vocabulary.encode(b.tokens) for b in batch], heads)
    return found


def _counts(weight: torch.Tensor, block: Known, share: float) -> Counts:
    matrix = alignment.by_instruction(weight, source_spans(block.tokens), source_spans(block.source))
    found = [frozenset(block.atoms[n] for n in numbers) for numbers in chosen(matrix, share)]
    return count(found, block.truth)


def _f1(weights: Sequence[torch.Tensor], blocks: Sequence[Known], share: float = SHARE) -> float:
    return total(_counts(weight, block, share) for weight, block in zip(weights, blocks, strict=True)).f1
