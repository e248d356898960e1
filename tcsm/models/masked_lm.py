"""Networks that give conditionals: hollow, one pass for all; masked, one pass a position.

Both see the *clean* context x^{≠i}. Hiding several positions at once would give p(· | x_t), the
distribution of another denoiser (7.2).
"""

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.losses import LabelCrossEntropy
from tcsm.models.teacher import Teacher
from tcsm.nets.base import Net
from tcsm.nets.head import WeightedLoss
from tcsm.nets.hollow import Hollow


class Conditional(nn.Module, Teacher):
    """A teacher that is trained by cross-entropy."""

    @abstractmethod
    def cross_entropy(
        self, x: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"], weight: Float[Tensor, "n"]
    ) -> WeightedLoss:
        """Return Σ weight · (−log p(x^i | context)) over the chosen positions, row-major."""


class HollowLM(Conditional):
    """All conditionals in one pass of a hollow network, whose logits do not depend on x^i.

    Args:
        net: a hollow network.

    Raises:
        InputError: the network is not hollow, so it would see the label.
    """

    def __init__(self, net: Net) -> None:
        if not isinstance(net, Hollow):
            raise InputError(f"model=blind needs net=hollow, found {type(net).__name__}")
        super().__init__()
        self.net = net

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the log-conditionals by one pass."""
        return log_softmax(self.net(x_1, None, positions))

    def cross_entropy(
        self, x: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"], weight: Float[Tensor, "n"]
    ) -> WeightedLoss:
        """Return the weighted pseudo-likelihood: each position sees all others."""
        result: WeightedLoss = self.net(
            x, None, positions, LabelCrossEntropy(x[positions]), weight
        )
        return result


class MaskedLM(Conditional):
    """A masked language model, evaluated with one position masked at a time.

    Args:
        net: a bidirectional network without t, whose state V is the mask.
        batch: sequences that it sees at once.

    Raises:
        InputError: no mask among the states, a causal or a timed network, no batch.
    """

    def __init__(self, net: Net, batch: int = 1024) -> None:
        if net.states <= net.vocabulary or net.causal or net.timed:
            raise InputError("model=masked_lm needs a bidirectional net with a mask and without t")
        if batch < 1:
            raise InputError(f"model.batch must be 1 or more, found {batch}")
        super().__init__()
        self.net, self.batch = net, batch

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the log-conditionals by one pass per position, ``batch`` of them together."""
        row, column = positions.nonzero(as_tuple=True)
        hidden = torch.arange(x_1.shape[1], device=x_1.device) == column[:, None]
        whole = x_1[row].masked_fill(hidden, self.net.vocabulary)
        starts = range(0, max(1, len(whole)), self.batch)
        parts = [slice(start, start + self.batch) for start in starts]
        return torch.cat([log_softmax(self.net(whole[p], None, hidden[p])) for p in parts])

    def cross_entropy(
        self, x: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"], weight: Float[Tensor, "n"]
    ) -> WeightedLoss:
        """Return the weighted cross-entropy with the chosen positions masked together."""
        seen = x.masked_fill(positions, self.net.vocabulary)
        result: WeightedLoss = self.net(
            seen, None, positions, LabelCrossEntropy(x[positions]), weight
        )
        return result


def log_softmax(logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
    """Return log-probabilities in single precision or better."""
    return torch.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))
