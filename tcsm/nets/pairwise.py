"""A pairwise energy: one number for every two tokens at every two positions.

    E(x) = Σ_{i, j} W[(i, x^i), (j, x^j)]

It has (LV)² numbers for V^L sequences, so it is not a table of the distribution, and it is linear
in them, so a convex divergence of ratios is a convex problem. It ignores x_t and t: over a uniform
reference the optimal energy does too (see `tcsm.nets.flat`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tcsm.errors import InputError
from tcsm.nets.base import Network


class Pairwise(Network):
    """(x, x_t, t) ↦ E, 0 at initialization.

    Args:
        vocabulary: V.
        length: L, the only length that it accepts.

    Raises:
        InputError: A length or a vocabulary that is not positive.
    """

    def __init__(self, vocabulary: int, length: int) -> None:
        if min(vocabulary, length) < 1:
            raise InputError(
                f"net: vocabulary and length must be at least 1, found {vocabulary} and {length}"
            )
        super().__init__()
        self.vocabulary, self.states, self.timed = vocabulary, vocabulary + 1, False
        self.weight = nn.Parameter(torch.zeros(length * vocabulary, length * vocabulary))

    def forward(
        self, x: Int[Tensor, "B N L"], x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"]
    ) -> Float[Tensor, "B N"]:
        """Return E of N candidates for each x_t."""
        each = torch.eye(self.vocabulary, dtype=self.weight.dtype, device=x.device)
        chosen = functional.embedding(x, each).flatten(-2)
        return ((chosen @ self.weight) * chosen).sum(-1)
