"""The 1-Hamming ball: all sequences that differ from x at one position.

ℓ(x) = mean over open i of (1/V) Σ_y ψ(log q^i(y) − log q^i(x^i))               (3.1, §13)
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.bregman import Bregman
from tcsm.errors import InputError
from tcsm.neighborhoods.base import Neighbors, PerPosition


@dataclass(frozen=True)
class Hamming(PerPosition):
    """The whole 1-ball over V tokens.

    Raises:
        InputError: fewer than two tokens.
    """

    vocabulary: int
    symmetric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """A ball around the only sequence there is would be empty."""
        if self.vocabulary < 2:
            found = self.vocabulary
            raise InputError(f"neighborhood.vocabulary must be at least 2, found {found}")

    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """L·V entries, of which those at visible positions and x itself have no weight."""
        batch, length = x.shape
        positions = torch.arange(length, device=x.device).repeat_interleave(self.vocabulary)
        tokens = torch.arange(self.vocabulary, device=x.device).repeat(length)
        tokens = torch.where(noised[:, positions], tokens, x[:, positions])
        count = self.vocabulary * noised.sum(-1, keepdim=True).clamp(min=1).double()
        weight = (tokens != x[:, positions]) / count
        spread = positions[None, :, None].expand(batch, -1, 1)
        return Neighbors(spread, tokens[..., None], weight)

    def position_loss(
        self, divergence: Bregman, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        """(1/V) Σ_y ψ; the token y = x adds 0, as ψ(0) = 0."""
        return divergence.at_position(log_q, x)

    def any_label_loss(
        self, divergence: Bregman, log_q: Float[Tensor, "n V"]
    ) -> Float[Tensor, "n"]:
        """The closed form over all pairs."""
        return divergence.at_any_label(log_q)
