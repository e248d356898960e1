"""Any module (ids, t) ↦ logits as a network of this package."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.nets.base import Net


class Adapted(Net):
    """A module with logits for all positions; columns from V on, such as the mask's, are dropped.

    Args:
        module: Takes ids (B, L), or ids and what ``time`` returns, and gives logits (B, L, ≥ V).
        vocabulary: V, the number of clean tokens.
        extra: Further input states: 1 for the mask, whose id is V.
        time: Times (B) ↦ the second argument: ``schedule.alpha`` for α, `noise_level` for σ,
            ``torch.zeros_like`` for a module that ignores it; None for a module of ids alone.
        longest: The largest length of a sequence, None if unlimited.
    """

    def __init__(
        self,
        module: nn.Module,
        vocabulary: int,
        extra: int = 1,
        time: Callable[[Tensor], Tensor] | None = None,
        longest: int | None = None,
    ) -> None:
        super().__init__()
        self.module, self.vocabulary, self.states = module, vocabulary, vocabulary + extra
        self.causal, self.timed, self.chunk = False, time is not None, None
        self.time, self.longest, self.head = time, longest, nn.Identity()

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n V"]:
        """Return the module's logits; the head is the identity.

        Raises:
            InputError: Logits of another shape.
        """
        if self.time is not None and t is None:
            raise InputError("net.time: the module wants a time, and this model gives none")
        logits = self.module(x) if self.time is None or t is None else self.module(x, self.time(t))
        shape = tuple(getattr(logits, "shape", ()))
        if len(shape) != 3 or shape[:2] != tuple(x.shape) or shape[2] < self.vocabulary:
            raise InputError(
                f"net.module: {type(self.module).__name__} must give logits of shape "
                f"({len(x)}, {x.shape[1]}, {self.vocabulary} or more), found "
                f"{shape or type(logits).__name__}"
            )
        selected: Tensor = logits[..., : self.vocabulary].flatten(0, 1)[rows]
        return selected


def noise_level(
    alpha: Callable[[Tensor], Tensor], least: float = 1e-3
) -> Callable[[Tensor], Tensor]:
    """Return t ↦ σ = −log α(t), where α is at least ``least``, as MDLM, DUO and SEDD train."""
    return lambda t: -torch.log(alpha(t).clamp_min(least))
