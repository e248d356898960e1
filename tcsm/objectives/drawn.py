"""Score matching of any posterior over listed or drawn neighbors of x₁, at one x_t.

    ℓ(x₁) = Σ_j w_j ψ(log q(y_j | x_t) − log q(x₁ | x_t))                          (2.3, 6.6)

It needs ratios alone, so it trains joint posteriors, over blocks of two positions or more where
the support is badly connected (2.2). A factorized one leaves the marginals there, and the
objective warns (2.5).
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.neighborhoods.base import Neighborhood, require_symmetric
from tcsm.noise import Noise
from tcsm.objectives.base import Terms
from tcsm.objectives.sequence import SequenceObjective, warn_off_marginals
from tcsm.posteriors.base import ConcreteScore, Posterior
from tcsm.process.corruption import Corrupted


@dataclass(frozen=True)
class SampledScoreMatching(SequenceObjective):
    """Sample-form score matching by ratios.

    Attributes:
        divergence: D_F.
        neighborhood: N, symmetric.
        draws: neighbors drawn of each sequence; None for all.

    Raises:
        InputError: an N that is not symmetric, or no neighbor drawn.
    """

    divergence: Bregman
    neighborhood: Neighborhood
    draws: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is wrong."""
        require_symmetric(self.neighborhood)
        if self.draws is not None and self.draws < 1:
            raise InputError(f"objective.draws must be at least 1, found {self.draws}")

    def losses(
        self, model: nn.Module, drawn: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Weighted sums over neighbors."""
        if not isinstance(model, ConcreteScore):
            found = type(model).__name__
            raise InputError(f"objective=score_drawn needs ratios (model=joint), found {found}")
        if isinstance(model, Posterior):
            warn_off_marginals(self.neighborhood)
        if self.draws is None:
            near = self.neighborhood.enumerate(drawn.x_1, drawn.noised)
        else:
            near = self.neighborhood.draw(drawn.x_1, drawn.noised, self.draws, noise)
        log_ratio = model.log_ratio(drawn, near)
        values = near.sum(self.divergence.pair(log_ratio))
        mean = near.sum(log_ratio.detach()).sum() / near.weight.sum().clamp(min=1e-12)
        return values, {"log_ratio": mean}
