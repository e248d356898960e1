"""The 1-Hamming ball: all sequences that differ from x at one position.

ℓ(x) = mean over noised i of (1/V) Σ_y ψ(log q^i(y) − log q^i(x^i))               (3.1, §13)
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.divergences.bregman import Bregman
from tcsm.divergences.closed_form import ClosedForm
from tcsm.neighborhoods.base import Neighbors, PerPosition, require_tokens


@dataclass(frozen=True)
class Hamming(PerPosition):
    """The 1-ball over V tokens.

    Raises:
        InputError: fewer than two tokens.
    """

    vocabulary: int
    symmetric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse fewer than two tokens, whose ball is empty."""
        require_tokens(self.vocabulary)

    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """Return L·V entries; those at visible positions and x itself have weight 0."""
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
        """Return (1/V) Σ_y ψ(log q_y − log q_x), where y = x adds ψ(0) = 0."""
        return divergence.at_position(log_q, x)

    def closed_form(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "n"],
        spare: Float[Tensor, "n V"],
    ) -> ClosedForm:
        """Return the divergence's own."""
        return divergence.closed_form(log_q, x, spare)

    def smoothed_form(
        self,
        divergence: Bregman,
        log_q: Float[Tensor, "n V"],
        x: Int[Tensor, "n"],
        spare: Float[Tensor, "n V"],
        epsilon: float,
    ) -> ClosedForm | None:
        """Return the divergence's own."""
        return divergence.smoothed_form(log_q, x, spare, epsilon)

    def any_label_loss(
        self, divergence: Bregman, log_q: Float[Tensor, "n V"]
    ) -> Float[Tensor, "n"]:
        """Return the closed form over all pairs of tokens."""
        return divergence.at_any_label(log_q)
