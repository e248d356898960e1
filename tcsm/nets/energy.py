"""An energy E(x, x_t) of a sequence: a transformer of a candidate x and its noised x_t.

Both are embedded and added; E is the sum of one number per position. E is 0 at initialization.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.nets.base import Network
from tcsm.nets.layers import linear
from tcsm.nets.transformer import Transformer


class Energy(Network):
    """(x, x_t, t) ↦ E.

    Args:
        body: The transformer; its head is replaced by one with a single column.
    """

    def __init__(self, body: Transformer) -> None:
        super().__init__()
        self.vocabulary, self.states = body.vocabulary, body.states
        dim = body.embedding.shape[1]
        body.head = linear(dim, 1, zero=True)
        self.body = body
        self.given = nn.Parameter(torch.randn(self.states, dim))

    def flops_per_token(self, length: int) -> float:
        """Return the FLOPs of one candidate."""
        return self.body.flops_per_token(length)

    def forward(
        self, x: Int[Tensor, "B N L"], x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"]
    ) -> Float[Tensor, "B N"]:
        """Return E of N candidates for each x_t."""
        count = x.shape[1]
        given = nn.functional.embedding(x_t, self.given).repeat_interleave(count, 0)
        hidden = self.body.embed(x.flatten(0, 1)) + given
        rows = torch.arange(x.numel(), device=x.device)
        features = self.body.encode(hidden, t.repeat_interleave(count), rows)
        per_position: Tensor = self.body.head(features)
        per_position = per_position.to(torch.promote_types(per_position.dtype, torch.float32))
        return per_position.view(x.shape).sum(-1)
