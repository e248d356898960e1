"""Per-position losses: functions of log-conditionals, or of their ratio to a reference.

The ratio is log r = log q − log q_ref for every token (9.1).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.divergences import closed_form
from tcsm.divergences.closed_form import ClosedForm, Differentiated
from tcsm.nets.head import LossValues
from tcsm.process.corruption import Positions
from tcsm.process.paths import Path


class PositionLoss(Differentiated, ABC):
    """A loss of the log-conditionals of a noised position."""

    @abstractmethod
    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the loss of each position."""

    def closed_form(
        self, log_q: Float[Tensor, "n V"], positions: Positions, spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return the loss and its gradient by the logits, here by autograd from the loss.

        It may overwrite ``log_q`` and ``spare``, memory for one more tensor of its size, and
        return one of them.
        """
        by_log_q = closed_form.by_autograd(lambda values: self(values, positions), log_q)
        return closed_form.through_log_softmax(by_log_q, log_q)


class CrossEntropy(PositionLoss):
    """−log q(x₁)."""

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return −log q(x₁)."""
        return -log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], positions: Positions, spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return −log q(x₁) and q − δ."""
        return closed_form.cross_entropy(log_q, positions.x_1)


@dataclass(frozen=True)
class BoundIntegrand(PositionLoss):
    """The integrand over t of the bound on −log p(x₁), nats (11.3, 11.4)."""

    path: Path

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the integrand of the path at each position."""
        return self.path.nelbo(log_q, positions.x_1, positions.x_t, positions.t)


class RatioLoss(Differentiated, ABC):
    """A loss of log r at a noised position, and of the reference that r is a ratio to."""

    @abstractmethod
    def __call__(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n"]:
        """Return the loss of each position."""

    def closed_form(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> ClosedForm:
        """Return the loss and its gradient by log r, here by autograd from the loss.

        It may overwrite ``log_r``, and return it.
        """
        return closed_form.by_autograd(lambda r: self(r, log_reference, positions), log_r)

    def normalized_form(
        self,
        log_q: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
        spare: Float[Tensor, "n V"],
    ) -> ClosedForm:
        """Return the loss at r = q/q_ref and its gradient by the logits of q.

        It may overwrite ``log_q`` and ``spare``, and return one of them.
        """
        log_r = torch.sub(log_q, log_reference, out=spare)
        by_ratio = self.closed_form(log_r, log_reference, positions)
        return closed_form.through_log_softmax(by_ratio, log_q)


@dataclass(frozen=True)
class ReferenceRatioLoss(PositionLoss):
    """A loss of r = q/q_ref, which is normalized: E_ref r = 1 (9.2).

    A model that has a ratio of its own, `Explicit`, uses ``loss`` and ``log_reference`` instead.

    Attributes:
        loss: the function of log r.
        log_reference: log q_ref at all noised positions of one batch, in row-major order.
    """

    loss: RatioLoss
    log_reference: Float[Tensor, "n V"]

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """Return the loss of some of the noised positions."""
        reference = positions.of(self.log_reference).to(log_q.dtype)
        return self.loss(log_q - reference, reference, positions)

    def closed_form(
        self, log_q: Float[Tensor, "m V"], positions: Positions, spare: Float[Tensor, "m V"]
    ) -> ClosedForm:
        """Return the loss of r = q/q_ref."""
        reference = positions.of(self.log_reference).to(log_q.dtype)
        return self.loss.normalized_form(log_q, reference, positions, spare)


@dataclass(frozen=True)
class NormalizedRatioLoss(RatioLoss):
    """A loss of q ∝ q_ref r, where r itself is not normalized (9.4).

    Attributes:
        loss: the function of log q.
    """

    loss: PositionLoss

    def __call__(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n"]:
        """Return the loss at log q."""
        return self.loss(torch.log_softmax(log_reference + log_r, -1), positions)

    def closed_form(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> ClosedForm:
        """Return the loss with its gradient by log r, which equals that by the logits."""
        log_q = torch.log_softmax(log_reference + log_r, -1)
        return self.loss.closed_form(log_q, positions, torch.empty_like(log_q))


@dataclass(frozen=True)
class LabelCrossEntropy:
    """Cross-entropy at known labels, as a function of a chunk of logits.

    Attributes:
        labels: one a position.
    """

    labels: Int[Tensor, "n"]

    def __call__(self, logits: Float[Tensor, "m V"], chunk: slice) -> LossValues:
        """Return −log p(label)."""
        loss = nn.functional.cross_entropy(logits.float(), self.labels[chunk], reduction="none")
        return LossValues(loss, loss.detach())

    def closed_form(
        self, logits: Float[Tensor, "m V"], spare: Float[Tensor, "m V"], chunk: slice
    ) -> tuple[ClosedForm, Tensor]:
        """Return −log p(label) and softmax − label."""
        log_p = torch.log_softmax(logits, -1, out=logits)
        closed = closed_form.cross_entropy(log_p, self.labels[chunk])
        return closed, closed.loss
