"""The head and a loss of its logits in one step, chunk by chunk: no tensor N×V exists.

Of each chunk of features h the logits z = h Wᵀ are computed, turned in place into the gradient of
the loss by z, and read by two products: ∂/∂h = G W, and ∂/∂W += Gᵀ h. So gradients are formed in
the forward, and the backward only multiplies them by the gradient of the total.

A loss in closed form has no autograd graph; another one has that of a chunk. A head that is no
plain `nn.Linear` is differentiated by autograd, chunk by chunk.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tcsm.divergences.closed_form import ClosedForm

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
    ) -> tuple[ClosedForm, Tensor] | None:
        """Return the loss with its gradient, and −log q(x₁); None to use autograd.

        It may overwrite ``logits`` and ``spare``, memory for one more tensor of their size, and
        return one of them. If it returns None, ``logits`` are unchanged.
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
    if len(chunks) == 1 and not (wide and _plain(head)):
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


def _plain(head: nn.Module) -> bool:
    """Return whether a head is a linear map and nothing else."""
    if type(head) is not nn.Linear or head._forward_hooks or head._forward_pre_hooks:
        return False
    return all(name in ("weight", "bias") for name, _ in head.named_parameters())


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


class _Fused(torch.autograd.Function):
    """The sum, with gradients formed in the forward."""

    @staticmethod
    def forward(ctx, head, logit_loss, weight, chunks, hidden, *trained):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        kind = _LinearGradients if _plain(head) else _ModuleGradients
        gradients = kind(head, hidden, ctx.needs_input_grad[4], chunks[0].stop)
        here = hidden.device.type
        casts = torch.is_autocast_enabled(here) and kind is _ModuleGradients
        with torch.autocast(here, enabled=casts):
            parts = [gradients.add(logit_loss, weight, chunk) for chunk in chunks]
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


class _Gradients(ABC):
    """Sums over chunks of the gradients by features and by the head's trained parameters.

    Args:
        head: The head.
        hidden: All features, padding included.
        wanted: Whether the gradient by features is needed.
    """

    def __init__(self, head: nn.Module, hidden: Tensor, wanted: bool) -> None:
        self.head, self.hidden = head, hidden
        self.by_hidden = torch.empty_like(hidden) if wanted else None

    def add(self, logit_loss: LogitLoss, weight: Tensor, chunk: slice) -> LossValues:
        """Add the gradients of a chunk, and return its values."""
        real = slice(min(chunk.start, len(weight)), min(chunk.stop, len(weight)))
        logits, spare = self.logits(chunk)
        count = real.stop - real.start
        closed, cross_entropy = _closed_form(logit_loss, logits[:count], spare[:count], real)
        self.products(closed.times(weight[real].to(closed.loss.dtype)), chunk)
        return LossValues(closed.loss, cross_entropy)

    @abstractmethod
    def logits(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return the logits of a chunk, which may be overwritten, and memory of their size."""

    @abstractmethod
    def products(self, closed: ClosedForm, chunk: slice) -> None:
        """Add the gradients by features and parameters of the last logits."""

    @abstractmethod
    def by_parameters(self) -> list[Tensor]:
        """Return the sums of the trained parameters, in the order of the module's parameters."""


def _closed_form(
    logit_loss: LogitLoss, logits: Tensor, spare: Tensor, chunk: slice
) -> tuple[ClosedForm, Tensor]:
    """Return the loss with its gradient, by autograd if the loss states none."""
    given = logit_loss.closed_form(logits, spare, chunk)
    if given is not None:
        return given
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        loss, cross_entropy = logit_loss(leaf, chunk)
        (slope,) = torch.autograd.grad(loss.sum(), leaf)
    return ClosedForm(loss.detach(), slope), cross_entropy.detach()


class _LinearGradients(_Gradients):
    """The products of a linear head in the type of autocast, with two buffers (chunk, V)."""

    def __init__(self, head: nn.Linear, hidden: Tensor, wanted: bool, chunk: int) -> None:
        super().__init__(head, hidden, wanted)
        self.type = _product_type(hidden, head.weight)
        self.exact = torch.promote_types(self.type, torch.float32)
        self.features, self.weight = (
            part.detach().to(self.type) for part in (hidden, head.weight)
        )
        self.memory = hidden.new_empty(2, chunk * len(head.weight), dtype=self.exact)
        self.by_weight, self.by_bias = (
            torch.zeros_like(part) if part is not None and part.requires_grad else None
            for part in (head.weight, head.bias)
        )
        self.bias = None if head.bias is None else head.bias.detach()
        self.by_every_row: Tensor | None = None

    def logits(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return h Wᵀ + b in fp32 or better."""
        rows = self.features[chunk]
        logits, spare = self._buffers(len(rows))
        out = self._product_memory(logits, spare)
        torch.mm(rows, self.weight.t(), out=out)
        if out is not logits:
            logits.copy_(out)
        if self.bias is not None:
            logits += self.bias
        return logits, spare

    def products(self, closed: ClosedForm, chunk: slice) -> None:
        """Add G W to the features', Gᵀ h to the weight's and Gᵀ 1 to the bias's gradient.

        The parts of G that are one number a position act on features, (n, D).
        """
        rows = self.features[chunk]
        dense = self._operand(closed.dense, len(rows))
        scale, uniform = (self._column(part, len(rows)) for part in (closed.scale, closed.uniform))
        if self.by_hidden is not None:
            self._by_hidden(dense, scale, self.by_hidden[chunk])
        if self.by_weight is not None:
            scaled = rows if scale is None else (rows * scale).to(self.type)
            _add_product(self.by_weight, dense.t(), scaled)
        if self.by_bias is not None:
            ones = torch.ones_like(dense[:, :1]) if scale is None else scale.to(self.type)
            _add_product(self.by_bias[:, None], dense.t(), ones)
        if uniform is not None:
            self._add_uniform(uniform, rows, chunk)

    def _by_hidden(self, dense: Tensor, scale: Tensor | None, out: Tensor) -> None:
        if out.dtype == self.type:
            torch.mm(dense, self.weight, out=out)
        else:
            out.copy_(dense @ self.weight)
        if scale is not None:
            out.mul_(scale)

    def by_parameters(self) -> list[Tensor]:
        """Return the sums of weight and bias."""
        if self.by_weight is not None and self.by_every_row is not None:
            self.by_weight += self.by_every_row
        return [part for part in (self.by_weight, self.by_bias) if part is not None]

    def _add_uniform(self, uniform: Tensor, rows: Tensor, chunk: slice) -> None:
        """Add what a gradient that is the same for all tokens of a position gives."""
        if self.by_every_row is None:
            self.by_every_row = torch.zeros_like(rows[0], dtype=self.exact)
            self.row_sum = self.weight.sum(0, dtype=self.exact)
        if self.by_hidden is not None:
            self.by_hidden[chunk] += uniform * self.row_sum
        if self.by_bias is not None:
            self.by_bias += uniform.sum()
        self.by_every_row += (uniform * rows).sum(0)

    def _buffers(self, count: int) -> tuple[Tensor, Tensor]:
        size = len(self.weight)
        logits, spare = (part[: count * size].view(count, size) for part in self.memory)
        return logits, spare

    def _product_memory(self, buffer: Tensor, free: Tensor) -> Tensor:
        """Return a matrix for a product: the buffer itself, or in bf16 the memory that is free."""
        if self.type == self.exact:
            return buffer
        return free.flatten().view(self.type)[: free.numel()].view(free.shape)

    def _operand(self, dense: Tensor, count: int) -> Tensor:
        """Return G in the type of products, with zeros at the padding."""
        logits, spare = self._buffers(count)
        whole, free = (spare, logits) if _same(dense, spare) else (logits, spare)
        if len(dense) < count:
            if not _same(dense, whole):
                whole[: len(dense)] = dense
            whole[len(dense) :] = 0
            dense = whole
        if dense.dtype == self.type:
            return dense
        return self._product_memory(whole, free).copy_(dense)

    def _column(self, part: Tensor | None, count: int) -> Tensor | None:
        """Return one number a position as a column, 0 at the padding."""
        if part is None:
            return None
        part = part.to(self.exact)
        return (part if len(part) == count else functional.pad(part, (0, count - len(part))))[
            :, None
        ]


class _ModuleGradients(_Gradients):
    """The gradients of any head, by autograd from those by its logits."""

    def __init__(self, head: nn.Module, hidden: Tensor, wanted: bool, chunk: int) -> None:
        super().__init__(head, hidden, wanted)
        self.trained = [p for p in head.parameters() if p.requires_grad]
        self.sums = [torch.zeros_like(p) for p in self.trained]

    def logits(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return a copy of the head's output in fp32 or better."""
        with torch.enable_grad():
            self.rows = self.hidden[chunk].detach().requires_grad_()
            self.output = self.head(self.rows)
        exact = torch.promote_types(self.output.dtype, torch.float32)
        logits = self.output.detach().to(exact, copy=True)
        return logits, torch.empty_like(logits)

    def products(self, closed: ClosedForm, chunk: slice) -> None:
        """Add the gradients that autograd finds of a chunk."""
        slope = torch.zeros_like(self.output)
        slope[: len(closed.dense)] = closed.gradient()
        inputs = [self.rows, *self.trained]
        by_rows, *by_trained = torch.autograd.grad(
            self.output, inputs, slope, materialize_grads=True
        )
        if self.by_hidden is not None:
            self.by_hidden[chunk] = by_rows
        if self.sums:
            torch._foreach_add_(self.sums, by_trained)

    def by_parameters(self) -> list[Tensor]:
        """Return the sums."""
        return self.sums


def _product_type(hidden: Tensor, weight: Tensor) -> torch.dtype:
    """Return the type in which autocast, if it is on, computes a product of both."""
    if torch.is_autocast_enabled(hidden.device.type) and weight.dtype != torch.float64:
        return torch.get_autocast_dtype(hidden.device.type)
    return torch.promote_types(hidden.dtype, weight.dtype)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left · right to the total, in its memory if the types agree."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors begin at the same place in memory."""
    return one.data_ptr() == other.data_ptr()
