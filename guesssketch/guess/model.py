"""A model folder: the network's weights, its shape, its vocabulary, and a card of facts that its users need.

    model.safetensors   weights, bf16; tensors that share storage (the embeddings and the output layer) once
    config.json         transformers' configuration of the network
    vocabulary.json     tokens in the order of their numbers
    card.json           longest_source, longest_target (tokens), cut (instructions), and facts of the training

The network is mBART's (Liu et al. 2020, arXiv:2001.08210): layer norm before each part, learned positions. transformers trains
it (``create``), ``network`` guesses with it (``load``). Its encoder is deep and its decoder shallow (Kasai et al. 2021,
arXiv:2006.10369), since a decoder layer runs once a token and an encoder layer once a block.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from guesssketch.errors import UsageError
from guesssketch.guess.network import Config, Network
from guesssketch.guess.tokens import Vocabulary

if TYPE_CHECKING:
    from transformers import MBartForConditionalGeneration

PARTS: Final = ("model.safetensors", "config.json", "vocabulary.json", "card.json")
SIZES: Final = {  # width, heads, encoder layers, decoder layers; parameters with a vocabulary of 800
    "tiny": (64, 2, 2, 1),  # 0.2 M, for tests
    "small": (256, 4, 6, 3),  # 8 M
    "base": (384, 6, 8, 4),  # 24 M: 47 MiB
    "deep": (384, 6, 10, 2),  # 23 M, and quicker on a CPU than base
    "large": (512, 8, 9, 4),  # 46 M: too large to ship but as int8
}
POSITIONS: Final = 384  # tokens on either side, at most
_SHARED: Final = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")


@dataclass
class Model:
    """network: a ``Network``, or an encoder-decoder of transformers in evaluation mode. card: what ``card.json`` holds."""

    network: Any
    vocabulary: Vocabulary
    card: dict[str, Any] = field(default_factory=dict)


def create(size: str, vocabulary: Vocabulary, dropout: float = 0.0) -> MBartForConditionalGeneration:
    """A network with random weights; ``size`` is one of ``SIZES``, else UsageError."""
    if size not in SIZES:
        raise UsageError(f"no model size {size!r}: {', '.join(SIZES)}")
    width, heads, encoder, decoder = SIZES[size]
    transformers = _transformers()
    config = transformers.MBartConfig(
        vocab_size=len(vocabulary.tokens),
        max_position_embeddings=POSITIONS,
        d_model=width,
        encoder_layers=encoder,
        decoder_layers=decoder,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        dropout=dropout,
        pad_token_id=Vocabulary.PAD,
        bos_token_id=Vocabulary.BOS,
        eos_token_id=Vocabulary.EOS,
        decoder_start_token_id=Vocabulary.BOS,
        forced_eos_token_id=None,
    )
    return transformers.MBartForConditionalGeneration(config)


def fill(network: MBartForConditionalGeneration, weights: Mapping[str, torch.Tensor]) -> None:
    """Raises RuntimeError if they are of a network of another size."""
    missing, surplus = network.load_state_dict(weights, strict=False)
    if set(missing) - set(_SHARED) or surplus:
        raise RuntimeError("other layers")


def _transformers() -> Any:
    """The module; importing mBART makes PyTorch make a folder for what it compiles, which is taken away if it stays empty."""
    chosen = "TORCHINDUCTOR_CACHE_DIR" in os.environ
    import transformers.models.mbart.modeling_mbart

    if not chosen:
        with suppress(KeyError, OSError):
            os.rmdir(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    return transformers


def save(model: Model, path: Path | str) -> None:
    """Write the folder, each file whole or not at all; weights are rounded to bf16. The network is transformers'."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().to("cpu", torch.bfloat16).contiguous()
        for name, value in model.network.state_dict().items()
        if name not in _SHARED
    }
    config = model.network.config.to_dict()
    for name in PARTS:
        partial = folder / f"{name}.partial"
        if name == "model.safetensors":
            save_file(weights, partial, metadata={"format": "pt"})
        elif name == "vocabulary.json":
            partial.write_text(model.vocabulary.to_json())
        else:
            content = config if name == "config.json" else model.card
            partial.write_text(json.dumps(content, indent=1, default=str) + "\n")
        partial.replace(folder / name)


def load(path: Path | str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Model:
    """The model in a folder, ready to guess. UsageError, one line, if it is missing or broken."""
    folder = Path(path)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such model folder", "--model names one; guesssketch train makes one")
    for part in PARTS:
        if not (folder / part).is_file():
            raise UsageError(f"{folder}: not a model folder: {part} is missing")
    try:
        vocabulary = Vocabulary.from_json((folder / "vocabulary.json").read_text())
        card = json.loads((folder / "card.json").read_text())
        config = Config.of(json.loads((folder / "config.json").read_text()))
        if config.vocab_size != len(vocabulary.tokens):
            raise ValueError(f"{len(vocabulary.tokens)} tokens for {config.vocab_size} embeddings")
        weights = load_file(folder / "model.safetensors")
        network = Network(config, {name: weight.to(device=device, dtype=dtype) for name, weight in weights.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{folder}: broken model folder: {type(error).__name__}: {reason}") from error
    return Model(network, vocabulary, card)
