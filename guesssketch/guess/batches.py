"""Batches of pairs: which rows stand together, and their tensors.

Rows of like lengths stand together, so that little is padding: an epoch is a random order, cut into windows, each sorted by
lengths and cut into batches of so many tokens, and the batches of a window come in random order again. All of it follows
from the seed, the epoch and the number of the batch, which is what a checkpoint keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from guesssketch.guess.dataset import Pairs
from guesssketch.guess.tokens import Vocabulary

WINDOW: Final = 1 << 18  # rows sorted together
STEP: Final = 8  # lengths are padded to a multiple: what attention kernels want of a mask
IGNORED: Final = -100  # label of padding


def plan(pairs: Pairs, tokens: int, seed: int, epoch: int, share: float) -> Iterator[NDArray[np.int64]]:
    """Rows of each batch of an epoch: at most ``tokens`` tokens with padding, both sides together, and at least one row.

    share: of the renamed copies, drawn anew each epoch.
    """
    draw = np.random.default_rng((seed, epoch))
    order = draw.permutation(np.flatnonzero(~pairs.renamed | (draw.random(len(pairs)) < share)))
    source = np.diff(pairs.source_start)
    target = np.diff(pairs.target_start) + 1
    for first in range(0, len(order), WINDOW):
        rows = order[first : first + WINDOW]
        column = source[rows] // STEP
        rows = rows[np.lexsort((np.where(column % 2, -1, 1) * target[rows], column))]  # as an ox ploughs: no leaps
        batches = list(_cut(rows, _padded(source[rows]), _padded(target[rows]), tokens))
        yield from (batches[n] for n in draw.permutation(len(batches)))


def _padded(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return -(-lengths // STEP) * STEP


def _cut(rows: NDArray[np.int64], source: NDArray[np.int64], target: NDArray[np.int64], tokens: int) -> Iterator[NDArray[np.int64]]:
    first = 0
    while first < len(rows):
        most = max(1, tokens // int(source[first] + target[first]))
        cost = np.maximum.accumulate(source[first : first + most]) + np.maximum.accumulate(target[first : first + most])
        cost *= np.arange(1, len(cost) + 1)
        taken = max(1, int(np.searchsorted(cost, tokens, side="right")))
        yield rows[first : first + taken]
        first += taken


@dataclass(frozen=True)
class Batch:
    """source: [rows, S]. inputs, labels: [rows, T], shifted by one; padding of labels is ``IGNORED``. weight: [rows].

    Masks are added to attention scores, [rows, 1, queries, keys]: within the source, from target to source, within the target.
    """

    source: Tensor
    inputs: Tensor
    labels: Tensor
    weight: Tensor
    source_mask: Tensor
    cross_mask: Tensor
    causal_mask: Tensor


class Feed:
    """All pairs on the device; ``batch`` gathers rows there."""

    def __init__(self, pairs: Pairs, device: torch.device, by_occurrence: bool = False) -> None:
        """by_occurrence: a row weighs the square root of its count; else all weigh 1."""
        self.pairs = pairs
        self._device = device
        self._dtype = torch.bfloat16 if device.type == "cuda" else torch.float32  # of attention scores
        self._source = self._on_device(np.append(pairs.source, 0).astype(np.int16))
        self._target = self._on_device(np.append(pairs.target, 0).astype(np.int16))
        self._source_start = self._on_device(pairs.source_start)
        self._target_start = self._on_device(pairs.target_start)
        weights = np.sqrt(pairs.count) if by_occurrence else np.ones(len(pairs))
        self.weights: NDArray[np.float32] = weights.astype(np.float32)
        self._weight = self._on_device(self.weights)

    def _on_device(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    def precision(self) -> AbstractContextManager[object]:
        """What a network must run under: matrix products in bf16 on a GPU."""
        return torch.autocast("cuda", torch.bfloat16) if self._device.type == "cuda" else nullcontext()

    def weight_of(self, rows: NDArray[np.int64]) -> float:
        """Sum over all target tokens of the rows, end marks included."""
        lengths = self.pairs.target_start[rows + 1] - self.pairs.target_start[rows] + 1
        return float((self.weights[rows] * lengths).sum())

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        pairs = self.pairs
        s = int(_padded((pairs.source_start[rows + 1] - pairs.source_start[rows]).max(keepdims=True))[0])
        t = int(_padded((pairs.target_start[rows + 1] - pairs.target_start[rows] + 1).max(keepdims=True))[0])
        index = self._on_device(rows)
        source, source_is = self._gather(self._source, self._source_start, index, s)
        target, target_is = self._gather(self._target, self._target_start, index, t)
        length = target_is.sum(1, keepdim=True)
        labels = target.masked_fill(~target_is, IGNORED).scatter(1, length, Vocabulary.EOS)
        inputs = torch.cat([torch.full_like(target[:, :1], Vocabulary.BOS), target[:, :-1]], 1)
        lowest = torch.finfo(self._dtype).min
        mask = torch.zeros(source.shape, dtype=self._dtype, device=self._device).masked_fill_(~source_is, lowest)
        causal = torch.full((t, t), lowest, dtype=self._dtype, device=self._device).triu(1)
        n = len(rows)
        return Batch(source, inputs, labels, self._weight[index],
                     mask[:, None, None, :].expand(n, 1, s, s).contiguous(),
                     mask[:, None, None, :].expand(n, 1, t, s).contiguous(),
                     causal.expand(n, 1, t, t).contiguous())  # fmt: skip

    def _gather(self, flat: Tensor, start: Tensor, rows: Tensor, width: int) -> tuple[Tensor, Tensor]:
        at = start[rows][:, None] + torch.arange(width, device=self._device)
        inside = at < start[rows + 1][:, None]
        values = flat[at.where(inside, len(flat) - 1)].long()
        return values.masked_fill_(~inside, Vocabulary.PAD), inside
