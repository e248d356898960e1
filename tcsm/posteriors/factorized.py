"""Factorized posteriors q(x₁ | x_t) = ∏ᵢ q^i(x₁^i | x_t), from one pass of a network.

    Factorized:   q = softmax(logits)
    LeaveOneOut:  π = softmax(logits),  q = softmax(logits + λ_t · 1[y = x_t])          (1.4, 1.5)

At a masked site both coincide. For uniform noise the second keeps the scale of logits independent
of t and the likelihood bound finite. The mask state has no logit, so no output ever holds it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.nets.base import Net, Reading, SiteSum
from tcsm.posteriors.base import Posterior
from tcsm.posteriors.site import SiteLoss
from tcsm.process.corruption import Corrupted, Sites
from tcsm.process.paths import Path, add_at


class Factorized(Posterior):
    """q^i = softmax of the logits at site i.

    Args:
        net: the network; wrapped for data parallelism, it stays in this place.
        path: the noising process it inverts.
    """

    def __init__(self, net: Net, path: Path) -> None:
        super().__init__()
        self.net, self.path = net, path

    def conditionals(self, logits: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n V"]:
        """Log q of the logits, in fp32 at least."""
        return torch.log_softmax(at_least_float(logits), -1)

    def sum_over_open(
        self, drawn: Corrupted, loss: SiteLoss, weight: Float[Tensor, "n"]
    ) -> SiteSum:
        """One pass; the head sees open sites alone."""
        read = _Read(self.conditionals, loss, drawn.sites())
        result: SiteSum = self.net(drawn.x_t, drawn.t, drawn.open, read, weight)
        return result

    def log_conditionals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], sites: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Log q^i(· | x_t) at the chosen open sites."""
        row, column = sites.nonzero(as_tuple=True)
        here = x_t[row, column]
        return self.conditionals(self.net(x_t, t, sites), Sites(here, here, t[row], row, column))


class LeaveOneOut(Factorized):
    """The network gives π, the law without the site's own evidence; q adds it (1.5)."""

    def conditionals(self, logits: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n V"]:
        """Log softmax(logits + λ_t 1[y = x_t])."""
        evidence = self.path.source.evidence(self.path.alpha(sites.t))
        logits = at_least_float(logits)
        return torch.log_softmax(add_at(logits, sites.x_t, evidence.to(logits.dtype)), -1)


@dataclass(frozen=True)
class _Read:
    """Logits of a chunk → what the loss makes of their log-conditionals."""

    conditionals: Callable[[Tensor, Sites], Tensor]
    loss: SiteLoss
    sites: Sites

    def __call__(self, logits: Float[Tensor, "n V"], chunk: slice) -> Reading:
        sites = self.sites[chunk]
        log_q = self.conditionals(logits, sites)
        cross_entropy = -log_q.detach().gather(-1, sites.x_1[:, None]).squeeze(-1)
        return Reading(self.loss(log_q, sites), cross_entropy)

    def gradient(self, logits: Float[Tensor, "n V"], chunk: slice) -> Tensor | None:
        sites = self.sites[chunk]
        return self.loss.gradient(self.conditionals(logits, sites), sites)


def at_least_float(logits: Tensor) -> Tensor:
    """Logits in single precision, where they came in less."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
