"""Density ratio of whole sequences to a frozen reference, given the same x_t (9.3).

    ℓ = mean over K draws x ∼ q_ref(· | x_t) of G(r(x)) − F′(r(x₁)),    log r = Σ_i log q^i/q_ref^i

For posteriors whose positions are independent. The ratio of two products cannot be p/q_ref, so
that the optimum is the marginals for generalized KL alone; and e^{log r} spreads like a log-normal
distribution, so that BCE alone stays tame. `DensityRatio` has neither defect; `NoiseContrastive`
is the same loss for a joint model, which it suits.
"""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.bregman import Power
from tcsm.noise import Noise
from tcsm.objectives.base import ReferenceObjective, Terms, as_posterior
from tcsm.objectives.noise_contrastive import NoiseContrastive
from tcsm.posteriors.base import draws
from tcsm.process.corruption import Corrupted


@dataclass(frozen=True)
class SequenceDensityRatio(ReferenceObjective, NoiseContrastive):
    """The contrast of a posterior with its reference; the fields are those of the contrast."""

    def losses(
        self, model: nn.Module, drawn: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Ratios at x₁ and at negatives that carry the same x_t over."""
        model = as_posterior(model, self)
        if not (isinstance(self.divergence, Power) and self.divergence.power == 1):
            warnings.warn(
                "a ratio of whole sequences moves a posterior of independent positions off the "
                "marginals, unless divergence=generalized_kl (9.3); objective=density_ratio does "
                "not",
                stacklevel=2,
            )
        log_reference = self.log_reference(drawn)
        negatives = draws(log_reference, drawn.x_t, drawn.noised, self.negatives, noise)
        log_q = model.log_conditionals(drawn.x_t, drawn.t, drawn.noised)
        x = torch.cat([drawn.x_1[:, None], negatives], 1)
        log_r = at_sequences(log_q - log_reference, x, drawn)
        margin = (log_r[:, :1] - log_r[:, 1:]).detach().mean()
        return self.contrast(log_r[:, 0], log_r[:, 1:]), {"margin": margin}


def at_sequences(
    log_r: Float[Tensor, "n V"], x: Int[Tensor, "B K L"], drawn: Corrupted
) -> Float[Tensor, "B K"]:
    """Σ over the noised positions of log r at the tokens of K sequences."""
    row, column = drawn.noised.nonzero(as_tuple=True)
    at_positions = log_r.gather(-1, x[row, :, column])
    return torch.zeros(x.shape[:2], dtype=log_r.dtype, device=x.device).index_add(
        0, row, at_positions
    )
