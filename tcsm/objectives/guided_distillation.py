"""Guided denoiser self-distillation, GDSD (Tang et al. 2026, arXiv:2605.29398) (10.11).

    ℓ_b = (l(x₁ | x_t) − A/β)²/L²,        l = Σ_{i noised} log q^i(x₁^i | x_t)/q_ref^i(x₁^i | x_t)

The denoiser's log-ratio to a frozen teacher is regressed on the advantage of x₁, a draw of the
model: no likelihood of a sequence and no normalizer. It is GDSD with the whole weight on the
reference, without clipping, in the temperature β = 1/(ψL) of its guidance ψ. With A = R − β log
Z_t(x_t) the loss is 0 at the tilted posterior ∝ p_ref e^{R/β}; the mean reward of a batch, which
stands for β log Z_t, is smaller by Jensen, so that a normalized q reaches it up to that offset.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.objectives.base import CleanBatch, ReferenceObjective, Terms, as_posterior
from tcsm.objectives.density_ratio import at_sequences
from tcsm.process.corruption import Corruption


@dataclass(frozen=True)
class GuidedDistillation(ReferenceObjective):
    """The squared error of l against A/β; needs batches=on_policy.

    Attributes:
        corruption: distribution of (t, x_t) given x₁.
        beta: β > 0, in the unit of the advantages.

    Raises:
        InputError: β is not positive.
    """

    reads: ClassVar[str] = "advantages"

    corruption: Corruption
    beta: float

    def __post_init__(self) -> None:
        """Refuse a temperature that is not positive."""
        if not 0 < self.beta < math.inf:
            raise InputError(f"objective.beta must be a positive number, found {self.beta}")

    def terms(self, model: nn.Module, data: CleanBatch, noise: Noise) -> Terms:
        """Return the loss, the mean of l and the share of noised positions.

        Raises:
            InputError: the batch has no advantages.
        """
        advantage = data.weight
        if advantage is None:
            raise InputError("batches: objective=guided_distillation needs advantages, found none")
        batch = self.corruption(data.x_1, noise, data.real)
        log_q = as_posterior(model, self).log_conditionals(batch.x_t, batch.t, batch.noised)
        log_r = log_q - self.log_reference(batch)
        total = at_sequences(log_r, batch.x_1[:, None], batch).squeeze(1)
        error = (total - advantage.to(total.dtype) / self.beta) / batch.lengths()
        return {
            "loss": error.square().mean(),
            "log_ratio": total.detach().mean(),
            "open": batch.noised_share(),
        }
