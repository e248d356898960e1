"""Policy gradient on the denoiser with a KL penalty to a frozen reference: the baseline of §10.

    ℓ^i = A (−log q^i(x₁^i | x_t)) + β KL(q^i(· | x_t) ‖ q_ref^i(· | x_t))

x₁ is a draw of the model itself and A its advantage, R less a baseline. Under the likelihood
weighting Σ w (−log q^i) bounds −log q(x₁), so that the first term descends −E_q[R], and the second
has the value of the KL of the two reverse processes. Its gradient differs: the penalty is taken at
fixed x_t, though q also moves the distribution of x_t. So for one position the objective is
−E_q[R] + β KL(q ‖ p_ref), least at the tilted distribution p_ref e^{R/β}/Z (10.1); for several the
optimum is near it. An advantage in units of its standard deviation (GRPO) puts β in the same unit.
There is one step for each batch of draws, hence no clipped ratio.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.divergences import closed_form
from tcsm.divergences.closed_form import ClosedForm, Label
from tcsm.divergences.soft import ReverseKL
from tcsm.errors import InputError
from tcsm.models.losses import CrossEntropy, PositionLoss
from tcsm.objectives.base import DenoisingObjective, ReferenceObjective
from tcsm.process.corruption import Corrupted, Positions


@dataclass(frozen=True)
class PolicyGradient(ReferenceObjective, DenoisingObjective):
    """The weights of sequences are advantages; needs batches that the model itself has drawn.

    Attributes:
        beta: β; 0 for no penalty.

    Raises:
        InputError: a negative β.
    """

    reads: ClassVar[str] = "advantages"

    beta: float

    def __post_init__(self) -> None:
        """Refuse a negative penalty."""
        if not 0 <= self.beta < math.inf:
            raise InputError(f"objective.beta must be 0 or more, found {self.beta}")

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return ℓ^i with the advantages and the reference's conditionals of the batch."""
        ones = torch.ones(len(batch.x_1), device=batch.x_1.device)
        advantage = ones if batch.weight is None else batch.weight
        row = batch.places[0]
        return PolicyLoss(self.beta, advantage[row], self.log_reference(batch))

    def position_weights(self, batch: Corrupted) -> Float[Tensor, "n"]:
        """Return w_b/B: the advantage multiplies the first term alone."""
        return super().position_weights(replace(batch, weight=None))


@dataclass(frozen=True)
class PolicyLoss(PositionLoss):
    """A (−log q(x₁)) + β KL(q ‖ q_ref).

    Attributes:
        beta: β.
        advantage: A of each noised position's sequence, in row-major order.
        log_reference: log q_ref of all noised positions, in row-major order.
    """

    beta: float
    advantage: Float[Tensor, "n"]
    log_reference: Float[Tensor, "n V"]

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """Return the loss of some of the noised positions."""
        advantage, reference = self._at(positions, log_q)
        policy = advantage * CrossEntropy()(log_q, positions)
        return policy + self.beta * ReverseKL()(reference, log_q)

    def closed_form(
        self, log_q: Float[Tensor, "m V"], positions: Positions, spare: Float[Tensor, "m V"]
    ) -> ClosedForm:
        """Return ℓ and A (q − 1[x₁]) + β q (log q − log q_ref − KL)."""
        (advantage, reference), x = self._at(positions, log_q), positions.x_1
        label = closed_form.at(log_q, x)
        reference = reference.clamp(min=ReverseKL.floor)
        gap, q = torch.sub(log_q, reference, out=reference), log_q.exp_()
        kl = torch.mul(q, gap, out=spare).sum(-1)
        by_q = ClosedForm(self.beta * kl - advantage * label, gap.mul_(self.beta))
        return closed_form.through_softmax(by_q, q, Label(x, -advantage))

    def _at(self, positions: Positions, log_q: Tensor) -> tuple[Tensor, Tensor]:
        """Return A and log q_ref of some of the noised positions."""
        advantage, reference = map(positions.of, (self.advantage, self.log_reference))
        return advantage.to(log_q.dtype), reference.to(log_q.dtype)
