"""Guided decoding without training: of n samples of a model one is kept for its reward (10.3).

BestOfN:     the best: x with chance F(x)ⁿ − F₋(x)ⁿ, F the CDF of rewards;  KL ≤ log n − (n − 1)/n
Resampling:  one ∝ e^{R/β}: p(x) e^{R(x)/β}/Z up to O(1/n), and p itself at n = 1

Both cost n samples and n evaluations of the reward for each text.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import categorical


@dataclass(frozen=True)
class Guidance(ABC):
    """A distribution over candidates by their rewards.

    Attributes:
        count: n, the number of candidates for each text.

    Raises:
        InputError: no candidate.
    """

    count: int

    def __post_init__(self) -> None:
        """Refuse fewer than one candidate."""
        if self.count < 1:
            raise InputError(f"guide.count must be at least 1, found {self.count}")

    @abstractmethod
    def log_chances(self, scores: Float64[Tensor, "B n"]) -> Float64[Tensor, "B n"]:
        """Return the log-probability of each candidate to be kept."""

    def choose(
        self, scores: Float64[Tensor, "B n"], u: Float64[Tensor, "B"]
    ) -> Int64[Tensor, "B"]:
        """Return the index of the kept candidate, by one uniform per text."""
        return categorical(self.log_chances(scores), u)


@dataclass(frozen=True)
class BestOfN(Guidance):
    """The candidate of the highest reward, the first of equals."""

    def log_chances(self, scores: Float64[Tensor, "B n"]) -> Float64[Tensor, "B n"]:
        """Return 0 for the best candidate, −∞ for the others."""
        best = scores.argmax(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter(-1, best, 0.0)


@dataclass(frozen=True)
class Resampling(Guidance):
    """One candidate by softmax(R/β): self-normalized importance resampling.

    Attributes:
        beta: β, in units of the reward.

    Raises:
        InputError: β is not a positive number.
    """

    beta: float

    def __post_init__(self) -> None:
        """Refuse what has no distribution."""
        super().__post_init__()
        if not 0 < self.beta < math.inf:
            raise InputError(f"guide.beta must be a positive number, found {self.beta}")

    def log_chances(self, scores: Float64[Tensor, "B n"]) -> Float64[Tensor, "B n"]:
        """Return log softmax of R/β."""
        return torch.log_softmax(scores / self.beta, -1)
