"""Distribution-level TCSM from data: a scoring rule at every open site (5.1).

    ℓ^i = −F(q^i) + ⟨∇F(q^i), q^i⟩ − ∇F(q^i)_{x₁^i}

Its optimum for a factorized posterior is the marginals (2.5). With KL, the mask source and weights
ω/L it is the objective of MDLM, MD4 and RADD, batch by batch (§8).
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from tcsm.objectives.base import Denoising
from tcsm.posteriors.site import SiteLoss
from tcsm.process.corruption import Sites
from tcsm.scoring import ScoringRule


@dataclass(frozen=True)
class DistributionMatching(Denoising):
    """Σ over open sites of a scoring rule.

    Attributes:
        scoring: the rule.
    """

    scoring: ScoringRule

    def site_loss(self) -> SiteLoss:
        """The rule at a site's own label."""
        return _AtLabel(self.scoring)


@dataclass(frozen=True)
class _AtLabel(SiteLoss):
    scoring: ScoringRule

    def __call__(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Float[Tensor, "n"]:
        return self.scoring(log_q, sites.x_1)

    def gradient(self, log_q: Float[Tensor, "n V"], sites: Sites) -> Tensor | None:
        return self.scoring.gradient(log_q, sites.x_1)
