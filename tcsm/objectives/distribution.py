"""Distribution-level TCSM from data: a scoring rule at every noised position (5.1).

    ℓ^i = −F(q^i) + ⟨∇F(q^i), q^i⟩ − ∇F(q^i)_{x₁^i}

Its optimum for a factorized posterior is the marginals (2.5). With KL, the mask source and weights
ω/L it is the objective of MDLM, MD4 and RADD, batch by batch (§8).
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from tcsm.objectives.base import DenoisingObjective
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Positions
from tcsm.scoring import ScoringRule


@dataclass(frozen=True)
class DistributionMatching(DenoisingObjective):
    """Σ over noised positions of a scoring rule.

    Attributes:
        scoring: the rule.
    """

    scoring: ScoringRule

    def position_loss(self) -> PositionLoss:
        """The rule at a position's own label."""
        return _ScoringLoss(self.scoring)


@dataclass(frozen=True)
class _ScoringLoss(PositionLoss):
    scoring: ScoringRule

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        return self.scoring(log_q, positions.x_1)

    def gradient(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Tensor | None:
        return self.scoring.gradient(log_q, positions.x_1)
