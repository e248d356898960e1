"""Conditioning of samplers on known tokens: a prompt, or any positions to infill between.

With the mask source, a sampler that starts with the known positions visible draws from
p(x₁ | known positions) wherever the same sampler without them draws from p(x₁): the posterior of
the other positions is the model's own. With the uniform source, known tokens are restored after
every step; the model reads them as noised states, an approximation that improves as t nears 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tcsm.errors import InputError


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Known tokens of every sample of a call.

    Attributes:
        tokens: one token per position; those at free positions have no effect.
        fixed: whether a position keeps its token.

    Raises:
        InputError: tokens and positions that differ in number.
    """

    tokens: Int[Tensor, "L"]
    fixed: Bool[Tensor, "M"]

    def __post_init__(self) -> None:
        """Refuse tokens and positions that differ in number."""
        if self.tokens.shape != self.fixed.shape:
            raise InputError(
                f"given.fixed must say of each of {len(self.tokens)} tokens whether it is, "
                f"found {len(self.fixed)}"
            )

    def restore(self, x: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
        """Return x with the known tokens at their positions."""
        return torch.where(self.fixed, self.tokens, x)

    def prefix(self) -> int:
        """Return the number of fixed positions, which must be the first ones.

        Raises:
            InputError: a fixed position after a free one.
        """
        known = int(self.fixed.sum())
        if not self.fixed[:known].all():
            at = int(self.fixed.nonzero().max())
            raise InputError(
                "given.fixed: autoregressive models take a prefix alone, found position "
                f"{at} fixed after a free one; use a model that can infill"
            )
        return known


def resolve_conditioning(
    conditioning: Conditioning | None, length: int, vocabulary: int, device: torch.device
) -> Conditioning:
    """Return a conditioning on a device, an empty one for None.

    Raises:
        InputError: another length, or a token that the model does not know.
    """
    if conditioning is None:
        nothing = torch.zeros(length, dtype=torch.int64, device=device)
        return Conditioning(nothing, nothing.bool())
    if len(conditioning.tokens) != length:
        raise InputError(
            f"given.tokens must have {length} positions, found {len(conditioning.tokens)}"
        )
    known = conditioning.tokens[conditioning.fixed]
    if len(known) and not 0 <= int(known.min()) <= int(known.max()) < vocabulary:
        raise InputError(
            f"given.tokens must lie in [0, {vocabulary}), found {int(known.min())} to "
            f"{int(known.max())}"
        )
    return Conditioning(conditioning.tokens.to(device), conditioning.fixed.to(device))
