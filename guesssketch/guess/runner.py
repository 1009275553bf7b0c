"""A network run a token at a time: one interface over encoder-decoder and causal models.

A runner has read a batch of sources; its *rows* are the texts being written, at first one for each source. Rows can be
dropped, repeated and reordered between steps. Padding is masked, so a row does not see what else is in the batch; what
is left of it is the order in which a matrix product adds, which may change the last bits of a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch


class Runner(Protocol):
    first: torch.Tensor
    """Shape (rows,): what the first call of ``step`` must be given."""

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read one token a row, shape (rows,); logits of the next one, shape (rows, vocabulary), float32."""
        ...

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows, by index, in this order; a row may come several times."""
        ...


def pad_token(network: Any) -> int:
    """Any token does where the model names none: padding is masked."""
    return network.config.pad_token_id or 0


def start_token(network: Any) -> int:
    """What a decoder reads first."""
    found: int | None = network.generation_config.decoder_start_token_id
    return network.config.decoder_start_token_id if found is None else found


def padded(texts: Sequence[Sequence[int]], pad: int, device: torch.device, *,
           left: bool = False) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Token ids and mask (1 where there is a token), both of shape (texts, longest)."""
    width = max(map(len, texts))
    ids, mask = [], []
    for text in texts:
        gap = width - len(text)
        before, behind = (gap, 0) if left else (0, gap)
        ids.append([pad] * before + list(text) + [pad] * behind)
        mask.append([0] * before + [1] * len(text) + [0] * behind)
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Of each token among those that are not padding; 0 for padding."""
    return (mask.cumsum(1) - 1).clamp(min=0)
