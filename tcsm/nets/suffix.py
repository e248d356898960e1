"""A causal transformer that continues from a cached prefix: only later positions are computed.

K continuations of one prefix share its keys and values; attention is over both parts at once.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tcsm.nets.layers import Attention, rms_norm, rotary, rotate
from tcsm.nets.transformer import Block, Transformer

Turn = tuple[Tensor, Tensor]


class KeysValues(NamedTuple):
    """Keys and values of a block, rotated, for the attention of later positions."""

    keys: Float[Tensor, "B H L E"]
    values: Float[Tensor, "B H L E"]


class PrefixCache:
    """A causal transformer with the keys and values of sequences that it has read.

    Args:
        net: A network without t.
        x: The sequences.

    Attributes:
        logits: Logits at all positions of these sequences.
    """

    def __init__(self, net: Transformer, x: Int[Tensor, "B L"]) -> None:
        self.net, self.x = net, x
        self.reads: list[KeysValues] = []
        hidden = self._cast(net.embed(x))
        turn = rotary(x.shape[1], hidden.shape[-1] // net.heads, hidden)
        for block in net.blocks:
            assert isinstance(block, Block)
            self.reads.append(KeysValues(*_project(block.attention, rms_norm(hidden), turn)[1:]))
            hidden = block(hidden, turn, None)
        self.logits: Float[Tensor, "B L V"] = net.head(rms_norm(hidden))

    def logits_after(
        self, rows: Int[Tensor, "n"], tails: Int[Tensor, "n K s"]
    ) -> Float[Tensor, "n K s V"]:
        """Return logits at the last s positions of selected sequences with K other suffixes."""
        net, (count, many, size) = self.net, tails.shape
        first = self.x.shape[1] - size
        hidden = self._embedded(rows, tails)
        whole = rotary(self.x.shape[1], hidden.shape[-1] // net.heads, hidden)
        turn = (whole[0][first:], whole[1][first:])
        for block, read in zip(net.blocks, self.reads, strict=True):
            assert isinstance(block, Block)
            before = KeysValues(*(part[rows, :, :first] for part in read))
            own = _project(block.attention, rms_norm(hidden), turn)
            hidden = hidden + block.attention.out(_attend(own, before))
            hidden = hidden + block.mlp(rms_norm(hidden))
        logits: Tensor = net.head(rms_norm(hidden))
        return logits.view(count, many, size, -1)

    def _embedded(
        self, rows: Int[Tensor, "n"], tails: Int[Tensor, "n K s"]
    ) -> Float[Tensor, "m s D"]:
        """Return embeddings of the suffixes, with as much before them as the stem needs."""
        many, size = tails.shape[1:]
        first = self.x.shape[1] - size
        back = min(first, self.net.stem.before) if self.net.stem else 0
        context = self.x[rows, None, first - back : first].expand(-1, many, -1)
        seen = torch.cat([context, tails], -1).flatten(0, 1)
        return self._cast(self.net.embed(seen)[:, back:])

    def _cast(self, hidden: Tensor) -> Tensor:
        kind = hidden.device.type
        return (
            hidden.to(torch.get_autocast_dtype(kind))
            if torch.is_autocast_enabled(kind)
            else hidden
        )


def _project(attention: Attention, x: Float[Tensor, "B L D"], turn: Turn) -> list[Tensor]:
    """Return queries, keys and values, each (B, H, L, E)."""
    batch, length, dim = x.shape
    heads = attention.heads
    qkv = attention.qkv(x).view(batch, length, 3 * heads, dim // heads)
    qk, v = qkv.split([2 * heads, heads], 2)
    return [*rotate(rms_norm(qk), turn).transpose(1, 2).chunk(2, 1), v.transpose(1, 2)]


def _attend(own: list[Tensor], before: KeysValues) -> Float[Tensor, "m s D"]:
    """Attend from each suffix to its prefix, which K suffixes share, and causally to itself."""
    q, k, v = own
    total, heads, size, width = q.shape
    count, first = len(before.keys), before.keys.shape[2]
    many = total // count
    shared = q.view(count, many, heads, size, width).transpose(1, 2)
    past = shared.reshape(count, heads, many * size, width) @ before.keys.transpose(-1, -2)
    past = past.view(count, heads, many, size, first).transpose(1, 2).flatten(0, 1)
    future = torch.ones(size, size, dtype=torch.bool, device=q.device).triu(1)
    present = (q @ k.transpose(-1, -2)).masked_fill(future, -math.inf)
    weight = torch.cat([past, present], -1).softmax(-1).to(v.dtype)
    of_past = weight[..., :first].reshape(count, many, heads, size, first).transpose(1, 2)
    mixed = of_past.reshape(count, heads, many * size, first) @ before.values
    mixed = mixed.view(count, heads, many, size, width).transpose(1, 2).reshape(q.shape)
    both: Tensor = mixed + weight[..., first:] @ v
    return both.transpose(1, 2).reshape(total, size, heads * width)
