"""Gradients of a head by its features and parameters, summed over chunks of features.

A linear head's are two products of a chunk in the memory of two buffers; those of any other head
come from autograd, chunk by chunk.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from tcsm.divergences.closed_form import ClosedForm


def is_linear(head: nn.Module) -> bool:
    """Return whether a head is a linear map and nothing else."""
    if type(head) is not nn.Linear or head._forward_hooks or head._forward_pre_hooks:
        return False
    return all(name in ("weight", "bias") for name, _ in head.named_parameters())


class Gradients(ABC):
    """Sums over chunks of the gradients by features and by the head's trained parameters.

    Args:
        head: The head.
        hidden: All features, padding included.
        wanted: Whether the gradient by features is needed.
    """

    def __init__(self, head: nn.Module, hidden: Tensor, wanted: bool) -> None:
        self.head, self.hidden = head, hidden
        self.by_hidden = torch.empty_like(hidden) if wanted else None

    @abstractmethod
    def logits(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return the logits of a chunk, which may be overwritten, and memory of their size."""

    @abstractmethod
    def products(self, closed: ClosedForm, chunk: slice) -> None:
        """Add the gradients by features and parameters of the last logits."""

    @abstractmethod
    def by_parameters(self) -> list[Tensor]:
        """Return the sums of the trained parameters, in the order of the module's parameters."""


class LinearGradients(Gradients):
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
            self.by_every_row = rows.new_zeros(rows.shape[1:], dtype=self.exact)
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


class ModuleGradients(Gradients):
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
