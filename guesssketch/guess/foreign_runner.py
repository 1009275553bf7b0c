"""Runners of transformers' networks, with a key-value cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from guesssketch.guess.runner import pad_token, padded, positions, start_token


class EncoderDecoder:
    """A transformers encoder-decoder (T5's or BART's kind) that has encoded ``sources``."""

    def __init__(self, network: Any, sources: Sequence[Sequence[int]]) -> None:
        self.network = network
        ids, self.mask = padded(sources, pad_token(network), network.device)
        self.encoded = network.get_encoder()(input_ids=ids, attention_mask=self.mask)
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self.first = torch.full((len(sources),), start_token(network), device=network.device)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        output = self.network(decoder_input_ids=tokens[:, None], encoder_outputs=self.encoded, attention_mask=self.mask,
                              past_key_values=self.cache, use_cache=True)  # fmt: skip
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def select(self, rows: torch.Tensor) -> None:
        self.encoded.last_hidden_state = self.encoded.last_hidden_state[rows]
        self.mask = self.mask[rows]
        for cache in (self.cache.self_attention_cache, self.cache.cross_attention_cache):
            cache.batch_select_indices(rows)


class Causal:
    """A transformers causal model that has read all but the last token of each prompt."""

    def __init__(self, network: Any, prompts: Sequence[Sequence[int]]) -> None:
        self.network = network
        ids, self.mask = padded(prompts, pad_token(network), network.device, left=True)
        self.cache = DynamicCache(config=network.config)
        self.first = ids[:, -1]
        self.position = self.mask.sum(1) - 1
        if ids.shape[1] > 1:
            mask = self.mask[:, :-1]
            network.base_model(input_ids=ids[:, :-1], attention_mask=mask, position_ids=positions(mask),
                               past_key_values=self.cache, use_cache=True)  # fmt: skip

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
