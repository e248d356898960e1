"""The head and a loss of its logits in one step, chunk by chunk: no tensor N×V exists.

Of each chunk of features h the logits z = h Wᵀ are computed, turned in place into the gradient of
the loss by z, and read by two products: ∂/∂h = G W, and ∂/∂W += Gᵀ h. So gradients are formed in
the forward, and the backward only multiplies them by the gradient of the total.

A loss in closed form has no autograd graph; another one has that of a chunk. A head that is no
plain `nn.Linear` is differentiated by autograd, chunk by chunk.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tcsm.divergences.closed_form import ClosedForm
from tcsm.nets.head_gradients import Gradients, LinearGradients, ModuleGradients, is_linear

_untranslated: Callable[..., tuple[Tensor, Tensor, Tensor]] | None = None
CHUNK_BYTES = {"cpu": 2**26, "cuda": 2**29}  # of a chunk's logits, in fp32


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
        """Return the values of a chunk, differentiable."""

    def closed_form(
        self, logits: Float[Tensor, "n V"], spare: Float[Tensor, "n V"], chunk: slice
    ) -> tuple[ClosedForm, Tensor]:
        """Return the loss with its gradient, and −log q(x₁).

        It may overwrite ``logits`` and ``spare``, memory for one more tensor of their size, and
        return one of them. A loss without a form of its own uses `closed_form.by_autograd`.
        """


def weighted_loss(
    head: nn.Module,
    hidden: Float[Tensor, "m D"],
    logit_loss: LogitLoss,
    weight: Float[Tensor, "n"],
    chunk: int,
) -> WeightedLoss:
    """Return Σ weight · loss of the first n features; the others are padding.

    Args:
        head: Features ↦ logits.
        hidden: Features.
        logit_loss: Loss of the logits.
        weight: Weight of each position.
        chunk: Positions that are evaluated at once.
    """
    trained = [p for p in head.parameters() if p.requires_grad]
    chunks = _chunks(len(hidden), chunk)
    if not torch.is_grad_enabled() or not (hidden.requires_grad or trained):
        return _values(head, hidden, logit_loss, weight, chunks)
    wide = isinstance(head, nn.Linear) and head.out_features > head.in_features
    if len(chunks) == 1 and not (wide and is_linear(head)):
        # Nothing to save: logits are smaller than features, or autograd does the rest anyway.
        return _sum(logit_loss(head(hidden)[: len(weight)], slice(0, len(weight))), weight)
    arguments = (head, logit_loss, weight, chunks, hidden, *trained)
    fused = _outside_of_graphs() if torch.compiler.is_compiling() else _Fused.apply
    return WeightedLoss(*fused(*arguments))


def _outside_of_graphs() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Return the fused step as one that torch.compile calls and does not translate.

    It is made when a graph first needs it, since that loads the compiler, which takes seconds.
    """
    global _untranslated  # noqa: PLW0603
    if _untranslated is None:
        _untranslated = torch.compiler.disable(_Fused.apply)  # type: ignore[no-untyped-call]
    return _untranslated


def automatic(vocabulary: int, device: torch.device) -> int:
    """Return the number of positions whose logits fill the chunk's memory on a device."""
    size = CHUNK_BYTES.get(device.type, CHUNK_BYTES["cuda"])
    return max(1, size // (4 * vocabulary))


def _chunks(count: int, size: int) -> list[slice]:
    """Return slices of equal length, ``size`` at most."""
    size = -(-count // max(1, -(-count // size)))
    return [slice(start, start + size) for start in range(0, count, max(1, size))] or [slice(0, 0)]


def _sum(values: LossValues, weight: Tensor) -> WeightedLoss:
    loss, cross_entropy = values
    total = (weight.to(loss.dtype) * loss).sum()
    return WeightedLoss(total, loss.detach(), cross_entropy.detach())


def _values(
    head: nn.Module, hidden: Tensor, logit_loss: LogitLoss, weight: Tensor, chunks: list[slice]
) -> WeightedLoss:
    """Return the sum without any gradient."""
    parts: list[LossValues] = []
    for chunk in chunks:
        real = slice(chunk.start, min(chunk.stop, len(weight)))
        if real.start < real.stop or not parts:
            logits = head(hidden[chunk])[: max(0, real.stop - real.start)]
            parts.append(logit_loss(logits, real))
    return _sum(LossValues(*(torch.cat(part) for part in zip(*parts, strict=True))), weight)


def _add(gradients: Gradients, logit_loss: LogitLoss, weight: Tensor, chunk: slice) -> LossValues:
    """Add the gradients of a chunk, and return its values."""
    real = slice(min(chunk.start, len(weight)), min(chunk.stop, len(weight)))
    logits, spare = gradients.logits(chunk)
    count = real.stop - real.start
    closed, cross_entropy = logit_loss.closed_form(logits[:count], spare[:count], real)
    gradients.products(closed.times(weight[real].to(closed.loss.dtype)), chunk)
    return LossValues(closed.loss, cross_entropy)


class _Fused(torch.autograd.Function):
    """The sum, with gradients formed in the forward."""

    @staticmethod
    def forward(ctx, head, logit_loss, weight, chunks, hidden, *trained):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        kind = LinearGradients if is_linear(head) else ModuleGradients
        gradients = kind(head, hidden, ctx.needs_input_grad[4], chunks[0].stop)
        here = hidden.device.type
        casts = torch.is_autocast_enabled(here) and kind is ModuleGradients
        with torch.autocast(here, enabled=casts):
            parts = [_add(gradients, logit_loss, weight, chunk) for chunk in chunks]
        loss, cross_entropy = (torch.cat(part) for part in zip(*parts, strict=True))
        ctx.save_for_backward(gradients.by_hidden, *gradients.by_parameters())
        ctx.mark_non_differentiable(loss, cross_entropy)
        return (weight.to(loss.dtype) * loss).sum(), loss, cross_entropy

    @staticmethod
    def backward(ctx, by_total, *_):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        one = by_total.device.type == "cpu" and by_total == 1  # a GPU would have to wait for this
        saved = (
            part if part is None or one else by_total.to(part.dtype) * part
            for part in ctx.saved_tensors
        )
        return None, None, None, None, *saved
