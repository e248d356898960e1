"""The contract of a neighborhood: neighbors as edits, and the score loss over them.

A neighbor of x is x with K sites rewritten. Objectives meet a neighborhood in one of two ways:
``enumerate`` lists neighbors for posteriors that can only compare whole sequences, and a whole
1-ball of a factorized posterior is a per-site closed form (3.1), which never lists anything.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.bregman import Bregman


@dataclass(frozen=True)
class Neighbors:
    """N neighbors of each sequence: neighbor j rewrites K sites.

    Attributes:
        sites: which positions.
        tokens: what they become.
        valid: False for entries that pad the list or equal x itself.
    """

    sites: Int[Tensor, "B N K"]
    tokens: Int[Tensor, "B N K"]
    valid: Bool[Tensor, "B N"]

    def apply(self, x: Int[Tensor, "B L"]) -> Int[Tensor, "B N L"]:
        """The neighbors themselves."""
        spread = x[:, None].expand(-1, self.sites.shape[1], -1)
        return spread.scatter(-1, self.sites, self.tokens)

    def log_ratio(
        self, log_q: Float[Tensor, "B L V"], x: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B N"]:
        """Log q(y)/q(x) under a product law: Σ over rewritten sites."""
        batch, count, size = self.sites.shape
        flat = log_q.flatten(1)
        vocabulary = log_q.shape[-1]
        here = x.gather(1, self.sites.flatten(1))
        there = self.tokens.flatten(1)
        index = self.sites.flatten(1) * vocabulary
        change = flat.gather(1, index + there) - flat.gather(1, index + here)
        return change.view(batch, count, size).sum(-1)


class Neighborhood(ABC):
    """A family of neighbors.

    ``symmetric``: y ∈ N(x) ⇔ x ∈ N(y). The sample form (2.3) is wrong without it.
    """

    symmetric: ClassVar[bool]

    @abstractmethod
    def enumerate(self, x: Int[Tensor, "B L"], open: Bool[Tensor, "B L"]) -> Neighbors:
        """All neighbors that differ from x at open sites alone."""

    @abstractmethod
    def site_loss(
        self, divergence: Bregman, log_q: Float[Tensor, "n V"], x: Int[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        """Sample-form score loss of a factorized posterior, one number an open site."""

    def mean(self, values: Float[Tensor, "B N"], near: Neighbors) -> Float[Tensor, "B"]:
        """Mean over valid neighbors; 0 where there is none."""
        kept = torch.where(near.valid, values, torch.zeros_like(values))
        return kept.sum(-1) / near.valid.sum(-1).clamp(min=1)
