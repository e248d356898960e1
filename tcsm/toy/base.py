"""The contract of a toy distribution: its table of probabilities, and samples.

p₁ is listed over all V^L sequences in lexicographic order, in float64.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import Noise

MOST = 2**16  # sequences that may be listed


@dataclass(frozen=True)
class World(ABC):
    """A distribution of sequences that can be listed.

    Attributes:
        vocabulary: V.
        length: L.

    Raises:
        InputError: fewer than two tokens, no position, or too many sequences to list.
    """

    vocabulary: int
    length: int

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be listed."""
        for key, least in (("vocabulary", 2), ("length", 1)):
            if (value := getattr(self, key)) < least:
                raise InputError(f"world.{key} must be at least {least}, found {value}")
        if (count := self.vocabulary**self.length) > MOST:
            raise InputError(
                f"world: V^L = {count} sequences are too many to list, {MOST} at most; choose a "
                "smaller world.vocabulary or world.length"
            )

    @abstractmethod
    def log_weights(self) -> Float64[Tensor, "N"]:
        """Return log p₁ of all sequences, up to a constant."""

    @cached_property
    def log_p(self) -> Float64[Tensor, "N"]:
        """Return log p₁ of all sequences."""
        return torch.log_softmax(self.log_weights(), 0)

    def sample(self, noise: Noise) -> Int[Tensor, "B L"]:
        """Draw x₁ ∼ p₁, a pure function of the noise."""
        return all_sequences(self.vocabulary, self.length)[
            draw(self.log_p, noise.uniform("world"))
        ]


def draw(log_p: Float64[Tensor, "N"], u: Float64[Tensor, "B"]) -> Int[Tensor, "B"]:
    """Return indices of sequences: the inverse of the cumulative distribution at u in [0, 1)."""
    cumulated = log_p.exp().cumsum(0)
    return torch.searchsorted(cumulated, u * cumulated[-1], right=True)


def all_sequences(states: int, length: int) -> Int[Tensor, "N L"]:
    """Return all sequences over a number of states, in lexicographic order."""
    return torch.cartesian_prod(*[torch.arange(states)] * length).view(-1, length)
