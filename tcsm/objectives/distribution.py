"""Distribution-level TCSM: per-position losses of the model's conditionals (5.1, 5.2).

`DistributionMatching` has a scoring rule at the data's own label, `SoftDistributionMatching` a
divergence from the conditionals of a teacher, a parametric p₁ (7.1). The optimum of a factorized
posterior is the marginals (2.5).
"""

import warnings
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.divergences.closed_form import ClosedForm, Label
from tcsm.divergences.scoring_rules import KL, ScoringRule
from tcsm.divergences.soft import SoftDivergence
from tcsm.divergences.top import Top
from tcsm.errors import InputError
from tcsm.models.losses import PositionLoss
from tcsm.models.teacher import Teacher
from tcsm.objectives.base import DenoisingObjective
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.sources import Mask
from tcsm.targets.bayes import Bayes


@dataclass(frozen=True)
class DistributionMatching(DenoisingObjective):
    """A proper scoring rule at every noised position (5.1).

        ℓ^i = −F(q^i) + ⟨∇F(q^i), q^i⟩ − ∇F(q^i)_{x₁^i}

    With KL, the mask source and weights ω/L it is the objective of MDLM, MD4 and RADD, batch by
    batch (§8).

    Attributes:
        scoring: the rule.
    """

    scoring: ScoringRule

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the rule at a position's own label."""
        return ScoringLoss(self.scoring)


@dataclass(frozen=True)
class ScoringLoss(PositionLoss):
    """A scoring rule at the label of the data."""

    scoring: ScoringRule

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the rule's value at each position."""
        return self.scoring(log_q, positions.x_1)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], positions: Positions, spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return the rule's own."""
        return self.scoring.closed_form(log_q, positions.x_1, spare)


@dataclass(frozen=True)
class SoftDistributionMatching(DenoisingObjective):
    """A divergence from a teacher's conditional, mixed with a scoring rule at the label (7.1).

        ℓ^i = (1 − h) D(p^i, q^i) + h ℓ(x₁^i; q^i),        p^i(y) = p(y | x₁^{≠i}, x_t)

    The target of a position averages over all labels that fit its context, where data shows one:
    for a divergence that is linear in p the optimum is the same, with less variance (5.2).

    Attributes:
        divergence: D.
        target: a teacher and the path.
        hard: h, the weight of the data's own labels.
        scoring: ℓ of these labels.
        top: k, tokens of a target; the others share the rest evenly. None for all tokens.

    Raises:
        InputError: h outside [0, 1), or k outside [1, V].
    """

    divergence: SoftDivergence
    target: Bayes
    hard: float = 0.0
    scoring: ScoringRule = field(default_factory=KL)
    top: int | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their intervals."""
        vocabulary = self.target.path.source.vocabulary
        if self.top is not None and not (type(self.top) is int and 1 <= self.top <= vocabulary):
            raise InputError(f"objective.top must lie in [1, {vocabulary}], found {self.top}")
        if not 0 <= self.hard < 1:
            raise InputError(f"objective.hard must lie in [0, 1), found {self.hard}")

    def attach(self, teacher: Teacher) -> "SoftDistributionMatching":
        """Return the same objective with a teacher that is ready."""
        return replace(self, target=replace(self.target, teacher=teacher))

    def position_loss(self, batch: Corrupted, step: int) -> "SoftTargetLoss":
        """Return the loss against the targets of the batch."""
        if not self.divergence.linear:
            name = type(self.divergence).__name__
            warnings.warn(f"{name} moves a factorized model off the marginals (2.5)", stacklevel=2)
        if self.top is None:
            return SoftTargetLoss(self, self.target.conditionals(batch))
        return SoftTargetLoss(self, self.target.top(batch, self.top))


@dataclass(frozen=True)
class SoftTargetLoss(PositionLoss):
    """(1 − h) D(p, q) + h ℓ(x₁; q), with p of every noised position of one batch.

    Attributes:
        objective: D, ℓ and h.
        log_p: the teacher's log-conditionals at all noised positions, in row-major order, or their
            k likeliest tokens.
    """

    objective: SoftDistributionMatching
    log_p: Float[Tensor, "n V"] | Top

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """Return the mixture at some of the noised positions."""
        soft = self.objective.divergence(self._targets(log_q, positions), log_q)
        if not self.objective.hard:
            return soft
        at_label = self.objective.scoring(log_q, positions.x_1)
        return torch.lerp(soft, at_label, self.objective.hard)

    def closed_form(
        self, log_q: Float[Tensor, "m V"], positions: Positions, spare: Float[Tensor, "m V"]
    ) -> ClosedForm:
        """Return the mixture; by autograd if ℓ depends on more than the label's probability."""
        scoring, hard = self.objective.scoring, self.objective.hard
        if not hard:
            return self._soft(log_q, positions, spare)
        if not scoring.local:
            return super().closed_form(log_q, positions, spare)
        at_label, rest = scoring(log_q, positions.x_1), torch.full_like(log_q[:, 0], 1 - hard)
        soft = self._soft(log_q, positions, spare, Label(positions.x_1, -hard / rest))
        return soft.times(rest)._replace(loss=torch.lerp(soft.loss, at_label, hard))

    def _soft(
        self,
        log_q: Float[Tensor, "m V"],
        positions: Positions,
        spare: Float[Tensor, "m V"],
        label: Label | None = None,
    ) -> ClosedForm:
        """Return D and its gradient; evidence of a visible state makes k tokens k + 1."""
        divergence, target = self.objective.divergence, self.objective.target
        if isinstance(self.log_p, Top) and isinstance(target.path.source, Mask):
            top = self.log_p.rows(positions.index, log_q.dtype)
            return divergence.top_form(top, log_q, spare, label)
        return divergence.closed_form(self._targets(log_q, positions), log_q, spare, label)

    def _targets(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m V"]:
        return self.objective.target.at(self.log_p, positions).to(log_q.dtype)
