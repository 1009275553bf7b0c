"""Texts found with a runner: the likeliest token each time, tokens drawn at random, or a beam.

Rows that are done leave the batch a third or a quarter of it at a time: it has few different sizes, each of which costs
PyTorch's matrix products time and memory. Equal probabilities go to the smaller token id.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import torch

from guesssketch.guess.runner import Runner

ALTERNATIVES: Final = 4  # kept at each position, beside the token that was taken

Choose = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""(log probabilities (rows, vocabulary), number of each row's text, position) -> a token a row."""


@dataclass(frozen=True)
class Found:
    """A text as token ids, without the end token.

    probabilities: of each token, given those before. alternatives: at each position, the likeliest other tokens with their
    probabilities. end: probability of the end behind the last token, 0.0 if there was no end within the longest length.
    score: sum of log probabilities, the end's among them.
    """

    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]
    alternatives: tuple[tuple[tuple[int, float], ...], ...]
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class _Link:
    """A token behind those of ``before``. log: its log probability. ids, logs: the likeliest tokens here, theirs."""

    before: _Link | None
    token: int
    log: float
    ids: list[int]
    logs: list[float]


def likeliest(logs: torch.Tensor, texts: torch.Tensor, position: int) -> torch.Tensor:
    return logs.argmax(1)


def drawn(uniform: torch.Tensor, temperature: float) -> Choose:
    """A choice at random: ``uniform`` has a number in [0, 1) for each text and position, shape (texts, longest)."""

    def choose(logs: torch.Tensor, texts: torch.Tensor, position: int) -> torch.Tensor:
        below = torch.softmax(logs / temperature, 1).cumsum(1)
        point = uniform[texts, position].to(below) * below[:, -1]
        return torch.searchsorted(below, point[:, None], right=True)[:, 0].clamp(max=logs.shape[1] - 1)

    return choose


def forced(tokens: torch.Tensor) -> Choose:
    """No choice: the token in ``tokens`` for each text and position, shape (texts, longest)."""
    return lambda logs, texts, position: tokens[texts, position]


def follow(runner: Runner, ends: Collection[int], longest: int, choose: Choose = likeliest) -> list[Found]:
    """One text for each row of ``runner``, of at most ``longest`` tokens with the end."""
    tokens = runner.first
    texts = torch.arange(len(tokens), device=tokens.device)
    links: list[_Link | None] = [None] * len(tokens)
    is_open = [True] * len(tokens)
    for position in range(longest):
        logs, top_logs, top_ids = _read(runner, tokens)
        tokens = choose(logs, texts, position)
        taken = logs.gather(1, tokens[:, None])[:, 0].tolist()
        rows = zip(texts.tolist(), tokens.tolist(), taken, top_ids.tolist(), top_logs.tolist(), strict=True)
        keep = []
        for row, (text, token, log, ids, others) in enumerate(rows):
            if is_open[text]:
                links[text] = _Link(links[text], token, log, ids, others)
                is_open[text] = token not in ends
            if is_open[text]:
                keep.append(row)
        if not keep:
            break
        if (size := _size(len(keep))) < len(tokens):
            done = sorted({*range(len(tokens))} - {*keep})
            select = torch.tensor(keep + done[: size - len(keep)], device=tokens.device)
            runner.select(select)
            tokens, texts = tokens[select], texts[select]
    return [_found(link, ends) for link in links]


def _size(rows: int) -> int:
    """The least that is enough of 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on."""
    power = 1 << (rows - 1).bit_length()
    return power - power // 4 if rows <= power - power // 4 else power


def beam(runner: Runner, ends: Collection[int], longest: int, count: int) -> list[list[Found]]:
    """For each row of ``runner`` at most ``count`` texts, best score first; if they are too few, then some without an end."""
    device = runner.first.device
    active = list(range(len(runner.first)))  # texts in the batch, ``count`` rows each
    done: list[list[tuple[float, _Link]]] = [[] for _ in active]
    links: list[list[_Link | None]] = [[None] * count for _ in active]
    scores = torch.full((len(active), count), -torch.inf, device=device)
    scores[:, 0] = 0.0  # the rows of a text begin equal: only one counts
    tokens = runner.first.repeat_interleave(count)
    runner.select(torch.arange(len(active), device=device).repeat_interleave(count))
    for _ in range(longest):
        logs, top_logs, top_ids = _read(runner, tokens)
        size = logs.shape[1]
        totals = (scores.reshape(-1, 1) + logs).reshape(len(active), -1)
        best, where = _top(totals, min(2 * count, totals.shape[1]))
        ids, others = top_ids.tolist(), top_logs.tolist()
        chosen = logs.reshape(len(active), -1).gather(1, where).tolist()
        rows: list[int] = []
        next_tokens: list[int] = []
        next_scores: list[list[float]] = []
        still: list[int] = []
        for n, (text, totals_here, places) in enumerate(zip(active, best.tolist(), where.tolist(), strict=True)):
            running: list[tuple[float, int, int, _Link]] = []
            for rank, (total, place) in enumerate(zip(totals_here, places, strict=True)):
                parent, token = divmod(place, size)
                row = n * count + parent
                link = _Link(links[text][parent], token, chosen[n][rank], ids[row], others[row])
                if total == -torch.inf or len(running) == count:
                    continue
                if token not in ends:
                    running.append((total, row, token, link))
                elif rank < count:
                    done[text].append((total, link))
            done[text] = sorted(done[text], key=lambda d: -d[0])[:count]
            running += [(-torch.inf, n * count, 0, link)] * (count - len(running))
            links[text] = [link for *_, link in running]
            if len(done[text]) == count and done[text][-1][0] >= running[0][0]:
                continue  # what runs on can only lose
            still.append(text)
            rows += [row for _, row, _, _ in running]
            next_tokens += [token for _, _, token, _ in running]
            next_scores.append([total for total, *_ in running])
        active = still
        if not active:
            break
        runner.select(torch.tensor(rows, device=device))
        tokens = torch.tensor(next_tokens, device=device)
        scores = torch.tensor(next_scores, device=device)
    for n, text in enumerate(active):
        last = zip(scores[n].tolist(), links[text], strict=True)
        running_on = [(score, link) for score, link in last if score > -torch.inf and link is not None]
        done[text] += running_on[: count - len(done[text])]
    return [[_found(link, ends) for _, link in texts] for texts in done]


def _read(runner: Runner, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log probabilities of the next tokens, and the likeliest of them with their ids."""
    logs = torch.log_softmax(runner.step(tokens), 1)
    return logs, *_top(logs, min(ALTERNATIVES + 1, logs.shape[1]))


def _top(values: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The ``count`` greatest of each row and their indices; equal ones by index."""
    indices = values.topk(count, 1).indices.sort(dim=1).values
    found, order = values.gather(1, indices).sort(dim=1, descending=True, stable=True)
    return found, indices.gather(1, order)


def _found(link: _Link | None, ends: Collection[int]) -> Found:
    links = []
    while link is not None:
        links.append(link)
        link = link.before
    links.reverse()
    ended = bool(links) and links[-1].token in ends
    body = links[:-1] if ended else links
    probability = [math.exp(one.log) for one in links]
    return Found(
        tokens=tuple(one.token for one in body),
        probabilities=tuple(probability[: len(body)]),
        alternatives=tuple(_others(one) for one in body),
        end=probability[-1] if ended else 0.0,
        score=sum(one.log for one in links),
    )


def _others(link: _Link) -> tuple[tuple[int, float], ...]:
    pairs = [(i, log) for i, log in zip(link.ids, link.logs, strict=True) if i != link.token][:ALTERNATIVES]
    return tuple((i, math.exp(log)) for i, log in pairs)
