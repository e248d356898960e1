"""Score-level TCSM from data: Bregman divergences between concrete scores over N(x₁).

    ℓ(x₁) = mean over y ∈ N(x₁) of φ(q(y | x_t)/q(x₁ | x_t))                      (2.3)
    φ(s) = sF′(s) − F(s) − F′(1/s)

For a factorized posterior and the 1-ball this is a per-position function, and its optimum is the
marginals (2.5). Generalized KL equals KL + IS/V of the conditionals (4.1): unbounded below on
tokens that never occur and of huge variance on rare ones (3.6), it needs `smoothing` on text.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.neighborhoods.base import PerPosition, require_symmetric
from tcsm.objectives.base import DenoisingObjective
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Positions


@dataclass(frozen=True)
class ScoreMatching(DenoisingObjective):
    """Sample-form score matching of a factorized posterior.

    Attributes:
        divergence: D_F.
        neighborhood: N, symmetric, of neighbors that differ at one position; for others there are
            `FullScoreMatching` and `SampledScoreMatching`.
        smoothing: ε of the matched smoothing (3.7a); 0 for the raw loss. The optimum is exact
            for every ε < 1; gradients are bounded by about 1/ε.

    Raises:
        InputError: ε outside [0, 1), or an N that is not symmetric.
    """

    divergence: Bregman
    neighborhood: PerPosition
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would silently bias the optimum."""
        if not 0 <= self.smoothing < 1:
            raise InputError(f"objective.smoothing must lie in [0, 1), found {self.smoothing}")
        require_symmetric(self.neighborhood)

    def position_loss(self) -> PositionLoss:
        """The 1-ball's closed form, smoothed or raw."""
        raw = _NeighborhoodLoss(self.divergence, self.neighborhood)
        return MatchedSmoothing(raw, self.smoothing) if self.smoothing else raw


@dataclass(frozen=True)
class _NeighborhoodLoss(PositionLoss):
    divergence: Bregman
    neighborhood: PerPosition

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        return self.neighborhood.position_loss(self.divergence, log_q, positions.x_1)


@dataclass(frozen=True)
class MatchedSmoothing(PositionLoss):
    """The loss with both sides smoothed: q̃ = (1 − ε)q + ε/V, label (1 − ε)δ_x + ε/V (3.7a).

    It is the exact objective of p̃ and q̃, so the optimum is q = p, zeros of p included; smoothing
    q alone would bias it. For generalized KL the exploding term 1/(V q̃_x) is at most 1/ε.
    """

    ball: _NeighborhoodLoss
    epsilon: float

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """(1 − ε) ℓ(x; q̃) + (ε/V) Σ_y ℓ(y; q̃)."""
        keep, floor = math.log1p(-self.epsilon), math.log(self.epsilon / log_q.shape[-1])
        smooth = torch.logaddexp(keep + log_q, torch.full_like(log_q, floor))
        at_label = self.ball(smooth, positions)
        at_any = self.ball.neighborhood.any_label_loss(self.ball.divergence, smooth)
        return (1 - self.epsilon) * at_label + self.epsilon * at_any
