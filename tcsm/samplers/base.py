"""The walk from noise to data on a grid 0 = t₀ < … < t_N = 1 (§12).

The data value is drawn first, from q^i in float64, then the branch that takes it: putting "stay"
and V tokens in one fp32 categorical under-draws rare tokens (12.6).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.posteriors.base import Posterior
from tcsm.process.paths import Path
from tcsm.samplers.conditioning import Conditioning, resolve_conditioning


@dataclass(frozen=True)
class Sampled:
    """Tokens, and what they cost.

    Attributes:
        tokens: samples of x₁.
        network_calls: passes of the network over the batch.
    """

    tokens: Int[Tensor, "B L"]
    network_calls: int


@dataclass(frozen=True)
class Sampler(ABC):
    """A way to draw x₁ from a model.

    Attributes:
        steps: size of the time grid N.

    Raises:
        InputError: fewer than one step.
    """

    steps: int

    def __post_init__(self) -> None:
        """A walk has a step."""
        if self.steps < 1:
            raise InputError(f"sampler.steps must be at least 1, found {self.steps}")

    @abstractmethod
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw ``count`` sequences; a pure function of the seed and of what is given."""


@dataclass(frozen=True)
class SamplerStep:
    """One step of a walk.

    Attributes:
        x_t: where it begins.
        open: the positions that it may change.
        t: when it begins.
        s: when it ends, s > t.
        noise: its randomness.
    """

    x_t: Int[Tensor, "B L"]
    noised: Bool[Tensor, "B L"]
    t: Float[Tensor, "B"]
    s: Float[Tensor, "B"]
    noise: Noise


@dataclass(frozen=True)
class PathSampler(Sampler):
    """A sampler that inverts a noising path.

    Attributes:
        path: the noising process.
    """

    path: Path

    def posterior(self, model: nn.Module) -> Posterior:
        """The model, which must be a posterior of some path.

        Raises:
            InputError: it is not.
        """
        if not isinstance(model, Posterior):
            name, found = type(self).__name__, type(model).__name__
            raise InputError(
                f"sampler: {name} needs a posterior, found {found}; use next_token for an "
                "autoregressive model, importance for a joint one"
            )
        return model

    def conditioning(
        self, conditioning: Conditioning | None, length: int, model: nn.Module
    ) -> Conditioning:
        """What is given, or nothing, where the model lives."""
        return resolve_conditioning(
            conditioning, length, self.path.source.vocabulary, device_of(model)
        )

    def start(self, count: int, seed: int, conditioning: Conditioning) -> Int[Tensor, "B L"]:
        """x₀ ∼ p₀, with the known positions in their places."""
        device = conditioning.tokens.device
        noise = Noise(seed, -1, torch.arange(count, device=device), count)
        return conditioning.hold(
            self.path.source.draw(noise.uniform("start", len(conditioning.tokens)))
        )

    def walk(
        self,
        step: Callable[[SamplerStep], Tensor],
        x_t: Int[Tensor, "B L"],
        seed: int,
        conditioning: Conditioning,
    ) -> Int[Tensor, "B L"]:
        """Takes a step for each interval of the grid; none changes a known position."""
        ids = torch.arange(len(x_t), device=x_t.device)
        grid = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64, device=x_t.device)
        for index in range(self.steps):
            t, s = (grid[at].expand(len(x_t)) for at in (index, index + 1))
            noised = self.path.source.noised(x_t) & ~conditioning.fixed
            x_t = step(SamplerStep(x_t, noised, t, s, Noise(seed, index, ids, len(x_t))))
        return x_t


@dataclass(frozen=True)
class GridSampler(PathSampler):
    """A sampler that steps along the grid, one network call a step."""

    @abstractmethod
    def step(self, posterior: Posterior, leg: SamplerStep) -> Int[Tensor, "B L"]:
        """The state at the leg's end."""

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Walk the grid."""
        posterior, known = self.posterior(model), self.conditioning(conditioning, length, model)
        x_t = self.start(count, seed, known)
        return Sampled(self.walk(partial(self.step, posterior), x_t, seed, known), self.steps)


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights live."""
    return next(model.parameters()).device
