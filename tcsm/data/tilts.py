"""Tilts: how much a sequence counts for its reward.

Boltzmann: W ∝ exp(R/β)         the law p(x) e^{R(x)/β}/Z, exactly (10.1, 10.2)
Best:      W = 1[R among the best share]       filtered fine-tuning, best-of-n
Even:      W = 1                the base law again: distillation, continued training
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
LOW = 0.1  # relative effective sample size below which weights deserve a warning (10.5)


class Tilt(ABC):
    """Weights of the sequences of a buffer."""

    @abstractmethod
    def log_tilt(self, reward: Weights) -> Weights:
        """Log of what the reward multiplies the base law by, up to a constant."""

    def log_weights(self, buffer: Buffer) -> Weights:
        """Log W, normalized over the buffer to mean W = 1."""
        log_w = buffer.log_weight + self.log_tilt(buffer.reward)
        return log_w - torch.logsumexp(log_w, 0) + math.log(len(buffer))


@dataclass(frozen=True)
class Boltzmann(Tilt):
    """exp(R/β).

    Attributes:
        beta: β, in units of the reward; small is greedy.

    Raises:
        InputError: β is not a positive number.
    """

    beta: float

    def __post_init__(self) -> None:
        """Refuse what has no law."""
        if not 0 < self.beta < math.inf:
            raise InputError(f"tilt.beta must be a positive number, found {self.beta}")

    def log_tilt(self, reward: Weights) -> Weights:
        """R/β."""
        return reward / self.beta


@dataclass(frozen=True)
class Best(Tilt):
    """1 for the best share of a buffer, 0 for the rest.

    Attributes:
        share: how many of all.

    Raises:
        InputError: a share outside (0, 1].
    """

    share: float

    def __post_init__(self) -> None:
        """Refuse an empty selection."""
        if not 0 < self.share <= 1:
            raise InputError(f"tilt.share must lie in (0, 1], found {self.share}")

    def log_tilt(self, reward: Weights) -> Weights:
        """0 or −∞; equal rewards are in or out together."""
        kept = max(1, round(self.share * len(reward)))
        least = reward.sort(descending=True).values[kept - 1]
        return torch.zeros_like(reward).masked_fill(reward < least, -torch.inf)


class Even(Tilt):
    """1: the reward does not matter."""

    def log_tilt(self, reward: Weights) -> Weights:
        """0."""
        return torch.zeros_like(reward)


def relative_ess(log_w: Weights) -> float:
    """(Σ W)²/(N Σ W²) ∈ [1/N, 1]: the share of a buffer that its weights leave in use (10.5)."""
    log_n = math.log(len(log_w))
    return float(torch.exp(2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0) - log_n))


def kl_of_weights(log_w: Weights, log_base: Weights | None = None) -> float:
    """E_W log(W/W₀) in nats, both normalized over a buffer: an estimate of KL(p^R ‖ p_pre).

    Args:
        log_w: log W of the law in question.
        log_base: log W₀ of the law it is compared with; that of drawing itself if None.
    """
    base = torch.zeros_like(log_w) if log_base is None else log_base
    log_p, log_q = torch.log_softmax(log_w, 0), torch.log_softmax(base, 0)
    terms = log_p.exp() * (log_p - log_q)
    return float(terms[log_p > -torch.inf].sum())
