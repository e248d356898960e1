"""First-hitting: masked sites open one after the other, at times drawn beforehand (12.4).

A site is open by time t with probability α(t), whatever the model says: its opening level α is
uniform. So the order and the times are drawn first, and the network runs only when something
happens: L calls for one site a call, exact for a network that gives the true conditionals.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from tcsm.errors import InputError
from tcsm.noise import Noise, categorical
from tcsm.process.sources import Mask
from tcsm.samplers.base import PathSampler, Sampled, device_of


@dataclass(frozen=True)
class FirstHitting(PathSampler):
    """At most ``steps`` network calls, each opening ⌈L/steps⌉ sites; exact for steps ≥ L.

    A time-conditioned network is given the time of the first of them.

    Raises:
        InputError: the source is not the mask.
    """

    def __post_init__(self) -> None:
        """Only masks are hit."""
        super().__post_init__()
        if not isinstance(self.path.source, Mask):
            found = type(self.path.source).__name__
            raise InputError(
                f"sampler first_hitting needs the Mask source, found {found}; "
                "set sampler=ancestral or leaping"
            )

    @torch.no_grad()
    def __call__(self, model: nn.Module, count: int, length: int, seed: int) -> Sampled:
        """Open groups of sites in the order of their levels."""
        posterior = self.posterior(model)
        x_t = self.start(count, length, seed, device_of(model))
        noise = Noise(seed, 0, torch.arange(count, device=x_t.device), count)
        level, order = noise.uniform("level", length).sort(-1)
        u = noise.uniform("token", length)
        at_once = math.ceil(length / self.steps)
        groups = range(0, length, at_once)
        for first in groups:
            now = order[:, first : first + at_once]
            sites = torch.zeros_like(x_t, dtype=torch.bool).scatter(1, now, True)
            t = self.path.schedule.inverse(level[:, first])
            x_t[sites] = categorical(posterior.log_conditionals(x_t, t, sites), u[sites])
        return Sampled(x_t, len(groups))
