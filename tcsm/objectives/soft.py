"""TCSM with a parametric p₁: a divergence from the target's conditional (7.1).

    ℓ^i = (1 − h) D(p^i, q^i) + h ℓ(x₁^i; q^i),        p^i(y) = p(y | x₁^{≠i}, x_t)

The target of a position averages over all labels that fit its context, where data shows one: the
same optimum for a divergence that is linear in p, with less variance (5.2).
"""

import warnings
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, Terms, Weighting, diagnostics, position_weights
from tcsm.posteriors.base import Posterior
from tcsm.posteriors.bayes import Bayes
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Corrupted, Corruption, Positions
from tcsm.scoring import KL, ScoringRule
from tcsm.soft import SoftDivergence
from tcsm.teachers.base import Teacher


@dataclass(frozen=True)
class SoftDistributionMatching(Objective):
    """Σ over noised positions of a soft divergence, mixed with a scoring rule at the label.

    Attributes:
        corruption: distribution of (t, x_t) given x₁.
        weighting: how noised positions share a sequence's weight.
        divergence: D.
        target: a teacher and the path.
        hard: h, the share of the data's own labels.
        scoring: ℓ of these labels.

    Raises:
        InputError: h outside [0, 1).
    """

    corruption: Corruption
    weighting: Weighting
    divergence: SoftDivergence
    target: Bayes
    hard: float = 0.0
    scoring: ScoringRule = field(default_factory=KL)

    def __post_init__(self) -> None:
        """Refuse a share that is none, or that leaves nothing to the teacher."""
        if not 0 <= self.hard < 1:
            raise InputError(f"objective.hard must lie in [0, 1), found {self.hard}")

    def with_teacher(self, teacher: Teacher) -> "SoftDistributionMatching":
        """The same with the teacher that its configuration could only say how to ask."""
        return replace(self, target=replace(self.target, teacher=teacher))

    def position_loss(self, drawn: Corrupted) -> "SoftTargetLoss":
        """ℓ^i, its targets computed."""
        return SoftTargetLoss(self, self.target(drawn), drawn)

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """Corrupt, ask the teacher, sum, report."""
        if not isinstance(model, Posterior):
            raise InputError(f"objective: needs a posterior, found {type(model).__name__}")
        if not self.divergence.linear:
            name = type(self.divergence).__name__
            warnings.warn(f"{name} moves a factorized model off the marginals (2.5)", stacklevel=2)
        drawn = self.corruption(x_1, noise, real)
        share = position_weights(self.weighting, drawn, weight)
        result = model.weighted_loss(drawn, self.position_loss(drawn), share)
        return {"loss": result.total, **diagnostics(drawn, result)}


@dataclass(frozen=True)
class SoftTargetLoss(PositionLoss):
    """(1 − h) D(p, q) + h ℓ(x₁; q), p being known at every noised position of one batch.

    Attributes:
        objective: D, ℓ and h.
        log_p: targets of all noised positions, in row-major order.
        drawn: the batch.
    """

    objective: SoftDistributionMatching
    log_p: Float[Tensor, "n V"]
    drawn: Corrupted

    def _targets(self, positions: Positions, like: Tensor) -> Float[Tensor, "m V"]:
        return self.log_p[self.drawn.places(positions)].to(like.dtype)

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """The mixture, at some of the noised positions."""
        soft = self.objective.divergence(self._targets(positions, log_q), log_q)
        if not self.objective.hard:
            return soft
        at_label = self.objective.scoring(log_q, positions.x_1)
        return torch.lerp(soft, at_label, self.objective.hard)

    def gradient(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Tensor | None:
        """By the logits, where both parts know theirs."""
        soft = self.objective.divergence.gradient(self._targets(positions, log_q), log_q)
        if not self.objective.hard or soft is None:
            return soft
        at_label = self.objective.scoring.gradient(log_q, positions.x_1)
        return None if at_label is None else torch.lerp(soft, at_label, self.objective.hard)
