"""Losses on the rates of the flow and on its reverse steps (§8).

Both are divergences between the process that the path makes of the data and that of q.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.errors import InputError
from tcsm.models.losses import PositionLoss
from tcsm.objectives.base import DenoisingObjective
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.paths import Path
from tcsm.process.steps import StepSampling


@dataclass(frozen=True)
class RateMatching(DenoisingObjective):
    """Discrete flow matching by generalized KL between the flow's rates (11.2).

        κ (1[x_t = x₁] − q(x_t) − 1[x_t ≠ x₁] log q(x₁))

    With the mask source it is MDLM's loss; with the uniform one a bound, valid but loose.
    """

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the generalized KL at a position and its time."""
        return RateLoss(self.corruption.path)


@dataclass(frozen=True)
class RateLoss(PositionLoss):
    """ℓ of `RateMatching`."""

    path: Path

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the loss of each position."""
        log_q, same = log_q.double(), (positions.x_t == positions.x_1).double()
        tokens = torch.arange(log_q.shape[-1], device=log_q.device)
        here = (positions.x_t[:, None] == tokens).double()  # all 0 at a masked position
        at_x_1 = log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)
        gap = same - (here * log_q.exp()).sum(-1) - (1 - same) * at_x_1
        return self.path.schedule.kappa(positions.t) * gap


@dataclass(frozen=True)
class StepMatching(DenoisingObjective):
    """D3PM: T · KL between the reverse steps p(x_s | x_t, x₁) of the data and of q (8.3).

    Its mean over the T steps of `StepSampling` is the bound on −log p(x₁), O(V²) per position.

    Raises:
        InputError: the corruption has no steps.
    """

    def __post_init__(self) -> None:
        """Refuse continuous time."""
        if not isinstance(self.corruption, StepSampling):
            name = type(self.corruption).__name__
            raise InputError(f"objective=steps needs corruption=steps, found {name}")

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the KL of the step from a position's time to the next."""
        assert isinstance(self.corruption, StepSampling)
        return StepLoss(self.corruption)


@dataclass(frozen=True)
class StepLoss(PositionLoss):
    """ℓ of `StepMatching`."""

    corruption: StepSampling

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the loss of each position."""
        path = self.corruption.path
        labels = torch.arange(log_q.shape[-1], device=log_q.device).expand(log_q.shape)
        x_t = positions.x_t[:, None].expand(labels.shape)
        times = (positions.t, self.corruption.after(positions.t))
        now, then = (path.alpha(time)[:, None].expand(labels.shape) for time in times)
        steps = path.bridge(x_t, labels, now, then).distribution(x_t, labels, path.source)
        data = steps[torch.arange(len(steps), device=steps.device), positions.x_1]
        model = (log_q.double().exp()[..., None] * steps).sum(1)
        least = torch.finfo(data.dtype).tiny
        gap = torch.log(data.clamp(min=least)) - torch.log(model.clamp(min=least))
        return self.corruption.steps * (data * gap).sum(-1)
