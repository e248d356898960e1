"""Generalized KL over the 1-ball with its exponential continued by a line (3.7b).

    ℓ = −log q_x + g(v) + mean_y log q_y − 1,        v = 1/(V q_x)
    g(v) = v up to C, then C (1 + log v − log C)

The gradient is bounded by C + 1, where that of the raw loss grows like v. Unlike a clamp (3.7c)
the line keeps pulling. Tokens that never occur drift as they do in the raw loss (3.6); matched
smoothing ends that as well (3.7a).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.errors import InputError
from tcsm.objectives.base import DenoisingObjective
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Positions


@dataclass(frozen=True)
class LogLinear(DenoisingObjective):
    """Score-level generalized KL of a factorized posterior, extended.

    Attributes:
        threshold: C. The optimum is exact for distributions whose least probability is 1/(VC) or
            more; what is rarer falls to 0, in all a mass of at most about 1/C.

    Raises:
        InputError: C below 1: then even the uniform distribution would lie on the line.
    """

    threshold: float = 20.0

    def __post_init__(self) -> None:
        """Refuse a threshold that biases every distribution."""
        if not 1 <= self.threshold < math.inf:
            raise InputError(f"objective.threshold must be 1 or more, found {self.threshold}")

    def position_loss(self) -> PositionLoss:
        """The 1-ball's closed form, extended."""
        return _LogLinearLoss(math.log(self.threshold))


@dataclass(frozen=True)
class _LogLinearLoss(PositionLoss):
    log_threshold: float

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        log_q_x = log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)
        log_v = -log_q_x - math.log(log_q.shape[-1])
        curve = log_v.clamp(max=self.log_threshold).exp()  # v, and C where the line begins
        line = (log_v - self.log_threshold).clamp(min=0) * math.exp(self.log_threshold)
        return curve + line - log_q_x + log_q.mean(-1) - 1

    def gradient(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Tensor:
        """1/V − δ_x + min(v, C)(q − δ_x)."""
        x, vocabulary = positions.x_1[:, None], log_q.shape[-1]
        log_v = -log_q.gather(-1, x) - math.log(vocabulary)
        pull = log_v.clamp(max=self.log_threshold).exp()
        return torch.scatter_add(pull * log_q.exp() + 1 / vocabulary, -1, x, -1 - pull)
