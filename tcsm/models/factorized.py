"""Factorized posteriors q(x₁ | x_t) = ∏ᵢ q^i(x₁^i | x_t), from one pass of a network.

    Factorized:   q = softmax(logits)
    LeaveOneOut:  π = softmax(logits),  q = softmax(logits + λ_t · 1[y = x_t])          (1.4, 1.5)

At a masked position both coincide. For uniform noise the second keeps the scale of logits
independent of t and the likelihood bound finite. The mask state has no logit, so no output ever
holds it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from tcsm.divergences.closed_form import ClosedForm, at
from tcsm.models.base import Posterior
from tcsm.models.losses import PositionLoss
from tcsm.nets.base import Net
from tcsm.nets.head import LossValues, WeightedLoss
from tcsm.noise import categorical
from tcsm.process.corruption import Corrupted, Positions
from tcsm.process.paths import Path, add_at, add_at_

CACHED_TOKENS = 2048  # that the network reads at once to draw on a CPU, for each thread


class Factorized(Posterior):
    """q^i = softmax of the logits at position i.

    Args:
        net: the network, or its wrapper for data parallelism.
        path: the noising process it inverts.
    """

    def __init__(self, net: Net, path: Path) -> None:
        super().__init__()
        self.net, self.path = net, path

    def conditionals(
        self, logits: Float[Tensor, "n V"], positions: Positions
    ) -> Float[Tensor, "n V"]:
        """Return log q of the logits, in fp32 at least."""
        return torch.log_softmax(at_least_float(self.unnormalized(logits, positions)), -1)

    def unnormalized(
        self, logits: Float[Tensor, "n V"], positions: Positions
    ) -> Float[Tensor, "n V"]:
        """Return log q up to a constant of each position."""
        return logits

    def conditionals_(
        self, logits: Float[Tensor, "n V"], positions: Positions
    ) -> Float[Tensor, "n V"]:
        """Return the same in the memory of the logits."""
        return torch.log_softmax(logits, -1, out=logits)

    def weighted_loss(
        self, batch: Corrupted, loss: PositionLoss, weight: Float[Tensor, "n"]
    ) -> WeightedLoss:
        """Return Σ weight · loss by one pass; the head runs on noised positions only."""
        logit_loss = _LogitLoss(self, loss, batch.positions())
        result: WeightedLoss = self.net(batch.x_t, batch.t, batch.noised, logit_loss, weight)
        return result

    def log_conditionals(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log q^i(· | x_t) at the chosen noised positions."""
        return self.conditionals(self.net(x_t, t, positions), self._places(x_t, t, positions))

    @torch.no_grad()
    def draw(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        positions: Bool[Tensor, "B L"],
        u: Float64[Tensor, "n"],
    ) -> Int64[Tensor, "n"]:
        """Draw x₁^i without normalizing q^i; equal sequences are read once, as all masks are.

        On a CPU the network reads a few sequences at a time, whose activations fit its cache.
        """
        if not self.net.timed and torch.equal(x_t, x_t[:1].expand_as(x_t)):
            anywhere = positions.any(0, keepdim=True)
            logits = self.net(x_t[:1], t[:1], anywhere)
            logits = logits[(anywhere.cumsum(1) - 1).expand_as(positions)[positions]]
            return categorical(self.unnormalized(logits, self._places(x_t, t, positions)), u)
        on_cpu, length = x_t.device.type == "cpu", x_t.shape[1]
        size = CACHED_TOKENS * torch.get_num_threads() // length if on_cpu else len(x_t)
        parts = [torch.split(part, max(1, size)) for part in (x_t, t, positions)]
        uniforms = torch.split(u, [int(part.sum()) for part in parts[2]])
        drawn = []
        for x, time, here, uniform in zip(*parts, uniforms, strict=True):
            logits = self.unnormalized(self.net(x, time, here), self._places(x, time, here))
            drawn.append(categorical(logits, uniform))
        return torch.cat(drawn)

    def _places(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], positions: Bool[Tensor, "B L"]
    ) -> Positions:
        row, column = positions.nonzero(as_tuple=True)
        here = x_t[row, column]
        return Positions(here, here, t[row], range(len(row)))


class LeaveOneOut(Factorized):
    """The network gives π = p(x₁^i | x_t^{≠i}); q adds the evidence of x_t^i (1.5)."""

    def unnormalized(
        self, logits: Float[Tensor, "n V"], positions: Positions
    ) -> Float[Tensor, "n V"]:
        """Return logits + λ_t 1[y = x_t]."""
        evidence = self.path.source.evidence(self.path.alpha(positions.t))
        logits = at_least_float(logits)
        return add_at(logits, positions.x_t, evidence.to(logits.dtype))

    def conditionals_(
        self, logits: Float[Tensor, "n V"], positions: Positions
    ) -> Float[Tensor, "n V"]:
        """Return the same in the memory of the logits."""
        evidence = self.path.source.evidence(self.path.alpha(positions.t)).to(logits.dtype)
        add_at_(logits, positions.x_t, evidence)
        return super().conditionals_(logits, positions)


@dataclass(frozen=True)
class _LogitLoss:
    """The loss as a function of the logits of a chunk."""

    posterior: Factorized
    loss: PositionLoss
    positions: Positions

    def __call__(self, logits: Float[Tensor, "n V"], chunk: slice) -> LossValues:
        positions = self.positions[chunk]
        log_q = self.posterior.conditionals(logits, positions)
        cross_entropy = -log_q.detach().gather(-1, positions.x_1[:, None]).squeeze(-1)
        return LossValues(self.loss(log_q, positions), cross_entropy)

    def closed_form(
        self, logits: Float[Tensor, "n V"], spare: Float[Tensor, "n V"], chunk: slice
    ) -> tuple[ClosedForm, Tensor]:
        positions = self.positions[chunk]
        log_q = self.posterior.conditionals_(logits, positions)
        cross_entropy = -at(log_q, positions.x_1)
        return self.loss.closed_form(log_q, positions, spare), cross_entropy


def at_least_float(logits: Tensor) -> Tensor:
    """Return the logits in at least single precision."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
