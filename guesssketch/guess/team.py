"""The processes of a training run, and the one clock they go by."""

from __future__ import annotations

import os
import time

import torch
import torch.distributed as dist
from torch import Tensor


class Team:
    """One process, or those that ``torchrun`` started, each with a GPU of its own where there are GPUs."""

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.number = int(os.environ.get("RANK", "0"))
        self.first = self.number == 0
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")

    def __enter__(self) -> Team:
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.set_device(self.device)
        if self.size > 1:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all on one host, whatever its name resolves to
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        return self

    def __exit__(self, *exc: object) -> None:
        if self.size > 1:
            dist.destroy_process_group()

    def wait(self) -> None:
        """Until every process is here."""
        self.told(0.0)
        if self.size > 1:
            dist.all_reduce(torch.zeros(1))

    def told(self, value: float) -> float:
        """What the first process says."""
        number = torch.tensor([value], dtype=torch.float64)
        if self.size > 1:
            dist.broadcast(number, 0)
        return number.item()

    def add(self, value: Tensor) -> None:
        """``value`` becomes the sum of everyone's."""
        if self.size > 1:
            dist.all_reduce(value)


class Clock:
    """Seconds that a run has taken over all its starts; the first process's clock rules."""

    def __init__(self, team: Team, used: float) -> None:
        self._team = team
        self._start = time.monotonic() - used

    def read(self) -> float:
        """What was asked of the device is done by then."""
        if self._team.device.type == "cuda":
            torch.cuda.synchronize(self._team.device)
        return self._team.told(time.monotonic() - self._start)
