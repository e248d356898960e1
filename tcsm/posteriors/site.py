"""Per-site losses: what an objective or a bound makes of the log-conditionals of an open site."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from tcsm.process.corruption import Sites
from tcsm.process.paths import Path


class SiteLoss(ABC):
    """A loss at one open site, from its log-conditionals."""

    @abstractmethod
    def __call__(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n"]:
        """One number a site."""

    def gradient(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Tensor | None:
        """Its derivative by the logits, (n, V); None lets autograd find it, chunk by chunk."""
        return None


class CrossEntropy(SiteLoss):
    """−log q(x₁)."""

    def __call__(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n"]:
        """−log q(x₁)."""
        return -log_q.gather(-1, sites.x_1[:, None]).squeeze(-1)


@dataclass(frozen=True)
class BoundIntegrand(SiteLoss):
    """The integrand over t of the bound on −log p(x₁), nats (11.3, 11.4)."""

    path: Path

    def __call__(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n"]:
        """As the path says."""
        return self.path.nelbo(log_q, sites.x_1, sites.x_t, sites.t)
