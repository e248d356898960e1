"""Distribution-level losses: proper scoring rules of one conditional against a label (5.1).

    ℓ(x; q) = −F(q) + ⟨∇F(q), q⟩ − ∇F(q)_x          E_{x∼p} ℓ = D_F(p, q) − F(p)

In Savage's form every convex F of a probability vector gives a loss whose optimum is q = p.
All of them take log-conditionals: q is normalized, log q ≤ 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tcsm.divergences import closed_form
from tcsm.divergences.closed_form import ClosedForm, Differentiated
from tcsm.errors import InputError


class ScoringRule(Differentiated, ABC):
    """A proper scoring rule, one loss per position; lower is better.

    ``local``: it is −log q_x, up to a constant.
    """

    local: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return ℓ(x; q) in Savage's form, no constant shifted."""

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ and its gradient by the logits, here by autograd from ℓ.

        It may overwrite ``log_q`` and ``spare``, memory for one more tensor of its size, and
        return one of them.
        """
        by_log_q = closed_form.by_autograd(lambda values: self(values, x), log_q)
        return closed_form.through_log_softmax(by_log_q, log_q)


def _at(log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    return log_q.gather(-1, x[:, None]).squeeze(-1)


@dataclass(frozen=True)
class KL(ScoringRule):
    """−log q_x: cross-entropy, F = Σ q log q. Forward KL with a factorized model."""

    local: ClassVar[bool] = True

    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return −log q_x."""
        return -_at(log_q, x)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return −log q_x and q − δ_x."""
        return closed_form.cross_entropy(log_q, x)


@dataclass(frozen=True)
class GeneralizedKL(ScoringRule):
    """1 − log q_x, F = Σ q log q − q: KL's equal, since q is normalized."""

    local: ClassVar[bool] = True

    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return 1 − log q_x."""
        return 1 - _at(log_q, x)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return 1 − log q_x and q − δ_x."""
        closed = closed_form.cross_entropy(log_q, x)
        return closed._replace(loss=1 + closed.loss)


@dataclass(frozen=True)
class ItakuraSaito(ScoringRule):
    """1/q_x + Σ log q − V, F = −Σ log q."""

    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return 1/q_x + Σ log q − V."""
        return torch.exp(-_at(log_q, x)) + log_q.sum(-1) - log_q.shape[-1]

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ and 1 − (V − 1/q_x) q − δ_x/q_x."""
        loss, inverse = self(log_q, x), torch.exp(-_at(log_q, x))
        dense = log_q.exp_().mul_((inverse - log_q.shape[-1])[:, None])
        closed_form.add(dense, x, -inverse)
        return ClosedForm(loss, dense, uniform=torch.ones_like(loss))


@dataclass(frozen=True)
class Brier(ScoringRule):
    """Σ q² − 2 q_x, F = Σ q². Its gradient vanishes where q is badly wrong: warm-start with KL."""

    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return Σ q² − 2 q_x."""
        return torch.exp(2 * log_q).sum(-1) - 2 * torch.exp(_at(log_q, x))

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ and 2 q (q − Σ q² + q_x − δ_x)."""
        q = log_q.exp_()
        label, square = _at(q, x), torch.linalg.vector_norm(q, dim=-1) ** 2
        dense = torch.sub(q, (square - label)[:, None], out=spare).mul_(q)
        closed_form.add(dense, x, -label)
        return ClosedForm(square - 2 * label, dense, torch.full_like(label, 2.0))


@dataclass(frozen=True)
class Spherical(ScoringRule):
    """−q_x/‖q‖, F = ‖q‖₂. Its gradient vanishes where q is badly wrong: warm-start with KL."""

    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return −q_x/‖q‖."""
        return -torch.exp(_at(log_q, x) - torch.logsumexp(2 * log_q, -1) / 2)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ and q_x (q² − ‖q‖² δ_x)/‖q‖³."""
        q = log_q.exp_()
        label, norm = _at(q, x), torch.linalg.vector_norm(q, dim=-1)
        dense = q.square_()
        closed_form.add(dense, x, -(norm**2))
        return ClosedForm(-label / norm, dense, label / norm**3)


@dataclass(frozen=True)
class Tsallis(ScoringRule):
    """Σ q^a/a − q_x^(a−1)/(a − 1), F = Σ q^a/(a(a − 1)); a = 2 is half of Brier.

    Raises:
        InputError: a is 0 or 1 (their limits are ItakuraSaito and KL).
    """

    order: float

    def __post_init__(self) -> None:
        """Refuse the two orders at which the formula divides by zero."""
        if self.order in (0, 1) or not math.isfinite(self.order):
            raise InputError(
                f"scoring.order must be finite, neither 0 (itakura_saito) nor 1 (kl), "
                f"found {self.order}"
            )

    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return Σ q^a/a − q_x^(a−1)/(a − 1)."""
        a = self.order
        return torch.exp(a * log_q).sum(-1) / a - torch.exp((a - 1) * _at(log_q, x)) / (a - 1)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ, by its derivative q^a − q_x^(a−1) δ_x by log q."""
        a = self.order
        power, label = torch.mul(log_q, a, out=spare).exp_(), torch.exp((a - 1) * _at(log_q, x))
        loss = power.sum(-1) / a - label / (a - 1)
        closed_form.add(power, x, -label)
        return closed_form.through_log_softmax(ClosedForm(loss, power), log_q)


@dataclass(frozen=True)
class OneVsRest(ScoringRule):
    """−log q_x − Σ_{y≠x} log(1 − q_y), F = Σ q log q + (1 − q) log(1 − q)."""

    def __call__(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return −log q_x − Σ_{y≠x} log(1 − q_y)."""
        rest = _log1mexp(log_q)
        return -_at(log_q, x) - rest.sum(-1) + _at(rest, x)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ℓ = −log q_x + Σ_{y≠x} log(1 + s_y), by its derivative s = q/(1 − q) by log q."""
        label, least = _at(log_q, x), torch.finfo(log_q.dtype).tiny
        odds = torch.neg(log_q, out=spare).clamp_(min=least).expm1_().reciprocal_()
        closed_form.put(odds, x, torch.zeros_like(label))
        loss = odds.log1p().sum(-1) - label
        closed_form.put(odds, x, -torch.ones_like(label))
        return closed_form.through_log_softmax(ClosedForm(loss, odds), log_q)


def _log1mexp(log_q: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return log(1 − e^a) for a < 0, accurate everywhere and finite at q = 1."""
    a = log_q.clamp(max=-torch.finfo(log_q.dtype).tiny)
    near = a > -math.log(2)
    return torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, a, -torch.ones_like(a)))),
        torch.log1p(-torch.exp(torch.where(near, -torch.ones_like(a), a))),
    )
