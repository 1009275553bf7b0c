"""Runners of transformers' networks, with a key-value cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, EncoderDecoderCache

from guesssketch.guess.runner import pad_token, padded, positions, start_token

ROOM: Final = 32  # positions by which a cache grows


class EncoderDecoder:
    """A transformers encoder-decoder (T5's or BART's kind) that has encoded ``sources``."""

    def __init__(self, network: Any, sources: Sequence[Sequence[int]]) -> None:
        self.network = network
        ids, self.mask = padded(sources, pad_token(network), network.device)
        self.encoded = network.get_encoder()(input_ids=ids, attention_mask=self.mask)
        self.cache = EncoderDecoderCache(Cache(layer_class_to_replicate=_Layer), DynamicCache())
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


class _Layer(DynamicLayer):  # type: ignore[misc]
    """Keys and values in a buffer with room for more, so that a step does not copy what is there.

    buffer: shape (2, rows, heads, positions, size); ``keys`` and ``values`` show its first positions.
    """

    buffer: torch.Tensor
    keys: torch.Tensor | None
    values: torch.Tensor | None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        if start == 0 or end > self.buffer.shape[3]:
            rows, heads, _, size = key_states.shape
            kept = self.buffer if start else None
            self.buffer = key_states.new_empty(2, rows, heads, end + ROOM, size)
            if kept is not None:
                self.buffer[:, :, :, :start] = kept[:, :, :, :start]
        self.buffer[0, :, :, start:end], self.buffer[1, :, :, start:end] = key_states, value_states
        return self._show(end)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        if self.get_seq_length() > 0:
            self.buffer = self.buffer[:, indices]
            self._show(self.get_seq_length())

    def _show(self, length: int) -> tuple[Any, Any]:
        self.keys, self.values = self.buffer[0, :, :, :length], self.buffer[1, :, :, :length]
        return self.keys, self.values


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
