"""Predictor–corrector: each ancestral step is followed by redraws of single positions (12.5).

With the exact posterior, a redraw of position i leaves p_s invariant, so it removes error of the
step and adds none: for masks M with probability 1 − α_s, else y ∼ q^i(· | x, i masked); for
uniform noise y ∼ α_s π^i + (1 − α_s)/V, with π^i(y) ∝ q^i(y | x)/p(x^i | y) the posterior given
the other positions.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float64, Int, Int64
from torch import Tensor

from tcsm.errors import InputError
from tcsm.models.base import Posterior
from tcsm.noise import Noise, categorical
from tcsm.process.sources import Mask
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.stepping import SamplerStep, StateSampler, draw


@dataclass(frozen=True)
class Corrected(StateSampler):
    """Ancestral steps with ``redraws`` network calls each for a uniformly drawn position.

    The last step, after which nothing is noised, has none. A network call redraws one position of
    each sequence.

    Attributes:
        redraws: redraws after each step.

    Raises:
        InputError: a negative number of redraws.
    """

    redraws: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a negative number."""
        super().__post_init__()
        if self.redraws < 0:
            raise InputError(f"sampler.redraws must be 0 or more, found {self.redraws}")

    @property
    def calls(self) -> int:
        """Return the number of network calls."""
        return self.steps + (self.steps - 1) * self.redraws

    def step(
        self, posterior: Posterior, free: Bool[Tensor, "L"], step: SamplerStep
    ) -> Int[Tensor, "B L"]:
        """Return x_s after its redraws."""
        predictor = Ancestral(steps=self.steps, path=self.path, grid=self.grid)
        x_s = draw(posterior, step.x_t, step.t, predictor.outcomes(step))
        for number in range(self.redraws if (step.s < 1).all() and free.any() else 0):
            x_s = self.redraw(posterior, x_s, step.s, free, step.noise, number)
        return x_s

    def redraw(
        self,
        posterior: Posterior,
        x: Int64[Tensor, "B L"],
        s: Float64[Tensor, "B"],
        free: Bool[Tensor, "L"],
        noise: Noise,
        number: int,
    ) -> Int64[Tensor, "B L"]:
        """Return x with one free position of each sequence redrawn given the others."""
        u = noise.uniform(f"redraw {number}", 3)
        places = free.nonzero()[:, 0]
        place = places[(u[:, 0] * len(places)).long()]
        here = torch.zeros_like(x, dtype=torch.bool).scatter(1, place[:, None], True)
        source, alpha = self.path.source, self.path.alpha(s)
        if isinstance(source, Mask):
            masked = x.masked_fill(here, source.vocabulary)
            y = categorical(posterior.log_conditionals(masked, s, here), u[:, 2])
            return masked.masked_scatter(here, torch.where(u[:, 1] < alpha, y, masked[here]))
        noised = (1 - alpha) / source.vocabulary
        tokens = torch.arange(source.vocabulary, device=x.device)
        seen = alpha[:, None] * (x[here][:, None] == tokens) + noised[:, None]
        log_q = posterior.log_conditionals(x, s, here).double()
        given_others = torch.softmax(log_q - seen.log(), -1)
        log_y = (alpha[:, None] * given_others + noised[:, None]).log()
        return x.masked_scatter(here, categorical(log_y, u[:, 2]))
