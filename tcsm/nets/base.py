"""The contract of a network: features, and logits at the selected positions.

A loss on logits is passed as a `LogitLoss`, so that the head runs on masked positions alone, chunk
by chunk, and no B×L×V tensor is needed (`tcsm.nets.head`). All computation goes through
``forward``, since data parallelism and gradient synchronization act on ``forward`` only.
"""

from abc import ABC, abstractmethod
from typing import overload

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.nets.head import LogitLoss, WeightedLoss, automatic, weighted_loss


class Network(nn.Module):
    """A module that is trained, saved and counted, whatever it computes.

    Attributes:
        vocabulary: V, the number of clean tokens.
        states: Number of input states: V, and the mask or the start symbol.
        longest: The largest length of a sequence, None if unlimited.
    """

    vocabulary: int
    states: int
    longest: int | None = None

    def flops_per_token(self, length: int) -> float:
        """Return the FLOPs of a training step (forward and backward): 6 per parameter."""
        return 6.0 * sum(p.numel() for p in self.parameters())


class Net(Network, ABC):
    """A network from sequences to the logits of their positions.

    Attributes:
        causal: Whether a position sees only earlier positions.
        timed: Whether the network takes t.
        head: Features (n, D) ↦ logits (n, V), one column per clean token.
        chunk: Positions that the head evaluates at once; None for as many as memory suits.
    """

    causal: bool
    timed: bool
    head: nn.Module
    chunk: int | None

    @abstractmethod
    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Return features at selected rows of the B·L flattened positions; rows may repeat."""

    @overload
    def forward(self, x: Tensor, t: Tensor | None, positions: Tensor) -> Tensor: ...

    @overload
    def forward(
        self, x: Tensor, t: Tensor | None, positions: Tensor, logit_loss: LogitLoss, weight: Tensor
    ) -> WeightedLoss: ...

    def forward(
        self,
        x: Int[Tensor, "B L"],
        t: Tensor | None,
        positions: Bool[Tensor, "B L"],
        logit_loss: LogitLoss | None = None,
        weight: Tensor | None = None,
    ) -> Tensor | WeightedLoss:
        """Return logits (n, V) at ``positions``; with ``logit_loss``, Σ weight · loss instead.

        Args:
            x: States.
            t: Times (B), or None where the network takes none.
            positions: Positions of the n logits, in row-major order.
            logit_loss: Loss of the logits.
            weight: Weight of each position, (n).
        """
        rows = positions.flatten().nonzero().squeeze(1)
        count = len(rows)
        hidden = self.features(x, t, _rounded(rows, x.numel()))
        if logit_loss is None or weight is None:
            logits: Tensor = self.head(hidden)[:count]
            return logits
        chunk = self.chunk or automatic(self.vocabulary, hidden.device)
        return weighted_loss(self.head, hidden, logit_loss, weight, chunk)

    def logits_in(
        self, table: Float[Tensor, "R D"], x: Int[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return logits at all positions, with row x^i of a table in place of ``embedding``."""
        arguments = (x, None, torch.ones_like(x, dtype=torch.bool))
        logits: Tensor = torch.func.functional_call(self, {"embedding": table}, arguments)
        return logits


def _rounded(rows: Int[Tensor, "n"], positions: int) -> Int[Tensor, "m"]:
    """Return the rows, padded with the first one to a multiple of 1/32 of all positions.

    The number of masked positions changes every step, and libraries prepare each new shape of a
    matrix product: half a millisecond and half a megabyte each on a CPU. With padding there are 32
    shapes.
    """
    return nn.functional.pad(rows, (0, -len(rows) % max(1, positions // 32)))
