"""Losses on what a posterior is used for: the rates of its flow, its reverse steps (§8).

Both are divergences of distributions that the path makes of q, against the same distributions made
of the data.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.errors import InputError
from tcsm.objectives.base import DenoisingObjective
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Positions
from tcsm.process.paths import Path
from tcsm.process.steps import StepSampling


@dataclass(frozen=True)
class RateMatching(DenoisingObjective):
    """Discrete flow matching by generalized KL between the flow's rates (11.2).

        κ (1[x_t = x₁] − q(x_t) − 1[x_t ≠ x₁] log q(x₁))

    With the mask source MDLM's loss; with the uniform one a bound, valid but loose.
    """

    def position_loss(self) -> PositionLoss:
        """At a position and its time."""
        return _RateLoss(self.corruption.path)


@dataclass(frozen=True)
class _RateLoss(PositionLoss):
    path: Path

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        log_q, same = log_q.double(), (positions.x_t == positions.x_1).double()
        tokens = torch.arange(log_q.shape[-1], device=log_q.device)
        here = (positions.x_t[:, None] == tokens).double()  # nowhere at a masked position
        at_x_1 = log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)
        gap = same - (here * log_q.exp()).sum(-1) - (1 - same) * at_x_1
        return self.path.schedule.kappa(positions.t) * gap


@dataclass(frozen=True)
class StepMatching(DenoisingObjective):
    """D3PM: T · KL between the reverse steps p(x_s | x_t, x₁) of the data and of q (8.3).

    Its mean over the T steps of `StepSampling` is the bound on −log p(x₁), O(V²) a position.

    Raises:
        InputError: the corruption knows no steps.
    """

    def __post_init__(self) -> None:
        """Refuse continuous time."""
        if not isinstance(self.corruption, StepSampling):
            found = type(self.corruption).__name__
            raise InputError(f"objective=steps needs corruption=steps, found {found}")

    def position_loss(self) -> PositionLoss:
        """At a position, from its time to the next."""
        assert isinstance(self.corruption, StepSampling)
        return _StepLoss(self.corruption)


@dataclass(frozen=True)
class _StepLoss(PositionLoss):
    corruption: StepSampling

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        path = self.corruption.path
        labels = torch.arange(log_q.shape[-1], device=log_q.device).expand(log_q.shape)
        x_t = positions.x_t[:, None].expand(labels.shape)
        times = (positions.t, self.corruption.after(positions.t))
        now, then = (path.alpha(time)[:, None].expand(labels.shape) for time in times)
        distributions = path.bridge(x_t, labels, now, then).distribution(x_t, labels, path.source)
        truth = distributions[
            torch.arange(len(distributions), device=distributions.device), positions.x_1
        ]
        model = (log_q.double().exp()[..., None] * distributions).sum(1)
        least = torch.finfo(truth.dtype).tiny
        gap = torch.log(truth.clamp(min=least)) - torch.log(model.clamp(min=least))
        return self.corruption.steps * (truth * gap).sum(-1)
