"""Objectives: a model and a batch of data ↦ a dictionary with the loss and its diagnostics.

    loss = (1/B) Σ_b W_b Σ_{i open} w_b ℓ_b^i

W are weights of sequences (1, or those of a reward); w is a `Weighting`, which says how the open
positions of one sequence share it (MATH §13).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.nets.base import WeightedLoss
from tcsm.noise import Noise
from tcsm.posteriors.base import Posterior
from tcsm.posteriors.losses import PositionLoss
from tcsm.process.corruption import Corrupted, Corruption

Terms = dict[str, Tensor]


class Objective(ABC):
    """What training minimizes. Pure: all randomness comes from ``noise``."""

    @abstractmethod
    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """The terms of a batch: "loss" to descend, and detached diagnostics, each 0-dimensional.

        Args:
            model: what the objective trains.
            x_1: clean data.
            noise: the batch's randomness.
            weight: weight of each sequence, 1 if None.
            real: positions of text, the others being padding, which is neither noised nor in the
                loss: a sequence counts as it would without; None if all are text.
        """


class Weighting(ABC):
    """How the noised positions of one sequence are weighed."""

    @abstractmethod
    def __call__(self, drawn: Corrupted) -> Float[Tensor, "B"]:
        """Weight of a noised position, a sequence."""


@dataclass(frozen=True)
class OpenMean(Weighting):
    """1/n: the mean over noised positions; a sequence counts the same whatever its noise."""

    def __call__(self, drawn: Corrupted) -> Float[Tensor, "B"]:
        """1/n, and anything where n = 0."""
        return 1 / drawn.noised.sum(-1).clamp(min=1).double()


@dataclass(frozen=True)
class SequenceMean(Weighting):
    """1/L: every noised position of the batch counts the same."""

    def __call__(self, drawn: Corrupted) -> Float[Tensor, "B"]:
        """1/L."""
        return 1 / drawn.lengths()


@dataclass(frozen=True)
class Likelihood(Weighting):
    """ω/L: with KL and the mask source, the bound on −log p in nats a token (11.3)."""

    def __call__(self, drawn: Corrupted) -> Float[Tensor, "B"]:
        """ω/L."""
        return drawn.omega / drawn.lengths()


@dataclass(frozen=True)
class DenoisingObjective(Objective):
    """An objective that corrupts a batch and sums a loss over its noised positions.

    Attributes:
        corruption: distribution of (t, x_t) given x₁.
        weighting: how noised positions share a sequence's weight.
    """

    corruption: Corruption
    weighting: Weighting

    @abstractmethod
    def position_loss(self) -> PositionLoss:
        """ℓ at a noised position."""

    def __call__(
        self,
        model: nn.Module,
        x_1: Int[Tensor, "B L"],
        noise: Noise,
        weight: Float[Tensor, "B"] | None = None,
        real: Bool[Tensor, "B L"] | None = None,
    ) -> Terms:
        """Corrupt, sum, report."""
        model = as_posterior(model, self)
        drawn = self.corruption(x_1, noise, real)
        share = position_weights(self.weighting, drawn, weight)
        result = model.weighted_loss(drawn, self.position_loss(), share)
        return {"loss": result.total, **diagnostics(drawn, result)}


@dataclass(frozen=True)
class ReferenceObjective(Objective):
    """An objective that compares the model with a frozen one.

    Attributes:
        reference: q_ref; None until the run's own is there.
    """

    reference: Posterior | None = field(default=None, kw_only=True)

    def with_reference(self, reference: Posterior) -> "ReferenceObjective":
        """The same objective with its reference."""
        return replace(self, reference=reference)

    def frozen(self) -> Posterior:
        """The reference.

        Raises:
            InputError: there is none.
        """
        if self.reference is None:
            raise InputError(
                f"reference: found null; {type(self).__name__} needs the folder of a trained run"
            )
        return self.reference

    @torch.no_grad()
    def log_reference(self, drawn: Corrupted) -> Float[Tensor, "n V"]:
        """Log q_ref^i(· | x_t) at the noised positions, in row-major order."""
        return self.frozen().log_conditionals(drawn.x_t, drawn.t, drawn.noised)


def position_weights(
    weighting: Weighting, drawn: Corrupted, weight: Float[Tensor, "B"] | None = None
) -> Float[Tensor, "n"]:
    """W_b w_b/B of every noised position, in row-major order; W = 1 if None."""
    per_row = weighting(drawn) * (1 if weight is None else weight) / len(drawn.x_1)
    return per_row[drawn.noised.nonzero(as_tuple=True)[0]]


def as_posterior(model: nn.Module, objective: Objective) -> Posterior:
    """The model, which must have marginals.

    Raises:
        InputError: it has none.
    """
    if not isinstance(model, Posterior):
        raise InputError(
            f"objective: {type(objective).__name__} needs a posterior (model=factorized or "
            f"leave_one_out), found {type(model).__name__}"
        )
    return model


def diagnostics(drawn: Corrupted, result: WeightedLoss) -> Terms:
    """Mean cross-entropy of a noised position in nats, and the share of noised positions."""
    return {
        "cross_entropy": result.cross_entropy.mean() if len(result.loss) else result.total * 0,
        "open": drawn.noised_share(),
    }
