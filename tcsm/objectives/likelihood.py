"""Likelihoods as objectives: the bound of a diffusion model, next-token loss of a causal one."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.objectives.base import DenoisingObjective, Objective, SequenceMean, Terms
from tcsm.posteriors.losses import BoundIntegrand, PositionLoss
from tcsm.process.corruption import TimeSampling
from tcsm.teachers.autoregressive import Autoregressive


@dataclass(frozen=True)
class Nelbo(DenoisingObjective):
    """The bound's integrand at sampled times, nats a token (11.3, 11.4).

    Mask source: MDLM, MD4. Uniform source: the reverse-process bound, UDLM's.

    Raises:
        InputError: another corruption or another weighting: the loss would be no bound.
    """

    def __post_init__(self) -> None:
        """The integrand is one over t, and carries its own weight."""
        if not isinstance(self.corruption, TimeSampling):
            found = type(self.corruption).__name__
            raise InputError(f"objective=nelbo needs corruption=time, found {found}")
        if not isinstance(self.weighting, SequenceMean):
            found = type(self.weighting).__name__
            raise InputError(f"objective=nelbo needs weighting=sequence_mean, found {found}")

    def position_loss(self) -> PositionLoss:
        """Integrand at a position."""
        return BoundIntegrand(self.corruption.path)


@dataclass(frozen=True)
class NextToken(Objective):
    """Mean of −log p(x^i | x^{<i}): trains the autoregressive baseline."""

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """Nats a token; ``noise`` is not needed."""
        if not isinstance(model, Autoregressive):
            found = type(model).__name__
            raise InputError(f"objective=next_token needs model=autoregressive, found {found}")
        per_row = torch.full((len(x_1),), 1 / x_1.numel(), device=x_1.device)
        per_row = per_row if weight is None else per_row * weight
        per_position = per_row.repeat_interleave(x_1.shape[1])
        if real is None:
            result = model.cross_entropy(x_1, per_position)
            return {"loss": result.total, "cross_entropy": result.cross_entropy.mean()}
        share = real * x_1.shape[1] / real.sum(-1, keepdim=True)
        result = model.cross_entropy(x_1, per_position * share.flatten())
        return {"loss": result.total, "cross_entropy": result.cross_entropy[real.flatten()].mean()}
