"""Per-position losses: functions of the log-conditionals of a noised position.

Of their ratios to a reference, too: log r = log q − log q_ref for every token (9.1).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.paths import Path


class PositionLoss(ABC):
    """A loss at one noised position, from its log-conditionals."""

    @abstractmethod
    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """One number a position."""

    def gradient(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Tensor | None:
        """Its derivative by the logits, (n, V); None lets autograd find it, chunk by chunk."""
        return None


class CrossEntropy(PositionLoss):
    """−log q(x₁)."""

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """−log q(x₁)."""
        return -log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)


@dataclass(frozen=True)
class BoundIntegrand(PositionLoss):
    """The integrand over t of the bound on −log p(x₁), nats (11.3, 11.4)."""

    path: Path

    def __call__(self, log_q: Float[Tensor, "n V"], positions: Positions) -> Float[Tensor, "n"]:
        """As the path says."""
        return self.path.nelbo(log_q, positions.x_1, positions.x_t, positions.t)


class RatioLoss(ABC):
    """A loss at one noised position, from log r and from the reference that r is taken to."""

    @abstractmethod
    def __call__(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n"]:
        """One number a position."""

    def gradient(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Tensor | None:
        """Its derivative by log r, (n, V); None lets autograd find it, chunk by chunk."""
        return None


@dataclass(frozen=True)
class ReferenceRatioLoss(PositionLoss):
    """A loss of r = q/q_ref, which normalizes itself: E_ref r = 1 (9.2).

    Attributes:
        loss: what is made of log r.
        log_reference: log q_ref at all noised positions of one batch, in row-major order.
        drawn: the batch.
    """

    loss: RatioLoss
    log_reference: Float[Tensor, "n V"]
    drawn: Corrupted

    def __call__(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Float[Tensor, "m"]:
        """At some of the noised positions."""
        reference = self._reference(log_q, positions)
        return self.loss(log_q - reference, reference, positions)

    def gradient(self, log_q: Float[Tensor, "m V"], positions: Positions) -> Tensor | None:
        """By the logits: a softmax takes from all what it gives to one."""
        reference = self._reference(log_q, positions)
        by_ratio = self.loss.gradient(log_q - reference, reference, positions)
        return None if by_ratio is None else by_ratio - log_q.exp() * by_ratio.sum(-1, True)

    def _reference(
        self, log_q: Float[Tensor, "m V"], positions: Positions
    ) -> Float[Tensor, "m V"]:
        return self.log_reference[self.drawn.places(positions)].to(log_q.dtype)


@dataclass(frozen=True)
class NormalizedRatioLoss(RatioLoss):
    """A loss of q ∝ q_ref r, where r itself is free (9.4).

    Attributes:
        loss: what is made of log q.
    """

    loss: PositionLoss

    def __call__(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Float[Tensor, "n"]:
        """The loss at log q."""
        return self.loss(torch.log_softmax(log_reference + log_r, -1), positions)

    def gradient(
        self,
        log_r: Float[Tensor, "n V"],
        log_reference: Float[Tensor, "n V"],
        positions: Positions,
    ) -> Tensor | None:
        """By log r, which enters as logits do."""
        return self.loss.gradient(torch.log_softmax(log_reference + log_r, -1), positions)
