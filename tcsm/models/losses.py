"""Per-position losses: functions of log-conditionals, or of their ratio to a reference.

The ratio is log r = log q − log q_ref for every token (9.1).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.nets.base import LossValues
from tcsm.process.corruption import Positions
from tcsm.process.paths import Path


class PositionLoss(ABC):
    """A loss of the log-conditionals of a noised position."""

    @abstractmethod
    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the loss of each position."""

    def gradient(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Tensor | None:
        """Return its derivative by the logits, (n, V); None for autograd, chunk by chunk."""
        return None


class CrossEntropy(PositionLoss):
    """−log q(x₁)."""

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return −log q(x₁)."""
        return -log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)


@dataclass(frozen=True)
class BoundIntegrand(PositionLoss):
    """The integrand over t of the bound on −log p(x₁), nats (11.3, 11.4)."""

    path: Path

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """Return the integrand of the path at each position."""
        return self.path.nelbo(log_q, positions.x_1, positions.x_t, positions.t)


class RatioLoss(ABC):
    """A loss of log r at a noised position, and of the reference that r is a ratio to."""

    @abstractmethod
    def __call__(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n"]:
        """Return the loss of each position."""

    def gradient(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Tensor | None:
        """Return its derivative by log r, (n, V); None for autograd, chunk by chunk."""
        return None


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
        reference = self.log_reference[positions.index].to(log_q.dtype)
        return self.loss(log_q - reference, reference, positions)

    def gradient(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Tensor | None:
        """Return the derivative by the logits, g − q Σ g for a derivative g by log r."""
        reference = self.log_reference[positions.index].to(log_q.dtype)
        by_ratio = self.loss.gradient(log_q - reference, reference, positions)
        return None if by_ratio is None else by_ratio - log_q.exp() * by_ratio.sum(-1, True)


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

    def gradient(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Tensor | None:
        """Return the derivative by log r, which equals that by the logits."""
        return self.loss.gradient(torch.log_softmax(log_reference + log_r, -1), positions)


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

    def gradient(self, logits: Float[Tensor, "m V"], chunk: slice) -> Tensor | None:
        """Return softmax − label."""
        q = logits.float().softmax(-1)
        return q.scatter_add(-1, self.labels[chunk, None], -torch.ones_like(q[:, :1]))
