"""What of a sample is known beforehand: a prompt, or any positions between which a model fills in.

For the mask source a walk that starts with the known positions open draws p(x₁ | known positions)
wherever the same walk without them would draw p(x₁): the posterior of the other positions is the
model's own. For the uniform source known positions are put back after every step; the model reads
them as noised states, which is an approximation that gets better as t nears 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tcsm.errors import InputError


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Tokens that every sample of a call has.

    Attributes:
        tokens: one token a position; what stands at positions that are not fixed does not matter.
        fixed: the positions that keep theirs.

    Raises:
        InputError: tokens and positions that differ in number.
    """

    tokens: Int[Tensor, "L"]
    fixed: Bool[Tensor, "M"]

    def __post_init__(self) -> None:
        """Every position is either fixed or not."""
        if self.tokens.shape != self.fixed.shape:
            raise InputError(
                f"given.fixed must say of each of {len(self.tokens)} tokens whether it is, "
                f"found {len(self.fixed)}"
            )

    def hold(self, x: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
        """The same with the known tokens in their places."""
        return torch.where(self.fixed, self.tokens, x)

    def prefix(self) -> int:
        """How many positions are fixed, if they are the first ones.

        Raises:
            InputError: a fixed position after an open one.
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
    """What is given for sequences of some length, on a device; nothing if it is None.

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
