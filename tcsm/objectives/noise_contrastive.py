"""Noise-contrastive training of an energy: data against the reference, given the same x_t.

    ℓ = E_{x ∼ q_ref}[r F′(r) − F(r)] − F′(r(x₁)),        log r = −E               (9.1)

With BCE this is EDLM's NCE, softplus(E(x₁)) + softplus(−E(x⁻)) (§8). Its optimum E = log(q_ref/p)
normalizes itself. Negatives are averaged: summing K of them would shift log r by −log K (9.5).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.objectives.base import Terms
from tcsm.objectives.sequence import SequenceObjective
from tcsm.posteriors.joint import Joint
from tcsm.process.corruption import Corrupted


@dataclass(frozen=True)
class NoiseContrastive(SequenceObjective):
    """Density ratio of data to reference.

    Attributes:
        divergence: D_F; any but BCE explodes on whole sequences (9.3).
        negatives: draws of the reference for each x₁.

    Raises:
        InputError: no negatives.
    """

    divergence: Bregman
    negatives: int = 1

    def __post_init__(self) -> None:
        """A contrast needs two sides."""
        if self.negatives < 1:
            raise InputError(f"objective.negatives must be at least 1, found {self.negatives}")

    def losses(
        self, model: nn.Module, drawn: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Energies of x₁ and of negatives that carry the same x_t over."""
        if not isinstance(model, Joint):
            raise InputError(f"objective=nce needs model=joint, found {type(model).__name__}")
        negatives = model.candidates(drawn.x_t, drawn.t, drawn.noised, self.negatives, noise)
        energy = model.net(torch.cat([drawn.x_1[:, None], negatives], 1), drawn.x_t, drawn.t)
        margin = (energy[:, 1:] - energy[:, :1]).detach().mean()
        return self.contrast(-energy[:, 0], -energy[:, 1:]), {"margin": margin}

    def contrast(
        self, log_r_data: Float[Tensor, "B"], log_r_reference: Float[Tensor, "B K"]
    ) -> Float[Tensor, "B"]:
        """ℓ of each sequence."""
        return self.divergence.dual(log_r_reference).mean(-1) - self.divergence.slope(log_r_data)
