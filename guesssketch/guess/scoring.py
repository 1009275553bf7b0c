"""What a network makes of pairs: the loss, and how much of them it has right."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from guesssketch.guess.batches import IGNORED, Batch, Feed, plan
from guesssketch.guess.dataset import TARGETS, Pairs


def logits(network: Any, batch: Batch) -> Tensor:
    """Of each next token, given all before it in the right text; [rows, T, vocabulary]."""
    encoded = network.model.encoder(input_ids=batch.source, attention_mask=batch.source_mask).last_hidden_state
    decoded = network.model.decoder(
        input_ids=batch.inputs, attention_mask=batch.causal_mask, encoder_hidden_states=encoded,
        encoder_attention_mask=batch.cross_mask, use_cache=False,
    ).last_hidden_state  # fmt: skip
    scores: Tensor = network.lm_head(decoded)
    return scores


def losses(scores: Tensor, batch: Batch) -> Tensor:
    """[rows, T], nats; 0 for padding."""
    flat = torch.nn.functional.cross_entropy(scores.float().flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED,
                                             reduction="none")  # fmt: skip
    return flat.view_as(batch.labels)


@torch.no_grad()
def validate(network: Any, feed: Feed, tokens: int) -> dict[str, dict[str, float]]:
    """By target: ``loss`` (nats a token), ``tokens`` (share right, given those before), ``exact`` (share of pairs wholly right).

    What a greedy guess has exactly right is what ``exact`` counts: as long as a guess is right, it has the right tokens
    before it. Pairs that the vocabulary cannot say, or that are too long, count as wrong there. tokens: in a batch.
    """
    pairs = feed.pairs
    sums = {target: np.zeros(4) for target in pairs.left_out}  # loss, tokens, right tokens, right pairs
    for rows in plan(pairs, tokens, seed=0, epoch=0, share=0.0):
        batch = feed.batch(rows)
        with feed.precision():
            scores = logits(network, batch)
        there = batch.labels != IGNORED
        right = scores.argmax(-1) == batch.labels
        columns = (losses(scores, batch).sum(1), there.sum(1), (right & there).sum(1), (right | ~there).all(1))
        table = torch.stack([column.double() for column in columns], 1).cpu().numpy()
        for target in sums:
            sums[target] += table[pairs.kind[rows] == TARGETS.index(target)].sum(0)
    return {target: _shares(sums[target].tolist(), _asked(pairs, target)) for target in sums}


def _asked(pairs: Pairs, target: str) -> int:
    return int((pairs.kind == TARGETS.index(target)).sum()) + pairs.left_out[target]


def _shares(sums: list[float], asked: int) -> dict[str, float]:
    loss, tokens, right, exact = sums
    tokens = max(tokens, 1.0)
    return {"loss": round(loss / tokens, 6), "tokens": round(right / tokens, 6), "exact": round(exact / max(asked, 1), 6)}
