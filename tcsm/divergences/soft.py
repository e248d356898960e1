"""Divergences D(p, q) between a known target p of a position and the model's q (5.2).

With q factorized, D must be linear in p up to a constant of p: then its optimum over all contexts
is that of hard labels, the marginals, with less variance. Reverse KL, Jensen-Shannon and total
variation are not linear and have other optima (2.5); ``linear`` says which.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tcsm.divergences import closed_form
from tcsm.divergences.bregman import Bregman
from tcsm.divergences.closed_form import (
    ClosedForm,
    Differentiated,
    Label,
    add,
    log_sigmoid_,
    through_log_softmax,
    through_softmax,
)
from tcsm.divergences.scoring_rules import ScoringRule
from tcsm.divergences.top import Top
from tcsm.errors import InputError

Rows = Float[Tensor, "n V"]
_NOTHING = -1e4  # finite, so that 0 · it is 0, and its exponential is 0 in every precision


def _minus(loss: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    return torch.full_like(loss, -1.0)


def _product(p: Tensor, f: Tensor) -> Tensor:
    """Return p f, and 0 where p = 0 even if f is not finite."""
    return torch.where(p > 0, p * f, 0.0)


class SoftDivergence(Differentiated, ABC):
    """D(p, q) ≥ 0 of two normalized distributions in logs, one number a position; 0 at q = p.

    ``linear``: D is linear in p, up to a constant of p.
    """

    linear: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return D(p, q), including the entropy of p."""

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D and its gradient by the logits of q with a label's added, here by autograd.

        It may overwrite all three, ``spare`` being memory for one more tensor of their size, and
        return one of them.
        """
        by_log_q = closed_form.by_autograd(lambda values: self(log_p, values), log_q)
        return through_log_softmax(by_log_q, log_q, label)

    def top_form(
        self, top: Top, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return `closed_form` for targets of k tokens, here by way of all tokens."""
        return self.closed_form(top.dense(), log_q, spare, label)


class ForwardKL(SoftDivergence):
    """Σ p (log p − log q)."""

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return Σ p (log p − log q), with 0 log 0 = 0."""
        return (log_p.exp() * (log_p.clamp(min=_NOTHING) - log_q)).sum(-1)

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D, by its derivative −p by log q."""
        p = torch.exp(log_p, out=spare)
        loss = log_p.clamp_(min=_NOTHING).sub_(log_q).mul_(p).sum(-1)
        return through_log_softmax(ClosedForm(loss, p, _minus(loss)), log_q, label)

    def top_form(
        self, top: Top, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D and q − p, of which only q is a matrix; a label adds s (δ − q)."""
        p, other = top.log_p.exp(), top.other()
        at_top, others = log_q.gather(-1, top.ids), top.vocabulary - top.ids.shape[-1]
        by_other = other.clamp(min=_NOTHING) - (log_q.sum(-1) - at_top.sum(-1)) / max(1, others)
        loss = (p[:, :-1] * (top.log_p[:, :-1].clamp(min=_NOTHING) - at_top)).sum(-1)
        rest = other.exp()
        slope = p[:, :-1] - rest[:, None]
        scale = torch.ones_like(loss) if label is None else 1 - label.slope
        dense = log_q.exp_()
        dense.scatter_add_(-1, top.ids, -slope / scale[:, None])
        if label is not None:
            add(dense, label.x, label.slope / scale)
        return ClosedForm(loss + p[:, -1] * by_other, dense, scale, -rest)


class GeneralizedKL(ForwardKL):
    """Σ p (log p − log q) − p + q: KL's equal while both are normalized."""

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return KL plus the difference of the masses."""
        return super().__call__(log_p, log_q) - log_p.exp().sum(-1) + log_q.exp().sum(-1)

    closed_form = ForwardKL.closed_form  # of normalized distributions
    top_form = ForwardKL.top_form


class ItakuraSaito(SoftDivergence):
    """Σ p/q − log(p/q) − 1, infinite if p has a zero."""

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return Σ e^d − 1 − d, d = log p − log q."""
        d = log_p - log_q
        return (torch.expm1(d) - d).sum(-1)

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D, by its derivative 1 − p/q by log q."""
        d = log_p.sub_(log_q)
        mean = d.sum(-1)
        excess = d.expm1_()
        loss = excess.sum(-1) - mean
        return through_log_softmax(ClosedForm(loss, excess, _minus(loss)), log_q, label)


class Brier(SoftDivergence):
    """Σ (p − q)². Its gradient vanishes where q is badly wrong."""

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return Σ (p − q)²."""
        return ((log_p.exp() - log_q.exp()) ** 2).sum(-1)

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D, by its derivative 2 (q − p) by q."""
        q, p = log_q.exp_(), log_p.exp_()
        gap = torch.sub(q, p, out=p)
        loss = torch.linalg.vector_norm(gap, dim=-1) ** 2
        return through_softmax(ClosedForm(loss, gap, torch.full_like(loss, 2.0)), q, label)


@dataclass(frozen=True)
class Proper(SoftDivergence):
    """Σ_x p_x (ℓ(x; q) − ℓ(x; p)) = D_F(p, q) of any scoring rule ℓ (5.1), by all V labels.

    O(V²) per position, for rules without a class of their own here. Where p has a zero it is
    the limit p → 0, infinite if F is there (Itakura-Saito).

    Attributes:
        scoring: ℓ.
    """

    scoring: ScoringRule

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return the expected excess of the rule."""
        excess = self._at_all_labels(log_q) - self._at_all_labels(log_p)
        return _product(log_p.exp(), excess).sum(-1)

    def _at_all_labels(self, log_q: Rows) -> Float[Tensor, "n V"]:
        count, vocabulary = log_q.shape
        labels = torch.arange(vocabulary, device=log_q.device).repeat(count)
        return self.scoring(log_q.repeat_interleave(vocabulary, 0), labels).view_as(log_q)


class ScoreGeneralizedKL(SoftDivergence):
    """KL + IS/V: generalized KL of the concrete scores (4.1); infinite if p has a zero."""

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return KL + IS/V, O(V)."""
        return ForwardKL()(log_p, log_q) + ItakuraSaito()(log_p, log_q) / log_p.shape[-1]

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D, by its derivative −p + (1 − p/q)/V by log q."""
        p, d = torch.exp(log_p, out=spare), log_p.clamp_(min=_NOTHING).sub_(log_q)
        kl, mean = torch.mul(p, d).sum(-1), d.mean(-1)
        excess = d.expm1_()
        loss = kl + excess.mean(-1) - mean
        slope = p.add_(excess, alpha=1 / p.shape[-1])
        return through_log_softmax(ClosedForm(loss, slope, _minus(loss)), log_q, label)


@dataclass(frozen=True)
class ScoreLevel(SoftDivergence):
    """(1/V) Σ_{x,y} p_x D_F(p_y/p_x, q_y/q_x): score level with a known target (2.1).

    O(V²) per position. Linear: Σ p_x (s F′(s) − F(s)) − Σ p_y F′(s), and the same at r = p_y/p_x,
    a constant. Where p has a zero it is the limit p → 0, finite if F(0) and F′(∞) are (BCE, powers
    between 0 and 1). Of others (generalized KL, LSIF, Itakura-Saito) it is infinite, and what
    depends on q has no lower end.

    Attributes:
        divergence: D_F.
    """

    divergence: Bregman

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return the mean over y of the expectation over x."""
        p, slope, dual = log_p.exp(), self.divergence.slope, self.divergence.dual
        here, there = p[:, :, None], p[:, None, :]
        log_r = log_p[:, None, :] - log_p[:, :, None]
        log_s = log_q[:, None, :] - log_q[:, :, None]
        constant = _product(there, slope(log_r)) - _product(here, dual(log_r))
        return (here * dual(log_s) - there * slope(log_s) + constant).mean(-1).sum(-1)


@dataclass(frozen=True)
class ReverseKL(SoftDivergence):
    """Σ q (log q − log p), not linear: a factorized optimum is the geometric mean of targets.

    Attributes:
        floor: lower end of log p, since a zero of p would cost infinitely much.
    """

    linear: ClassVar[bool] = False
    floor: float = -30.0

    def __post_init__(self) -> None:
        """Refuse a floor that is none."""
        if not -math.inf < self.floor < 0:
            raise InputError(f"soft.floor must be finite and below 0, found {self.floor}")

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return Σ q (log q − log p)."""
        return (log_q.exp() * (log_q - log_p.clamp(min=self.floor))).sum(-1)

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D, by its derivative log q − log p by q, up to a constant."""
        gap, q = torch.sub(log_q, log_p.clamp_(min=self.floor), out=log_p), log_q.exp_()
        loss = torch.mul(q, gap, out=spare).sum(-1)
        return through_softmax(ClosedForm(loss, gap), q, label)


class JensenShannon(SoftDivergence):
    """½ KL(p, m) + ½ KL(q, m), m = (p + q)/2, not linear: bounded by log 2."""

    linear: ClassVar[bool] = False

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return ½ KL(p, m) + ½ KL(q, m)."""
        log_m = torch.logaddexp(log_p, log_q) - math.log(2)
        kl = ForwardKL()
        return (kl(log_p, log_m) + kl(log_q, log_m)) / 2

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D, by its derivative ½ log(q/m) by q."""
        p, d = log_p.exp(), log_p.clamp_(min=_NOTHING).sub_(log_q)
        by_q, q = log_sigmoid_(torch.neg(d, out=spare)), log_q.exp_()
        by_p = d.add_(by_q)  # log p/(p + q)
        loss = math.log(2) + by_p.mul_(p).addcmul_(q, by_q).sum(-1) / 2
        return through_softmax(ClosedForm(loss, by_q, torch.full_like(loss, 0.5)), q, label)


@dataclass(frozen=True)
class TotalVariation(SoftDivergence):
    """½ Σ √((p − q)² + ε²), not linear; Vε/2 at q = p.

    Attributes:
        epsilon: rounds the corner of |p − q|.
    """

    linear: ClassVar[bool] = False
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse a corner, which has no gradient."""
        if not 0 < self.epsilon < math.inf:
            raise InputError(f"soft.epsilon must be positive, found {self.epsilon}")

    def __call__(self, log_p: Rows, log_q: Rows) -> Float[Tensor, "n"]:
        """Return the smoothed total variation."""
        gap = log_p.exp() - log_q.exp()
        return torch.sqrt(gap**2 + self.epsilon**2).sum(-1) / 2

    def closed_form(
        self, log_p: Rows, log_q: Rows, spare: Rows, label: Label | None = None
    ) -> ClosedForm:
        """Return D, by its derivative ½ (q − p)/√((q − p)² + ε²) by q."""
        q, p = log_q.exp_(), log_p.exp_()
        gap = torch.sub(q, p, out=p)
        root = torch.hypot(gap, gap.new_tensor(self.epsilon), out=spare)
        loss, half = root.sum(-1) / 2, torch.full_like(q[:, 0], 0.5)
        return through_softmax(ClosedForm(loss, gap.div_(root), half), q, label)
