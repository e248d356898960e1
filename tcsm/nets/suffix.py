"""A causal transformer that continues from a cached prefix: only later positions are computed.

K continuations of one prefix share its keys and values; attention is over both parts at once. To
score n positions with K tokens each costs B·L + (K − 1) Σ_i (L − 1 − i) positions of the network
instead of n·K·L: x^i itself needs no continuation, and the last position has none. Neighboring
positions are read together, from the first of them on, which adds 1/32 of L at most to a suffix.
"""

import math
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from tcsm.nets.base import Net
from tcsm.nets.layers import cast, rms_norm, rotary
from tcsm.nets.transformer import Block, Transformer

Turn = tuple[Tensor, Tensor]
SCRATCH = 2**22  # logits that exist at once
GROUPS = 32  # of neighboring positions whose suffixes are read together


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
        features: Normalized features at all positions of these sequences.
    """

    def __init__(self, net: Transformer, x: Int[Tensor, "B L"]) -> None:
        self.net, self.x = net, x
        self.reads: list[KeysValues] = []
        hidden = cast(net.embed(x))
        turn = rotary(x.shape[1], hidden.shape[-1] // net.heads, hidden)
        for block in net.blocks:
            assert isinstance(block, Block)
            self.reads.append(KeysValues(*block.attention.project(rms_norm(hidden), turn)[1:]))
            hidden = block(hidden, turn, None)
        self.features: Float[Tensor, "B L D"] = rms_norm(hidden)

    def features_after(
        self, rows: Int[Tensor, "n"], tails: Int[Tensor, "n K s"]
    ) -> Float[Tensor, "n K s D"]:
        """Return features at the last s positions of selected sequences with K other suffixes."""
        net, (count, many, size) = self.net, tails.shape
        first = self.x.shape[1] - size
        hidden = self._embedded(rows, tails)
        whole = rotary(self.x.shape[1], hidden.shape[-1] // net.heads, hidden)
        turn = (whole[0][first:], whole[1][first:])
        for block, read in zip(net.blocks, self.reads, strict=True):
            assert isinstance(block, Block)
            before = KeysValues(*(part[rows, :, :first] for part in read))
            own = block.attention.project(rms_norm(hidden), turn)
            hidden = hidden + block.attention.out(_attend(own, before))
            hidden = hidden + block.mlp(rms_norm(hidden))
        return rms_norm(hidden).view(count, many, size, -1)

    def _embedded(
        self, rows: Int[Tensor, "n"], tails: Int[Tensor, "n K s"]
    ) -> Float[Tensor, "m s D"]:
        """Return embeddings of the suffixes, with as much before them as the stem needs."""
        many, size = tails.shape[1:]
        first = self.x.shape[1] - size
        back = min(first, self.net.stem.before) if self.net.stem else 0
        context = self.x[rows, None, first - back : first].expand(-1, many, -1)
        seen = torch.cat([context, tails], -1).flatten(0, 1)
        return cast(self.net.embed(seen)[:, back:])


@runtime_checkable
class Prefixes(Protocol):
    """Sequences that a causal network has read, and from whose prefixes it goes on."""

    x: Int[Tensor, "B L"]
    features: Float[Tensor, "B L D"]

    @property
    def net(self) -> Net:
        """Return the network."""

    def features_after(
        self, rows: Int[Tensor, "n"], tails: Int[Tensor, "n K s"]
    ) -> Float[Tensor, "n K s D"]:
        """Return features at the last s positions of selected sequences with K other suffixes."""


def log_suffixes(
    cache: Prefixes,
    x: Int[Tensor, "B L"],
    place: tuple[Tensor, Tensor],
    tokens: Int[Tensor, "n K"],
    batch: int,
) -> Float64[Tensor, "n K"]:
    """Return Σ_{j≥i} log p(x^j | x^{<j}) of each x^{i←y}.

    Args:
        cache: The network after it has read the sequences, shifted by one position.
        x: Sequences.
        place: Row and column of each position i.
        tokens: The tokens y, x^i once among them.
        batch: Suffixes that the network sees at once.
    """
    row, column = place
    own = _log_p(cache.net, cache.features, x)
    after = functional.pad(own.flip(1).cumsum(1).flip(1), (0, 1))[row, column + 1]
    scores = _log_softmax(cache.net.head(cache.features[row, column])).gather(-1, tokens)
    other = tokens != x[row, column, None]
    others = tokens[other].view(len(tokens), tokens.shape[1] - 1)
    sums = torch.zeros_like(others, dtype=scores.dtype)
    together = max(1, batch // max(1, others.shape[1]))
    for first, group in _groups(column, x.shape[1]):
        for part in torch.split(group, together):
            for start in range(0, others.shape[1], batch):
                some = others[part, start : start + batch]
                total = _sums_after(cache, x, (row[part], column[part]), some, first)
                sums[part, start : start + batch] = total
    scores[other] += sums.flatten()
    return torch.where(other, scores, scores + after[:, None])


def _groups(column: Int[Tensor, "n"], length: int) -> list[tuple[int, Int[Tensor, "m"]]]:
    """Return the first position after a group's columns, and the group; the last has none.

    There are GROUPS of them at most, of neighboring columns: the number of calls of the network
    does not grow with the length, and few positions are computed that no label needs.
    """
    span = -(-length // GROUPS)
    last = length - 1
    group = torch.where(column < last, column // span, -1)
    numbers = [number for number in torch.unique(group).tolist() if number >= 0]
    return [(number * span + 1, (group == number).nonzero()[:, 0]) for number in numbers]


def _sums_after(
    cache: Prefixes,
    x: Int[Tensor, "B L"],
    place: tuple[Tensor, Tensor],
    tokens: Int[Tensor, "n K"],
    first: int,
) -> Float64[Tensor, "n K"]:
    """Return Σ_{j>i} log p(x^j | x^{<j}) of x^{i←y}, computed from position ``first`` ≤ i + 1."""
    row, column = place
    at = (column + 1 - first)[:, None, None].expand(*tokens.shape, 1)
    tails = cache.x[row, None, first:].repeat(1, tokens.shape[1], 1)
    tails.scatter_(-1, at, tokens[..., None])
    labels = x[row, None, first:].expand(tails.shape)
    log_p = _log_p(cache.net, cache.features_after(row, tails), labels)
    later = torch.arange(tails.shape[-1], device=x.device) >= at
    return torch.where(later, log_p, 0.0).sum(-1)


def _log_p(
    net: Net, features: Float[Tensor, "*s D"], labels: Int[Tensor, "*s"]
) -> Float64[Tensor, "*s"]:
    """Return log p(label); logits of a part of the positions exist at a time."""
    size = max(1, SCRATCH // net.vocabulary)
    parts = zip(
        torch.split(features.flatten(0, -2), size),
        torch.split(labels.flatten(), size),
        strict=True,
    )
    nats = [functional.cross_entropy(_wide(net.head(f)), y, reduction="none") for f, y in parts]
    return -torch.cat(nats).double().view(labels.shape)


def _wide(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _log_softmax(logits: Float[Tensor, "n V"]) -> Float64[Tensor, "n V"]:
    return torch.log_softmax(logits.double(), -1)


def _attend(own: tuple[Tensor, Tensor, Tensor], before: KeysValues) -> Float[Tensor, "m s D"]:
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
