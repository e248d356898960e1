"""Importance weights of sequences by their rewards.

Boltzmann: W ∝ exp(R/β)         the distribution p(x) e^{R(x)/β}/Z, exactly (10.1, 10.2)
Best:      W = 1[R in the best share]       filtered fine-tuning, best-of-n
Even:      W = 1                the base distribution: distillation, continued training
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from tcsm.data.buffer import Buffer
from tcsm.errors import InputError

Weights = Float64[Tensor, "N"]
LOW = 0.1  # relative effective sample size below which there is a warning (10.5)


class Tilt(ABC):
    """A map from the rewards of a buffer to importance weights."""

    @abstractmethod
    def log_tilt(self, reward: Weights) -> Weights:
        """Return the log of the factor that a reward gives, up to a constant."""

    def log_weights(self, buffer: Buffer) -> Weights:
        """Return log W, normalized over the buffer to mean W = 1."""
        log_w = buffer.log_weight + self.log_tilt(buffer.reward)
        return log_w - torch.logsumexp(log_w, 0) + math.log(len(buffer))


@dataclass(frozen=True)
class Boltzmann(Tilt):
    """W = exp(R/β).

    Attributes:
        beta: β, in units of the reward; a small β is greedy.

    Raises:
        InputError: β is not a positive number.
    """

    beta: float

    def __post_init__(self) -> None:
        """Refuse a β that is not positive."""
        if not 0 < self.beta < math.inf:
            raise InputError(f"tilt.beta must be a positive number, found {self.beta}")

    def log_tilt(self, reward: Weights) -> Weights:
        """Return R/β."""
        return reward / self.beta


@dataclass(frozen=True)
class Best(Tilt):
    """W = 1 for the best share of a buffer, 0 for the rest.

    Attributes:
        share: The share, in (0, 1].

    Raises:
        InputError: A share outside (0, 1].
    """

    share: float

    def __post_init__(self) -> None:
        """Refuse a share outside (0, 1]."""
        if not 0 < self.share <= 1:
            raise InputError(f"tilt.share must lie in (0, 1], found {self.share}")

    def log_tilt(self, reward: Weights) -> Weights:
        """Return 0 or −∞; equal rewards are selected together."""
        kept = max(1, round(self.share * len(reward)))
        least = reward.sort(descending=True).values[kept - 1]
        return torch.zeros_like(reward).masked_fill(reward < least, -torch.inf)


class Even(Tilt):
    """W = 1 for every reward."""

    def log_tilt(self, reward: Weights) -> Weights:
        """Return 0."""
        return torch.zeros_like(reward)


def relative_ess(log_w: Weights) -> float:
    """Return (Σ W)²/(N Σ W²) ∈ [1/N, 1], the relative effective sample size (10.5)."""
    log_n = math.log(len(log_w))
    return float(torch.exp(2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0) - log_n))


def kl_of_weights(log_w: Weights, log_base: Weights | None = None) -> float:
    """Return E_W log(W/W₀) in nats, both normalized over a buffer: estimates KL(p^R ‖ p_pre).

    Args:
        log_w: log W of the distribution.
        log_base: log W₀ of the distribution to compare with; that of the draws if None.
    """
    base = torch.zeros_like(log_w) if log_base is None else log_base
    log_p, log_q = torch.log_softmax(log_w, 0), torch.log_softmax(base, 0)
    terms = log_p.exp() * (log_p - log_q)
    return float(terms[log_p > -torch.inf].sum())


def suggested_beta(buffer: Buffer, share: float) -> float | None:
    """Return the β that leaves a share of a buffer's effective sample size, to two digits.

    None where none does: the rewards are equal, or the share itself has the highest reward.
    """
    span = float(buffer.reward.max() - buffer.reward.min())
    least = share * relative_ess(buffer.log_weight)
    low, high = math.log(1e-4), math.log(1e4)  # log of β over the range of the rewards

    def suffices(log_beta: float) -> bool:
        return relative_ess(Boltzmann(span * math.exp(log_beta)).log_weights(buffer)) >= least

    if span == 0 or suffices(low):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return float(f"{span * math.exp(high):.2g}")
