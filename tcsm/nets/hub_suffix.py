"""A causal network of `transformers` that continues from cached prefixes, as `suffix` does."""

import copy
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tcsm.nets.hub import Hub


class HubPrefixCache:
    """A network with the library's cache of sequences that it has read, without gradients.

    Args:
        net: A causal network.
        x: The sequences.

    Attributes:
        features: Logits at all positions of these sequences; the head is the identity.
        usable: Whether the model returned a cache that can be cut to a prefix.
    """

    @torch.no_grad()
    def __init__(self, net: Hub, x: Int[Tensor, "B L"]) -> None:
        self.net, self.x = net, x
        ids = torch.cat([net.before.expand(len(x), -1), net.numbers[x]], 1)
        out = net.lm(input_ids=ids, use_cache=True)
        self.read: Any = getattr(out, "past_key_values", None)
        sliding = any(getattr(self.read, "is_sliding", [True]))
        self.usable: bool = getattr(self.read, "is_croppable", not sliding)
        self.features: Float[Tensor, "B L V"] = self._clean(out.logits[:, len(net.before) :])

    @torch.no_grad()
    def features_after(
        self, rows: Int[Tensor, "n"], tails: Int[Tensor, "n K s"]
    ) -> Float[Tensor, "n K s V"]:
        """Return logits at the last s positions of selected sequences with K other suffixes."""
        count, many, size = tails.shape
        prefix = copy.deepcopy(self.read)
        prefix.crop(-size)
        prefix.batch_select_indices(rows.repeat_interleave(many))
        ids = self.net.numbers[tails.flatten(0, 1)]
        logits = self.net.lm(input_ids=ids, past_key_values=prefix, use_cache=True).logits
        return self._clean(logits).view(count, many, size, -1)

    def _clean(self, logits: Tensor) -> Float[Tensor, "m s V"]:
        return logits[..., self.net.numbers[: self.net.vocabulary]]
