"""Bregman divergences between concrete scores: three functions of a log.

    D_F(u, v) = F(u) − F(v) − F′(v)(u − v)              F strictly convex on (0, ∞)

A divergence is ``generator`` a ↦ F(u), ``slope`` b ↦ F′(v) and ``dual`` b ↦ v F′(v) − F(v) of the
logs a = log u, b = log v. The three give the loss against a known target, the loss from samples
(2.3) and the density-ratio losses (9.1).

At score level only the symmetrized generator matters (3.3): F and s F(1/s) are one loss there.
So ``generalized_kl`` ≡ ``itakura_saito`` and ``pearson`` ≡ ``neyman`` ≡ 2 ``lsif``: equal losses,
not alternatives. As density-ratio losses they differ.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from tcsm.divergences import ball, closed_form
from tcsm.divergences.closed_form import (
    ClosedForm,
    Differentiated,
    Label,
    at,
    log_sigmoid_,
    put,
    through_log_softmax,
    through_softmax,
)
from tcsm.divergences.cosines import mean_log_cosh
from tcsm.divergences.symmetric import Blocks
from tcsm.errors import InputError

MANY = 256  # tokens above which all pairs of them cost more than the nodes of `mean_log_cosh`


class Bregman(Differentiated, ABC):
    """A divergence D_F, defined by three functions of a log."""

    @abstractmethod
    def generator(self, a: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return F(u) of a = log u."""

    @abstractmethod
    def slope(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return F′(v) of b = log v."""

    @abstractmethod
    def dual(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return the convex dual at the slope, v F′(v) − F(v), of b = log v."""

    @abstractmethod
    def slope_rate(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return v F″(v), the derivative of ``slope`` by b = log v."""

    @abstractmethod
    def dual_rate(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return v² F″(v), the derivative of ``dual`` by b = log v, for density ratios (9.1)."""

    def between(
        self, log_u: Float[Tensor, "*s"], log_v: Float[Tensor, "*s"]
    ) -> Float[Tensor, "*s"]:
        """Return D_F(u, v) ≥ 0 for a known target ratio u (2.1)."""
        return self.generator(log_u) + self.dual(log_v) - log_u.exp() * self.slope(log_v)

    def from_samples(self, log_v: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return φ(v) = v F′(v) − F(v) − F′(1/v): D_F up to a constant if N is symmetric (2.3)."""
        return self.dual(log_v) - self.slope(-log_v)

    def pair(self, log_v: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return ψ(log v) = φ(v) − φ(1), the canonical sample form, 0 at v = 1 (3.1)."""
        return self.from_samples(log_v) - self.from_samples(torch.zeros_like(log_v))

    def at_position(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return (1/V) Σ_y ψ(log q_y − log q_x), the 1-ball of a position with label x (3.1)."""
        return self.pair(log_q - log_q.gather(-1, x[:, None])).mean(-1)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ``at_position`` and its gradient by log q or logits, here by autograd.

        It may overwrite ``log_q`` and ``spare``, memory for one more tensor of its size.
        """
        return closed_form.by_autograd(lambda values: self.at_position(values, x), log_q)

    def smoothed_form(
        self,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "n"],
        spare: Float[Tensor, "n V"],
        epsilon: float,
    ) -> ClosedForm | None:
        """Return the loss of matched smoothing (3.7a) and its gradient, None for autograd.

        If it returns None, ``log_q`` is unchanged.
        """
        return None

    def at_any_label(self, log_q: Float[Tensor, "n V"]) -> Float[Tensor, "n"]:
        """Return (1/V) Σ_x ``at_position`` over labels x; O(V²) without a closed form."""
        return self.pair(log_q[:, None, :] - log_q[:, :, None]).mean((-1, -2))

    def mean_dual(
        self, log_p: Float[Tensor, "n V"], log_v: Float[Tensor, "n V"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n V"]]:
        """Return Σ p ``dual`` of a normalized p, and its derivative by log v; overwrites log v."""
        p = log_p.exp()
        mean = self.dual(log_v).mul_(p).sum(-1)
        return mean, self.dual_rate(log_v).mul_(p)

    def mean_slope(
        self, log_p: Float[Tensor, "n V"], log_v: Float[Tensor, "n V"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n V"]]:
        """Return Σ p ``slope`` of a normalized p, and its derivative by log v."""
        p = log_p.exp()
        mean = self.slope(log_v).mul_(p).sum(-1)
        return mean, self.slope_rate(log_v).mul_(p)

    def ratio_form(
        self,
        log_p: Float[Tensor, "n V"],
        log_q: Float[Tensor, "n V"],
        label: Label,
        spare: Float[Tensor, "n V"],
    ) -> ClosedForm:
        """Return Σ p ``dual`` at v = q/p, and its gradient by logits with that of a label added.

        It overwrites ``log_q`` and ``spare``.
        """
        mean, slope = self.mean_dual(log_p, torch.sub(log_q, log_p, out=spare))
        return through_log_softmax(ClosedForm(mean, slope), log_q, label)

    def over_blocks(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], blocks: Blocks
    ) -> Float[Tensor, "B"] | None:
        """Return the mean over blocks S of V^−k Σ_y ψ(Σ_{i∈S} log s_{i,y}) (6.1), or None."""
        return None


@dataclass(frozen=True)
class Power(Bregman):
    """F(s) = scale · (s^λ − λs + λ − 1)/(λ(λ − 1)) + linear · s + constant (3.4).

    λ = 1: generalized KL, 0: Itakura-Saito, ½: Hellinger, 2: LSIF. The affine terms move no
    optimum; they set the constants of the density-ratio losses.

        ψ(u) = expm1(λu)/λ + expm1((1 − λ)u)/(1 − λ)

    is a sum over the two powers λ and 1 − λ, so the 1-ball needs only the moments
    m(λ) = (1/V) Σ_y q_y^λ, hence O(V) (6.2).

    Raises:
        InputError: the power is not finite, or the scale not positive.
    """

    power: float
    scale: float = 1.0
    linear: float = 0.0
    constant: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is not a divergence."""
        if not math.isfinite(self.power):
            raise InputError(f"divergence.power must be a finite number, found {self.power}")
        if not self.scale > 0:
            raise InputError(f"divergence.scale must be positive, found {self.scale}")

    @property
    def powers(self) -> tuple[float, float]:
        """Return λ and 1 − λ."""
        return self.power, 1 - self.power

    def generator(self, a: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return F(u), with its limits u log u − u + 1 at λ = 1 and u − 1 − log u at λ = 0."""
        u = a.exp()
        if self.power == 1:
            core = torch.xlogy(u, u) - u + 1
        elif self.power == 0:
            core = u - 1 - a
        else:
            core = (_box_cox(self.power, a) - torch.expm1(a)) / (self.power - 1)
        return self.scale * core + self.linear * u + self.constant

    def slope(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return F′(v) = scale · (v^(λ−1) − 1)/(λ − 1) + linear."""
        return self.scale * _box_cox(self.power - 1, b) + self.linear

    def dual(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return v F′(v) − F(v) = scale · (v^λ − 1)/λ − constant."""
        return self.scale * _box_cox(self.power, b) - self.constant

    def slope_rate(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return scale · v^(λ−1)."""
        return self.scale * torch.exp((self.power - 1) * b)

    def dual_rate(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return scale · v^λ."""
        return self.scale * torch.exp(self.power * b)

    def mean_dual(
        self, log_p: Float[Tensor, "n V"], log_v: Float[Tensor, "n V"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n V"]]:
        """Return scale · (Σ p v^λ − 1)/λ − constant, and scale · p v^λ; overwrites log v."""
        if self.power:
            moment = torch.add(log_p, log_v, alpha=self.power, out=log_v).exp_()
            mean = (moment.sum(-1) - 1) / self.power
        else:
            moment = log_p.exp()
            mean = log_v.mul_(moment).sum(-1)
        rate = moment if self.scale == 1 else moment.mul_(self.scale)
        return self.scale * mean - self.constant, rate

    def mean_slope(
        self, log_p: Float[Tensor, "n V"], log_v: Float[Tensor, "n V"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n V"]]:
        """Return the same of F′, which is the dual of the power λ − 1 up to a constant."""
        lower = Power(self.power - 1, self.scale, constant=-self.linear)
        return lower.mean_dual(log_p, log_v.clone())

    def pair(self, log_v: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return ψ in closed form, accurate near v = 1."""
        first, second = (_box_cox(power, log_v) for power in self.powers)
        return self.scale * (first + second)

    def at_position(self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return Σ over both powers of (m(λ) q_x^{−λ} − 1)/λ, or mean log q − log q_x (6.2)."""
        log_q_x = log_q.gather(-1, x[:, None]).squeeze(-1)
        first, second = (_mean_box_cox(power, log_q, log_q_x) for power in self.powers)
        return self.scale * (first + second)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ``at_position`` and (1/V) Σ over both powers of s_y^λ, 1 at λ = 0 (3.2)."""
        if set(self.powers) == {0, 1}:
            closed = ball.generalized_kl(log_q, x)
        else:
            closed = ball.powers(self.powers, log_q, x, spare)
        return closed.times(torch.full_like(closed.loss, self.scale))

    def smoothed_form(
        self,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "n"],
        spare: Float[Tensor, "n V"],
        epsilon: float,
    ) -> ClosedForm | None:
        """Return (3.7a) and its gradient by logits; None if a power of the floor overflows."""
        if set(self.powers) == {0, 1}:
            closed = ball.smoothed_generalized_kl(log_q, x, spare, epsilon)
        elif max(map(abs, self.powers)) * math.log(log_q.shape[-1] / epsilon) < 40:
            closed = ball.smoothed_powers(self.powers, log_q, x, spare, epsilon)
        else:
            return None
        return closed.times(torch.full_like(closed.loss, self.scale))

    def over_blocks(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], blocks: Blocks
    ) -> Float[Tensor, "B"]:
        """Return Σ over both powers of (mean over S of ∏ m_i(λ) − 1)/λ (6.2, 6.3)."""
        log_q_x = log_q.gather(-1, x[:, None]).squeeze(-1)
        first, second = (_block_box_cox(power, log_q, log_q_x, blocks) for power in self.powers)
        return self.scale * (first + second)

    def at_any_label(self, log_q: Float[Tensor, "n V"]) -> Float[Tensor, "n"]:
        """Return Σ over both powers of (m(λ) m(−λ) − 1)/λ, 0 at λ = 0."""
        terms = [
            torch.expm1(_log_moment(power, log_q) + _log_moment(-power, log_q)) / power
            for power in self.powers
            if power
        ]
        return self.scale * torch.stack(terms).sum(0)


@dataclass(frozen=True)
class BinaryCrossEntropy(Bregman):
    """F(s) = s log s − (1 + s) log(1 + s): the all-pairs Bradley-Terry likelihood (3.8).

    ψ(u) = 2 softplus(u) − 2 log 2: gradients are bounded by 2 per logit in both directions.
    """

    def generator(self, a: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return F(u), with F(0) = 0."""
        u = a.exp()
        return torch.xlogy(u, u) - (1 + u) * torch.log1p(u)

    def slope(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return F′(v) = log σ(log v)."""
        return logsigmoid(b)

    def dual(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return v F′(v) − F(v) = log(1 + v)."""
        return softplus(b)

    def slope_rate(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return σ(−log v)."""
        return torch.sigmoid(-b)

    def dual_rate(self, b: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return σ(log v)."""
        return torch.sigmoid(b)

    def ratio_form(
        self,
        log_p: Float[Tensor, "n V"],
        log_q: Float[Tensor, "n V"],
        label: Label,
        spare: Float[Tensor, "n V"],
    ) -> ClosedForm:
        """Return −Σ p log σ(−log v), by its derivative σ(−log v) by q, and a label's gradient."""
        log_g = log_sigmoid_(torch.sub(log_p, log_q, out=spare))
        mean = -log_p.exp().mul_(log_g).sum(-1)
        return through_softmax(ClosedForm(mean, log_g.exp_()), log_q.exp_(), label)

    def closed_form(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], spare: Float[Tensor, "n V"]
    ) -> ClosedForm:
        """Return ``at_position`` and (2/V) σ(u_y), at the label −(2/V) Σ_{y≠x} σ(u_y)."""
        size = log_q.shape[-1]
        u = log_q.sub_(at(log_q, x)[:, None])
        loss = 2 * torch.logaddexp(u, u.new_zeros(()), out=spare).mean(-1) - 2 * math.log(2)
        dense = u.sigmoid_()
        put(dense, x, 0.5 - dense.sum(-1))
        return ClosedForm(loss, dense, torch.full_like(loss, 2 / size))

    def over_blocks(
        self, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"], blocks: Blocks
    ) -> Float[Tensor, "B"]:
        """Return the mean of ψ(u) = u + 2 log cosh(u/2) over blocks (6.2)."""
        if blocks.limit == 1:
            return blocks.mean_of_sums(self.at_position(log_q, x))
        log_s = log_q - log_q.gather(-1, x[:, None])
        even = 2 * mean_log_cosh(log_s, blocks)
        return blocks.mean_of_sums(log_s.mean(-1)) + even.to(log_q.dtype)

    def at_any_label(self, log_q: Float[Tensor, "n V"]) -> Float[Tensor, "n"]:
        """Return (1/V²) Σ 2 log cosh((log q_y − log q_x)/2): of two positions, q and 1/q."""
        if log_q.shape[-1] <= MANY:
            return super().at_any_label(log_q)
        middle = (
            log_q.detach().amax(-1, keepdim=True) + log_q.detach().amin(-1, keepdim=True)
        ) / 2
        both = torch.stack([log_q - middle, middle - log_q], 1)
        pairs = Blocks(torch.ones_like(both[..., 0], dtype=torch.bool), 2)
        return 2 * mean_log_cosh(both.flatten(0, 1), pairs).to(log_q.dtype)


def _box_cox(power: float, log_s: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """Return (s^λ − 1)/λ of log s, and log s at λ = 0."""
    return torch.expm1(power * log_s) / power if power else log_s


def _log_moment(power: float, log_q: Float[Tensor, "n V"]) -> Float[Tensor, "n"]:
    """Return log of (1/V) Σ_y q_y^λ."""
    return torch.logsumexp(power * log_q, -1) - math.log(log_q.shape[-1])


def _mean_box_cox(
    power: float, log_q: Float[Tensor, "n V"], log_q_x: Float[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """Return (1/V) Σ_y ((q_y/q_x)^λ − 1)/λ."""
    if power == 0:
        return log_q.mean(-1) - log_q_x
    return torch.expm1(_log_moment(power, log_q) - power * log_q_x) / power


def _block_box_cox(
    power: float, log_q: Float[Tensor, "n V"], log_q_x: Float[Tensor, "n"], blocks: Blocks
) -> Float[Tensor, "B"]:
    """Return mean over S and y of ((∏_{i∈S} q_y/q_x)^λ − 1)/λ."""
    if power == 0:
        return blocks.mean_of_sums(_mean_box_cox(power, log_q, log_q_x))
    log_m = _log_moment(power, log_q) - power * log_q_x
    return torch.expm1(blocks.log_mean_of_products(log_m)) / power


generalized_kl = Power(1.0, constant=-1.0)  # s log s − s
itakura_saito = Power(0.0, linear=-1.0, constant=1.0)  # −log s
lsif = Power(2.0)  # (s − 1)²/2
pearson = Power(2.0, scale=2.0)  # (s − 1)²
neyman = Power(-1.0, scale=2.0)  # (1 − s)²/s
hellinger = Power(0.5)
bce = BinaryCrossEntropy()
