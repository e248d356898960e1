"""Density ratios of the data to a frozen reference, given the same x_t (9.1).

    ℓ = E_{x ∼ q_ref} G(r(x)) − F′(r(x₁)),      G(v) = v F′(v) − F(v),      r* = p/q_ref

`DensityRatio` is the loss at every noised position, its negatives enumerated; the optimum is the
marginals (9.3). `NoiseContrastive` trains a joint model's energy, log r = −E, by drawn negatives.
`SequenceDensityRatio` is the same loss for products of marginals, which it suits less (9.3).

Against a reward the data are draws of the reference with weights W (10.4). Both terms must carry
W: then x_t follows p^R_t, and r* = p^R_{1|t}/q_ref. With W on the data alone x_t would follow p_t
and r* = E[W | x₁^i, x_t] p^i/q_ref^i, which sums to E[W | x_t]: no ratio of distributions.
"""

import math
import warnings
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tcsm.divergences.bregman import Bregman, Power
from tcsm.divergences.closed_form import ClosedForm, Label, add, at, through_log_softmax
from tcsm.errors import InputError
from tcsm.models.base import draws
from tcsm.models.joint import Joint
from tcsm.models.losses import RatioLoss, ReferenceRatioLoss
from tcsm.noise import Noise
from tcsm.objectives.base import (
    DenoisingObjective,
    ReferenceObjective,
    SequenceObjective,
    Terms,
    as_posterior,
)
from tcsm.process.corruption import Corrupted, Positions


@dataclass(frozen=True)
class DensityRatio(ReferenceObjective, DenoisingObjective):
    """Σ over noised positions of D_F(r*, r), up to a constant.

        ℓ^i = Σ_y q_ref^i(y) G(r_y) − F′(r_{x₁^i})

    For a posterior that started at the reference, r = q/q_ref is normalized and generalized KL is
    cross-entropy (9.2); `Explicit` trains r itself (9.4).

    Attributes:
        divergence: D_F.
        penalty: weight of (log E_ref r)²; without effect where r is normalized, and 0 at r*.
        annealing: steps N over which labels go from the reference to the data, so that r* is
            nowhere small at first: r* = a + (1 − a) p/q_ref with a = 1 − step/N.

    Raises:
        InputError: a negative penalty or number of steps.
    """

    divergence: Bregman
    penalty: float = 0.0
    annealing: int = 0

    def __post_init__(self) -> None:
        """Refuse negative values."""
        if not 0 <= self.penalty < math.inf:
            raise InputError(f"objective.penalty must be 0 or more, found {self.penalty}")
        if self.annealing < 0:
            raise InputError(f"objective.annealing must be 0 or more, found {self.annealing}")

    def position_loss(self, batch: Corrupted, step: int) -> ReferenceRatioLoss:
        """Return ℓ^i against the reference's conditionals of the batch."""
        share = max(0.0, 1 - step / self.annealing) if self.annealing else 0.0
        loss = DensityRatioLoss(self.divergence, self.penalty, share)
        return ReferenceRatioLoss(loss, self.log_reference(batch))


@dataclass(frozen=True)
class DensityRatioLoss(RatioLoss):
    """E_ref G(r) − E F′(r) + penalty · (log E_ref r)², with labels from a q_ref + (1 − a) δ.

    Attributes:
        divergence: D_F.
        penalty: weight of (log E_ref r)².
        share: a.
    """

    divergence: Bregman
    penalty: float = 0.0
    share: float = 0.0

    def __call__(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n"]:
        """Return the loss of each position."""
        reference = log_reference.exp()
        data = self.divergence.slope(log_r.gather(-1, positions.x_1[:, None]).squeeze(-1))
        if self.share:
            data = torch.lerp(data, (reference * self.divergence.slope(log_r)).sum(-1), self.share)
        loss = (reference * self.divergence.dual(log_r)).sum(-1) - data
        if self.penalty:
            loss = loss + self.penalty * torch.logsumexp(log_reference + log_r, -1) ** 2
        return loss

    def closed_form(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> ClosedForm:
        """Return ℓ and E_ref v² F″(v) − E v F″(v) by log r, and the penalty's part."""
        label = at(log_r, positions.x_1)
        if self.penalty:
            log_q = log_reference + log_r
            log_mass = torch.logsumexp(log_q, -1)
        loss = (self.share - 1) * self.divergence.slope(label)
        if self.share:
            mean, annealed = self.divergence.mean_slope(log_reference, log_r)
            loss = loss - self.share * mean
        mean, slope = self.divergence.mean_dual(log_reference, log_r)
        add(slope, positions.x_1, (self.share - 1) * self.divergence.slope_rate(label))
        if self.share:
            slope.sub_(annealed, alpha=self.share)
        if self.penalty:
            loss = loss + self.penalty * log_mass**2
            q = log_q.sub_(log_mass[:, None]).exp_()
            slope.addcmul_(q, 2 * self.penalty * log_mass[:, None])
        return ClosedForm(mean + loss, slope)

    def normalized_form(
        self,
        log_q: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
        spare: Float[Tensor, "n V"],
    ) -> ClosedForm:
        """Return the loss at r = q/q_ref, where log E_ref r = 0, and its gradient by logits."""
        if self.share:
            log_r = torch.sub(log_q, log_reference, out=spare)
            by_ratio = replace(self, penalty=0.0).closed_form(log_r, log_reference, positions)
            return through_log_softmax(by_ratio, log_q)
        x = positions.x_1
        log_v = at(log_q, x) - at(log_reference, x)
        label = Label(x, -self.divergence.slope_rate(log_v))
        closed = self.divergence.ratio_form(log_reference, log_q, label, spare)
        return closed._replace(loss=closed.loss - self.divergence.slope(log_v))


@dataclass(frozen=True)
class NoiseContrastive(SequenceObjective):
    """Noise-contrastive estimation of an energy, data against draws of the reference.

    With BCE this is EDLM's NCE, softplus(E(x₁)) + softplus(−E(x⁻)) (§8). Its optimum
    E = log(q_ref/p) is normalized. Negatives are averaged: a sum of K of them would shift log r
    by −log K (9.5).

    Attributes:
        divergence: D_F; any but BCE explodes on whole sequences (9.3).
        negatives: draws of the reference for each x₁.

    Raises:
        InputError: no negatives.
    """

    divergence: Bregman
    negatives: int = 1

    def __post_init__(self) -> None:
        """Refuse a contrast without negatives."""
        if self.negatives < 1:
            raise InputError(f"objective.negatives must be at least 1, found {self.negatives}")

    def losses(
        self, model: nn.Module, batch: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Return ℓ by the energies of x₁ and of negatives, which carry the same x_t over."""
        if not isinstance(model, Joint):
            raise InputError(f"objective=nce needs model=joint, found {type(model).__name__}")
        negatives = model.candidates(batch.x_t, batch.t, batch.noised, self.negatives, noise)
        energy = model.net(torch.cat([batch.x_1[:, None], negatives], 1), batch.x_t, batch.t)
        margin = (energy[:, 1:] - energy[:, :1]).detach().mean()
        return self.contrast(-energy[:, 0], -energy[:, 1:]), {"margin": margin}

    def contrast(
        self, log_r_data: Float[Tensor, "B"], log_r_reference: Float[Tensor, "B K"]
    ) -> Float[Tensor, "B"]:
        """Return ℓ of each sequence."""
        return self.divergence.dual(log_r_reference).mean(-1) - self.divergence.slope(log_r_data)


@dataclass(frozen=True)
class SequenceDensityRatio(ReferenceObjective, NoiseContrastive):
    """The density ratio of whole sequences, log r = Σ_i log q^i/q_ref^i.

    The ratio of two products cannot be p/q_ref, so the optimum is the marginals for generalized KL
    alone; and e^{log r} is spread like a log-normal variable, so only BCE has bounded gradients.
    `DensityRatio` has neither defect.
    """

    def losses(
        self, model: nn.Module, batch: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Return ℓ by the ratios at x₁ and at negatives, which carry the same x_t over."""
        model = as_posterior(model, self)
        if not (isinstance(self.divergence, Power) and self.divergence.power == 1):
            warnings.warn(
                "a ratio of whole sequences moves a posterior of independent positions off the "
                "marginals, unless divergence=generalized_kl (9.3); objective=density_ratio does "
                "not",
                stacklevel=2,
            )
        log_reference = self.log_reference(batch)
        negatives = draws(log_reference, batch.x_t, batch.noised, self.negatives, noise)
        log_q = model.log_conditionals(batch.x_t, batch.t, batch.noised)
        x = torch.cat([batch.x_1[:, None], negatives], 1)
        log_r = at_sequences(log_q - log_reference, x, batch)
        margin = (log_r[:, :1] - log_r[:, 1:]).detach().mean()
        return self.contrast(log_r[:, 0], log_r[:, 1:]), {"margin": margin}


def at_sequences(log_r: Float[Tensor, "n V"], x: Tensor, batch: Corrupted) -> Float[Tensor, "B K"]:
    """Return Σ over the noised positions of log r at the tokens of K sequences x, (B, K, L)."""
    row, column = batch.places
    values = log_r.gather(-1, x[row, :, column])
    zeros = torch.zeros(x.shape[:2], dtype=log_r.dtype, device=x.device)
    return zeros.index_add(0, row, values)
