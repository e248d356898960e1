"""A posterior p(x₁ | x_t), known by what objectives and samplers ask of it.

Objectives meet a posterior in two ways that give the same numbers where both apply:

* ``sum_over_open``: a per-site function of the log-conditionals of the open sites, evaluated
  chunk by chunk; the whole 1-ball of a factorized posterior is such a function (3.1);
* ``log_ratio`` over listed neighbors, the concrete score itself: the general contract.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.neighborhoods.base import Neighbors
from tcsm.nets.base import SiteSum
from tcsm.noise import Noise, categorical
from tcsm.posteriors.site import Implicit, RatioLoss, SiteLoss
from tcsm.process.corruption import Corrupted


class ConcreteScore(nn.Module, ABC):
    """p(x₁ | x_t) up to a factor: all that score matching needs."""

    @abstractmethod
    def log_ratio(self, drawn: Corrupted, near: Neighbors) -> Float[Tensor, "B N"]:
        """The concrete score log q(y | x_t) − log q(x₁ | x_t) of each neighbor y of x₁ (1.2)."""


class Posterior(ConcreteScore):
    """p(x₁ | x_t) with tractable marginals q^i(y | x_t), given which its sites are independent."""

    @abstractmethod
    def sum_over_open(
        self, drawn: Corrupted, loss: SiteLoss, weight: Float[Tensor, "n"]
    ) -> SiteSum:
        """Σ over open sites of weight · loss."""

    @abstractmethod
    def log_conditionals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], sites: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Log q^i(· | x_t) at the chosen open sites, in row-major order."""

    def sum_of_ratios(
        self,
        drawn: Corrupted,
        loss: RatioLoss,
        weight: Float[Tensor, "n"],
        log_reference: Float[Tensor, "n V"],
    ) -> SiteSum:
        """Σ over open sites of weight · loss, of r = q/q_ref (9.2)."""
        return self.sum_over_open(drawn, Implicit(loss, log_reference, drawn), weight)

    def log_ratio(self, drawn: Corrupted, near: Neighbors) -> Float[Tensor, "B N"]:
        """Sums of differences of marginals; −∞ where a neighbor leaves the support."""
        log_q = self.log_marginals(drawn.x_t, drawn.t, drawn.open)
        return near.log_ratio(log_q, drawn.x_1)

    @torch.no_grad()
    def candidates(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        open: Bool[Tensor, "B L"],
        count: int,
        noise: Noise,
    ) -> Int[Tensor, "B K L"]:
        """K draws of x₁; closed sites carry x_t over."""
        return draws(self.log_conditionals(x_t, t, open), x_t, open, count, noise)

    def log_marginals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], open: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L V"]:
        """Log q^i(· | x_t) everywhere: closed sites carry x_t over, −∞ elsewhere (1.3)."""
        at_open = self.log_conditionals(x_t, t, open)
        tokens = torch.arange(at_open.shape[-1], device=x_t.device)
        carried = torch.zeros(*x_t.shape, len(tokens), dtype=at_open.dtype, device=x_t.device)
        carried = carried.masked_fill(x_t[..., None] != tokens, -torch.inf)
        return carried.masked_scatter(open[..., None], at_open)


def draws(
    log_q: Float[Tensor, "n V"],
    x_t: Int[Tensor, "B L"],
    open: Bool[Tensor, "B L"],
    count: int,
    noise: Noise,
) -> Int[Tensor, "B K L"]:
    """K sequences whose open sites are drawn, each by its own law; the others carry x_t over."""
    u = noise.uniform("candidates", count, x_t.shape[1])
    drawn = [x_t.masked_scatter(open, categorical(log_q, u[:, k][open])) for k in range(count)]
    return torch.stack(drawn, 1)
