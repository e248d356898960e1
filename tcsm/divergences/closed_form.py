"""A loss and its gradient by logits in closed form, so that neither needs an autograd graph.

    ∂ℓ_i/∂z_iy = scale_i · dense_iy + uniform_i

Of a matrix (n, V) every pass over memory costs; numbers per position, and the entry of a label,
cost nothing. So what is one number a position stays out of ``dense``: the matrix products that
follow apply ``scale`` and ``uniform`` to features (n, D) instead.

A loss of a normalized q states its gradient by log q or by q, whichever is less work; one call,
`through_log_softmax` or `through_softmax`, turns it into that by logits in its own memory.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

aten = torch.ops.aten


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


class Label(NamedTuple):
    """What one token of each position adds to the gradient by log q.

    Attributes:
        x: the tokens.
        slope: the gradients.
    """

    x: Int[Tensor, "n"]
    slope: Float[Tensor, "n"]


class Differentiated:
    """A base class of losses: a new definition of the loss takes no old closed form with it."""

    _DEFINITIONS = ("__call__", "at_position", "pair", "slope", "dual")
    _FORMS = (
        *("closed_form", "top_form", "normalized_form", "ratio_form", "smoothed_form"),
        *("mean_dual", "mean_slope"),
    )

    def __init_subclass__(cls, **arguments: object) -> None:
        """Return to the general forms where a subclass defines the loss and not its own ones."""
        super().__init_subclass__(**arguments)
        own = dict(vars(cls))
        if not any(name in own for name in cls._DEFINITIONS):
            return
        for form in cls._FORMS:
            root = next((c for c in reversed(cls.__mro__) if form in vars(c)), None)
            if root is not None and form not in own:
                setattr(cls, form, vars(root)[form])


def at(values: Float[Tensor, "n V"], x: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return the values at a token of each position."""
    return values.gather(-1, x[:, None]).squeeze(-1)


def put(values: Float[Tensor, "n V"], x: Int[Tensor, "n"], new: Float[Tensor, "n"]) -> None:
    """Overwrite the values at a token of each position."""
    values.scatter_(-1, x[:, None], new[:, None])


def add(values: Float[Tensor, "n V"], x: Int[Tensor, "n"], amount: Float[Tensor, "n"]) -> None:
    """Add to the values at a token of each position."""
    values.scatter_add_(-1, x[:, None], amount[:, None])


def log_sigmoid_(values: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return log σ in the memory of the values: a softplus of slope −1, linear below −50."""
    aten.softplus.out(values, -1, 50, out=values)
    return values


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
        value = loss(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    return ClosedForm(value.detach(), slope)


def through_log_softmax(
    closed: ClosedForm, log_q: Float[Tensor, "n V"], label: Label | None = None
) -> ClosedForm:
    """Return the gradient by logits g − q Σ g of a loss with gradient g by log q, in g's memory.

    Args:
        closed: the loss and g.
        log_q: log-conditionals.
        label: what is still to be added to g.
    """
    if closed.uniform is not None:
        closed = ClosedForm(closed.loss, closed.gradient())
    slope, scale = closed.dense, closed.scale
    if label is not None:
        add(slope, label.x, label.slope if scale is None else label.slope / scale)
    aten._log_softmax_backward_data.out(slope, log_q, 1, slope.dtype, out=slope)
    return closed


def through_softmax(
    closed: ClosedForm, q: Float[Tensor, "n V"], label: Label | None = None
) -> ClosedForm:
    """Return the gradient by logits q (g − Σ q g) of a loss with gradient g by q, in g's memory.

    A label's part, of the gradient by log q, would be infinite by q where q is 0. So the label's
    entry of q is replaced by 1, and what that changes is made good at this entry alone.

    Args:
        closed: the loss and g, which has no ``uniform`` part.
        q: conditionals; changed at the label.
        label: what is still to be added to q g.
    """
    slope = closed.dense
    if label is not None:
        scale = 1 if closed.scale is None else closed.scale
        q_x = at(q, label.x)
        own = q_x * at(slope, label.x) + label.slope / scale
        put(slope, label.x, own)
        put(q, label.x, torch.ones_like(q_x))
    aten._softmax_backward_data.out(slope, q, 1, slope.dtype, grad_input=slope)
    if label is not None:
        total = own - at(slope, label.x)
        put(slope, label.x, own - q_x * total)
    return closed
