"""Soft targets of k tokens a position: their probabilities, and one rest for all other tokens.

p(y) = p_j at y = y_j, j ≤ k,      (1 − Σ p_j)/(V − k) elsewhere
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Top:
    """Distributions over V tokens of n positions by n (2k + 1) numbers.

    Attributes:
        ids: the tokens y_j of each position, distinct.
        log_p: log p_j, and in the last column the log of the rest, −∞ for none.
        vocabulary: V.
    """

    ids: Int[Tensor, "n k"]
    log_p: Float[Tensor, "n k+1"]
    vocabulary: int

    @classmethod
    def of(cls, log_p: Float[Tensor, "n V"], k: int) -> "Top":
        """Return the k likeliest tokens of normalized distributions, and their rest."""
        best, ids = log_p.topk(k)
        rest = log_p.scatter(-1, ids, -torch.inf).logsumexp(-1, keepdim=True)
        return cls(ids, torch.cat([best, rest], -1), log_p.shape[-1])

    @classmethod
    def joined(cls, parts: Sequence["Top"]) -> "Top":
        """Return the positions of several parts, one after the other."""
        ids, log_p = (torch.cat([getattr(p, name) for p in parts]) for name in ("ids", "log_p"))
        return cls(ids, log_p, parts[0].vocabulary)

    def rows(self, index: range, dtype: torch.dtype) -> "Top":
        """Return some positions, normalized in a type."""
        chosen = slice(index.start, index.stop)
        log_p = torch.log_softmax(self.log_p[chosen].to(dtype), -1)
        return Top(self.ids[chosen].long(), log_p, self.vocabulary)

    def other(self) -> Float[Tensor, "n"]:
        """Return the log-probability of each other token."""
        return self.log_p[:, -1] - math.log(max(1, self.vocabulary - self.ids.shape[-1]))

    def dense(self) -> Float[Tensor, "n V"]:
        """Return the log-probabilities of all tokens."""
        others = self.other()[:, None].repeat(1, self.vocabulary)
        return others.scatter_(-1, self.ids, self.log_p[:, :-1])
