"""Noise schedules: α(t) rises from 0 (noise, t = 0) to 1 (data, t = 1).

κ(t) = α̇/(1 − α) is the rate at which positions reach their data value, and the weight that makes
the masked cross-entropy a likelihood bound (11.3).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.errors import InputError


class Schedule(ABC):
    """α, α̇ and α⁻¹ on [0, 1], elementwise."""

    @abstractmethod
    def alpha(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return α(t), the probability that a position holds its data value at time t."""

    @abstractmethod
    def alpha_dot(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return α̇(t)."""

    @abstractmethod
    def inverse(self, alpha: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return the time t with α(t) = α."""

    def kappa(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return κ = α̇/(1 − α), infinite at t = 1."""
        return self.alpha_dot(t) / (1 - self.alpha(t))


@dataclass(frozen=True)
class Linear(Schedule):
    """α = t."""

    def alpha(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return t."""
        return t

    def alpha_dot(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return 1."""
        return torch.ones_like(t)

    def inverse(self, alpha: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return α."""
        return alpha


@dataclass(frozen=True)
class Polynomial(Schedule):
    """α = t^power.

    Raises:
        InputError: the power is not positive.
    """

    power: float

    def __post_init__(self) -> None:
        """Refuse a power that is not positive."""
        if not 0 < self.power < math.inf:
            raise InputError(f"schedule.power must be positive, found {self.power}")

    def alpha(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return t^power."""
        return t**self.power

    def alpha_dot(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return power · t^(power − 1)."""
        return self.power * t ** (self.power - 1)

    def inverse(self, alpha: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return α^(1/power)."""
        return alpha ** (1 / self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """α = 1 − cos(πt/2)."""

    def alpha(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return 1 − cos(πt/2), as 2 sin²(πt/4): exact near t = 0."""
        return 2 * torch.sin(math.pi / 4 * t) ** 2

    def alpha_dot(self, t: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return (π/2) sin(πt/2)."""
        return math.pi / 2 * torch.sin(math.pi / 2 * t)

    def inverse(self, alpha: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return (4/π) asin √(α/2)."""
        return 4 / math.pi * torch.asin(torch.sqrt(alpha / 2))
