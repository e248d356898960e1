"""Self-attention from x to mixed values as one function with its gradient, for CPUs.

    q, k, v = W x;  q, k ← rotate(√E q/‖q‖, √E k/‖k‖);  y = softmax(q kᵀ) v

Queries, keys and values lie as (B, 3, H, E, L), as the product W xᵀ gives them: positions last.
Norms, rotations and their gradients then pass over contiguous rows of L numbers, and the
transpositions are those of matrix products, which cost nothing. Autograd on (B, L, H, E) takes
about twice as many passes, over rows of E numbers, and copies for each product.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

LONGEST = 128  # above it, the probabilities (B, H, L, L) cost more memory than they save time


def is_short(x: Float[Tensor, "B L D"]) -> bool:
    """Return whether `mixed` is the fastest way for these inputs; a compiler fuses by itself."""
    exact = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    here = x.device.type == "cpu" and not torch.compiler.is_compiling()
    return here and exact and x.shape[1] <= LONGEST


def mixed(
    x: Float[Tensor, "B L D"],
    weight: Float[Tensor, "3*D D"],
    turn: tuple[Tensor, Tensor],
    heads: int,
    causal: bool,
) -> Float[Tensor, "B L D"]:
    """Return the heads' outputs, side by side.

    Args:
        x: Input of the layer.
        weight: W, rows of all queries, then keys, then values, by head.
        turn: Cosines and signed sines of `rotary`.
        heads: H.
        causal: Whether a position sees only earlier positions and itself.
    """
    tables = [part[:, 0].t().to(x.dtype).contiguous() for part in turn]
    y: Tensor = _Mixed.apply(x, weight, tables, heads, causal)  # type: ignore[no-untyped-call]
    return y


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor, out: Tensor) -> None:
    """Write x cos + swap(x) sin, for halves of the dimension before the last."""
    half = x.shape[-2] // 2
    torch.mul(x, cosine, out=out)
    out[..., :half, :].addcmul_(x[..., half:, :], sine[:half])
    out[..., half:, :].addcmul_(x[..., :half, :], sine[half:])


class _Mixed(torch.autograd.Function):
    """The function and its gradient; B·H is the batch of the products over positions."""

    @staticmethod
    def forward(ctx, x, weight, tables, heads, causal):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        batch, length = x.shape[:2]
        size = len(weight) // 3 // heads
        raw = torch.bmm(weight.expand(batch, -1, -1), x.transpose(1, 2))
        raw = raw.view(batch, 3, heads, size, length)
        squares = raw[:, :2].square().sum(3, keepdim=True)
        scale = squares.sqrt_().clamp_min_(1e-3).reciprocal_().mul_(size**0.5)
        unit = raw[:, :2] * scale
        turned = unit.new_empty(2, batch, heads, size, length)
        cosine, sine = tables
        _rotate(unit.transpose(0, 1), cosine, sine, turned)
        q, k = turned.flatten(1, 2)
        v = raw[:, 2].reshape(batch * heads, size, length)
        p = torch.bmm(q.transpose(1, 2), k)
        if causal:
            p.masked_fill_(_future(length), -math.inf)
        torch.softmax(p, -1, out=p)
        ctx.save_for_backward(x, weight, cosine, sine, unit, scale, q, k, v, p)
        y = torch.bmm(p, v.transpose(1, 2)).view(batch, heads, length, size)
        return y.transpose(1, 2).reshape(batch, length, heads * size)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        x, weight, cosine, sine, unit, scale, q, k, v, p = ctx.saved_tensors
        batch, _, heads, size, length = unit.shape
        g = g.reshape(batch, length, heads, size).transpose(1, 2).flatten(0, 1)
        by_raw = unit.new_empty(batch, 3, heads, size, length)
        by_turned = unit.new_empty(2, batch, heads, size, length)
        by_raw[:, 2] = _by_qkv(g, q, k, v, p, by_turned.flatten(1, 2)).view_as(by_raw[:, 2])
        by_qk = by_raw[:, :2]
        _rotate(by_turned, cosine, -sine, by_qk.transpose(0, 1))
        along = (by_qk * unit).sum(3, keepdim=True).div_(-size)
        by_qk.addcmul_(unit, along).mul_(scale)
        by_raw = by_raw.view(batch, -1, length)
        by_x = by_weight = None
        if ctx.needs_input_grad[0]:
            by_x = torch.bmm(by_raw.transpose(1, 2), weight.expand(batch, -1, -1))
        if ctx.needs_input_grad[1]:
            by_weight = by_raw.transpose(0, 1).flatten(1) @ x.flatten(0, 1)
        return by_x, by_weight, None, None, None


def _by_qkv(g: Tensor, q: Tensor, k: Tensor, v: Tensor, p: Tensor, by_qk: Tensor) -> Tensor:
    """Write the gradients by queries and keys; return that by values."""
    by_logits = torch.bmm(g, v)
    torch._softmax_backward_data(by_logits, p, -1, p.dtype, grad_input=by_logits)
    torch.bmm(k, by_logits.transpose(1, 2), out=by_qk[0])
    torch.bmm(q, by_logits, out=by_qk[1])
    return torch.bmm(g.transpose(1, 2), p)


def _future(length: int) -> Tensor:
    """Return the pairs (i, j) with j > i."""
    return torch.ones(length, length, dtype=torch.bool).triu(1)
