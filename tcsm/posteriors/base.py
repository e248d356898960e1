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
from tcsm.posteriors.site import SiteLoss
from tcsm.process.corruption import Corrupted


class ConcreteScore(nn.Module, ABC):
    """p(x₁ | x_t) up to a factor: all that score matching needs."""

    @abstractmethod
    def log_ratio(self, drawn: Corrupted, near: Neighbors) -> Float[Tensor, "B N"]:
        """The concrete score log q(y | x_t) − log q(x₁ | x_t) of each neighbor y of x₁ (1.2)."""


class Posterior(ConcreteScore):
    """p(x₁ | x_t) with tractable marginals q^i(y | x_t)."""

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

    def log_marginals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], open: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L V"]:
        """Log q^i(· | x_t) everywhere: closed sites carry x_t over, −∞ elsewhere (1.3)."""
        at_open = self.log_conditionals(x_t, t, open)
        tokens = torch.arange(at_open.shape[-1], device=x_t.device)
        carried = torch.zeros(*x_t.shape, len(tokens), dtype=at_open.dtype, device=x_t.device)
        carried = carried.masked_fill(x_t[..., None] != tokens, -torch.inf)
        return carried.masked_scatter(open[..., None], at_open)
