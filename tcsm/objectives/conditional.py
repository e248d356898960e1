"""Cross-entropy at some or all positions of clean data, which trains teachers (7.2).

    loss = −(1/(ρL)) Σ_{i drawn} log p(x^i | what the model sees),    each position with chance ρ

A hollow network sees x^{≠i} everywhere, so ρ = 1 is its pseudo-likelihood. A masked one sees what
was not drawn, and ρ is BERT's share of masks.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.objectives.base import Objective, Terms
from tcsm.teachers.conditional import Conditional


@dataclass(frozen=True)
class PseudoLikelihood(Objective):
    """Trains a hollow network or a masked language model.

    Attributes:
        rate: ρ.

    Raises:
        InputError: ρ outside (0, 1].
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a rate that draws nothing."""
        if not 0 < self.rate <= 1:
            raise InputError(f"objective.rate must lie in (0, 1], found {self.rate}")

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """Nats a position."""
        if not isinstance(model, Conditional):
            found = type(model).__name__
            raise InputError(
                f"objective=pseudo_likelihood needs model=blind or masked_lm, found {found}"
            )
        positions = noise.uniform("sites", x_1.shape[1]) < self.rate
        per_row = positions.double().new_full((len(x_1),), 1 / (self.rate * x_1.numel()))
        if real is not None:
            positions, per_row = positions & real, per_row * x_1.shape[1] / real.sum(-1)
        per_row = per_row if weight is None else per_row * weight
        result = model.cross_entropy(x_1, positions, per_row[positions.nonzero()[:, 0]])
        mean = result.cross_entropy.mean() if len(result.loss) else result.total * 0
        return {"loss": result.total, "cross_entropy": mean.detach()}
