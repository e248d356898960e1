"""Likelihoods: the bound of a diffusion model, next-token loss, and pseudo-likelihood."""

from dataclasses import dataclass

import torch
from torch import nn

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.losses import BoundIntegrand, PositionLoss
from tcsm.models.masked_lm import Conditional
from tcsm.noise import Noise
from tcsm.objectives.base import CleanBatch, DenoisingObjective, Objective, SequenceMean, Terms
from tcsm.process.corruption import Corrupted, TimeSampling


@dataclass(frozen=True)
class Nelbo(DenoisingObjective):
    """The bound's integrand at sampled times, nats per token (11.3, 11.4).

    Mask source: MDLM, MD4. Uniform source: the reverse-process bound, UDLM's.

    Raises:
        InputError: another corruption or weighting, with which the loss would be no bound.
    """

    def __post_init__(self) -> None:
        """Refuse what changes the integral over t, since the integrand has its own weight."""
        if not isinstance(self.corruption, TimeSampling):
            name = type(self.corruption).__name__
            raise InputError(f"objective=nelbo needs corruption=time, found {name}")
        if not isinstance(self.weighting, SequenceMean):
            name = type(self.weighting).__name__
            raise InputError(f"objective=nelbo needs weighting=sequence_mean, found {name}")

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the integrand at a position."""
        return BoundIntegrand(self.corruption.path)


@dataclass(frozen=True)
class NextToken(Objective):
    """The mean of −log p(x^i | x^{<i}), for the autoregressive baseline."""

    def terms(self, model: nn.Module, data: CleanBatch, noise: Noise) -> Terms:
        """Return nats per token; ``noise`` is not used."""
        if not isinstance(model, Autoregressive):
            name = type(model).__name__
            raise InputError(f"objective=next_token needs model=autoregressive, found {name}")
        x_1, weight, real = data.x_1, data.weight, data.real
        per_row = torch.full((len(x_1),), 1 / x_1.numel(), device=x_1.device)
        per_row = per_row if weight is None else per_row * weight
        per_position = per_row.repeat_interleave(x_1.shape[1])
        if real is None:
            result = model.cross_entropy(x_1, per_position)
            return {"loss": result.total, "cross_entropy": result.cross_entropy.mean()}
        share = real * x_1.shape[1] / real.sum(-1, keepdim=True)
        result = model.cross_entropy(x_1, per_position * share.flatten())
        return {"loss": result.total, "cross_entropy": result.cross_entropy[real.flatten()].mean()}


@dataclass(frozen=True)
class PseudoLikelihood(Objective):
    """Cross-entropy at some or all positions of clean data, for hollow and masked LMs (7.2).

        loss = −(1/(ρL)) Σ_{i drawn} log p(x^i | what the model sees)

    Each position is drawn with probability ρ. A hollow network sees x^{≠i} everywhere, so ρ = 1 is
    its pseudo-likelihood. A masked LM sees what was not drawn, and ρ is BERT's share of masks.

    Attributes:
        rate: ρ.

    Raises:
        InputError: ρ outside (0, 1].
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a rate outside (0, 1]."""
        if not 0 < self.rate <= 1:
            raise InputError(f"objective.rate must lie in (0, 1], found {self.rate}")

    def terms(self, model: nn.Module, data: CleanBatch, noise: Noise) -> Terms:
        """Return nats per position."""
        if not isinstance(model, Conditional):
            name = type(model).__name__
            raise InputError(
                f"objective=pseudo_likelihood needs model=blind or masked_lm, found {name}"
            )
        x_1, weight, real = data.x_1, data.weight, data.real
        positions = noise.uniform("sites", x_1.shape[1]) < self.rate
        per_row = positions.double().new_full((len(x_1),), 1 / (self.rate * x_1.numel()))
        if real is not None:
            positions, per_row = positions & real, per_row * x_1.shape[1] / real.sum(-1)
        per_row = per_row if weight is None else per_row * weight
        result = model.cross_entropy(x_1, positions, per_row[positions.nonzero()[:, 0]])
        mean = result.cross_entropy.mean() if len(result.loss) else result.total * 0
        return {"loss": result.total, "cross_entropy": mean.detach()}
