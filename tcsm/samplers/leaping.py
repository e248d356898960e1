"""τ-leaping along the flow's rates: an open site jumps to x₁ ∼ q with its exact probability.

The jump does not depend on x₁ (12.1, 12.2), so it is drawn first and the head runs on jumping
sites alone. For the mask source the law is `Ancestral`'s, at less cost.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from tcsm.noise import Noise, categorical
from tcsm.posteriors.base import Posterior
from tcsm.samplers.base import GridSampler


@dataclass(frozen=True)
class TauLeaping(GridSampler):
    """Jump with probability (α_s − α_t)/(1 − α_t), 1 on the last step."""

    def step(
        self, posterior: Posterior, x_t: Int[Tensor, "B L"], t: Tensor, s: Tensor, noise: Noise
    ) -> Int[Tensor, "B L"]:
        """Choose the sites that jump, then their tokens."""
        leap = self.path.leap(x_t, self.path.alpha(t)[:, None], self.path.alpha(s)[:, None])
        u = noise.uniform("step", x_t.shape[1], 2)
        jumps = self.path.source.open(x_t) & (u[..., 0] < leap.to_data)
        x_s = x_t.clone()
        if torch.any(jumps):
            x_s[jumps] = categorical(posterior.log_conditionals(x_t, t, jumps), u[..., 1][jumps])
        return x_s
