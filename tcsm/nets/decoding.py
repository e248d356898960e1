"""Causal networks that read a sequence state by state and keep what later positions need of it."""

from functools import singledispatch
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tcsm.nets.base import Net
from tcsm.nets.hub import Hub
from tcsm.nets.layers import attend, cast, rms_norm, rotary
from tcsm.nets.transformer import Block, Transformer


class Decoder:
    """Any causal network: each call reads all states again.

    Args:
        net: the network.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.seen: list[Tensor] = []

    def read(self, x: Int[Tensor, "B s"]) -> Float[Tensor, "B V"]:
        """Read the next states, one unless they are the first; return logits at the last."""
        self.seen.append(x)
        states = torch.cat(self.seen, 1)
        last = torch.zeros_like(states, dtype=torch.bool)
        last[:, -1] = True
        logits: Tensor = self.net(states, None, last)
        return logits


class KeyValueCache(Decoder):
    """A transformer without t: each call computes its own states only.

    Args:
        net: the network, causal.
        length: largest number of states of a sequence.
    """

    def __init__(self, net: Transformer, length: int) -> None:
        self.net: Transformer = net
        self.length, self.end = length, 0
        self.context: Tensor | None = None
        self.keys_values: list[tuple[Tensor, Tensor]] = []

    def read(self, x: Int[Tensor, "B s"]) -> Float[Tensor, "B V"]:
        """Compute the blocks at the new states; they attend to the stored keys and values."""
        first, size = self.end, x.shape[1]
        if first and size > 1:
            raise ValueError(f"one state at a time after the first ones, found {size}")
        hidden, net = self._embedded(x), self.net
        turn = rotary(self.length, hidden.shape[-1] // net.heads, hidden)
        self.end += size
        turn = (turn[0][first : self.end], turn[1][first : self.end])
        for index, block in enumerate(net.blocks):
            assert isinstance(block, Block)
            mixed = self._mix(index, block, rms_norm(hidden), turn)
            last = index == len(net.blocks) - 1
            hidden, mixed = (part[:, -1:] if last else part for part in (hidden, mixed))
            hidden = hidden + block.attention.out(mixed)
            hidden = hidden + block.mlp(rms_norm(hidden))
        logits: Tensor = net.head(rms_norm(hidden[:, -1]))
        return logits

    def _embedded(self, x: Int[Tensor, "B s"]) -> Float[Tensor, "B s D"]:
        """Return the input of the first block, with as much before it as the stem needs."""
        seen = x if self.context is None else torch.cat([self.context, x], 1)
        before = self.net.stem.before if self.net.stem else 0
        self.context = seen[:, max(0, seen.shape[1] - before) :] if before else None
        return cast(self.net.embed(seen)[:, seen.shape[1] - x.shape[1] :])

    def _mix(
        self, index: int, block: Block, x: Float[Tensor, "B s D"], turn: tuple[Tensor, Tensor]
    ) -> Float[Tensor, "B s D"]:
        """Return a block's attention output at the new states and store their keys and values."""
        q, *own = block.attention.project(x, turn)
        size = x.shape[1]
        if index == len(self.keys_values):
            room = (*q.shape[:2], self.length, q.shape[-1])
            self.keys_values.append((own[0].new_empty(room), own[1].new_empty(room)))
        for stored, new in zip(self.keys_values[index], own, strict=True):
            stored[:, :, self.end - size : self.end] = new
        k, v = (stored[:, :, : self.end] for stored in self.keys_values[index])
        mixed = (
            attend(q, k, v, causal=True)
            if size > 1
            else functional.scaled_dot_product_attention(q, k, v, scale=1.0)
        )
        return mixed.transpose(1, 2).reshape(x.shape)


class HubCache(Decoder):
    """A network of `transformers` with its own ``past_key_values``, where it has them.

    Args:
        net: the network, causal.
    """

    def __init__(self, net: Hub) -> None:
        super().__init__(net)
        self.net: Hub = net
        self.past: Any = None

    def read(self, x: Int[Tensor, "B s"]) -> Float[Tensor, "B V"]:
        """Read the new states; all of them again where ``lm`` returns nothing to continue from."""
        net, first = self.net, not self.seen
        if self.past is None and not first:
            return super().read(x)
        self.seen.append(x)
        ids = torch.cat([net.before.expand(len(x), -1), net.numbers[x]], 1)
        ids = ids if first else net.numbers[x]
        out = net.lm(input_ids=ids, past_key_values=self.past, use_cache=True)
        self.past = getattr(out, "past_key_values", None)
        logits: Tensor = out.logits[:, -1, net.numbers[: net.vocabulary]]
        return logits


@singledispatch
def decoder(net: Net, length: int) -> Decoder:
    """Return the fastest decoder of a causal network for sequences of a length or less."""
    return Decoder(net)


@decoder.register
def _(net: Transformer, length: int) -> Decoder:
    return KeyValueCache(net, length) if _whole(net) else Decoder(net)


@decoder.register
def _(net: Hub, length: int) -> Decoder:
    return HubCache(net) if _whole(net) else Decoder(net)


def _whole(net: Net) -> bool:
    """Return whether all weights are here; those of a sharded network meet in ``forward``."""
    return all(type(weight) is nn.Parameter for weight in net.parameters())
