"""Score matching over the 1-ball with its pairs weighed by the model itself (3.7d).

    ℓ = (1/V) Σ_y c(x, y)^γ ψ(u_y),        c(x, y) = V q_y/ψ′(u_y),  u_y = log q_y − log q_x

c is symmetric, since ψ′(u) = w(s) + s w(1/s), and is not differentiated, so that the optimum is
the same for every γ. γ = 0 is the raw loss; at γ = 1 the gradient of *every* divergence is that
of cross-entropy, q − δ_x. In between it grows like the raw one's power 1 − γ.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.objectives.base import DenoisingObjective
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Positions


@dataclass(frozen=True)
class Preconditioned(DenoisingObjective):
    """Weighed score matching of a factorized posterior.

    The value of the loss is no criterion, as its weights move with the model; gradients are. Where
    ψ is too large or c too small for the precision, ℓ is a line whose gradient is the same.

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

    def position_loss(self) -> PositionLoss:
        """The weighed 1-ball."""
        return _PreconditionedLoss(self.divergence, self.gamma)


@dataclass(frozen=True)
class _PreconditionedLoss(PositionLoss):
    divergence: Bregman
    gamma: float

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        u = log_q - log_q.gather(-1, positions.x_1[:, None])
        slope, value = self._slope(u.detach()), self.divergence.pair(u.detach())
        natural = log_q.detach().exp() * log_q.shape[-1] / slope
        least = torch.finfo(natural.dtype).tiny
        beyond = ~(slope.isfinite() & value.isfinite() & (natural >= least))
        within = natural**self.gamma * self.divergence.pair(u.masked_fill(beyond, 0.0))
        return (within + self._beyond(log_q, u, beyond)).mean(-1)

    def _beyond(
        self, log_q: Float[Tensor, "n V"], u: Float[Tensor, "n V"], where: Bool[Tensor, "n V"]
    ) -> Float[Tensor, "n V"]:
        """A line of the right slope, (V q_y)^γ ψ′^(1 − γ), where ψ overflows or c underflows."""
        mass = log_q.detach()[where].double().exp() * log_q.shape[-1]
        rate = mass**self.gamma * self._slope(u.detach()[where].double()) ** (1 - self.gamma)
        return torch.zeros_like(u).masked_scatter(where, rate.to(u.dtype) * u[where])

    def _slope(self, u: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """ψ′(u) > 0."""
        with torch.enable_grad():
            u = u.requires_grad_()
            (slope,) = torch.autograd.grad(self.divergence.pair(u).sum(), u)
        return slope.clamp(min=torch.finfo(slope.dtype).tiny)
