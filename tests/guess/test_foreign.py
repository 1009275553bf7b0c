"""Models that are not of this project: tiny ones made here, saved, opened by path and asked in words."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from guesssketch.errors import UsageError
from guesssketch.guess.engine import How
from guesssketch.guess.foreign import TEMPLATE, Foreign, answer_lines
from guesssketch.guess.form import Form
from guesssketch.guess.proposer import open_engine

pytestmark = pytest.mark.usefixtures("one_thread")
FORM = Form(("mov eax, ebx", "add eax, 1"), "fall", (("rax", 32),), (), (), (), {}, {})
OTHER = Form(("sub rax, rbx",), "fall", (("rax", 64),), (), (), (), {}, {})
ANSWER = "```\nmov w0, w1\nadd w0, w0, #1\n```"
PROMPT = "{target} {live_out}\n{source}\n=\n"


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and the three marks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: n for n, word in enumerate(("<pad>", "<s>", "</s>", *alphabet))}
    made = Tokenizer(models.BPE(vocab=words, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=512)


def network(kind: str, size: int) -> Any:
    torch.manual_seed(0)
    marks = {"vocab_size": size, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "causal":
        return LlamaForCausalLM(LlamaConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
                                            num_key_value_heads=2, max_position_embeddings=512, **marks))  # fmt: skip
    return T5ForConditionalGeneration(T5Config(d_model=64, d_kv=32, d_ff=128, num_layers=2, num_heads=2, decoder_start_token_id=0,
                                               dropout_rate=0.0, **marks))  # fmt: skip


def teach(made: Any, prompt: list[int], answer: list[int]) -> None:
    """Until the network says ``answer`` to ``prompt``."""
    optimiser = torch.optim.AdamW(made.parameters(), 4e-3)
    for _ in range(400):
        if made.config.is_encoder_decoder:
            loss = made(input_ids=torch.tensor([prompt]), labels=torch.tensor([answer])).loss
        else:
            loss = made(input_ids=torch.tensor([prompt + answer]), labels=torch.tensor([[-100] * len(prompt) + answer])).loss
        if loss < 0.02:
            return
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimiser.step()


@pytest.fixture(scope="module", params=["causal", "encoder-decoder"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a model that has learnt to say ANSWER to FORM, and ``prompt``."""
    path = tmp_path_factory.mktemp("model")
    words = tokenizer()
    made = network(request.param, len(words))
    asked = Foreign(made, words, PROMPT).prompt(FORM, "aarch64").text
    teach(made, words(asked)["input_ids"], [*words(ANSWER)["input_ids"], 2])
    made.save_pretrained(path)
    words.save_pretrained(path)
    (path / "prompt").write_text(PROMPT)
    return path


def test_learnt_answer_becomes_a_guess(folder: Path) -> None:
    engine = open_engine(folder, folder / "prompt")
    (found,), (other,) = engine.guess([FORM, OTHER], "aarch64", How(), align=True)
    assert found.lines == ("mov w0, w1", "add w0, w0, #1")
    assert len(found.tokens) == len(found.probabilities) == len(found.alternatives)
    assert found.alignment and len(found.alignment) == 2
    for row in found.alignment:
        assert len(row) == 2 and sum(row) == pytest.approx(1.0, abs=1e-3)
    (alone,) = engine.guess([OTHER], "aarch64", How())[0]
    assert alone.tokens == other.tokens and alone.score == pytest.approx(other.score, abs=1e-2)


def test_a_model_is_loaded_once_and_anew_when_it_changes(folder: Path) -> None:
    first, again = (open_engine(folder, folder / "prompt") for _ in range(2))
    assert isinstance(first, Foreign) and isinstance(again, Foreign) and first.network is again.network
    (folder / "new").write_text("")
    changed = open_engine(folder, folder / "prompt")
    assert isinstance(changed, Foreign) and changed.network is not first.network


def test_beam_and_samples_are_distinct(folder: Path) -> None:
    engine = open_engine(folder, folder / "prompt")
    for how in (How("beam", 2), How("sample", 2, seed=1, temperature=1.5)):
        (found,) = engine.guess([FORM], "aarch64", how)
        assert 1 <= len(found) == len({tuple(g.tokens) for g in found}) <= 2
        assert engine.guess([FORM], "aarch64", how)[0][0].tokens == found[0].tokens


def test_too_long_a_prompt_has_no_guess(folder: Path) -> None:
    long = Form(("mov eax, ebx",) * 100, "fall", (), (), (), (), {}, {})
    assert open_engine(folder, folder / "prompt").guess([long], "aarch64", How()) == [[]]


def test_prompt_tells_where_the_instructions_are() -> None:
    prompt = Foreign(None, None, TEMPLATE.read_text()).prompt(FORM, "riscv64")
    assert [prompt.text[start:end] for start, end in prompt.lines] == list(FORM.source)
    assert "RISC-V" in prompt.text and "rax (32)" in prompt.text and "{" not in prompt.text


@pytest.mark.parametrize(("text", "lines"), [
    ("add x0, x0,  #1\n\n  b taken", ["add x0, x0, #1", "b taken"]),
    ("Here it is:\n```asm\n\tadd\tx0, x0, #1 // one\n1:\n```\nHope this helps", ["add x0, x0, #1", "1:"]),
    ("```\nnop", ["nop"]),
    ("# nothing\nli a0, 1 # one", ["li a0, 1"]),
    ("", []),
])  # fmt: skip
def test_answer_lines(text: str, lines: list[str]) -> None:
    assert [line for _, _, line in answer_lines(text)] == lines


def test_a_prompt_that_asks_nothing_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt").write_text("translate, please")
    for template in (tmp_path / "prompt", tmp_path / "missing"):
        with pytest.raises(UsageError, match=str(template)):
            open_engine(folder, template)


def test_the_hub_is_asked_once_and_for_nothing_but_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def unreachable(host: object, *_: object, **__: object) -> None:
        asked.append(str(host))
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(UsageError, match=r"^no-such-owner/no-such-model: no such folder, and no such model on the hub") as error:
        open_engine("no-such-owner/no-such-model")
    assert "\n" not in str(error.value) and 1 <= len(asked) <= 2
    asked.clear()
    for name in ("nowhere", "./nowhere", "/no/such/folder", "no/such/folder", ""):
        with pytest.raises(UsageError, match="no such model folder"):
            open_engine(name)
    assert not asked
