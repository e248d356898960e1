"""Policy gradient on the denoiser, leashed to a frozen reference: the baseline of §10.

    ℓ^i = A (−log q^i(x₁^i | x_t)) + β KL(q^i(· | x_t) ‖ q_ref^i(· | x_t))

x₁ is a draw of the model itself and A its advantage, R less a baseline. Under the likelihood
weighting Σ w (−log q^i) bounds −log q(x₁), so that the first term descends −E_q[R], and the second
has the value of the KL of the two reverse processes. Not its gradient: the leash is held at fixed
x_t, though q moves the distribution of x_t too. So −E_q[R] + β KL(q ‖ p_ref), least at the tilted
distribution p_ref e^{R/β}/Z (10.1), is what one position descends; of several positions the
optimum is only near it. An advantage in units of its own deviation (GRPO) puts β in the same unit.
There is one step for each batch of draws, hence no clipped ratio.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

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
from tcsm.posteriors.losses import CrossEntropy, PositionLoss
from tcsm.process.corruption import Corrupted, Corruption, Positions
from tcsm.soft import ReverseKL


@dataclass(frozen=True)
class PolicyGradient(ReferenceObjective):
    """Weights of sequences are advantages; needs a feed that draws from the model.

    Attributes:
        corruption: distribution of (t, x_t) given x₁.
        weighting: how noised positions share a sequence's weight.
        beta: β; 0 lets the model go wherever the reward is.

    Raises:
        InputError: a negative β.
    """

    corruption: Corruption
    weighting: Weighting
    beta: float

    def __post_init__(self) -> None:
        """A leash pulls back."""
        if not 0 <= self.beta < math.inf:
            raise InputError(f"objective.beta must be 0 or more, found {self.beta}")

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
        row = drawn.noised.nonzero(as_tuple=True)[0]
        advantage = torch.ones(len(x_1), device=x_1.device) if weight is None else weight
        loss = PolicyLoss(self.beta, advantage[row], self.log_reference(drawn), drawn)
        result = model.weighted_loss(drawn, loss, position_weights(self.weighting, drawn))
        return {"loss": result.total, **diagnostics(drawn, result)}


@dataclass(frozen=True)
class PolicyLoss(PositionLoss):
    """A (−log q(x₁)) + β KL(q ‖ q_ref), the reference being known at every noised position.

    Attributes:
        beta: β.
        advantage: A of each noised position's sequence, in row-major order.
        log_reference: log q_ref of all noised positions, in row-major order.
        drawn: the batch.
    """

    beta: float
    advantage: Float[Tensor, "n"]
    log_reference: Float[Tensor, "n V"]
    drawn: Corrupted

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """One number a position."""
        place = self.drawn.places(positions)
        leash = ReverseKL()(self.log_reference[place].to(log_q.dtype), log_q)
        pull = self.advantage[place].to(log_q.dtype) * CrossEntropy()(log_q, positions)
        return pull + self.beta * leash

    def gradient(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m V"]:
        """A (q − 1[x₁]) + β q (log q − log q_ref − KL)."""
        place, q = self.drawn.places(positions), log_q.exp()
        gap = log_q - self.log_reference[place].to(log_q.dtype).clamp(min=ReverseKL.floor)
        leash = q * (gap - (q * gap).sum(-1, keepdim=True))
        advantage = self.advantage[place].to(log_q.dtype)[:, None]
        pull = (advantage * q).scatter_add(-1, positions.x_1[:, None], -advantage)
        return pull + self.beta * leash
