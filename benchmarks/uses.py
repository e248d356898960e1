"""Sampling and the likelihood bound as workers: TCSM's, and MDLM's cached sampler."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import Laps
from benchmarks.own import Own, autocast, build
from benchmarks.peers.mdlm import Mdlm
from benchmarks.sizes import Size
from tcsm.evaluation.bound import Bound
from tcsm.process.corruption import CountSampling
from tcsm.samplers.base import PathSampler

CPU = torch.device("cpu")


class OwnSampler:
    """A batch of samples by TCSM, fresh weights."""

    def __init__(
        self,
        size: Size,
        kind: type[PathSampler],
        steps: int,
        precision: str = "auto",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build network and sampler."""
        self.size, self.precision, self.laps = size, precision, Laps(clock)
        self.model = build(size).eval()
        self.sampler = kind(steps=steps, path=self.model.path)
        self.parameters, self.seed = sum(p.numel() for p in self.model.parameters()), 0

    def step(self, _: Tensor) -> float:
        """Draw a batch; return the number of network calls."""
        self.seed += 1
        with autocast(CPU, self.precision):
            drawn = self.sampler(self.model, self.size.batch, self.size.length, self.seed)
        return float(drawn.network_calls)


class MdlmSampler:
    """A batch of samples by MDLM's own sampler, fresh weights."""

    def __init__(
        self,
        size: Size,
        checkout: Path,
        steps: int,
        bf16: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build MDLM."""
        self.trainer, self.steps, self.laps = Mdlm(size, checkout, bf16=bf16), steps, Laps(clock)
        self.parameters = self.trainer.parameters

    def step(self, _: Tensor) -> float:
        """Draw a batch; return the number of steps."""
        self.trainer.sample(self.steps)
        return float(self.steps)


def chain(size: Size, batch: int, seed: int) -> Tensor:
    """Sequences of a random Markov chain that a small network soon learns, (B, L)."""
    made = torch.Generator().manual_seed(7)
    logits = 3 * torch.randn(size.vocabulary, size.vocabulary, generator=made)
    step = logits.softmax(-1)
    drawn = torch.Generator().manual_seed(seed)
    x = [torch.randint(size.vocabulary, (batch,), generator=drawn)]
    for _ in range(size.length - 1):
        x.append(torch.multinomial(step[x[-1]], 1, generator=drawn).squeeze(1))
    return torch.stack(x, 1)


class OwnBound:
    """A call of a likelihood bound on a batch, after a short training on a Markov chain."""

    def __init__(
        self,
        size: Size,
        bound: Callable[..., Bound],
        draws: int,
        train: int = 100,
        precision: str = "auto",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Train a model, and build the bound."""
        own = Own(replace(size, batch=16), corruption=CountSampling, precision=precision)
        own.state.optim = replace(own.state.optim, learning_rate=3e-3)
        for step in range(train):
            own.step(chain(size, 16, step + 1))
        self.model, self.precision, self.laps = own.model.eval(), precision, Laps(clock)
        self.parameters, self.draws = own.parameters, draws
        self.x_1, self.ids = chain(size, size.batch, 0), torch.arange(size.batch)
        self.bound, self.values = bound(self.model.path), []

    def step(self, _: Tensor) -> float:
        """Call the bound with a new seed; return nats a token."""
        with autocast(CPU, self.precision):
            found = self.bound(self.model, self.x_1, self.ids, len(self.values), self.draws)
        self.values.append(found.nats.mean(1))
        return float(found.nats.mean()) / self.x_1.shape[1]

    def report(self) -> dict:
        """The variance, over seeds, of the mean over sequences, (nats a token)²."""
        if len(self.values) < 2:
            return {}
        values = torch.stack(self.values) / self.x_1.shape[1]
        return {"variance": float(values.var(0).mean()) / len(self.x_1)}
