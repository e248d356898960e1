"""Score matching of a factorized posterior over a whole neighborhood of any kind.

    ℓ(x₁) = Σ_{y ∈ N(x₁)} c ψ(Σᵢ log q^i(y^i) − log q^i(x₁^i))                     (2.3, 6.1)

For the k-Hamming ball this is a closed form over all blocks (6.3). Where neighbors differ at more
than one position the optimum is *not* the marginals (2.5): the objective warns, and is for
experiments with that. For neighbors at one position `ScoreMatching` is the same loss in less
memory.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from tcsm.bregman import Bregman
from tcsm.neighborhoods.base import Neighborhood, require_symmetric
from tcsm.noise import Noise
from tcsm.objectives.base import Terms, as_posterior
from tcsm.objectives.sequence import SequenceObjective, warn_off_marginals
from tcsm.process.corruption import Corrupted


@dataclass(frozen=True)
class FullScoreMatching(SequenceObjective):
    """Sample-form score matching of all neighbors at once.

    Attributes:
        divergence: D_F.
        neighborhood: N, symmetric.

    Raises:
        InputError: an N that is not symmetric.
    """

    divergence: Bregman
    neighborhood: Neighborhood

    def __post_init__(self) -> None:
        """Refuse what is wrong, warn of what is biased."""
        require_symmetric(self.neighborhood)
        warn_off_marginals(self.neighborhood)

    def losses(
        self, model: nn.Module, drawn: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """As the neighborhood says, from the log-conditionals of the noised positions."""
        posterior = as_posterior(model, self)
        log_q = posterior.log_conditionals(drawn.x_t, drawn.t, drawn.noised)
        values = self.neighborhood.sequence_loss(
            self.divergence, log_q, drawn.x_1, drawn.noised, noise
        )
        at_label = log_q.detach().gather(-1, drawn.x_1[drawn.noised][:, None])
        cross_entropy = -at_label.sum() / max(1, len(at_label))
        return values, {"cross_entropy": cross_entropy}
