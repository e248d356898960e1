"""The contract of samplers, and steps on a time grid 0 = t₀ < … < t_N = 1 (§12).

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
from tcsm.models.base import Posterior
from tcsm.noise import Noise
from tcsm.process.paths import Path
from tcsm.samplers.conditioning import Conditioning, resolve_conditioning


@dataclass(frozen=True)
class Sampled:
    """Samples, and the number of network calls.

    Attributes:
        tokens: samples of x₁.
        network_calls: passes of the network over the batch.
    """

    tokens: Int[Tensor, "B L"]
    network_calls: int


@dataclass(frozen=True)
class Sampler(ABC):
    """A method to draw x₁ from a model.

    Attributes:
        steps: size of the time grid N.

    Raises:
        InputError: fewer than one step.
    """

    steps: int

    def __post_init__(self) -> None:
        """Refuse fewer than one step."""
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
        """Draw ``count`` sequences; a pure function of the seed and the conditioning."""


@dataclass(frozen=True)
class SamplerStep:
    """One step of a sampler from time t to time s > t.

    Attributes:
        x_t: the state at time t.
        noised: the positions that may change.
        t: time at the start.
        s: time at the end, s > t.
        noise: the step's randomness.
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
        """Return the model, which must be a `Posterior`.

        Raises:
            InputError: it is not.
        """
        if not isinstance(model, Posterior):
            sampler, name = type(self).__name__, type(model).__name__
            raise InputError(
                f"sampler: {sampler} needs a posterior, found {name}; use next_token for an "
                "autoregressive model, importance for a joint one"
            )
        return model

    def conditioning(
        self, conditioning: Conditioning | None, length: int, model: nn.Module
    ) -> Conditioning:
        """Return the conditioning on the model's device; an empty one for None."""
        return resolve_conditioning(
            conditioning, length, self.path.source.vocabulary, device_of(model)
        )

    def start(self, count: int, seed: int, conditioning: Conditioning) -> Int[Tensor, "B L"]:
        """Draw x₀ ∼ p₀, with the known tokens at their positions."""
        device = conditioning.tokens.device
        noise = Noise(seed, -1, torch.arange(count, device=device), count)
        return conditioning.restore(
            self.path.source.draw(noise.uniform("start", len(conditioning.tokens)))
        )

    def walk(
        self,
        step: Callable[[SamplerStep], Tensor],
        x_t: Int[Tensor, "B L"],
        seed: int,
        conditioning: Conditioning,
    ) -> Int[Tensor, "B L"]:
        """Return the state after a step for each interval of the grid; known positions stay."""
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
    def step(self, posterior: Posterior, step: SamplerStep) -> Int[Tensor, "B L"]:
        """Return the state at the end of the step."""

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw sequences by one network call for each interval of the grid."""
        posterior, known = self.posterior(model), self.conditioning(conditioning, length, model)
        x_t = self.start(count, seed, known)
        return Sampled(self.walk(partial(self.step, posterior), x_t, seed, known), self.steps)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's weights."""
    return next(model.parameters()).device
