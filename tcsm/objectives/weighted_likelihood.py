"""Weighted likelihood with negatives, wd1 (Tang et al. 2025, arXiv:2507.08838) (10.10).

    ℓ_b = (w⁺_b − λ w⁻_b) Σ_i −log q^i(x₁^i | x_t),        w^± = B softmax(± A/β) over the batch

x₁ are draws of the model itself and A their advantages. The first term is least at the tilted
distribution ∝ p e^{R/β} of what x₁ is drawn from; the second pushes away from p e^{−R/β}. With
λ = 1 the gradient is, to first order in 1/β, 2/β times that of the policy gradient, and the loss
has no minimum: what stops it are small steps.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from tcsm.errors import InputError
from tcsm.models.losses import CrossEntropy, PositionLoss
from tcsm.objectives.base import DenoisingObjective
from tcsm.process.corruption import Corrupted


@dataclass(frozen=True)
class WeightedLikelihood(DenoisingObjective):
    """Cross-entropy of the model's own draws by w⁺ − λ w⁻; needs batches=on_policy.

    Attributes:
        beta: β > 0, in the unit of the advantages.
        negative: λ ≥ 0; 0 for the positive weights alone.

    Raises:
        InputError: β is not positive, or λ negative.
    """

    reads: ClassVar[str] = "advantages"

    beta: float
    negative: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values without weights."""
        if not 0 < self.beta < math.inf:
            raise InputError(f"objective.beta must be a positive number, found {self.beta}")
        if not 0 <= self.negative < math.inf:
            raise InputError(f"objective.negative must be 0 or more, found {self.negative}")

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the cross-entropy."""
        return CrossEntropy()

    def weigh(self, advantage: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Return w⁺ − λ w⁻ of the rows of a global batch, whatever processes share it."""
        scaled = advantage.double() / self.beta
        return len(scaled) * (scaled.softmax(0) - self.negative * (-scaled).softmax(0))
