"""Sources: the distribution p₀ of pure noise at one position, and its likelihood bound.

V clean tokens 0 … V − 1. The mask source adds the state M = V, which data never holds.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.errors import InputError


@dataclass(frozen=True)
class Source(ABC):
    """p₀ over the states of one position.

    Attributes:
        vocabulary: V, the number of clean tokens that data can hold.

    Raises:
        InputError: fewer than two tokens.
    """

    vocabulary: int

    def __post_init__(self) -> None:
        """Refuse fewer than two tokens."""
        if self.vocabulary < 2:
            raise InputError(f"source.vocabulary must be at least 2, found {self.vocabulary}")

    @property
    @abstractmethod
    def states(self) -> int:
        """Return the number of states of a noised position."""

    @abstractmethod
    def draw(self, u: Float[Tensor, "*s"]) -> Int[Tensor, "*s"]:
        """Return x₀ ∼ p₀ from uniforms u in [0, 1)."""

    @abstractmethod
    def probability(self, x: Int[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return p₀(x), float64."""

    @abstractmethod
    def noised(self, x_t: Int[Tensor, "*s"]) -> Bool[Tensor, "*s"]:
        """Return the positions whose data value x_t leaves unknown; losses are defined there."""

    @abstractmethod
    def evidence(self, alpha: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return λ_t, the log-odds that x_t^i = v adds to x₁^i = v over other tokens (1.4)."""

    @abstractmethod
    def nelbo(
        self,
        log_pi: Float[Tensor, "n V"],
        x_1: Int[Tensor, "n"],
        x_t: Int[Tensor, "n"],
        alpha: Float[Tensor, "n"],
    ) -> Float[Tensor, "n"]:
        """Return the integrand of the reverse-process bound, in units of α̇ dt (11.3, 11.4).

        ``log_pi`` is the leave-one-out distribution log p(x₁^i | x_t^{≠i}) (1.5).
        """


class Mask(Source):
    """p₀ = δ_M: absorbing noise."""

    @property
    def states(self) -> int:
        """Return V + 1: the clean tokens and M."""
        return self.vocabulary + 1

    def draw(self, u: Float[Tensor, "*s"]) -> Int[Tensor, "*s"]:
        """Return M everywhere."""
        return torch.full_like(u, self.vocabulary, dtype=torch.int64)

    def probability(self, x: Int[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return 1 at M, 0 elsewhere."""
        return (x == self.vocabulary).double()

    def noised(self, x_t: Int[Tensor, "*s"]) -> Bool[Tensor, "*s"]:
        """Return the masked positions."""
        return x_t == self.vocabulary

    def evidence(self, alpha: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return 0, since M is independent of the token."""
        return torch.zeros_like(alpha)

    def nelbo(
        self,
        log_pi: Float[Tensor, "n V"],
        x_1: Int[Tensor, "n"],
        x_t: Int[Tensor, "n"],
        alpha: Float[Tensor, "n"],
    ) -> Float[Tensor, "n"]:
        """Return −log π(x₁)/(1 − α), the bound of MDLM and MD4 (11.3)."""
        return -log_pi.gather(-1, x_1[:, None]).squeeze(-1) / (1 - alpha)


class Uniform(Source):
    """p₀ = 1/V: uniform noise."""

    @property
    def states(self) -> int:
        """Return V."""
        return self.vocabulary

    def draw(self, u: Float[Tensor, "*s"]) -> Int[Tensor, "*s"]:
        """Return ⌊uV⌋."""
        return (u * self.vocabulary).long()

    def probability(self, x: Int[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return 1/V."""
        return torch.full_like(x, 1 / self.vocabulary, dtype=torch.float64)

    def noised(self, x_t: Int[Tensor, "*s"]) -> Bool[Tensor, "*s"]:
        """Return all positions."""
        return torch.ones_like(x_t, dtype=torch.bool)

    def evidence(self, alpha: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return λ_t = log(1 + V α/(1 − α)) (1.4)."""
        return torch.logaddexp(torch.zeros_like(alpha), math.log(self.vocabulary) + alpha.logit())

    def nelbo(
        self,
        log_pi: Float[Tensor, "n V"],
        x_1: Int[Tensor, "n"],
        x_t: Int[Tensor, "n"],
        alpha: Float[Tensor, "n"],
    ) -> Float[Tensor, "n"]:
        """Return (αV)⁻¹ Σ_{y≠x_t} r_y (e^d − 1 − d), d = log s − log r: UDLM's bound (11.4).

        r_y = w(y|x₁)/w(x_t|x₁), w(a|x₁) = α 1[a=x₁] + (1 − α)/V, and s the same under π.
        """
        V, alpha = self.vocabulary, alpha[:, None]
        data = torch.nn.functional.one_hot(x_1, V).to(log_pi.dtype)
        log_r = torch.log(alpha * V * data + 1 - alpha)
        log_s = torch.log(alpha * V * log_pi.exp() + 1 - alpha)
        here = x_t[:, None]
        log_r, log_s = log_r - log_r.gather(-1, here), log_s - log_s.gather(-1, here)
        d = log_s - log_r  # 0 at y = x_t, which therefore adds nothing
        return (log_r.exp() * (torch.expm1(d) - d)).sum(-1) / (alpha.squeeze(-1) * V)
