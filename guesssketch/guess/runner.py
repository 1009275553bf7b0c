"""Networks run a token at a time, with a key-value cache: one interface over encoder-decoder and causal models.

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


class EncoderDecoder:
    """A transformers encoder-decoder (T5's or BART's kind) that has encoded ``sources``."""

    def __init__(self, network: Any, sources: Sequence[Sequence[int]]) -> None:
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        self.network = network
        ids, self.mask = padded(sources, network.config.pad_token_id, network.device)
        self.encoded = network.get_encoder()(input_ids=ids, attention_mask=self.mask)
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self.first = torch.full((len(sources),), network.config.decoder_start_token_id, device=network.device)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        output = self.network(decoder_input_ids=tokens[:, None], encoder_outputs=self.encoded, attention_mask=self.mask,
                              past_key_values=self.cache, use_cache=True)  # fmt: skip
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def select(self, rows: torch.Tensor) -> None:
        self.encoded.last_hidden_state = self.encoded.last_hidden_state[rows]
        self.mask = self.mask[rows]
        self.cache.batch_select_indices(rows)


class Causal:
    """A transformers causal model that has read all but the last token of each prompt."""

    def __init__(self, network: Any, prompts: Sequence[Sequence[int]]) -> None:
        from transformers.cache_utils import DynamicCache

        self.network = network
        pad = 0 if network.config.pad_token_id is None else network.config.pad_token_id
        ids, self.mask = padded(prompts, pad, network.device, left=True)
        self.cache = DynamicCache()
        self.first = ids[:, -1]
        self.position = self.mask.sum(1) - 1
        if ids.shape[1] > 1:
            mask = self.mask[:, :-1]
            network(input_ids=ids[:, :-1], attention_mask=mask, position_ids=positions(mask),
                    past_key_values=self.cache, use_cache=True, logits_to_keep=1)  # fmt: skip

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        output = self.network(input_ids=tokens[:, None], attention_mask=self.mask, position_ids=self.position[:, None],
                              past_key_values=self.cache, use_cache=True)  # fmt: skip
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        self.position = self.position + 1
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def select(self, rows: torch.Tensor) -> None:
        self.mask, self.position = self.mask[rows], self.position[rows]
        self.cache.batch_select_indices(rows)


def padded(texts: Sequence[Sequence[int]], pad: int, device: torch.device, *, left: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
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
