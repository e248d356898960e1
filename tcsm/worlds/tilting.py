"""What post-training in a world asks for, and the distributions that answer, exactly.

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
from tcsm.worlds.rewards import Reward

Distribution = Float64[Tensor, "N"]


@dataclass(frozen=True)
class Tilting:
    """A reward, how much it counts, and how often it may be asked.

    Attributes:
        reward: R.
        beta: β, in units of the reward.
        calls: sequences that may be judged in training.
        best_of: n: the best of so many draws is kept when all is done; 1 keeps every draw.

    Raises:
        InputError: a number that is not positive.
    """

    reward: Reward
    beta: int | float
    calls: int
    best_of: int = 1

    def __post_init__(self) -> None:
        """Refuse a temperature without a distribution, and no calls."""
        if not 0 < self.beta < math.inf:
            raise InputError(f"tilting.beta must be a positive number, found {self.beta}")
        for key in ("calls", "best_of"):
            if getattr(self, key) < 1:
                raise InputError(f"tilting.{key} must be at least 1, found {getattr(self, key)}")


def tilted(log_p: Distribution, reward: Distribution, beta: float) -> Distribution:
    """Log of p e^{R/β}/Z (10.1)."""
    return torch.log_softmax(log_p + reward / beta, 0)


def relative_ess(log_p: Distribution, reward: Distribution, beta: float) -> float:
    """(E W)²/E W² under p, W = e^{R/β}: the share of draws that weights leave in use (10.5)."""
    log_w = reward / beta
    first, second = (torch.logsumexp(log_p + k * log_w, 0) for k in (1, 2))
    return float(torch.exp(2 * first - second))


def best_of(log_p: Distribution, reward: Distribution, count: int) -> Distribution:
    """Log of the distribution of the best of ``count`` independent draws."""
    _, level = torch.unique(reward, return_inverse=True)
    mass = torch.zeros_like(log_p).index_add(0, level, log_p.exp())
    up_to = mass.cumsum(0)
    below = up_to - mass
    # (Fⁿ − F₋ⁿ)/(F − F₋), without a difference of almost equal numbers
    factor = torch.stack([up_to**k * below ** (count - 1 - k) for k in range(count)]).sum(0)
    return torch.log_softmax(log_p + torch.log(factor)[level], 0)


def total_variation(log_p: Distribution, log_q: Distribution) -> float:
    """½ Σ |p − q|."""
    return float((log_p.exp() - log_q.exp()).abs().sum() / 2)
