"""First-hitting: masked positions are unmasked one after the other, at times drawn first (12.4).

A position is unmasked by time t with probability α(t), independently of the model, so that its
level α is uniform. The order and the times are drawn first, and the network runs only when a
position is unmasked: L calls with one position per call, exact for the true conditionals.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn

from tcsm.noise import Noise
from tcsm.samplers.base import PathSampler, Sampled
from tcsm.samplers.conditioning import Conditioning


@dataclass(frozen=True)
class Unmasking:
    """The order and the levels at which positions are unmasked, independent of the model.

    Attributes:
        order: positions, the first to be unmasked first.
        level: α at which they do, rising.
        at_once: number of positions that are unmasked in one call.
    """

    order: Int64[Tensor, "B L"]
    level: Float64[Tensor, "B L"]
    at_once: int

    def among(self, noised: Bool[Tensor, "L"], steps: int) -> "Unmasking":
        """Return the order of the free positions only, for ``steps`` calls at most."""
        kept, count = noised[self.order], int(noised.sum())
        order, level = (part[kept].view(len(part), count) for part in (self.order, self.level))
        return Unmasking(order, level, max(1, math.ceil(count / steps)))


@dataclass(frozen=True)
class FirstHitting(PathSampler):
    """At most ``steps`` network calls, each for ⌈n/steps⌉ of n positions; exact for steps ≥ n.

    A time-conditioned network gets the time of the first of them.

    Raises:
        InputError: the source is not the mask.
    """

    def __post_init__(self) -> None:
        """Refuse other sources than the mask."""
        super().__post_init__()
        self.require_mask("first_hitting", "ancestral or leaping")

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw sequences, unmasking groups of positions in the order of their levels."""
        posterior, known = self.posterior(model), self.conditioning(conditioning, length, model)
        x_t = self.start(count, seed, known)
        unmasking = self.unmasking(count, length, seed, x_t.device).among(~known.fixed, self.steps)
        u = self._noise(count, seed, x_t.device).uniform("token", length)
        groups = range(0, unmasking.order.shape[1], unmasking.at_once)
        changed = torch.zeros_like(x_t, dtype=torch.int64)
        for number, first in enumerate(groups, 1):
            now = unmasking.order[:, first : first + unmasking.at_once]
            positions = torch.zeros_like(x_t, dtype=torch.bool).scatter(1, now, True)
            t = self.path.schedule.inverse(unmasking.level[:, first])
            changed[positions] = number
            x_t[positions] = posterior.draw(x_t, t, positions, u[positions])
        return Sampled(x_t, len(groups), changed)

    def unmasking(self, count: int, length: int, seed: int, device: torch.device) -> Unmasking:
        """Return the order in which a call with the same arguments unmasks its positions."""
        level, order = self._noise(count, seed, device).uniform("level", length).sort(-1)
        return Unmasking(order, level, math.ceil(length / self.steps))

    def _noise(self, count: int, seed: int, device: torch.device) -> Noise:
        return Noise(seed, 0, torch.arange(count, device=device), count)
