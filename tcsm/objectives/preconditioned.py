"""Score matching over the 1-ball with its pairs weighed by the model itself (3.7d).

    ℓ = (1/V) Σ_y c(x, y)^γ ψ(u_y),        c(x, y) = V q_y/ψ′(u_y),  u_y = log q_y − log q_x

c is symmetric, since ψ′(u) = w(s) + s w(1/s), and is not differentiated, so that the optimum is
the same for every γ. γ = 0 is the raw loss; at γ = 1 the gradient of *every* divergence is that
of cross-entropy, q − δ_x. In between it grows like the raw one's power 1 − γ.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.objectives.base import Denoising
from tcsm.posteriors.site import SiteLoss
from tcsm.process.corruption import Sites


@dataclass(frozen=True)
class Preconditioned(Denoising):
    """Weighed score matching of a factorized posterior.

    The value of the loss is no criterion, as its weights move with the model; gradients are.

    Attributes:
        divergence: D_F.
        gamma: γ.

    Raises:
        InputError: γ outside [0, 1].
    """

    divergence: Bregman
    gamma: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a power that interpolates nothing."""
        if not 0 <= self.gamma <= 1:
            raise InputError(f"objective.gamma must lie in [0, 1], found {self.gamma}")

    def site_loss(self) -> SiteLoss:
        """The weighed 1-ball."""
        return _Weighed(self.divergence, self.gamma)


@dataclass(frozen=True)
class _Weighed(SiteLoss):
    divergence: Bregman
    gamma: float

    def __call__(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n"]:
        u = log_q - log_q.gather(-1, sites.x_1[:, None])
        natural = log_q.detach().exp() * log_q.shape[-1] / self._slope(u.detach())
        return (natural**self.gamma * self.divergence.pair(u)).mean(-1)

    def _slope(self, u: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
        """ψ′(u) > 0."""
        with torch.enable_grad():
            u = u.requires_grad_()
            (slope,) = torch.autograd.grad(self.divergence.pair(u).sum(), u)
        return slope.clamp(min=torch.finfo(slope.dtype).tiny)
