"""Ancestral sampling: x₁ ∼ q(· | x_t), then x_s ∼ p_{s|t,1}(· | x_t, x₁) (12.1, 8.3).

Exact for one position; for several, TV to the model's distribution falls like 1/N (12.3).
"""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from tcsm.models.base import Posterior
from tcsm.noise import categorical
from tcsm.samplers.base import GridSampler, SamplerStep


@dataclass(frozen=True)
class Ancestral(GridSampler):
    """The reverse kernel of the noising process, any source."""

    def step(self, posterior: Posterior, step: SamplerStep) -> Int[Tensor, "B L"]:
        """Draw x₁ at noised positions, then x_s from the bridge; visible positions stay."""
        x_t, noised, times = step.x_t, step.noised, (step.t, step.s)
        u = step.noise.uniform("step", x_t.shape[1], 3)
        x_1 = x_t.clone()
        x_1[noised] = categorical(
            posterior.log_conditionals(x_t, step.t, noised), u[..., 0][noised]
        )
        here = x_t[noised]
        alpha_t, alpha_s = (self.path.alpha(time)[:, None].expand(x_t.shape) for time in times)
        bridge = self.path.bridge(here, x_1[noised], alpha_t[noised], alpha_s[noised])
        x_s = x_t.clone()
        x_s[noised] = bridge.draw(here, x_1[noised], self.path.source, u[..., 1:][noised])
        return x_s
