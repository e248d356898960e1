"""The contract of a network: features, and logits at the selected positions.

A loss on logits is passed as a `LogitLoss`, so that the head runs on masked positions alone, chunk
by chunk, and no B×L×V tensor is needed. All computation goes through ``forward``, since data
parallelism and gradient synchronization act on ``forward`` only.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol, overload, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class LossValues(NamedTuple):
    """The values of a `LogitLoss` on a chunk of logits: the loss and −log q(x₁), both (n)."""

    loss: Tensor
    cross_entropy: Tensor


class WeightedLoss(NamedTuple):
    """Σ weight · loss, differentiable; the values per position, detached, for diagnostics."""

    total: Tensor
    loss: Tensor
    cross_entropy: Tensor


@runtime_checkable
class LogitLoss(Protocol):
    """A loss per position as a function of logits; ``chunk`` gives the logits' positions."""

    def __call__(self, logits: Float[Tensor, "n V"], chunk: slice) -> LossValues:
        """Return the values of a chunk."""

    def gradient(self, logits: Float[Tensor, "n V"], chunk: slice) -> Tensor | None:
        """Return the gradient of the loss by the logits, or None to use autograd."""


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
        chunk: Positions that the head evaluates at once; None for all at once, by plain autograd.
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
        if logit_loss is None or weight is None or self.chunk is None or count <= self.chunk:
            logits: Tensor = self.head(hidden)[:count]
            return (
                _at_once(logits, logit_loss, weight)
                if logit_loss and weight is not None
                else logits
            )
        hidden = hidden[:count]
        trained = (p for p in self.head.parameters() if p.requires_grad)
        arguments = (self.head, logit_loss, weight, self.chunk, hidden, *trained)
        return WeightedLoss(*_InChunks.apply(*arguments))  # type: ignore[no-untyped-call]

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


def _at_once(logits: Tensor, logit_loss: LogitLoss, weight: Tensor) -> WeightedLoss:
    loss, cross_entropy = logit_loss(logits, slice(0, len(logits)))
    total = (weight.to(loss.dtype) * loss).sum()
    return WeightedLoss(total, loss.detach(), cross_entropy.detach())


class _InChunks(torch.autograd.Function):
    """The same sum with gradients formed in the forward, so that one chunk lives at a time."""

    @staticmethod
    def forward(ctx, head, logit_loss, weight, size, hidden, *parameters):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        sums = [torch.zeros_like(p) for p in parameters]
        by_hidden = torch.zeros_like(hidden)
        values = []
        for start in range(0, len(hidden), size):
            chunk = slice(start, start + size)
            part, (by_chunk, *by_parameter) = _with_gradient(
                head, logit_loss, weight, hidden, chunk
            )
            values.append(part)
            by_hidden[chunk] = by_chunk
            if sums:
                torch._foreach_add_(sums, by_parameter)
        ctx.save_for_backward(by_hidden, *sums)
        loss, cross_entropy = (torch.cat(parts) for parts in zip(*values, strict=True))
        ctx.mark_non_differentiable(loss, cross_entropy)
        return (weight.to(loss.dtype) * loss).sum(), loss, cross_entropy

    @staticmethod
    def backward(ctx, by_total, *_):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        return None, None, None, None, *(by_total * saved for saved in ctx.saved_tensors)


def _with_gradient(
    head: nn.Module, logit_loss: LogitLoss, weight: Tensor, hidden: Tensor, chunk: slice
) -> tuple[LossValues, tuple[Tensor, ...]]:
    """Return a chunk's values, and the gradient of their weighted sum by features and head."""
    with torch.enable_grad():
        part = hidden[chunk].detach().requires_grad_()
        logits = head(part)
        given = logit_loss.gradient(logits.detach(), chunk)
        values = logit_loss(logits if given is None else logits.detach(), chunk)
        share = weight[chunk].to(values.loss.dtype)
        inputs = [part, *(p for p in head.parameters() if p.requires_grad)]
        output, by_output = (share * values.loss).sum(), None
        if given is not None:
            output, by_output = logits, (share[:, None] * given).to(logits.dtype)
        gradients = torch.autograd.grad(output, inputs, by_output, materialize_grads=True)
    return LossValues(values.loss.detach(), values.cross_entropy.detach()), gradients
