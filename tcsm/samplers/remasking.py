"""Remasking: visible positions may be masked again, so that early errors are mended (ReMDM).

Wang et al. 2025, eq. 6, in the time of this package: from t to s > t, with σ ∈ [0, σ_max] and
σ_max = min(1, (1 − α_s)/α_t),

    x_s^i = M with probability σ where x_t^i is visible,
    x_s^i ∼ q^i with probability (α_s − (1 − σ) α_t)/(1 − α_t) where it is masked, else M.

The chance to be visible at s is α_s for every σ, so that with the exact posterior each position by
itself has its exact marginal at all times; σ = 0 is ancestral sampling.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.errors import InputError
from tcsm.models.base import Posterior
from tcsm.samplers.stepping import SamplerStep, StateSampler


@dataclass(frozen=True)
class RemaskingRate(ABC):
    """σ as a function of its largest value.

    Attributes:
        eta: η in [0, 1]; 0 never masks again.

    Raises:
        InputError: η is out of its range.
    """

    eta: float

    def __post_init__(self) -> None:
        """Refuse an η out of its range."""
        if not 0 <= self.eta <= 1:
            raise InputError(f"sampler.rate.eta must be in [0, 1], found {self.eta}")

    @abstractmethod
    def __call__(self, most: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return σ for σ_max."""


@dataclass(frozen=True)
class Capped(RemaskingRate):
    """σ = min(η, σ_max), ReMDM-cap."""

    def __call__(self, most: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return min(η, σ_max)."""
        return most.clamp(max=self.eta)


@dataclass(frozen=True)
class Rescaled(RemaskingRate):
    """σ = η σ_max, ReMDM-rescale."""

    def __call__(self, most: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return η σ_max."""
        return self.eta * most


@dataclass(frozen=True)
class Remasking(StateSampler):
    """Ancestral sampling that also masks visible positions; one network call a step.

    Attributes:
        rate: σ.

    Raises:
        InputError: the source is not the mask.
    """

    rate: RemaskingRate = field(default=Capped(0.02), kw_only=True)

    def __post_init__(self) -> None:
        """Refuse other sources than the mask."""
        super().__post_init__()
        self.require_mask("remasking", "corrected")

    def step(
        self, posterior: Posterior, free: Bool[Tensor, "L"], step: SamplerStep
    ) -> Int[Tensor, "B L"]:
        """Return x_s."""
        shown_before, shown = (self.path.alpha(time)[:, None] for time in (step.t, step.s))
        most = torch.where(shown_before > 0, (1 - shown) / shown_before, 1.0).clamp(max=1)
        sigma = self.rate(most)
        u = step.noise.uniform("step", step.x_t.shape[1], 2)
        chance = (shown - (1 - sigma) * shown_before) / (1 - shown_before)
        filled = step.noised & (u[..., 0] < chance)
        masked = free & ~step.noised & (u[..., 0] < sigma)
        x_s = torch.where(masked, self.path.source.vocabulary, step.x_t)
        if filled.any():
            x_s[filled] = posterior.draw(step.x_t, step.t, filled, u[..., 1][filled])
        return x_s
