"""Preferences as a density ratio of winners to the reference: the third loss of (10.6).

    ℓ^i = softplus(−l(w^i)) + Σ_y q_ref^i(y) softplus(l(y)),        l = log q^i − log q_ref^i

BCE at every noised position, with the winner as the positive and the reference's distribution,
whole, as the negative (9.3). It is least where q^i is the marginal of p_w given x_t, whatever the
reference is. No loser shares x_t, so every corruption of the winner is exact.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import softplus

from tcsm.noise import Noise
from tcsm.objectives.base import (
    ReferenceObjective,
    Terms,
    Weighting,
    as_posterior,
    diagnostics,
    position_weights,
)
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Corrupted, Corruption, Positions
from tcsm.process.pairs import halves


@dataclass(frozen=True)
class Winners(ReferenceObjective):
    """Winners against the reference.

    Attributes:
        corruption: distribution of (t, x_t) given a winner.
        weighting: how noised positions share a sequence's weight.
        length: tokens of one sequence, L.
    """

    corruption: Corruption
    weighting: Weighting
    length: int

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B M"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B M"] | None = None,
    ) -> Terms:
        """Corrupt winners, sum, report."""
        text = None if real is None else halves(real, self.length)[0]
        drawn = self.corruption(halves(x_1, self.length)[0], noise, text)
        loss = WinnerLoss(self.log_reference(drawn), drawn)
        share = position_weights(self.weighting, drawn, weight)
        result = as_posterior(model, self).weighted_loss(drawn, loss, share)
        return {"loss": result.total, **diagnostics(drawn, result)}


@dataclass(frozen=True)
class WinnerLoss(PositionLoss):
    """BCE of data against all tokens by their chance under the reference.

    Attributes:
        log_reference: log q_ref of all noised positions of a batch, in row-major order.
        drawn: the batch.
    """

    log_reference: Float[Tensor, "n V"]
    drawn: Corrupted

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """At some of the noised positions."""
        log_ref = self.log_reference[self.drawn.places(positions)].to(log_q.dtype)
        log_r = log_q - log_ref
        at_data = log_r.gather(-1, positions.x_1[:, None]).squeeze(-1)
        return softplus(-at_data) + (log_ref.exp() * softplus(log_r)).sum(-1)
