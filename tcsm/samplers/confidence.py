"""Confidence: in each call the positions of the highest confidence are unmasked.

Masked language models are decoded so by MaskGIT (Chang et al. 2022, §3.2) and LLaDA (Nie et al.
2025, "low-confidence remasking"). All masked positions are drawn from q^i(· | x_t), and the k of
the highest confidence keep their draw. With k = 1 and the exact posterior, an order that depends
on x_t alone draws from p₁; an order that depends on the drawn tokens does not (12.4).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.noise import Noise, categorical
from tcsm.samplers.base import PathSampler, Sampled
from tcsm.samplers.conditioning import Conditioning


class Order(ABC):
    """The confidence in the draw of a masked position."""

    @abstractmethod
    def __call__(self, log_q: Float[Tensor, "n V"], x_1: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return a number per position; the largest are unmasked first."""


@dataclass(frozen=True)
class DrawnToken(Order):
    """log q^i of the drawn token, as in LLaDA: prefers likely tokens, so p₁ is not preserved."""

    def __call__(self, log_q: Float[Tensor, "n V"], x_1: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return log q^i(x₁ | x_t)."""
        return log_q.gather(-1, x_1[:, None])[:, 0]


@dataclass(frozen=True)
class LikeliestToken(Order):
    """max_y log q^i(y), whatever is drawn."""

    def __call__(self, log_q: Float[Tensor, "n V"], x_1: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return the log-probability of the likeliest token."""
        return log_q.amax(-1)


@dataclass(frozen=True)
class NegativeEntropy(Order):
    """Σ_y q^i(y) log q^i(y), whatever is drawn."""

    def __call__(self, log_q: Float[Tensor, "n V"], x_1: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return the negative entropy in nats."""
        return (log_q.exp() * log_q.nan_to_num(neginf=0.0)).sum(-1)


@dataclass(frozen=True)
class Confidence(PathSampler):
    """At most ``steps`` calls, each for ⌈n/steps⌉ of n masked positions.

    Attributes:
        order: the confidence.
        block: positions of a block; blocks are decoded from left to right (semi-autoregressive).
            None decodes the whole sequence at once.

    Raises:
        InputError: the source is not the mask, or a block without a position.
    """

    order: Order = field(default=DrawnToken(), kw_only=True)
    block: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse other sources than the mask, and empty blocks."""
        super().__post_init__()
        self.require_mask("confidence", "ancestral")
        if self.block is not None and self.block < 1:
            raise InputError(f"sampler.block must be at least 1 or null, found {self.block}")

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw sequences block by block."""
        posterior, known = self.posterior(model), self.conditioning(conditioning, length, model)
        x_t = self.start(count, seed, known)
        free = int((~known.fixed).sum())
        at_once = max(1, math.ceil(free / self.steps))
        changed, calls = torch.zeros_like(x_t), 0
        rows = torch.arange(count, device=x_t.device)
        size = self.block or length
        for first in range(0, length, size):
            inside = torch.zeros_like(x_t, dtype=torch.bool)
            inside[:, first : first + size] = ~known.fixed[first : first + size]
            while left := int((masked := inside & self.path.source.noised(x_t))[:1].sum()):
                level = 1 - self.path.source.noised(x_t)[:1].sum().double() / max(free, 1)
                t = self.path.schedule.inverse(level).expand(count)
                u = Noise(seed, calls, rows, count).uniform("token", length)
                log_q = posterior.log_conditionals(x_t, t, masked)
                x_1 = categorical(log_q, u[masked])
                score = torch.full_like(u, -math.inf)
                score[masked] = self.order(log_q, x_1).double()
                now = torch.zeros_like(masked).scatter(
                    1, score.topk(min(at_once, left), dim=1).indices, True
                )
                x_t = torch.where(now, x_t.masked_scatter(masked, x_1), x_t)
                calls += 1
                changed[now] = calls
        return Sampled(x_t, calls, changed)
