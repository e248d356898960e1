"""Exact target distributions of post-training on a toy distribution.

tilted    p(x) e^{R(x)/β}/Z                                                       (10.1)
best of n draws, ties broken by chance
          p(x) (F(R)^n − F₋(R)^n)/(F(R) − F₋(R)),    F(r) = p(R ≤ r), F₋(r) = p(R < r), R = R(x)
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from tcsm.errors import InputError
from tcsm.toy.rewards import Reward

Distribution = Float64[Tensor, "N"]


@dataclass(frozen=True)
class Tilting:
    """A reward, its temperature, and the number of sequences that may be scored.

    Attributes:
        reward: R.
        beta: β, in units of the reward.
        calls: sequences that may be scored in training.
        best_of: n: of n draws of the trained model the best is kept; 1 keeps every draw.

    Raises:
        InputError: a number that is not positive.
    """

    reward: Reward
    beta: int | float
    calls: int
    best_of: int = 1

    def __post_init__(self) -> None:
        """Refuse a temperature, number of calls or of draws that is not positive."""
        if not 0 < self.beta < math.inf:
            raise InputError(f"tilting.beta must be a positive number, found {self.beta}")
        for key in ("calls", "best_of"):
            if getattr(self, key) < 1:
                raise InputError(f"tilting.{key} must be at least 1, found {getattr(self, key)}")


def tilted(log_p: Distribution, reward: Distribution, beta: float) -> Distribution:
    """Return log of p e^{R/β}/Z (10.1)."""
    return torch.log_softmax(log_p + reward / beta, 0)


def relative_ess(log_p: Distribution, reward: Distribution, beta: float) -> float:
    """Return (E W)²/E W² under p, W = e^{R/β}: the relative effective sample size (10.5)."""
    log_w = reward / beta
    first, second = (torch.logsumexp(log_p + k * log_w, 0) for k in (1, 2))
    return float(torch.exp(2 * first - second))


def best_of(log_p: Distribution, reward: Distribution, count: int) -> Distribution:
    """Return the log-distribution of the best of ``count`` independent draws."""
    _, level = torch.unique(reward, return_inverse=True)
    mass = torch.zeros_like(log_p).index_add(0, level, log_p.exp())
    up_to = mass.cumsum(0)
    below = up_to - mass
    # (Fⁿ − F₋ⁿ)/(F − F₋), without a difference of almost equal numbers
    factor = torch.stack([up_to**k * below ** (count - 1 - k) for k in range(count)]).sum(0)
    return torch.log_softmax(log_p + torch.log(factor)[level], 0)


def total_variation(log_p: Distribution, log_q: Distribution) -> float:
    """Return ½ Σ |p − q|."""
    return float((log_p.exp() - log_q.exp()).abs().sum() / 2)
