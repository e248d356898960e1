"""Semantic neighbors: one token becomes one that is near it in an embedding (6.8).

The graph of tokens joins each to its nearest ones, in both directions, and to a few fixed random
ones. Score matching over it identifies a posterior of full support if and only if the graph is
connected (2.2), at the cost of as many terms a position as a token has neighbors, not V.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.divergences.bregman import Bregman
from tcsm.errors import InputError
from tcsm.neighborhoods.base import Neighbors, PerPosition
from tcsm.noise import batch_noise


@dataclass(frozen=True)
class Semantic(PerPosition):
    """Every edge has the weight 1/(nD), D being the largest number of neighbors of a token.

    Weights by the token's own number of neighbors would not be symmetric.

    Attributes:
        embedding: returns one vector per token, (V, D); called when neighbors are first needed.
        near: nearest tokens of each.
        random: random neighbors of each token, which connect the graph.
        seed: seed of the random neighbors.

    Raises:
        InputError: a negative number of neighbors, or none.
    """

    embedding: Callable[[], Tensor]
    near: int
    random: int = 1
    seed: int = 0
    symmetric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse negative numbers of neighbors, and none."""
        for key in ("near", "random"):
            if getattr(self, key) < 0:
                value = getattr(self, key)
                raise InputError(f"neighborhood.{key} must be 0 or more, found {value}")
        if self.near + self.random < 1:
            raise InputError("neighborhood.near + neighborhood.random must be 1 or more, found 0")

    @cached_property
    def neighbors(self) -> Int[Tensor, "V D"]:
        """Return the neighbors of each token; shorter rows are padded with the token itself.

        Raises:
            InputError: the graph is not connected, or has fewer tokens than neighbors.
        """
        vectors = self.embedding()
        if max(self.near, self.random) >= len(vectors):
            most = len(vectors) - 1
            raise InputError(f"neighborhood.near and .random must be {most} at most")
        graph = nearest(vectors, self.near) | scattered(len(vectors), self.random, self.seed)
        graph = graph | graph.T
        require_connected(graph)
        return _table(graph)

    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """Return L·D entries; those at visible positions and x itself have weight 0."""
        neighbors = self.neighbors.to(x.device)
        degree = neighbors.shape[1]
        tokens = torch.where(noised[..., None], neighbors[x], x[..., None]).flatten(1)
        positions = torch.arange(x.shape[1], device=x.device).repeat_interleave(degree)
        share = (degree * noised.sum(-1, keepdim=True)).clamp(min=1).double()
        weight = (tokens != x[:, positions]) / share
        return Neighbors(positions.expand(tokens.shape)[..., None], tokens[..., None], weight)

    def position_loss(
        self, divergence: Bregman, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        """Return (1/D) Σ over neighbors of ψ(log q_y − log q_x); the token itself adds 0."""
        near = self.neighbors.to(x.device)[x]
        return divergence.pair(log_q.gather(-1, near) - log_q.gather(-1, x[:, None])).mean(-1)


def nearest(vectors: Float[Tensor, "V D"], count: int) -> Bool[Tensor, "V V"]:
    """Return edges from each token to its nearest tokens, not symmetric."""
    vectors = vectors.double()
    distance = torch.cdist(vectors, vectors).fill_diagonal_(torch.inf)
    order = distance.argsort(dim=-1, stable=True)[:, :count]
    return torch.zeros(distance.shape, dtype=torch.bool).scatter(1, order, True)


def scattered(vocabulary: int, count: int, seed: int) -> Bool[Tensor, "V V"]:
    """Return edges from each token to ``count`` others, drawn uniformly by the seed."""
    u = batch_noise(seed, 0, vocabulary).uniform("edges", vocabulary).fill_diagonal_(2.0)
    order = u.argsort(-1)[:, :count]
    return torch.zeros(u.shape, dtype=torch.bool).scatter(1, order, True)


def require_connected(graph: Bool[Tensor, "V V"]) -> None:
    """Refuse a graph that is not connected.

    Raises:
        InputError: a token cannot be reached from token 0.
    """
    reached = torch.zeros(len(graph), dtype=torch.bool)
    reached[0] = True
    while (wider := reached | graph[reached].any(0)).sum() > reached.sum():
        reached = wider
    if not reached.all():
        lost = (~reached).nonzero().flatten()
        raise InputError(
            f"neighborhood: {len(lost)} of {len(graph)} tokens, {int(lost[0])} among them, cannot "
            "be reached from token 0 by neighbors; the odds between the parts would stay free "
            "(2.2): raise neighborhood.near or neighborhood.random"
        )


def _table(graph: Bool[Tensor, "V V"]) -> Int[Tensor, "V D"]:
    """Return rows of neighbors, padded with the token itself."""
    order = graph.byte().argsort(dim=-1, descending=True, stable=True)
    order = order[:, : int(graph.sum(-1).max())]
    own = torch.arange(len(graph))[:, None]
    return torch.where(graph.gather(1, order), order, own)
