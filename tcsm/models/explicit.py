"""A factorized posterior by its density ratio to a frozen one (9.4).

    q^i(y | x_t) ∝ q_ref^i(y | x_t) r^i(y | x_t),        log r = c tanh(logits/c)

The network's log r is unconstrained, E_ref r ≠ 1: r is normalized where q is used, and not where r
is trained. A last layer that starts at zero, hence r = 1, and the soft clamp |log r| < c keep it
stable.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.divergences.closed_form import ClosedForm, at
from tcsm.errors import InputError
from tcsm.models.base import Posterior
from tcsm.models.factorized import Factorized, at_least_float
from tcsm.models.losses import NormalizedRatioLoss, PositionLoss, RatioLoss, ReferenceRatioLoss
from tcsm.nets.base import Net
from tcsm.nets.head import LossValues, WeightedLoss
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.paths import Path


class Explicit(Posterior):
    """A posterior whose ratio is trained and whose reference is frozen.

    Args:
        net: its logits are those of log r.
        reference: q_ref, frozen here.
        clamp: c, or None for log r = logits.
        zero: whether the last layer starts at zero, else from N(0, 1/D).

    Raises:
        InputError: a clamp that is not positive.
    """

    def __init__(
        self, net: Net, reference: Factorized, clamp: float | None = 20.0, zero: bool = True
    ) -> None:
        if clamp is not None and not clamp > 0:
            raise InputError(f"model.clamp must be positive or null, found {clamp}")
        super().__init__()
        self.net, self.reference = net, reference.requires_grad_(False)
        self.clamp, self.zero = clamp, zero
        self.reset_head()

    def reset_head(self) -> None:
        """Initialize the last layer anew, since its logits are now those of a ratio."""
        for weight in self.net.head.parameters():
            scale = 0.0 if self.zero else weight.shape[-1] ** -0.5
            nn.init.normal_(weight, std=scale)

    @property
    def path(self) -> Path:
        """Return the reference's path."""
        return self.reference.path

    def ratios(self, logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
        """Return log r, in fp32 at least."""
        free = at_least_float(logits)
        return free if self.clamp is None else self.clamp * torch.tanh(free / self.clamp)

    def weighted_loss(
        self, batch: Corrupted, loss: PositionLoss, weight: Float[Tensor, "n"]
    ) -> WeightedLoss:
        """Return Σ weight · loss, of the network's own ratio for a loss of a ratio, else of q."""
        if isinstance(loss, ReferenceRatioLoss):
            ratio_loss, log_reference = loss.loss, loss.log_reference
        else:
            ratio_loss = NormalizedRatioLoss(loss)
            log_reference = self.reference.log_conditionals(batch.x_t, batch.t, batch.noised)
        logit_loss = _LogitLoss(self, ratio_loss, log_reference, batch.positions())
        result: WeightedLoss = self.net(batch.x_t, batch.t, batch.noised, logit_loss, weight)
        return result

    def log_conditionals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log softmax(log q_ref + log r) at the chosen noised positions."""
        log_reference = self.reference.log_conditionals(x_t, t, positions)
        return torch.log_softmax(log_reference + self.ratios(self.net(x_t, t, positions)), -1)


@dataclass(frozen=True)
class _LogitLoss:
    """The loss as a function of the logits of a chunk."""

    model: Explicit
    loss: RatioLoss
    log_reference: Float[Tensor, "n V"]
    positions: Positions

    def __call__(self, logits: Float[Tensor, "m V"], chunk: slice) -> LossValues:
        log_r, log_reference, positions = self._at(logits, chunk)
        log_q = torch.log_softmax(log_reference + log_r.detach(), -1)
        cross_entropy = -log_q.gather(-1, positions.x_1[:, None]).squeeze(-1)
        return LossValues(self.loss(log_r, log_reference, positions), cross_entropy)

    def closed_form(
        self, logits: Float[Tensor, "m V"], spare: Float[Tensor, "m V"], chunk: slice
    ) -> tuple[ClosedForm, Tensor]:
        log_r, log_reference, positions = self._at(logits, chunk)
        log_q = torch.log_softmax(torch.add(log_reference, log_r, out=spare), -1, out=spare)
        cross_entropy, clamp = -at(log_q, positions.x_1), self.model.clamp
        if clamp is None:
            return self.loss.closed_form(log_r, log_reference, positions), cross_entropy
        slope = torch.div(log_r, clamp, out=spare).square_().neg_().add_(1)  # 1 − tanh²
        closed = self.loss.closed_form(log_r, log_reference, positions)
        return ClosedForm(closed.loss, slope.mul_(closed.gradient())), cross_entropy

    def _at(self, logits: Float[Tensor, "m V"], chunk: slice) -> tuple[Tensor, Tensor, Positions]:
        log_r = self.model.ratios(logits)
        return log_r, self.log_reference[chunk].to(log_r.dtype), self.positions[chunk]
