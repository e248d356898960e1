"""The contract of a teacher: a model of clean data p₁ with conditionals p₁(y | x^{≠i}).

They are what a target concrete score needs: p₁(x^{i←y})/p₁(x) = p₁(y | x^{≠i})/p₁(x^i | x^{≠i}).
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.divergences.top import Top

CELLS = 2**26  # probabilities of a teacher that are in memory at once before the best are chosen


class Teacher(ABC):
    """A model of p₁ that gives targets, which do not depend on the position's own token x^i.

    Approximate teachers may depend on it; their docstrings say so.
    """

    @abstractmethod
    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return normalized log p₁(y | x₁^{≠i}) at the chosen positions, in row-major order."""

    def top(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"], k: int, vocabulary: int
    ) -> Top:
        """Return the k likeliest of V tokens at the chosen positions, few sequences at a time."""
        size = max(1, CELLS // (x_1.shape[1] * vocabulary))
        parts = zip(*(torch.split(part, size) for part in (x_1, positions)), strict=True)
        return Top.joined([Top.of(self.log_conditionals(x, here), k) for x, here in parts])


class Tabulated(nn.Module, Teacher):
    """A distribution of few short sequences as a table: exact, for worlds that can be enumerated.

    Args:
        log_p: log p₁, shape (V,) * L; need not be normalized.
    """

    log_p: Tensor

    def __init__(self, log_p: Tensor) -> None:
        super().__init__()
        self.register_buffer("log_p", log_p)

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return normalized rows of the table."""
        row, column = positions.nonzero(as_tuple=True)
        tokens = torch.arange(self.log_p.shape[0], device=x_1.device)
        whole = substitute(x_1[row], column, tokens.expand(len(row), -1))
        return torch.log_softmax(self.log_p[whole.unbind(-1)], -1)


def substitute(
    x: Int[Tensor, "n L"], column: Int[Tensor, "n"], tokens: Int[Tensor, "n K"]
) -> Int[Tensor, "n K L"]:
    """Return x^{i←y} for one position i of each sequence and K tokens y."""
    spread = x[:, None].repeat(1, tokens.shape[1], 1)
    return spread.scatter_(-1, column[:, None, None].expand(*tokens.shape, 1), tokens[..., None])
