"""The trained network for guessing alone: mBART's arithmetic (``model``) as plain tensor operations, a token at a time.

transformers, which trains it, is not imported: that takes longer than loading all else. The encoder computes as transformers does.
The decoder keeps keys and values in float32 and adds up attention in it, for one query a row: PyTorch's fused attention is
made for many, and several times as slow for one in bf16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from guesssketch.guess.runner import padded

ROOM: Final = 32  # positions by which the memory of a text grows
_OFFSET: Final = 2  # of the positions' rows, mBART's


@dataclass(frozen=True)
class Config:
    """Entries of ``config.json``, as transformers names them."""

    vocab_size: int
    max_position_embeddings: int
    d_model: int
    encoder_layers: int
    decoder_layers: int
    encoder_attention_heads: int
    decoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_ffn_dim: int
    pad_token_id: int
    decoder_start_token_id: int

    @staticmethod
    def of(entries: Mapping[str, Any]) -> Config:
        """Raises KeyError if one is missing, ValueError if it is no number."""
        values = {name: entries[name] for name in Config.__dataclass_fields__}
        if wrong := [name for name, value in values.items() if not isinstance(value, int)]:
            raise ValueError(f"{wrong[0]} is no number")
        return Config(**values)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all weights, by transformers' names."""
        return dict(self._shapes())

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        width = self.d_model

        def linear(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
            yield from ((f"{name}.weight", (outputs, inputs)), (f"{name}.bias", (outputs,)))

        def norm(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
            yield from ((f"{name}.weight", (width,)), (f"{name}.bias", (width,)))

        yield "model.shared.weight", (self.vocab_size, width)
        yield "final_logits_bias", (1, self.vocab_size)
        encoder = self.encoder_layers, self.encoder_ffn_dim, ("self_attn",)
        decoder = self.decoder_layers, self.decoder_ffn_dim, ("self_attn", "encoder_attn")
        for side, (layers, inner, attentions) in {"encoder": encoder, "decoder": decoder}.items():
            yield f"model.{side}.embed_positions.weight", (self.max_position_embeddings + _OFFSET, width)
            yield from norm(f"model.{side}.layernorm_embedding")
            yield from norm(f"model.{side}.layer_norm")
            for layer in (f"model.{side}.layers.{n}" for n in range(layers)):
                for attention in attentions:
                    yield from norm(f"{layer}.{attention}_layer_norm")
                    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                        yield from linear(f"{layer}.{attention}.{part}", width, width)
                yield from norm(f"{layer}.final_layer_norm")
                yield from linear(f"{layer}.fc1", width, inner)
                yield from linear(f"{layer}.fc2", inner, width)


class Network:
    """weights: of ``config.shapes()``, all of one precision, which is that of the computation."""

    def __init__(self, config: Config, weights: Mapping[str, Tensor]) -> None:
        """Raises ValueError if they do not fit each other."""
        if {name: tuple(weight.shape) for name, weight in weights.items()} != config.shapes():
            raise ValueError("weights and configuration do not fit each other")
        self.config = config
        self.weights = weights

    @property
    def device(self) -> torch.device:
        return self.weights["model.shared.weight"].device

    @property
    def dtype(self) -> torch.dtype:
        return self.weights["model.shared.weight"].dtype

    def read(self, sources: Sequence[Sequence[int]]) -> Texts:
        return Texts(self, sources)

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids: (rows, length). mask: True for tokens, (rows, 1, 1, length). Shape (rows, length, width)."""
        x = self._embedded("encoder", ids, 0)
        for layer in (f"model.encoder.layers.{n}" for n in range(self.config.encoder_layers)):
            h = self._norm(f"{layer}.self_attn_layer_norm", x)
            q, k, v = (self.heads(f"{layer}.self_attn.{part}_proj", h) for part in "qkv")
            heard = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = x + self._linear(f"{layer}.self_attn.out_proj", heard.transpose(1, 2).flatten(2))
            x = self._fed(layer, x)
        return self._norm("model.encoder.layer_norm", x)

    def decode(self, ids: Tensor, start: int, own: Sequence[Memory], source: Sequence[Memory], mask: Tensor
               ) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
        """Logits behind each of ``ids``, (rows, length), which come at the position ``start``; and each layer's weights of
        attention to the source, (rows, heads, length, source). own: what was read of the texts, which grows. mask: added to
        the scores of the source."""
        x = self._embedded("decoder", ids, start)
        length = ids.shape[1]
        later = torch.full((length, start + length), -torch.inf, device=x.device).triu(start + 1) if length > 1 else None
        paid = []
        for n, layer in enumerate(f"model.decoder.layers.{n}" for n in range(self.config.decoder_layers)):
            h = self._norm(f"{layer}.self_attn_layer_norm", x)
            q, k, v = (self.heads(f"{layer}.self_attn.{part}_proj", h) for part in "qkv")
            own[n].add(k, v)
            heard, _ = own[n].attend(q, later)
            x = x + self._linear(f"{layer}.self_attn.out_proj", heard)
            h = self._norm(f"{layer}.encoder_attn_layer_norm", x)
            heard, weights = source[n].attend(self.heads(f"{layer}.encoder_attn.q_proj", h), mask)
            x = x + self._linear(f"{layer}.encoder_attn.out_proj", heard)
            x = self._fed(layer, x)
            paid.append(weights)
        x = self._norm("model.decoder.layer_norm", x)
        return functional.linear(x, self.weights["model.shared.weight"]) + self.weights["final_logits_bias"], paid

    def heads(self, name: str, x: Tensor) -> Tensor:
        """(rows, length, width) through a layer, to (rows, heads, length, size)."""
        count = self.config.encoder_attention_heads if name.startswith("model.encoder.") else self.config.decoder_attention_heads
        return self._linear(name, x).view(*x.shape[:2], count, -1).transpose(1, 2)

    def _embedded(self, side: str, ids: Tensor, start: int) -> Tensor:
        places = self.weights[f"model.{side}.embed_positions.weight"][start + _OFFSET : start + _OFFSET + ids.shape[1]]
        embedded = functional.embedding(ids, self.weights["model.shared.weight"])
        return self._norm(f"model.{side}.layernorm_embedding", embedded + places)

    def _fed(self, layer: str, x: Tensor) -> Tensor:
        h = self._linear(f"{layer}.fc1", self._norm(f"{layer}.final_layer_norm", x))
        return x + self._linear(f"{layer}.fc2", functional.gelu(h))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])


class Memory:
    """Keys and values of one attention, float32, in a buffer with room for more: shape (2, rows, heads, positions, size)."""

    def __init__(self) -> None:
        self.length = 0
        self.buffer: Tensor | None = None

    def add(self, keys: Tensor, values: Tensor, room: int = ROOM) -> None:
        start, end = self.length, self.length + keys.shape[2]
        if self.buffer is None or end > self.buffer.shape[3]:
            rows, heads, _, size = keys.shape
            kept = self.buffer
            self.buffer = torch.empty(2, rows, heads, end + room, size, dtype=torch.float32, device=keys.device)
            if kept is not None:
                self.buffer[:, :, :, :start] = kept[:, :, :, :start]
        self.buffer[0, :, :, start:end], self.buffer[1, :, :, start:end] = keys, values
        self.length = end

    def attend(self, queries: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is heard, (rows, length, width) in the queries' precision, and the weights, (rows, heads, length, positions)."""
        assert self.buffer is not None
        keys, values = self.buffer[0, :, :, : self.length], self.buffer[1, :, :, : self.length]
        scores = queries.float() @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5
        weights = (scores if mask is None else scores + mask).softmax(-1)
        return (weights @ values).to(queries.dtype).transpose(1, 2).flatten(2), weights

    def select(self, rows: Tensor) -> None:
        if self.buffer is not None:
            self.buffer = self.buffer[:, rows]


class Texts:
    """A ``runner.Runner``: texts in answer to ``sources``, which were read."""

    def __init__(self, network: Network, sources: Sequence[Sequence[int]]) -> None:
        config = network.config
        ids, mask = padded(sources, config.pad_token_id, network.device)
        there = mask.bool()[:, None, None, :]
        encoded = network.encode(ids, there)
        self.network = network
        self.position = 0
        self.mask = torch.zeros(there.shape, device=ids.device).masked_fill(~there, -torch.inf)
        self.own = [Memory() for _ in range(config.decoder_layers)]
        self.source = [Memory() for _ in range(config.decoder_layers)]
        for n, memory in enumerate(self.source):
            keys, values = (network.heads(f"model.decoder.layers.{n}.encoder_attn.{part}_proj", encoded) for part in "kv")
            memory.add(keys, values, room=0)
        self.first = torch.full((len(sources),), config.decoder_start_token_id, device=ids.device)

    def step(self, tokens: Tensor) -> Tensor:
        logits, _ = self.read(tokens[:, None])
        return logits[:, -1].float()

    def read(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``Network.decode`` of tokens, (rows, length), that come next."""
        told = self.network.decode(tokens, self.position, self.own, self.source, self.mask)
        self.position += tokens.shape[1]
        return told

    def select(self, rows: Tensor) -> None:
        self.mask = self.mask[rows]
        for memory in (*self.own, *self.source):
            memory.select(rows)
