"""Preferences as a density ratio of winners to the reference: the third loss of (10.6).

    ℓ^i = softplus(−l(w^i)) + Σ_y q_ref^i(y) softplus(l(y)),        l = log q^i − log q_ref^i

BCE at every open site, with the winner as the positive and the reference's law, whole, as the
negative (9.3). It is least where q^i is the marginal of p_w given x_t, whatever the reference is.
No loser shares x_t, so every corruption of the winner is exact.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import softplus

from tcsm.noise import Noise
from tcsm.objectives.base import (
    Referenced,
    Terms,
    Weighting,
    as_posterior,
    diagnostics,
    site_weights,
)
from tcsm.posteriors.site import SiteLoss
from tcsm.process.corruption import Corrupted, Corruption, Sites
from tcsm.process.pairs import halves


@dataclass(frozen=True)
class Winners(Referenced):
    """Winners against the reference.

    Attributes:
        corruption: law of (t, x_t) given a winner.
        weighting: how open sites share a sequence's weight.
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
        loss = AgainstReference(self.log_reference(drawn), drawn)
        share = site_weights(self.weighting, drawn, weight)
        result = as_posterior(model, self).sum_over_open(drawn, loss, share)
        return {"loss": result.total, **diagnostics(drawn, result)}


@dataclass(frozen=True)
class AgainstReference(SiteLoss):
    """BCE of data against all tokens by their chance under the reference.

    Attributes:
        log_reference: log q_ref of all open sites of a batch, in row-major order.
        drawn: the batch.
    """

    log_reference: Float[Tensor, "n V"]
    drawn: Corrupted

    def __call__(self, log_q: Float[Tensor, "m V"], sites: Sites) -> Float[Tensor, "m"]:
        """At some of the open sites."""
        log_ref = self.log_reference[self.drawn.places(sites)].to(log_q.dtype)
        log_r = log_q - log_ref
        at_data = log_r.gather(-1, sites.x_1[:, None]).squeeze(-1)
        return softplus(-at_data) + (log_ref.exp() * softplus(log_r)).sum(-1)
