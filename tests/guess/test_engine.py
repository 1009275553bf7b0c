"""The decoding loop against the network asked plainly, on tiny random networks."""

from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration

from guesssketch.guess import engine
from guesssketch.guess.engine import Guess, guess, reread
from guesssketch.guess.model import Model, create, load, save
from guesssketch.guess.network import Network, Texts
from guesssketch.guess.tokens import Vocabulary, source_tokens, target_tokens

pytestmark = pytest.mark.usefixtures("one_thread")
LONGEST = 24
LINES = ["ldr w20, [x21, #24]", "add w20, w20, #5", "1:", "sub x21, x21, x22, lsl #2", "cbz w20, 1b"]
SOURCE = ["mov eax, dword ptr [rbx + 0x18]", "add eax, 5", "lea rbx, [rbx + rcx*4]"]
ASKED = source_tokens(SOURCE, "branch", [("rax", 32)], [], "aarch64")
VOCABULARY = Vocabulary(("<pad>", "<s>", "</s>", *dict.fromkeys([*ASKED, *target_tokens(LINES)])))


def network(kind: str) -> Any:
    torch.manual_seed(1)
    if kind == "own":
        return _own(network("mbart"))
    if kind == "mbart":
        return _sharp(create("tiny", VOCABULARY))
    marks = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "vocab_size": len(VOCABULARY.tokens)}
    if kind == "t5":
        return _sharp(T5ForConditionalGeneration(T5Config(d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, **marks)))
    config = BartConfig(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
                        encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=128, dropout=0.0, **marks)  # fmt: skip
    return _sharp(BartForConditionalGeneration(config))


def _own(made: Any) -> Network:
    """The same network without transformers, by way of a file."""
    with TemporaryDirectory() as folder:
        save(Model(made.bfloat16(), VOCABULARY), folder)
        own: Network = load(folder).network
    made.float()
    return own


def _sharp(made: Any) -> Any:
    """Weights so large that texts differ from source to source, and an end that comes now and then."""
    with torch.no_grad():
        for weight in made.parameters():
            if weight.dim() > 1:
                weight.normal_(0.0, 1.5 / weight.shape[1] ** 0.5)
        if hasattr(made, "final_logits_bias"):
            made.final_logits_bias[0, VOCABULARY.EOS] += 2.0
    return made.eval()


@pytest.fixture(scope="module", params=["own", "mbart", "bart", "t5"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(kind: str) -> Model:
    return Model(network(kind), VOCABULARY, {"longest_source": 60, "longest_target": LONGEST, "alignment": [[0, 0], [0, 1]]})


@pytest.fixture(scope="module")
def plain(kind: str) -> Any:
    """The network as transformers has it, its weights rounded as in a file."""
    return network("mbart").bfloat16().float() if kind == "own" else network(kind)


@pytest.fixture(scope="module")
def sources() -> list[list[int]]:
    head = VOCABULARY.encode(source_tokens([], "branch", [("rax", 32)], [], "aarch64"))
    body = VOCABULARY.encode(source_tokens(SOURCE, "branch", [], [], "aarch64"))[2:]
    rng = random.Random(3)
    return [head + rng.choices(body, k=rng.randrange(3, 40)) for _ in range(9)]


def _ids(found: Guess) -> list[int]:
    return VOCABULARY.encode(found.tokens)


def _plainly(plain: Any, source: list[int]) -> tuple[list[int], float]:
    """Greedy: the whole network, on the whole text, for each token."""
    text, score = [VOCABULARY.BOS], 0.0
    with torch.inference_mode():
        while len(text) <= LONGEST + 1 and text[-1] != VOCABULARY.EOS:
            logits = plain(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([text]), use_cache=False).logits
            logs = torch.log_softmax(logits[0, -1], 0)
            text.append(int(logs.argmax()))
            score += float(logs[text[-1]])
    return [token for token in text[1:] if token != VOCABULARY.EOS], score


def test_greedy_is_the_likeliest_token_each_time(model: Model, plain: Any, sources: list[list[int]]) -> None:
    lengths = set()
    for source, (found,) in zip(sources, guess(model, sources), strict=True):
        tokens, score = _plainly(plain, source)
        assert _ids(found) == tokens
        assert found.score == pytest.approx(score, abs=1e-3)
        logs = sum(map(math.log, found.probabilities)) + (math.log(found.end) if found.end else 0.0)
        assert found.score == pytest.approx(logs, abs=1e-3)
        lengths.add(len(tokens))
    assert len(lengths) > 1  # texts of different lengths left the batch at different times


@pytest.mark.parametrize("how", [{}, {"method": "beam", "count": 3}, {"method": "sample", "count": 3, "seed": 5}])
def test_company_in_the_batch_changes_nothing(model: Model, sources: list[list[int]], how: dict[str, Any]) -> None:
    together = guess(model, sources, **how)
    backwards = guess(model, sources[::-1], **how)[::-1]
    alone = [guess(model, [source], **how)[0] for source in sources]
    for a, b, c in zip(together, backwards, alone, strict=True):
        assert [g.tokens for g in a] == [g.tokens for g in b] == [g.tokens for g in c]
        assert [g.score for g in a] == pytest.approx([g.score for g in c], abs=1e-3)


def test_beam(model: Model, sources: list[list[int]]) -> None:
    greedy = guess(model, sources)
    assert [[g.tokens for g in one] for one in guess(model, sources, method="beam")] == [[g.tokens for g in one] for one in greedy]
    for (first,), several in zip(greedy, guess(model, sources, method="beam", count=6), strict=True):
        assert len({tuple(g.tokens) for g in several}) == len(several) == 6
        assert several == sorted(several, key=lambda g: (g.end == 0.0, -g.score))
        assert not first.end or several[0].score >= first.score - 1e-3


def test_samples_depend_on_the_seed_alone(model: Model, sources: list[list[int]]) -> None:
    def texts(**how: Any) -> list[list[list[str]]]:
        return [[g.tokens for g in one] for one in guess(model, sources, method="sample", count=4, **how)]

    assert texts(seed=1) == texts(seed=1) != texts(seed=2)
    cold = texts(seed=1, temperature=1e-4)
    assert cold == [[g.tokens for g in one] for one in guess(model, sources)]  # four times the same text, told once


def test_alternatives_are_the_likeliest_others(model: Model, sources: list[list[int]]) -> None:
    (found,) = guess(model, sources[:1])[0]
    assert len(found.alternatives) == len(found.probabilities) == len(found.tokens) > 0
    for token, probability, others in zip(found.tokens, found.probabilities, found.alternatives, strict=True):
        values = [p for _, p in others]
        assert token not in dict(others) and len(others) == 4
        assert values == sorted(values, reverse=True) and values[0] <= probability and sum(values) + probability <= 1.0001


def test_alignment_shares_out_each_line(model: Model, plain: Any) -> None:
    source = VOCABULARY.encode(ASKED)
    (unaligned,), (found,) = guess(model, [source])[0], guess(model, [source], align=True)[0]
    assert unaligned.alignment is None and found.tokens == unaligned.tokens and found.alignment
    for row in found.alignment:
        assert len(row) == len(SOURCE) and sum(row) == pytest.approx(1.0, abs=1e-4)
    before = plain.config._attn_implementation
    (other,) = guess(replace(model, network=plain), [source], align=True)[0]
    assert plain.config._attn_implementation == before
    assert other.alignment is not None and torch.allclose(torch.tensor(other.alignment), torch.tensor(found.alignment), atol=1e-3)


def test_text_is_told_only_where_there_is_one(model: Model, sources: list[list[int]]) -> None:
    found = [one for several in guess(model, sources, method="sample", count=8) for one in several]
    assert any(one.lines is None for one in found)
    assert all(one.end == 0.0 for one in found if len(one.tokens) > LONGEST)
    assert all(one.lines is None for one in found if one.end == 0.0)


def test_too_long_a_source_has_no_guess(model: Model, sources: list[list[int]]) -> None:
    assert guess(model, [sources[0] * 20, sources[0], []]) [0::2] == [[], []]


def test_an_interrupt_does_not_wait_for_what_is_being_written(sources: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(network("own"), VOCABULARY, {"longest_source": 60, "longest_target": LONGEST})
    untouched = guess(model, sources)
    decode = Network.decode

    def slow(*args: Any) -> Any:
        time.sleep(0.4)  # in all ten seconds
        return decode(*args)

    monkeypatch.setattr(Network, "decode", slow)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            guess(model, sources, method="beam", count=3)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 4
    monkeypatch.undo()
    assert guess(model, sources) == untouched


def test_a_model_that_learnt_one_pair_says_it() -> None:
    torch.manual_seed(0)
    learner = create("tiny", VOCABULARY)
    source = VOCABULARY.encode(ASKED)
    text = VOCABULARY.encode(target_tokens(LINES))
    optimiser = torch.optim.AdamW(learner.parameters(), 3e-3)
    for _ in range(60):
        logits = learner(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([[VOCABULARY.BOS, *text]])).logits[0]
        loss: Any = torch.nn.functional.cross_entropy(logits, torch.tensor([*text, VOCABULARY.EOS]))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model = Model(learner.eval(), VOCABULARY, {"longest_source": 60, "longest_target": 60})
    (found,) = guess(model, [source])[0]
    assert found.lines == tuple(LINES)


def test_what_was_guessed_is_thought_of_alike_when_it_is_read(model: Model, sources: list[list[int]]) -> None:
    guesses = [one for (one,) in guess(model, sources, align=True)]
    begun = [_ids(one)[:10] for one in guesses]
    assert any(begun)
    for guessed, ids, read in zip(guesses, begun, reread(model, sources, begun), strict=True):
        if not ids:
            assert read is None
            continue
        assert read is not None and _ids(read) == ids and (read.alignment is None) == (guessed.alignment is None)
        assert read.probabilities == pytest.approx(guessed.probabilities[:10], abs=1e-3)
        assert [[t for t, _ in others] for others in read.alternatives] == [[t for t, _ in others] for others in guessed.alternatives[:10]]
        if len(guessed.tokens) <= 10:
            assert read.lines == guessed.lines and read.end == pytest.approx(guessed.end, abs=1e-3)
    for source, ids in zip(sources, begun, strict=True):
        (other,) = reread(model, [source], [[3 + ids[0] % 7]]) if ids else (None,)
        assert not ids or (other is not None and other.probabilities[0] < 0.5)
    assert reread(model, sources[:1], [[VOCABULARY.EOS + 1] * (LONGEST + 1)]) == [None]


def test_the_shipped_model_needs_no_transformers() -> None:
    program = (
        "import sys\nfrom guesssketch.guess.proposer import SHIPPED, open_engine\nopen_engine(SHIPPED)\n"
        "print('LOADED', *(m for m in ('torch', 'transformers') if m in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "LOADED torch\n", done.stderr


def test_who_is_written_with_it_does_not_matter(monkeypatch: pytest.MonkeyPatch, sources: list[list[int]]) -> None:
    """With a little noise wherever several are written together, as another order of additions makes it."""
    many = [source[cut:] for source in sources for cut in range(3)]
    model = Model(network("own"), VOCABULARY, {"longest_source": 60, "longest_target": LONGEST})
    alone = [guess(model, [source])[0][0].tokens for source in many]
    step, noise = Texts.step, torch.Generator().manual_seed(1)

    def noisy(texts: Texts, tokens: torch.Tensor) -> torch.Tensor:
        logits = step(texts, tokens)
        return logits + (torch.rand(logits.shape, generator=noise) - 0.5) * 0.2 * (len(logits) > 1)

    monkeypatch.setattr(Texts, "step", noisy)
    assert [found[0].tokens for found in guess(model, many)] == alone
    monkeypatch.setattr(engine, "CLOSE", 0.0)
    assert [found[0].tokens for found in guess(model, many)] != alone  # the noise is enough to tell
