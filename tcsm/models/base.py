"""The contract of a model of the posterior p(x₁ | x_t).

Objectives use one of two methods, which give the same numbers where both apply:

* ``weighted_loss``, a sum of per-position functions of the log-conditionals, evaluated chunk by
  chunk; the mean over the 1-ball of a factorized posterior is such a function (3.1);
* ``log_ratio`` over listed neighbors, the concrete score itself, for any posterior.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor, nn

from tcsm.models.losses import PositionLoss
from tcsm.neighborhoods.base import Neighbors
from tcsm.nets.head import WeightedLoss
from tcsm.noise import Noise, categorical
from tcsm.process.corruption import Corrupted


class ConcreteScore(nn.Module, ABC):
    """A model of p(x₁ | x_t) up to a factor, which is all that score matching needs."""

    @abstractmethod
    def log_ratio(self, batch: Corrupted, near: Neighbors) -> Float[Tensor, "B N"]:
        """Return the concrete score log q(y | x_t) − log q(x₁ | x_t) of each neighbor y (1.2)."""


class Posterior(ConcreteScore):
    """A model of p(x₁ | x_t) with marginals q^i(y | x_t) and independent positions."""

    @abstractmethod
    def weighted_loss(
        self, batch: Corrupted, loss: PositionLoss, weight: Float[Tensor, "n"]
    ) -> WeightedLoss:
        """Return Σ over noised positions of weight · loss, with the values of each position."""

    @abstractmethod
    def log_conditionals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log q^i(· | x_t) at the chosen noised positions, in row-major order."""

    def log_ratio(self, batch: Corrupted, near: Neighbors) -> Float[Tensor, "B N"]:
        """Return sums of differences of marginals; −∞ where a neighbor leaves the support."""
        log_q = self.log_marginals(batch.x_t, batch.t, batch.noised)
        return near.log_ratio(log_q, batch.x_1)

    @torch.no_grad()
    def draw(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        positions: Bool[Tensor, "B L"],
        u: Float64[Tensor, "n"],
    ) -> Int64[Tensor, "n"]:
        """Return x₁^i ∼ q^i(· | x_t) at the chosen noised positions, by one uniform each."""
        return categorical(self.log_conditionals(x_t, t, positions), u)

    @torch.no_grad()
    def candidates(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        noised: Bool[Tensor, "B L"],
        count: int,
        noise: Noise,
    ) -> Int[Tensor, "B K L"]:
        """Return K draws of x₁; visible positions carry x_t over."""
        return draws(self.log_conditionals(x_t, t, noised), x_t, noised, count, noise)

    def log_marginals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], noised: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L V"]:
        """Return log q^i(· | x_t) everywhere; at visible positions 0 at x_t, else −∞ (1.3)."""
        at_open = self.log_conditionals(x_t, t, noised)
        tokens = torch.arange(at_open.shape[-1], device=x_t.device)
        carried = torch.zeros(*x_t.shape, len(tokens), dtype=at_open.dtype, device=x_t.device)
        carried = carried.masked_fill(x_t[..., None] != tokens, -torch.inf)
        return carried.masked_scatter(noised[..., None], at_open)


def draws(
    log_q: Float[Tensor, "n V"],
    x_t: Int[Tensor, "B L"],
    noised: Bool[Tensor, "B L"],
    count: int,
    noise: Noise,
) -> Int[Tensor, "B K L"]:
    """Draw the noised positions of K sequences independently; the others carry x_t over."""
    u = noise.uniform("candidates", count, x_t.shape[1])
    sequences = [
        x_t.masked_scatter(noised, categorical(log_q, u[:, k][noised])) for k in range(count)
    ]
    return torch.stack(sequences, 1)
