"""The contract of a network: features and logits at the chosen sites.

What a loss does with logits is handed in as a `Read`, so that the head runs on open sites alone,
chunk by chunk, and no B×L×V tensor need ever exist. Everything passes through ``forward``, since
data parallelism and gradient synchronization act on ``forward`` only.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol, overload, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class LossValues(NamedTuple):
    """What a loss reads off the logits of a chunk: its value and −log q(x₁), both (n)."""

    loss: Tensor
    cross_entropy: Tensor


class WeightedLoss(NamedTuple):
    """Σ weight · loss, differentiable; the values a site, detached, for diagnostics."""

    total: Tensor
    loss: Tensor
    cross_entropy: Tensor


@runtime_checkable
class LogitLoss(Protocol):
    """A per-site function of logits; ``chunk`` says which sites they belong to."""

    def __call__(self, logits: Float[Tensor, "n V"], chunk: slice) -> LossValues:
        """Values of a chunk."""

    def gradient(self, logits: Float[Tensor, "n V"], chunk: slice) -> Tensor | None:
        """Of the loss with respect to the logits, or None: then autograd finds it."""


class Network(nn.Module):
    """What is trained, saved and counted, whatever it computes.

    Attributes:
        vocabulary: V, the clean tokens.
        states: input states: V, and the mask or the start symbol.
        longest: the most tokens of a sequence, None for any number.
    """

    vocabulary: int
    states: int
    longest: int | None = None

    def flops_per_token(self, length: int) -> float:
        """Of a training step, forward and backward: 6 a parameter."""
        return 6.0 * sum(p.numel() for p in self.parameters())


class Net(Network, ABC):
    """A network from sequences to the logits of their sites.

    Attributes:
        causal: sites see their past alone.
        timed: it takes t.
        head: features (n, D) ↦ logits (n, V), one column a clean token.
        chunk: sites a head evaluates at once; None for all at once, by plain autograd.
    """

    causal: bool
    timed: bool
    head: nn.Module
    chunk: int | None

    @abstractmethod
    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n D"]:
        """Features at the chosen rows of the B·L flattened sites; a row may come twice."""

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
            x: states.
            t: times (B), or None where the network takes none.
            positions: where logits are wanted, n in all, in row-major order.
            logit_loss: what to do with the logits.
            weight: weight of each site, (n).
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
        """Logits at all sites, read with row x^i of a table in place of ``embedding``."""
        arguments = (x, None, torch.ones_like(x, dtype=torch.bool))
        logits: Tensor = torch.func.functional_call(self, {"embedding": table}, arguments)
        return logits


def _rounded(rows: Int[Tensor, "n"], positions: int) -> Int[Tensor, "m"]:
    """The rows, filled up with the first site to a multiple of 1/32 of all sites.

    The number of open sites is another one every step, and libraries prepare every new shape of a
    matrix product anew: half a millisecond and half a megabyte each on a CPU. So there are 32.
    """
    return nn.functional.pad(rows, (0, -len(rows) % max(1, positions // 32)))


def _at_once(logits: Tensor, logit_loss: LogitLoss, weight: Tensor) -> WeightedLoss:
    loss, cross_entropy = logit_loss(logits, slice(0, len(logits)))
    total = (weight.to(loss.dtype) * loss).sum()
    return WeightedLoss(total, loss.detach(), cross_entropy.detach())


class _InChunks(torch.autograd.Function):
    """The same sum, with gradients formed in the forward: one chunk of logits lives at a time."""

    @staticmethod
    def forward(ctx, head, logit_loss, weight, size, hidden, *parameters):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        sums = [torch.zeros_like(p) for p in parameters]
        by_hidden = torch.zeros_like(hidden)
        readings = []
        for start in range(0, len(hidden), size):
            chunk = slice(start, start + size)
            reading, (by_chunk, *by_parameter) = _with_gradient(
                head, logit_loss, weight, hidden, chunk
            )
            readings.append(reading)
            by_hidden[chunk] = by_chunk
            if sums:
                torch._foreach_add_(sums, by_parameter)
        ctx.save_for_backward(by_hidden, *sums)
        loss, cross_entropy = (torch.cat(parts) for parts in zip(*readings, strict=True))
        ctx.mark_non_differentiable(loss, cross_entropy)
        return (weight.to(loss.dtype) * loss).sum(), loss, cross_entropy

    @staticmethod
    def backward(ctx, by_total, *_):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        return None, None, None, None, *(by_total * saved for saved in ctx.saved_tensors)


def _with_gradient(
    head: nn.Module, logit_loss: LogitLoss, weight: Tensor, hidden: Tensor, chunk: slice
) -> tuple[LossValues, tuple[Tensor, ...]]:
    """Values of a chunk, and the gradient of its weighted sum by features and head parameters."""
    with torch.enable_grad():
        part = hidden[chunk].detach().requires_grad_()
        logits = head(part)
        given = logit_loss.gradient(logits.detach(), chunk)
        reading = logit_loss(logits if given is None else logits.detach(), chunk)
        share = weight[chunk].to(reading.loss.dtype)
        inputs = [part, *(p for p in head.parameters() if p.requires_grad)]
        output, by_output = (share * reading.loss).sum(), None
        if given is not None:
            output, by_output = logits, (share[:, None] * given).to(logits.dtype)
        gradients = torch.autograd.grad(output, inputs, by_output, materialize_grads=True)
    return LossValues(reading.loss.detach(), reading.cross_entropy.detach()), gradients
