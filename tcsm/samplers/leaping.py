"""τ-leaping along the flow's rates: a noised position jumps to x₁ ∼ q with its exact probability.

The jump does not depend on x₁ (12.1, 12.2), so it is drawn first and the head runs on jumping
positions alone. For the mask source the distribution is `Ancestral`'s, at less cost.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from tcsm.models.base import Posterior
from tcsm.noise import categorical
from tcsm.samplers.base import GridSampler, SamplerStep


@dataclass(frozen=True)
class TauLeaping(GridSampler):
    """Jump with probability (α_s − α_t)/(1 − α_t), 1 on the last step."""

    def step(self, posterior: Posterior, step: SamplerStep) -> Int[Tensor, "B L"]:
        """Draw the positions that jump, then their tokens."""
        alpha_t, alpha_s = (self.path.alpha(time)[:, None] for time in (step.t, step.s))
        leap = self.path.leap(step.x_t, alpha_t, alpha_s)
        u = step.noise.uniform("step", step.x_t.shape[1], 2)
        jumps = step.noised & (u[..., 0] < leap.to_data)
        x_s = step.x_t.clone()
        if torch.any(jumps):
            log_q = posterior.log_conditionals(step.x_t, step.t, jumps)
            x_s[jumps] = categorical(log_q, u[..., 1][jumps])
        return x_s
