"""The autoregressive model p₁(x) = ∏ᵢ p(x^i | x^{<i}): baseline, judge of samples, and teacher."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.losses import LabelCrossEntropy
from tcsm.nets.base import Net, WeightedLoss


class Autoregressive(nn.Module):
    """A causal network read one position ahead; its state V is the start symbol.

    Args:
        net: a causal network with one extra state.

    Raises:
        InputError: the network looks at the future.
    """

    def __init__(self, net: Net) -> None:
        if not net.causal:
            raise InputError("net.causal must be true for model=autoregressive, found false")
        super().__init__()
        self.net = net

    def shifted(self, x: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
        """Return the network's input to predict x: the start symbol, then x without its end."""
        start = torch.full_like(x[:, :1], self.net.vocabulary)
        return torch.cat([start, x[:, :-1]], 1)

    def cross_entropy(self, x: Int[Tensor, "B L"], weight: Float[Tensor, "n"]) -> WeightedLoss:
        """Return Σ weight · (−log p(x^i | x^{<i})) over all positions, row-major."""
        everywhere = torch.ones_like(x, dtype=torch.bool)
        logit_loss = LabelCrossEntropy(x.flatten())
        result: WeightedLoss = self.net(self.shifted(x), None, everywhere, logit_loss, weight)
        return result

    def log_prob(self, x: Int[Tensor, "B L"]) -> Float[Tensor, "B"]:
        """Return log p₁(x), exact, in nats."""
        weight = torch.ones(x.numel(), device=x.device)
        return -self.cross_entropy(x, weight).cross_entropy.view(x.shape).double().sum(-1)

    def log_next(self, prefix: Int[Tensor, "B L"]) -> Float[Tensor, "B V"]:
        """Return log p(· | prefix) of the next token; the prefix may be empty."""
        padded = (
            torch.cat([prefix, torch.zeros_like(prefix[:, :1])], 1)
            if prefix.numel()
            else (torch.zeros(len(prefix), 1, dtype=torch.int64, device=prefix.device))
        )
        last = torch.zeros_like(padded, dtype=torch.bool)
        last[:, -1] = True
        return torch.log_softmax(self.net(self.shifted(padded), None, last).double(), -1)
