"""Ancestral sampling: x₁ ∼ q(· | x_t), then x_s ∼ p_{s|t,1}(· | x_t, x₁) (12.1, 8.3).

Exact for one position; for several, TV to the model's distribution falls like 1/N (12.3).
"""

from dataclasses import dataclass

import torch

from tcsm.samplers.stepping import DATA, Outcomes, PositionSampler, SamplerStep


@dataclass(frozen=True)
class Ancestral(PositionSampler):
    """The reverse kernel of the noising process, any source."""

    def outcomes(self, step: SamplerStep) -> Outcomes:
        """Draw the bridge for x₁ ≠ x_t and for x₁ = x_t by the same uniforms."""
        x_t, source = step.x_t, self.path.source
        alpha_t, alpha_s = (
            self.path.alpha(time)[:, None].expand(x_t.shape) for time in (step.t, step.s)
        )
        u = step.noise.uniform("step", x_t.shape[1], 3)
        other, same = (
            self.path.bridge(x_t, x_1, alpha_t, alpha_s).draw(x_t, x_1, source, u[..., 1:])
            for x_1 in (torch.full_like(x_t, DATA), x_t)
        )
        noised = step.noised
        return Outcomes(other.where(noised, x_t), same.where(noised, x_t), u[..., 0])
