"""The contract of an objective: a model and a batch of data ↦ a dictionary with the loss.

    loss = (1/B) Σ_b W_b Σ_{i noised} w_b ℓ_b^i

A `DenoisingObjective` is a corruption, which draws x_t, a `Weighting` w (§13), and a per-position
loss ℓ; W are weights of sequences (1, or importance weights of a reward). A `SequenceObjective`
has one loss per sequence instead.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.base import Posterior
from tcsm.models.losses import PositionLoss
from tcsm.noise import Noise
from tcsm.process.corruption import Corrupted, Corruption

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class CleanBatch:
    """A batch of data.

    Attributes:
        x_1: sequences, or pairs of them.
        weight: weight W of each row; 1 if None.
        real: positions of text; the others are padding, which is neither noised nor in the loss,
            so that a sequence has the same loss with and without it. None: all are text.
    """

    x_1: Int[Tensor, "B L"]
    weight: Float[Tensor, "B"] | None = None
    real: Bool[Tensor, "B L"] | None = None


class Objective(ABC):
    """A loss to minimize in training; a pure function, as all randomness comes from ``noise``.

    ``reads`` is what its rows are: "texts", "pairs" of them, or texts with "advantages".
    """

    reads: ClassVar[str] = "texts"

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """Return "loss", which is differentiable, and detached diagnostics, all 0-dimensional.

        Args:
            model: the model that is trained.
            x_1: clean data.
            noise: the batch's randomness.
            weight: as in `CleanBatch`.
            real: as in `CleanBatch`.
        """
        return self.terms(model, CleanBatch(x_1, weight, real), noise)

    @abstractmethod
    def terms(self, model: nn.Module, data: CleanBatch, noise: Noise) -> Terms:
        """Return the loss and diagnostics."""

    def weigh(self, advantage: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Return the weights of the rows of a global batch of the model's own draws: A."""
        return advantage


class Weighting(ABC):
    """The weight w of the noised positions of a sequence."""

    @abstractmethod
    def __call__(self, batch: Corrupted) -> Float[Tensor, "B"]:
        """Return the weight of one noised position of each sequence."""


@dataclass(frozen=True)
class OpenMean(Weighting):
    """1/n: the mean over the noised positions, so that all sequences count the same."""

    def __call__(self, batch: Corrupted) -> Float[Tensor, "B"]:
        """Return 1/n; the value at n = 0 has no effect."""
        return 1 / batch.noised.sum(-1).clamp(min=1).double()


@dataclass(frozen=True)
class SequenceMean(Weighting):
    """1/L: all noised positions of the batch count the same."""

    def __call__(self, batch: Corrupted) -> Float[Tensor, "B"]:
        """Return 1/L."""
        return 1 / batch.lengths()


@dataclass(frozen=True)
class Likelihood(Weighting):
    """ω/L: with KL and the mask source, the bound on −log p in nats per token (11.3)."""

    def __call__(self, batch: Corrupted) -> Float[Tensor, "B"]:
        """Return ω/L."""
        return batch.omega / batch.lengths()


@dataclass(frozen=True)
class CorruptingObjective(Objective):
    """An objective of noised sequences.

    Attributes:
        corruption: distribution of (t, x_t) given x₁.
        weighting: weight w of a noised position.
    """

    corruption: Corruption
    weighting: Weighting

    @abstractmethod
    def noised_terms(self, model: nn.Module, batch: Corrupted, noise: Noise) -> Terms:
        """Return the loss of a noised batch, and diagnostics."""

    def corrupt(self, data: CleanBatch, noise: Noise) -> Corrupted:
        """Return the noised batch."""
        return replace(self.corruption(data.x_1, noise, data.real), weight=data.weight)

    def terms(self, model: nn.Module, data: CleanBatch, noise: Noise) -> Terms:
        """Return the loss, its diagnostics and the share of noised positions."""
        batch = self.corrupt(data, noise)
        return {**self.noised_terms(model, batch, noise), "open": batch.noised_share()}


@dataclass(frozen=True)
class DenoisingObjective(CorruptingObjective):
    """An objective that sums a loss over the noised positions of a batch."""

    @abstractmethod
    def position_loss(self, batch: Corrupted, step: int) -> PositionLoss:
        """Return ℓ, a function of the log-conditionals of the batch's noised positions.

        Args:
            batch: the corrupted batch.
            step: step of the training.
        """

    def position_weights(self, batch: Corrupted) -> Float[Tensor, "n"]:
        """Return W_b w_b/B of each noised position, in row-major order."""
        per_row = self.weighting(batch) * (1 if batch.weight is None else batch.weight)
        return (per_row / len(batch.x_1))[batch.places[0]]

    def noised_terms(self, model: nn.Module, batch: Corrupted, noise: Noise) -> Terms:
        """Return the loss, and the mean cross-entropy in nats."""
        assert isinstance(noise.step, int)
        posterior = as_posterior(model, self)
        loss, weights = self.position_loss(batch, noise.step), self.position_weights(batch)
        result = posterior.weighted_loss(batch, loss, weights)
        nats = result.cross_entropy.mean() if len(result.loss) else result.total * 0
        return {"loss": result.total, "cross_entropy": nats}


@dataclass(frozen=True)
class SequenceObjective(CorruptingObjective):
    """An objective that averages one loss per sequence.

        loss = (1/B) Σ_b W_b w_b n_b ℓ_b

    ℓ_b takes the place of a mean over the n_b noised positions, with the same weights.
    """

    @abstractmethod
    def losses(
        self, model: nn.Module, batch: Corrupted, noise: Noise
    ) -> tuple[Float[Tensor, "B"], Terms]:
        """Return ℓ of each sequence, and diagnostics."""

    def noised_terms(self, model: nn.Module, batch: Corrupted, noise: Noise) -> Terms:
        """Return the loss, and its diagnostics."""
        weight = 1 if batch.weight is None else batch.weight
        share = self.weighting(batch) * batch.noised.sum(-1) * weight
        losses, terms = self.losses(model, batch, noise)
        loss = (share.to(losses.dtype) * losses).sum() / len(batch.x_1)
        return {"loss": loss, **terms}


@dataclass(frozen=True)
class ReferenceObjective(Objective):
    """An objective that compares the model with a frozen reference model.

    Attributes:
        reference: q_ref; None until `attach`.
    """

    reference: Posterior | None = field(default=None, kw_only=True)

    def attach(self, reference: nn.Module) -> "ReferenceObjective":
        """Return the same objective with its reference.

        Raises:
            InputError: a model without marginals.
        """
        return replace(self, reference=as_posterior(reference, self))

    def require_reference(self) -> Posterior:
        """Return the reference.

        Raises:
            InputError: the reference is None.
        """
        if self.reference is None:
            raise InputError(
                f"reference: found null; {type(self).__name__} needs the folder of a trained run"
            )
        return self.reference

    @torch.no_grad()
    def log_reference(self, batch: Corrupted) -> Float[Tensor, "n V"]:
        """Return log q_ref^i(· | x_t) at the noised positions, in row-major order."""
        return self.require_reference().log_conditionals(batch.x_t, batch.t, batch.noised)


def as_posterior(model: nn.Module, objective: Objective) -> Posterior:
    """Return the model.

    Raises:
        InputError: the model is no `Posterior`.
    """
    if not isinstance(model, Posterior):
        raise InputError(
            f"objective: {type(objective).__name__} needs a posterior (model=factorized or "
            f"leave_one_out), found {type(model).__name__}"
        )
    return model
