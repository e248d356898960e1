"""Likelihood bounds: −log p(x₁) ≤ b nats a sequence, by Monte Carlo with error bars (§11).

Each estimator gives M draws of b for every sequence. Draws are stratified *within* a sequence, in
mirrored pairs, and independent between sequences, so that the spread over sequences is an honest
standard error; and they are a function of (seed, sequence, draw), so that models are compared on
the same draws.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.base import Posterior
from tcsm.models.joint import Joint
from tcsm.models.losses import BoundIntegrand, CrossEntropy, PositionLoss
from tcsm.noise import Antithetic, Noise
from tcsm.process.corruption import Corrupted, CountSampling, TimeSampling
from tcsm.process.paths import Path


@dataclass(frozen=True)
class Draws:
    """M draws of the bound for each of N sequences.

    Attributes:
        nats: the bound; its mean over draws is the estimate.
        level: α of each draw, nan where there is no noise.
        noised_nats: mean cross-entropy of a noised position, nats; nan if there is none.
    """

    nats: Float64[Tensor, "N M"]
    level: Float64[Tensor, "N M"]
    noised_nats: Float64[Tensor, "N M"]


def lengths(x_1: Int[Tensor, "N L"], real: Bool[Tensor, "N L"] | None) -> int | Int[Tensor, "N 1"]:
    """Return the number of positions of text of each sequence, L if all are."""
    return x_1.shape[1] if real is None else real.sum(-1, keepdim=True)


class Bound(ABC):
    """An estimator of b.

    Attributes:
        sampled: Whether there is anything to draw; else there is one column, without error.
    """

    sampled: ClassVar[bool] = True

    @abstractmethod
    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "N L"],
        ids: Tensor,
        seed: int,
        draws: int = 1,
        real: Bool[Tensor, "N L"] | None = None,
    ) -> Draws:
        """Return M = ``draws`` draws for sequences x₁ with identities ``ids`` (N).

        Positions that are not ``real``, prompts and padding, are conditions: b bounds −log p of
        the others given them.
        """

    @abstractmethod
    def check(self, model: nn.Module) -> None:
        """Raises InputError unless this is a bound on the model's likelihood."""


@dataclass(frozen=True)
class Exact(Bound):
    """−log p(x₁) of an autoregressive model: no bound, no draws."""

    sampled: ClassVar[bool] = False

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "N L"],
        ids: Tensor,
        seed: int,
        draws: int = 1,
        real: Bool[Tensor, "N L"] | None = None,
    ) -> Draws:
        """Return one column, without noise."""
        self.check(model)
        assert isinstance(model, Autoregressive)
        nats = -model.log_prob(x_1, real)[:, None]
        return Draws(nats, torch.full_like(nats, torch.nan), nats / lengths(x_1, real))

    def check(self, model: nn.Module) -> None:
        """Raise InputError for a model that is not autoregressive."""
        if not isinstance(model, Autoregressive):
            raise InputError(
                f"bound=exact needs model=autoregressive, found {type(model).__name__}"
            )


@dataclass(frozen=True)
class SampledBound(Bound):
    """A bound by corrupting M times.

    Attributes:
        path: the noising process.
    """

    path: Path

    def check(self, model: nn.Module) -> None:
        """Raise InputError for a model that is no factorized posterior."""
        if isinstance(model, Joint):
            raise InputError("bound: −log q of a joint model is no bound (11.5); set bound=joint")
        if not isinstance(model, Posterior):
            name = type(model).__name__
            raise InputError(f"bound: {name} has an exact likelihood; set bound=exact")

    @abstractmethod
    def draw(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> tuple[Corrupted, PositionLoss, Tensor]:
        """Return a corruption, the loss of a noised position, and a factor for each row's sum."""

    def control(self, model: Posterior, batch: Corrupted) -> Float64[Tensor, "B"]:
        """Return a number of mean zero for each row that lowers its variance; here 0."""
        return torch.zeros_like(batch.omega, dtype=torch.float64)

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "N L"],
        ids: Tensor,
        seed: int,
        draws: int = 1,
        real: Bool[Tensor, "N L"] | None = None,
    ) -> Draws:
        """Return M draws per sequence, all corruptions in one pass."""
        self.check(model)
        assert isinstance(model, Posterior)
        if draws < 1:
            raise InputError(f"evaluation.draws must be at least 1, found {draws}")
        count = len(x_1)
        draw = torch.arange(draws, device=x_1.device).repeat(count)
        noise = Antithetic(seed, ids.repeat_interleave(draws), draw, draws)
        real = None if real is None else real.repeat_interleave(draws, 0)
        batch, loss, weight = self.draw(x_1.repeat_interleave(draws, 0), noise, real)
        row = batch.noised.nonzero(as_tuple=True)[0]
        result = model.weighted_loss(batch, loss, torch.ones_like(row).float())
        zero = torch.zeros(count * draws, dtype=torch.float64, device=x_1.device)
        nats = weight * zero.index_add(0, row, result.loss.double()) + self.control(model, batch)
        cross_entropy = zero.index_add(0, row, result.cross_entropy.double())
        noised_nats = cross_entropy / batch.noised.sum(-1)
        columns = (nats, self.path.alpha(batch.t), noised_nats)
        return Draws(*(column.view(count, draws) for column in columns))


@dataclass(frozen=True)
class Count(SampledBound):
    """(L/n) Σ over n masked positions of −log q, n stratified on {1 … L} (11.3, 11.6).

    For time-free networks and the mask source: no clamp, bounded weights.
    """

    def __post_init__(self) -> None:
        """Refuse other sources than the mask."""
        CountSampling(self.path)

    def check(self, model: nn.Module) -> None:
        """Raise InputError also for a time-conditioned network, for which counts give no bound."""
        super().check(model)
        if getattr(getattr(model, "net", None), "timed", False):
            raise InputError("bound=count needs net.timed=false, found true; set bound=time")

    def draw(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> tuple[Corrupted, PositionLoss, Tensor]:
        """Return n masked positions of each row, −log q(x₁) and L/n."""
        batch = CountSampling(self.path)(x_1, noise, real)
        return batch, CrossEntropy(), batch.omega

    def control(self, model: Posterior, batch: Corrupted) -> Float64[Tensor, "B"]:
        """Return Σ c − (L/n) Σ over masked positions of c = −log q(x₁ | all masked).

        Its mean is 0 for any c; that of masked prompts serves all of them by one pass.
        """
        length = batch.x_1.shape[1]
        masked = torch.full_like(batch.x_1[:1], self.path.source.vocabulary)
        everywhere = torch.ones_like(masked, dtype=torch.bool)
        log_q = model.log_conditionals(masked, torch.zeros_like(batch.t[:1]), everywhere)
        known = -log_q[torch.arange(length, device=log_q.device), batch.x_1].double()
        if batch.real is not None:
            known = known * batch.real
        return known.sum(-1) - batch.omega * (known * batch.noised).sum(-1)


@dataclass(frozen=True)
class Time(SampledBound):
    """The bound's integrand at stratified t ∈ [0, 1 − ε] (11.3; uniform: 11.4, reverse process).

    The clamp drops ∫₁₋ε¹, so the estimate is low: by about a share ε with masks, and with the
    uniform source, whose integrand grows like log 1/(1 − α), by ε log 1/ε (11.6). ε is reported.
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse a clamp that leaves no time."""
        if not 0 <= self.epsilon < 1:
            raise InputError(f"bound.epsilon must lie in [0, 1), found {self.epsilon}")

    def draw(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> tuple[Corrupted, PositionLoss, Tensor]:
        """Return a corruption by time, the path's integrand, and 1 − ε, the interval's length."""
        batch = TimeSampling(self.path, self.epsilon)(x_1, noise, real)
        length = torch.full_like(batch.omega, 1 - self.epsilon)
        return batch, BoundIntegrand(self.path), length
