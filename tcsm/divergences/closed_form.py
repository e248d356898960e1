"""A loss and its gradient by logits in closed form, so that neither needs an autograd graph.

    ∂ℓ_i/∂z_iy = scale_i · dense_iy + uniform_i

Of a matrix (n, V) every pass over memory costs; numbers per position, and the entry of a label,
cost nothing. So what is one number a position stays out of ``dense``: the matrix products that
follow apply ``scale`` and ``uniform`` to features (n, D) instead.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class ClosedForm(NamedTuple):
    """The loss of each position, and its gradient by logits in three parts.

    Attributes:
        loss: ℓ of each position.
        dense: the part that depends on the token.
        scale: factor of ``dense``; None for 1.
        uniform: what every token of a position adds; None for 0.
    """

    loss: Float[Tensor, "n"]
    dense: Float[Tensor, "n V"]
    scale: Float[Tensor, "n"] | None = None
    uniform: Float[Tensor, "n"] | None = None

    def times(self, factor: Float[Tensor, "n"]) -> "ClosedForm":
        """Return the loss times a number of each position, with its gradient."""
        scale = factor if self.scale is None else self.scale * factor
        uniform = None if self.uniform is None else self.uniform * factor
        return ClosedForm(self.loss * factor, self.dense, scale, uniform)

    def gradient(self) -> Float[Tensor, "n V"]:
        """Return the whole gradient, (n, V), in the memory of ``dense``."""
        whole = self.dense if self.scale is None else self.dense.mul_(self.scale[:, None])
        return whole if self.uniform is None else whole.add_(self.uniform[:, None])


class Differentiated:
    """A base class of losses: a new definition of the loss takes no old closed form with it."""

    _DEFINITIONS = ("__call__", "at_position", "pair", "slope", "dual")

    def __init_subclass__(cls, **arguments: object) -> None:
        """Return to autograd where a subclass defines the loss and not ``closed_form``."""
        super().__init_subclass__(**arguments)
        own = vars(cls)
        if "closed_form" not in own and any(name in own for name in cls._DEFINITIONS):
            root = next((c for c in reversed(cls.__mro__) if "closed_form" in vars(c)), None)
            if root is not None:
                cls.closed_form = root.closed_form  # type: ignore[attr-defined]


def at(values: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return the values at a token of each position."""
    return values.gather(-1, x[:, None]).squeeze(-1)


def put(values: Float[Tensor, "n V"], x: Int[Tensor, "n"], new: Float[Tensor, "n"]) -> None:
    """Overwrite the values at a token of each position."""
    values.scatter_(-1, x[:, None], new[:, None])


def add(values: Float[Tensor, "n V"], x: Int[Tensor, "n"], amount: Float[Tensor, "n"]) -> None:
    """Add to the values at a token of each position."""
    values.scatter_add_(-1, x[:, None], amount[:, None])


def cross_entropy(log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> ClosedForm:
    """Return −log q_x and q − δ_x; overwrites ``log_q``."""
    label = at(log_q, x)
    dense = log_q.exp_()
    put(dense, x, torch.expm1(label))
    return ClosedForm(-label, dense)


def by_autograd(
    loss: Callable[[Tensor], Float[Tensor, "n"]], values: Float[Tensor, "n V"]
) -> ClosedForm:
    """Return a loss of values and its gradient by them, which autograd finds."""
    with torch.enable_grad():
        leaf = values.detach().requires_grad_()
        found = loss(leaf)
        (slope,) = torch.autograd.grad(found.sum(), leaf)
    return ClosedForm(found.detach(), slope)


def through_softmax(closed: ClosedForm, log_q: Float[Tensor, "n V"]) -> ClosedForm:
    """Return the gradient by logits g − q Σ g of a loss with gradient g by log q.

    It overwrites ``log_q`` and the gradient.
    """
    loss, slope, scale, uniform = closed
    total = slope.sum(-1)
    if uniform is not None:
        total = total + uniform * slope.shape[-1] * (1 if scale is None else 1 / scale)
    return ClosedForm(loss, slope.addcmul_(log_q.exp_(), -total[:, None]), scale, uniform)
