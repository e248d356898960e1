"""Preference pairs as density ratios to a reference, r = q_θ/q_ref; a row of a batch is a pair.

With candidates of the reference and Bradley-Terry at temperature τ, P(w = a, l = b) = 2 ref(a)
ref(b) σ((R(a) − R(b))/τ), each of three losses has an optimum of its own (10.6):

    Paired:   −log σ(β [l(w) − l(l)])             q ∝ ref e^{R/(τβ)}, the form of DPO
    Unpaired: softplus(−l(w)) + softplus(l(l))    r = p_w/p_l, as a model q ∝ ref p_w/p_l
    Winners:  w against draws of the reference    q = p_w

l(x) = log r(x | x_t) at one x_t for both (10.7), over its noised positions. A factorized posterior
has the sum of its positions' ratios; a joint one has −E, up to what cancels in the paired loss. Of
texts of two lengths each has the sum over its own positions, the factorized distribution's
marginal there.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from tcsm.divergences.bregman import bce
from tcsm.divergences.closed_form import ClosedForm
from tcsm.errors import InputError
from tcsm.models.joint import Joint
from tcsm.models.losses import PositionLoss, ReferenceRatioLoss
from tcsm.noise import Noise
from tcsm.objectives.base import (
    CleanBatch,
    DenoisingObjective,
    ReferenceObjective,
    Terms,
    as_posterior,
)
from tcsm.objectives.density_ratio import DensityRatioLoss
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.pairs import SharedCorruption, halves


@dataclass(frozen=True)
class Preference(ReferenceObjective):
    """A loss of both sequences of a pair at one x_t, plus the winner's cross-entropy.

    Attributes:
        corruption: distribution of (t, x_t) given the pair.
        length: tokens of one sequence, L.
        likelihood: λ ≥ 0, the weight of the winner's cross-entropy at a noised position, which
            keeps both sequences from becoming unlikely together (10.8); factorized posteriors
            alone.

    Raises:
        InputError: λ is no such number.
    """

    reads: ClassVar[str] = "pairs"

    corruption: SharedCorruption
    length: int
    likelihood: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a negative weight."""
        if not 0 <= self.likelihood < math.inf:
            raise InputError(f"objective.likelihood must be 0 or more, found {self.likelihood}")

    @abstractmethod
    def contrast(
        self, winner: Float[Tensor, "B"], loser: Float[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """Return the loss of each pair from l of both."""

    def terms(self, model: nn.Module, data: CleanBatch, noise: Noise) -> Terms:
        """Return the loss and its diagnostics; ``margin`` is the mean of l(w) − l(l)."""
        text = None if data.real is None else halves(data.real, self.length)
        winner, loser = self.corruption(*halves(data.x_1, self.length), noise, text)
        l_w, l_l, nats = self._log_ratios(model, winner, loser)
        losses = self.contrast(l_w, l_l) + self.likelihood * nats
        losses = losses if data.weight is None else losses * data.weight
        margin = (l_w - l_l).detach()
        return {
            "loss": losses.mean(),
            "margin": margin.mean(),
            "agreement": (margin > 0).double().mean(),
            "cross_entropy": nats.detach().mean(),
            "open": winner.noised_share(),
        }

    def _log_ratios(
        self, model: nn.Module, winner: Corrupted, loser: Corrupted
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"], Float[Tensor, "B"]]:
        """Return l of winners and of losers, and the cross-entropy of the winner in nats.

        Raises:
            InputError: a joint model, which has no distribution of a part of a text, and two
                lengths.
        """
        if isinstance(model, Joint):
            if not winner.lengths().equal(loser.lengths()):
                raise InputError(
                    "objective: model=joint compares texts of one length alone, found pairs of "
                    "two; set model=factorized, or take pairs that fill data.length"
                )
            guesses = torch.stack([winner.x_1, loser.x_1], 1)
            log_r = -model.net(guesses, winner.x_t, winner.t)
            return log_r[:, 0], log_r[:, 1], torch.zeros_like(log_r[:, 0])
        both = replace(winner, noised=winner.noised | loser.noised)
        log_q = as_posterior(model, self).log_conditionals(both.x_t, both.t, both.noised)
        log_r = log_q - self.log_reference(both)
        per_position = _summed(winner, both, -log_q) / winner.noised.sum(-1).clamp(min=1)
        return _summed(winner, both, log_r), _summed(loser, both, log_r), per_position


@dataclass(frozen=True)
class Paired(Preference):
    """−log σ(β [l(w) − l(l)]): which of the two is the winner.

    Attributes:
        beta: β > 0, how much of a preference one nat of l stands for; small is greedy.

    Raises:
        InputError: β is not a positive number.
    """

    beta: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a value that is not positive."""
        super().__post_init__()
        if not 0 < self.beta < math.inf:
            raise InputError(f"objective.beta must be a positive number, found {self.beta}")

    def contrast(
        self, winner: Float[Tensor, "B"], loser: Float[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """Return the loss; its gradient at q = ref is −β/2 (∇ log q(w) − ∇ log q(l)) (10.8)."""
        return softplus(-self.beta * (winner - loser))


@dataclass(frozen=True)
class Unpaired(Preference):
    """softplus(−l(w)) + softplus(l(l)): whether one sequence is a winner or a loser.

    E_ref p_w/p_l ≥ 1, so a free ratio reaches p_w/p_l and a normalized posterior what is closest.
    """

    def contrast(
        self, winner: Float[Tensor, "B"], loser: Float[Tensor, "B"]
    ) -> Float[Tensor, "B"]:
        """Return BCE with winners as positives and losers as negatives."""
        return softplus(-winner) + softplus(loser)


@dataclass(frozen=True)
class Winners(ReferenceObjective, DenoisingObjective):
    """BCE of winners against the reference at every noised position.

        ℓ^i = softplus(−l(w^i)) + Σ_y q_ref^i(y) softplus(l(y)),        l = log q^i − log q_ref^i

    The negative is the reference's whole conditional (9.3). The loss is least where q^i is the
    marginal of p_w given x_t, for every reference. No loser shares x_t, so every corruption of the
    winner is exact.

    Attributes:
        length: tokens of one sequence, L.
    """

    reads: ClassVar[str] = "pairs"

    length: int

    def corrupt(self, data: CleanBatch, noise: Noise) -> Corrupted:
        """Return the noised winners of a batch of pairs."""
        text = None if data.real is None else halves(data.real, self.length)[0]
        return super().corrupt(
            replace(data, x_1=halves(data.x_1, self.length)[0], real=text), noise
        )

    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return ℓ^i against the reference's conditionals of the batch."""
        return WinnerLoss(self.log_reference(batch))


@dataclass(frozen=True)
class WinnerLoss(PositionLoss):
    """ℓ of `Winners`, the density ratio's by BCE; of a q that is normalized.

    Attributes:
        log_reference: log q_ref of all noised positions of a batch, in row-major order.
    """

    log_reference: Float[Tensor, "n V"]

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """Return the loss of some of the noised positions."""
        return self._ratio()(log_q, positions)

    def closed_form(
        self, log_q: Float[Tensor, "m V"], positions: Positions, spare: Float[Tensor, "m V"]
    ) -> ClosedForm:
        """Return ℓ and its gradient by logits."""
        return self._ratio().closed_form(log_q, positions, spare)

    def _ratio(self) -> ReferenceRatioLoss:
        return ReferenceRatioLoss(DensityRatioLoss(bce), self.log_reference)


def _summed(batch: Corrupted, both: Corrupted, values: Float[Tensor, "n V"]) -> Float[Tensor, "B"]:
    """Return the sum over noised positions of the values at a sequence's own tokens.

    Args:
        batch: the sequences.
        both: the noised positions of the pairs.
        values: at these, in row-major order.
    """
    row, column = both.places
    at_token = values.gather(-1, batch.x_1[row, column][:, None]).squeeze(-1)
    if batch.real is not None:
        at_token = at_token.masked_fill(~batch.real[row, column], 0)
    return at_token.new_zeros(len(batch.x_1)).index_add(0, row, at_token)
