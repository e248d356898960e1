"""Score-level TCSM: Bregman divergences between concrete scores over the neighbors of x₁.

    ℓ(x₁) = Σ_{y ∈ N(x₁)} c(x₁, y) ψ(log q(y | x_t) − log q(x₁ | x_t))             (2.3, 3.1)

`ScoreMatching` is for factorized posteriors and neighbors that differ at one position: ℓ is then
a per-position loss, and its optimum is the marginals (2.5). `LogLinear` and `Preconditioned` are
variants of it with smaller gradients. `FullScoreMatching` and `SampledScoreMatching` take any
neighborhood; where neighbors differ at several positions, a factorized posterior leaves the
marginals (2.5), and they warn.

Generalized KL equals KL + IS/V of the conditionals (4.1): unbounded below on tokens that never
occur and of high variance on rare ones (3.6), it needs one of the remedies (3.7) on text.
"""

import math
import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tcsm.divergences import closed_form
from tcsm.divergences.bregman import Bregman
from tcsm.divergences.closed_form import ClosedForm
from tcsm.errors import InputError
from tcsm.models.base import ConcreteScore, Posterior
from tcsm.models.losses import PositionLoss
from tcsm.neighborhoods.base import Neighborhood, PerPosition, require_symmetric
from tcsm.noise import Noise
from tcsm.objectives.base import DenoisingObjective, SequenceObjective, Terms, as_posterior
from tcsm.process.corruption import Corrupted, Positions


@dataclass(frozen=True)
class ScoreMatching(DenoisingObjective):
    """Score matching of a factorized posterior, with the mean over neighbors in closed form.

    Attributes:
        divergence: D_F.
        neighborhood: N, symmetric, of neighbors that differ at one position.
        smoothing: ε of the matched smoothing (3.7a); 0 for the raw loss. The optimum is exact
            for every ε < 1; gradients are bounded by about 1/ε.

    Raises:
        InputError: ε outside [0, 1), or an N that is not symmetric.
    """

    divergence: Bregman
    neighborhood: PerPosition
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that would bias the optimum."""
        if not 0 <= self.smoothing < 1:
            raise InputError(f"objective.smoothing must lie in [0, 1), found {self.smoothing}")
        require_symmetric(self.neighborhood)

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the mean over neighbors, smoothed or raw."""
        raw = NeighborhoodLoss(self.divergence, self.neighborhood)
        return MatchedSmoothing(raw, self.smoothing) if self.smoothing else raw


@dataclass(frozen=True)
class NeighborhoodLoss(PositionLoss):
    """Mean over the neighbors y of a position's label x of c ψ(log q_y − log q_x)."""

    divergence: Bregman
    neighborhood: PerPosition

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the loss of each position."""
        return self.neighborhood.position_loss(self.divergence, log_q, positions.x_1)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], positions: Positions, spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return the neighborhood's own; a function of ratios has one gradient by log q and z."""
        return self.neighborhood.closed_form(self.divergence, log_q, positions.x_1, spare)


@dataclass(frozen=True)
class MatchedSmoothing(PositionLoss):
    """The loss with both sides smoothed: q̃ = (1 − ε)q + ε/V, label (1 − ε)δ_x + ε/V (3.7a).

    It is the exact objective of p̃ and q̃, so the optimum is q = p, zeros of p included; smoothing
    q alone would bias it. For generalized KL the exploding term 1/(V q̃_x) is at most 1/ε.
    """

    raw: NeighborhoodLoss
    epsilon: float

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return (1 − ε) ℓ(x; q̃) + (ε/V) Σ_y ℓ(y; q̃)."""
        keep, floor = math.log1p(-self.epsilon), math.log(self.epsilon / log_q.shape[-1])
        smooth = torch.logaddexp(keep + log_q, torch.full_like(log_q, floor))
        at_label = self.raw(smooth, positions)
        at_any = self.raw.neighborhood.any_label_loss(self.raw.divergence, smooth)
        return (1 - self.epsilon) * at_label + self.epsilon * at_any

    def closed_form(
        self, log_q: Float[Tensor, "n V"], positions: Positions, spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return the neighborhood's own, if there is one."""
        neighborhood, divergence = self.raw.neighborhood, self.raw.divergence
        closed = neighborhood.smoothed_form(divergence, log_q, positions.x_1, spare, self.epsilon)
        return super().closed_form(log_q, positions, spare) if closed is None else closed


@dataclass(frozen=True)
class LogLinear(DenoisingObjective):
    """Generalized KL over the 1-ball with its exponential extended by a line (3.7b).

        ℓ = −log q_x + g(v) + mean_y log q_y − 1,        v = 1/(V q_x)
        g(v) = v up to C, then C (1 + log v − log C)

    The gradient is bounded by C + 1, where that of the raw loss grows like v. Unlike a clamp
    (3.7c), the line has a gradient everywhere. Tokens that never occur drift as in the raw loss
    (3.6); matched smoothing also prevents that (3.7a).

    Attributes:
        threshold: C. The optimum is exact for distributions whose least probability is 1/(VC) or
            more; rarer tokens fall to 0, in all a mass of at most about 1/C.

    Raises:
        InputError: C below 1, at which even the uniform distribution lies on the line.
    """

    threshold: float = 20.0

    def __post_init__(self) -> None:
        """Refuse a threshold that biases every distribution."""
        if not 1 <= self.threshold < math.inf:
            raise InputError(f"objective.threshold must be 1 or more, found {self.threshold}")

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the closed form of the 1-ball, extended."""
        return LogLinearLoss(math.log(self.threshold))


@dataclass(frozen=True)
class LogLinearLoss(PositionLoss):
    """ℓ of `LogLinear`."""

    log_threshold: float

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the loss of each position."""
        log_q_x = log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)
        log_v = -log_q_x - math.log(log_q.shape[-1])
        curve = log_v.clamp(max=self.log_threshold).exp()  # v, and C where the line begins
        line = (log_v - self.log_threshold).clamp(min=0) * math.exp(self.log_threshold)
        return curve + line - log_q_x + log_q.mean(-1) - 1

    def closed_form(
        self, log_q: Float[Tensor, "n V"], positions: Positions, spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ and 1/V − δ_x + min(v, C)(q − δ_x)."""
        loss, x, vocabulary = self(log_q, positions), positions.x_1, log_q.shape[-1]
        label = closed_form.at(log_q, x)
        factor = (-label - math.log(vocabulary)).clamp(max=self.log_threshold).exp()
        dense = log_q.exp_()
        closed_form.put(dense, x, torch.expm1(label) - 1 / factor)
        return ClosedForm(loss, dense, factor, torch.full_like(factor, 1 / vocabulary))


@dataclass(frozen=True)
class Preconditioned(DenoisingObjective):
    """Score matching over the 1-ball with pairs weighted by the model itself (3.7d).

        ℓ = (1/V) Σ_y c(x, y)^γ ψ(u_y),        c(x, y) = V q_y/ψ′(u_y),  u_y = log q_y − log q_x

    c is symmetric, since ψ′(u) = w(s) + s w(1/s), and is not differentiated, so that the optimum
    is the same for every γ. γ = 0 is the raw loss; at γ = 1 the gradient of *every* divergence is
    that of cross-entropy, q − δ_x. In between it grows like the raw one's power 1 − γ.

    Only gradients have a meaning: the loss itself is weighted by the model. Where ψ overflows or c
    underflows, ℓ is a line with the same gradient.

    Attributes:
        divergence: D_F.
        gamma: γ.

    Raises:
        InputError: γ outside [0, 1].
    """

    divergence: Bregman
    gamma: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a power outside [0, 1]."""
        if not 0 <= self.gamma <= 1:
            raise InputError(f"objective.gamma must lie in [0, 1], found {self.gamma}")

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return the weighted mean over the 1-ball."""
        return PreconditionedLoss(self.divergence, self.gamma)


@dataclass(frozen=True)
class PreconditionedLoss(PositionLoss):
    """ℓ of `Preconditioned`."""

    divergence: Bregman
    gamma: float

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the loss of each position."""
        u = log_q - log_q.gather(-1, positions.x_1[:, None])
        weight, beyond = self._weights(log_q.detach(), u.detach())
        return self._values(u, weight, beyond)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], positions: Positions, spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ and (1/V) c^γ ψ′(u), at the label less its sum: a function of ratios alone."""
        x = positions.x_1[:, None]
        u = torch.sub(log_q, log_q.gather(-1, x), out=spare)
        weight, beyond = self._weights(log_q, u)
        loss = self._values(u, weight, beyond)
        slope = weight.mul_(self._slope(u).masked_fill_(beyond, 1.0)).scatter_(-1, x, 0.0)
        slope.scatter_(-1, x, -slope.sum(-1, keepdim=True))
        return ClosedForm(loss, slope, torch.full_like(loss, 1 / u.shape[-1]))

    def _values(
        self, u: Float[Tensor, "n V"], weight: Float[Tensor, "n V"], beyond: Bool[Tensor, "n V"]
    ) -> Float[Tensor, "n"]:
        curve = self.divergence.pair(u.masked_fill(beyond, 0.0))
        return (weight * torch.where(beyond, u, curve)).mean(-1)

    def _weights(
        self, log_q: Float[Tensor, "n V"], u: Float[Tensor, "n V"]
    ) -> tuple[Float[Tensor, "n V"], Bool[Tensor, "n V"]]:
        """Return c^γ, and where ψ overflows or c underflows: there (V q_y)^γ ψ′^(1 − γ)."""
        slope, size = self._slope(u), log_q.shape[-1]
        natural = log_q.exp().mul_(size).div_(slope)
        finite = slope.isfinite() & self.divergence.pair(u).isfinite()
        beyond = ~(finite & (natural >= torch.finfo(natural.dtype).tiny))
        rest = 1 - self.gamma
        line = log_q[beyond].double().mul(self.gamma).exp() * size**self.gamma
        line = line * self._slope(u[beyond].double()) ** rest
        return natural.pow_(self.gamma).masked_scatter_(beyond, line.to(u.dtype)), beyond

    def _slope(self, u: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return ψ′(u) = v² F″(v) + v⁻¹ F″(v⁻¹) > 0 of v = e^u."""
        slope = self.divergence.dual_rate(u) + self.divergence.slope_rate(-u)
        return slope.clamp_(min=torch.finfo(slope.dtype).tiny)


@dataclass(frozen=True)
class FullScoreMatching(SequenceObjective):
    """Score matching of a factorized posterior over all neighbors, of any symmetric neighborhood.

        ℓ(x₁) = Σ_{y ∈ N(x₁)} c ψ(Σᵢ log q^i(y^i) − log q^i(x₁^i))                     (2.3, 6.1)

    The k-Hamming ball has a closed form (6.3). For neighbors that differ at one position
    `ScoreMatching` is the same loss in less memory.

    Attributes:
        divergence: D_F.
        neighborhood: N, symmetric.

    Raises:
        InputError: an N that is not symmetric.
    """

    divergence: Bregman
    neighborhood: Neighborhood

    def __post_init__(self) -> None:
        """Refuse a directed neighborhood; warn if the optimum is not the marginals."""
        require_symmetric(self.neighborhood)
        warn_off_marginals(self.neighborhood)

    def losses(
        self, model: nn.Module, batch: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Return the neighborhood's loss of each sequence, and the mean cross-entropy."""
        posterior = as_posterior(model, self)
        log_q = posterior.log_conditionals(batch.x_t, batch.t, batch.noised)
        values = self.neighborhood.sequence_loss(
            self.divergence, log_q, batch.x_1, batch.noised, noise
        )
        at_label = log_q.detach().gather(-1, batch.x_1[batch.noised][:, None])
        return values, {"cross_entropy": -at_label.sum() / max(1, len(at_label))}


@dataclass(frozen=True)
class SampledScoreMatching(SequenceObjective):
    """Score matching of any model with ratios, over listed or sampled neighbors (2.3, 6.6).

    It trains joint posteriors, over blocks of two positions or more where single substitutions
    hardly connect the support (2.2).

    Attributes:
        divergence: D_F.
        neighborhood: N, symmetric.
        draws: neighbors drawn for each sequence; None for all.

    Raises:
        InputError: an N that is not symmetric, or no neighbor drawn.
    """

    divergence: Bregman
    neighborhood: Neighborhood
    draws: int | None = None

    def __post_init__(self) -> None:
        """Refuse a directed neighborhood, and a draw of no neighbors."""
        require_symmetric(self.neighborhood)
        if self.draws is not None and self.draws < 1:
            raise InputError(f"objective.draws must be at least 1, found {self.draws}")

    def losses(
        self, model: nn.Module, batch: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Return weighted sums over neighbors, and the mean log-ratio."""
        if not isinstance(model, ConcreteScore):
            name = type(model).__name__
            raise InputError(f"objective=score_drawn needs ratios (model=joint), found {name}")
        if isinstance(model, Posterior):
            warn_off_marginals(self.neighborhood)
        if self.draws is None:
            near = self.neighborhood.enumerate(batch.x_1, batch.noised)
        else:
            near = self.neighborhood.draw(batch.x_1, batch.noised, self.draws, noise)
        log_ratio = model.log_ratio(batch, near)
        values = near.sum(self.divergence.pair(log_ratio))
        mean = near.sum(log_ratio.detach()).sum() / near.weight.sum().clamp(min=1e-12)
        return values, {"log_ratio": mean}


def warn_off_marginals(neighborhood: Neighborhood) -> None:
    """Warn that the optimum of a factorized posterior will not be the marginals (2.5)."""
    if not neighborhood.one_position:
        warnings.warn(
            f"score matching over {type(neighborhood).__name__} moves a factorized posterior off "
            "the marginals, and with it samples and likelihood off the data (2.5); use a joint "
            "model, or neighborhood=hamming",
            stacklevel=2,
        )
