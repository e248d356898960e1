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
from tcsm.models.factorized import Factorized
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.samplers.base import PathSampler

CPU = torch.device("cpu")


RATE = 1e-3  # learning rate of the short trainings


def transition(size: Size) -> Tensor:
    """The transition matrix of a random Markov chain that a small network soon learns, (V, V)."""
    made = torch.Generator().manual_seed(7)
    return (3 * torch.randn(size.vocabulary, size.vocabulary, generator=made)).softmax(-1)


def chain(size: Size, batch: int, seed: int) -> Tensor:
    """Sequences of the chain, (B, L)."""
    step = transition(size)
    drawn = torch.Generator().manual_seed(seed)
    x = [torch.randint(size.vocabulary, (batch,), generator=drawn)]
    for _ in range(size.length - 1):
        x.append(torch.multinomial(step[x[-1]], 1, generator=drawn).squeeze(1))
    return torch.stack(x, 1)


def judged(size: Size, x: Tensor) -> dict[str, float]:
    """Perplexity of sequences under the chain itself, and the entropy of their tokens in nats."""
    nats = -transition(size)[x[:, :-1], x[:, 1:]].log().double().mean()
    share = torch.bincount(x.flatten(), minlength=size.vocabulary).double() / x.numel()
    entropy = torch.special.entr(share).sum()
    return {"perplexity": float(nats.exp()), "entropy": float(entropy)}


def trained(size: Size, steps: int, precision: str = "auto", uniform: bool = False) -> Factorized:
    """A network after some steps on the chain; fresh weights for 0."""
    if not steps:
        return build(size, uniform=uniform).eval()
    corruption = TimeSampling if uniform else CountSampling
    own = Own(size, corruption=corruption, precision=precision, uniform=uniform)
    own.state.optim = replace(own.state.optim, learning_rate=RATE)
    for step in range(steps):
        own.step(chain(size, 16, step + 1))
    return own.model.eval()


class OwnSampler:
    """A batch of samples by TCSM, fresh weights or after a short training."""

    def __init__(
        self,
        size: Size,
        kind: type[PathSampler],
        steps: int,
        train: int = 0,
        precision: str = "auto",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build network and sampler."""
        self.size, self.precision, self.train = size, precision, train
        self.model, self.laps = trained(size, train, precision), Laps(clock)
        self.sampler = kind(steps=steps, path=self.model.path)
        self.parameters, self.seed = sum(p.numel() for p in self.model.parameters()), 0

    def step(self, _: Tensor) -> float:
        """Draw a batch; return the number of network calls."""
        self.seed += 1
        with autocast(CPU, self.precision):
            drawn = self.sampler(self.model, self.size.batch, self.size.length, self.seed)
        self.tokens = drawn.tokens
        return float(drawn.network_calls)

    def report(self) -> dict:
        """Quality of the last batch, if the network has learned something."""
        return judged(self.size, self.tokens) if self.train else {}


class MdlmSampler:
    """A batch of samples by MDLM's own sampler, fresh weights or after a short training."""

    def __init__(
        self,
        size: Size,
        checkout: Path,
        steps: int,
        train: int = 0,
        bf16: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Build MDLM, and train it."""
        self.trainer, self.steps, self.laps = Mdlm(size, checkout, bf16=bf16), steps, Laps(clock)
        self.parameters, self.size, self.train = self.trainer.parameters, size, train
        for group in self.trainer.optimizer.param_groups:
            group["lr"] = RATE
        for step in range(train):
            self.trainer.step(chain(size, 16, step + 1))

    def step(self, _: Tensor) -> float:
        """Draw a batch; return the number of steps."""
        self.tokens = self.trainer.sample(self.steps)
        return float(self.steps)

    def report(self) -> dict:
        """Quality of the last batch, if the network has learned something."""
        return judged(self.size, self.tokens) if self.train else {}


class OwnBound:
    """A call of a likelihood bound on a batch, after a short training on a Markov chain."""

    def __init__(
        self,
        size: Size,
        bound: Callable[..., Bound],
        draws: int,
        *,
        train: int = 200,
        uniform: bool = False,
        precision: str = "auto",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Train a model, and build the bound."""
        self.model, self.laps = trained(size, train, precision, uniform), Laps(clock)
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.precision, self.draws = precision, draws
        self.x_1, self.ids = chain(size, size.batch, 0), torch.arange(size.batch)
        self.bound, self.values = bound(self.model.path), []

    def step(self, _: Tensor) -> float:
        """Call the bound with a new seed; return nats a token."""
        with autocast(CPU, self.precision):
            draws = self.bound(self.model, self.x_1, self.ids, len(self.values), self.draws)
        self.values.append(draws.nats.mean(1))
        return float(draws.nats.mean()) / self.x_1.shape[1]

    def report(self) -> dict:
        """The variance, over seeds, of the mean over sequences, (nats a token)²."""
        if len(self.values) < 2:
            return {}
        values = torch.stack(self.values) / self.x_1.shape[1]
        return {"variance": float(values.var(0).mean()) / len(self.x_1), "draws": self.draws}
