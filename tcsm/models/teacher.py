"""The contract of a teacher: a model of clean data p₁ with conditionals p₁(y | x^{≠i}).

They are what a target concrete score needs: p₁(x^{i←y})/p₁(x) = p₁(y | x^{≠i})/p₁(x^i | x^{≠i}).
"""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Teacher(nn.Module, ABC):
    """A model of p₁ that gives targets, which do not depend on the position's own token x^i.

    Approximate teachers may depend on it; their docstrings say so.
    """

    @abstractmethod
    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return normalized log p₁(y | x₁^{≠i}) at the chosen positions, in row-major order."""
