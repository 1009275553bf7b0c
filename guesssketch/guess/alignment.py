"""Which source instructions a target instruction came from, read off a model's attention.

The texts are read once more, whole, by attention that tells its weights. The weights of chosen heads are averaged, and
summed from tokens to instructions; a row of the result is a target instruction's share in each source instruction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from guesssketch.guess.network import Network
from guesssketch.guess.runner import pad_token, padded, positions, start_token

Heads = Sequence[tuple[int, int]]
"""(layer, head) of those that align, counted from 0."""

Matrix = list[list[float]]


def cross(network: Any, sources: Sequence[Sequence[int]], texts: Sequence[Sequence[int]], heads: Heads) -> list[torch.Tensor]:
    """Mean weights of cross-attention for each text, shape (its tokens, its source's tokens), on the CPU.

    A token's row is the attention paid when the token was predicted.
    """
    if isinstance(network, Network):
        config = network.config
        target, _ = padded([[config.decoder_start_token_id, *text] for text in texts], config.pad_token_id, network.device)
        _, layers = network.read(sources).read(target)
    else:
        pad, device = pad_token(network), network.device
        source, source_mask = padded(sources, pad, device)
        target, _ = padded([[start_token(network), *text] for text in texts], pad, device)
        with _telling(network):
            layers = network(input_ids=source, attention_mask=source_mask, decoder_input_ids=target, use_cache=False,
                             output_attentions=True).cross_attentions  # fmt: skip
    mean = _mean(layers, heads)
    return [mean[n, : len(text), : len(sources[n])] for n, text in enumerate(texts)]


def own(network: Any, prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]], heads: Heads) -> list[torch.Tensor]:
    """As ``cross``, of a causal model's self-attention from text to prompt."""
    both = [[*prompt, *text] for prompt, text in zip(prompts, texts, strict=True)]
    ids, mask = padded(both, pad_token(network), network.device)
    with _telling(network):
        output = network(input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False, output_attentions=True)
    mean = _mean(output.attentions, heads)
    starts = [len(prompt) for prompt in prompts]
    return [mean[n, starts[n] - 1 : starts[n] - 1 + len(text), : starts[n]] for n, text in enumerate(texts)]


def by_instruction(weights: torch.Tensor, target: Sequence[int], source: Sequence[int]) -> Matrix:
    """(target instructions, source instructions): weights of tokens summed to instructions, each row to 1.

    target, source: the instruction of each token, -1 for none; what falls on no source instruction does not count.
    """
    rows = _membership(target).to(weights) @ weights @ _membership(source).to(weights).T
    shares: Matrix = (rows / rows.sum(1, keepdim=True).clamp(min=1e-30)).tolist()
    return shares


def _membership(spans: Sequence[int]) -> torch.Tensor:
    """(instructions, tokens): 1 where the token is the instruction's."""
    numbers = torch.arange(max(spans, default=-1) + 1)
    return (torch.tensor(list(spans), dtype=torch.long)[None] == numbers[:, None]).float()


def _mean(layers: Sequence[torch.Tensor], heads: Heads) -> torch.Tensor:
    chosen = heads or [(len(layers) - 1, head) for head in range(layers[-1].shape[1])]
    return torch.stack([layers[layer][:, head].float() for layer, head in chosen]).mean(0).cpu()


@contextmanager
def _telling(network: Any) -> Iterator[None]:
    """Attention computed so that it tells its weights, which the fused kernels do not."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        yield
    finally:
        network.set_attn_implementation(before)
