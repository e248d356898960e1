"""Objectives with one value a sequence, which no per-position function gives.

    loss = (1/B) Σ_b W_b w_b n_b ℓ_b

ℓ_b stands in the place of a mean over the n_b noised positions, so that w weighs it as in
`DenoisingObjective`.
"""

import warnings
from abc import abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.neighborhoods.base import Neighborhood
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, Terms, Weighting
from tcsm.process.corruption import Corrupted, Corruption


@dataclass(frozen=True)
class SequenceObjective(Objective):
    """An objective that corrupts a batch and takes the mean of a loss over its sequences.

    Attributes:
        corruption: distribution of (t, x_t) given x₁.
        weighting: weight of a noised position; a sequence has that of all its noised positions.
    """

    corruption: Corruption
    weighting: Weighting

    @abstractmethod
    def losses(
        self, model: nn.Module, drawn: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """ℓ of each sequence, and diagnostics."""

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """Corrupt, weigh, report."""
        drawn = self.corruption(x_1, noise, real)
        share = self.weighting(drawn) * drawn.noised.sum(-1) * (1 if weight is None else weight)
        losses, terms = self.losses(model, drawn, noise)
        loss = (share.to(losses.dtype) * losses).sum() / len(x_1)
        return {"loss": loss, **terms, "open": drawn.noised_share()}


def warn_off_marginals(neighborhood: Neighborhood) -> None:
    """Say once that the optimum of a factorized posterior will not be the marginals (2.5)."""
    if not neighborhood.one_position:
        warnings.warn(
            f"score matching over {type(neighborhood).__name__} moves a factorized posterior off "
            "the marginals, and with it samples and likelihood off the data (2.5); use a joint "
            "model, or neighborhood=hamming",
            stacklevel=2,
        )
