"""Corruption on a grid of T steps: discrete time, as in D3PM (§8).

    t = k/T, s = (k + 1)/T, k uniform;        ω = T (α_s − α_t)/(1 − α_t)

For the mask source ω times cross-entropy is T times the KL of one reverse step, the last of which
is the reconstruction: their mean over k is the T-step bound, and T → ∞ gives κ(t).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.process.corruption import Corrupted, Corruption


@dataclass(frozen=True)
class StepSampling(Corruption):
    """Time on a grid, stratified over the global batch.

    Attributes:
        steps: T.

    Raises:
        InputError: no step.
    """

    steps: int = 1000

    def __post_init__(self) -> None:
        """Refuse fewer than one step."""
        if self.steps < 1:
            raise InputError(f"corruption.steps must be 1 or more, found {self.steps}")

    def after(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return the next time of the grid."""
        return (torch.round(t * self.steps) + 1) / self.steps

    def __call__(
        self, x_1: Int[Tensor, "B L"], noise: Noise, real: Bool[Tensor, "B L"] | None = None
    ) -> Corrupted:
        """Corrupt a batch."""
        t = torch.floor(noise.stratified("time") * self.steps) / self.steps
        x_t = self.path.sample(x_1, t, noise)
        now, then = self.path.alpha(t), self.path.alpha(self.after(t))
        omega = self.steps * (then - now) / (1 - now)
        batch = Corrupted(x_1, x_t, t, self.path.source.noised(x_t), omega)
        return self.keep_padding(batch, real)
