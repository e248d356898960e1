"""τ-leaping along the flow's rates: a noised position jumps to x₁ ∼ q with its exact probability.

The jump does not depend on x₁ (12.1, 12.2). For the mask source the distribution is
`Ancestral`'s.
"""

from dataclasses import dataclass

from tcsm.samplers.stepping import DATA, Outcomes, PositionSampler, SamplerStep


@dataclass(frozen=True)
class TauLeaping(PositionSampler):
    """Jump with probability (α_s − α_t)/(1 − α_t), 1 on the last step."""

    def outcomes(self, step: SamplerStep) -> Outcomes:
        """Draw the positions that jump; the others stay."""
        alpha_t, alpha_s = (self.path.alpha(time)[:, None] for time in (step.t, step.s))
        leap = self.path.leap(step.x_t, alpha_t, alpha_s)
        u = step.noise.uniform("step", step.x_t.shape[1], 2)
        jumps = step.noised & (u[..., 0] < leap.to_data)
        return Outcomes(step.x_t.masked_fill(jumps, DATA), step.x_t, u[..., 1])
