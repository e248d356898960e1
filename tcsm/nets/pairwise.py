"""An energy of pairs of sites: one number for every two tokens at every two places.

    E(x) = Σ_{i, j} W[(i, x^i), (j, x^j)]

(LV)² numbers for V^L sequences, so that it is no table of the law, and linear in them, so that a
convex divergence of ratios is a convex problem. It looks neither at x_t nor at t: over a uniform
reference the best energy does not (see `tcsm.nets.flat`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.nets.base import Network


class Pairwise(Network):
    """(x, x_t, t) ↦ E. It starts at 0.

    Args:
        vocabulary: V.
        length: L; it takes no other.

    Raises:
        InputError: a length or a vocabulary that is not positive.
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
        """E of N guesses for each x_t."""
        tokens = torch.arange(self.vocabulary, device=x.device)
        chosen = (x[..., None] == tokens).flatten(-2).to(self.weight.dtype)
        return ((chosen @ self.weight) * chosen).sum(-1)
