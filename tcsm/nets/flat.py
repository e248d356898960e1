"""A network without information: all logits are 0, so a factorized posterior is uniform.

As the reference of a joint posterior it leaves everything to the energy: E = −log p₁ + const is
right for every x_t, since given the visible positions p(x₁ | x_t) ∝ p₁(x₁) (1.3, 6.6).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.nets.base import Net


class UniformLogits(Net):
    """States (B, L) ↦ constant features, logits 0.

    Args:
        vocabulary: V, the number of clean tokens.
        extra: Number of further input states.
    """

    def __init__(self, vocabulary: int, extra: int) -> None:
        super().__init__()
        self.vocabulary, self.states = vocabulary, vocabulary + extra
        self.causal, self.timed, self.chunk = False, False, None
        self.head = nn.Identity()

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n V"]:
        """Return zeros."""
        return torch.zeros(len(rows), self.vocabulary, device=x.device)
