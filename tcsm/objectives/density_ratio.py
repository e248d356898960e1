"""Density ratio of data to a frozen reference, at every noised position (9.1).

    ℓ^i = Σ_y q_ref^i(y) G(r_y) − F′(r_{x₁^i}),      G(v) = v F′(v) − F(v),      r* = p^i/q_ref^i

The negatives are enumerated, so that they add no variance, and the optimum is the marginals (9.3).
Where the model is a posterior that started at the reference, r = q/q_ref normalizes itself and
generalized KL is cross-entropy (9.2); `Explicit` trains r itself (9.4).

Against a reward the data are draws of the reference with weights W (10.4). Both terms must carry
W: it is then p^R_t that x_t follows, and r* = p^R_{1|t}/q_ref. Were W on the data alone, x_t would
follow p_t and r* = E[W | x₁^i, x_t] p^i/q_ref^i, which sums to E[W | x_t]: no ratio of
distributions, and nothing that a normalized q could reach.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.objectives.base import (
    ReferenceObjective,
    Terms,
    Weighting,
    as_posterior,
    diagnostics,
    position_weights,
)
from tcsm.posteriors.losses import RatioLoss
from tcsm.process.corruption import Corruption, Positions


@dataclass(frozen=True)
class DensityRatio(ReferenceObjective):
    """Σ over noised positions of D_F(r*, r), up to a constant.

    Attributes:
        corruption: distribution of (t, x_t) given x₁.
        weighting: how noised positions share a sequence's weight.
        divergence: D_F.
        penalty: weight of (log E_ref r)²; nothing where r normalizes itself, and 0 at r*.
        annealing: steps N over which the label's distribution goes from the reference to the data,
            r* = a + (1 − a) p/q_ref with a = 1 − step/N: a ratio that is nowhere small at first.

    Raises:
        InputError: a negative penalty or number of steps.
    """

    corruption: Corruption
    weighting: Weighting
    divergence: Bregman
    penalty: float = 0.0
    annealing: int = 0

    def __post_init__(self) -> None:
        """Refuse what would reward a ratio for not being one."""
        if not 0 <= self.penalty < math.inf:
            raise InputError(f"objective.penalty must be 0 or more, found {self.penalty}")
        if self.annealing < 0:
            raise InputError(f"objective.annealing must be 0 or more, found {self.annealing}")

    def position_loss(self, step: int) -> "DensityRatioLoss":
        """ℓ^i at a step."""
        share = max(0.0, 1 - step / self.annealing) if self.annealing else 0.0
        return DensityRatioLoss(self.divergence, self.penalty, share)

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """Corrupt, ask the reference, sum, report."""
        model = as_posterior(model, self)
        drawn = self.corruption(x_1, noise, real)
        share = position_weights(self.weighting, drawn, weight)
        assert isinstance(noise.step, int)
        loss = self.position_loss(noise.step)
        result = model.sum_of_ratios(drawn, loss, share, self.log_reference(drawn))
        return {"loss": result.total, **diagnostics(drawn, result)}


@dataclass(frozen=True)
class DensityRatioLoss(RatioLoss):
    """E_ref G(r) − E F′(r) + penalty · (log E_ref r)², with labels from a q_ref + (1 − a) δ.

    Attributes:
        divergence: D_F.
        penalty: of what r sums to.
        share: a.
    """

    divergence: Bregman
    penalty: float = 0.0
    share: float = 0.0

    def __call__(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n"]:
        """One number a position."""
        reference = log_reference.exp()
        data = self.divergence.slope(log_r.gather(-1, positions.x_1[:, None]).squeeze(-1))
        if self.share:
            data = torch.lerp(data, (reference * self.divergence.slope(log_r)).sum(-1), self.share)
        loss = (reference * self.divergence.dual(log_r)).sum(-1) - data
        if self.penalty:
            loss = loss + self.penalty * torch.logsumexp(log_reference + log_r, -1) ** 2
        return loss

    def gradient(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n V"]:
        """v² F″(v) of the reference's distribution less v F″(v) of the label's."""
        reference, here = log_reference.exp(), positions.x_1[:, None]
        by_data = self.divergence.slope_rate(log_r.gather(-1, here))
        result = reference * self.divergence.dual_rate(log_r)
        result = result.scatter_add(-1, here, (self.share - 1) * by_data)
        if self.share:
            result = result - self.share * reference * self.divergence.slope_rate(log_r)
        if self.penalty:
            log_mass = torch.logsumexp(log_reference + log_r, -1, keepdim=True)
            result = (
                result + 2 * self.penalty * log_mass * (log_reference + log_r - log_mass).exp()
            )
        return result
